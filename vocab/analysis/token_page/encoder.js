"use strict";
// Text to ids as Vocabulary.encode gives them. Bytes are strings of characters below 256, which a Map looks up whole.
// Nothing here asks for a browser, so that any engine runs it.

const Tokens = (() => {
  const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const VALUES = new Int16Array(128).fill(-1);
  for (let k = 0; k < 64; k++) VALUES[BASE64.charCodeAt(k)] = k;
  const NONE = 2 ** 31 - 1;
  const PLACES = 2 ** 21; // of a merge in a piece: order and place are one number below 2 ** 53
  const MARK = "▁";
  const RUST_SPACE = /[\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;

  // Unpacking

  function bytesOf(text) {
    const bytes = new Uint8Array(Math.floor((text.length * 3) / 4) - (text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0));
    let held = 0, bits = 0, n = 0;
    for (let k = 0; k < text.length && n < bytes.length; k++) {
      held = (held << 6) | VALUES[text.charCodeAt(k)];
      bits += 6;
      if (bits >= 8) {
        bits -= 8;
        bytes[n++] = (held >> bits) & 255;
        held &= (1 << bits) - 1;
      }
    }
    return bytes;
  }

  function numbersOf(text) {
    const numbers = [];
    let value = 0, factor = 1;
    for (const byte of bytesOf(text)) {
      value += (byte & 127) * factor;
      factor *= 128;
      if (byte < 128) {
        numbers.push(value);
        value = 0;
        factor = 1;
      }
    }
    return numbers;
  }

  const signed = (number) => (number % 2 ? -(number + 1) / 2 : number / 2);

  function sums(distances) {
    let sum = 0;
    return distances.map((distance) => (sum += distance));
  }

  function tokensOf(blob, lengths) {
    const bytes = bytesOf(blob);
    let at = 0;
    return numbersOf(lengths).map((length) => String.fromCharCode.apply(null, bytes.subarray(at, (at += length))));
  }

  // Text and bytes

  function utf8(text) {
    let bytes = "";
    for (const character of text) {
      const code = character.codePointAt(0);
      if (code < 0x80) bytes += character;
      else if (code < 0x800) bytes += String.fromCharCode(0xc0 | (code >> 6), 0x80 | (code & 63));
      else if (code < 0x10000) bytes += String.fromCharCode(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
      else bytes += String.fromCharCode(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
    }
    return bytes;
  }

  const widthOf = (byte) => (byte < 0xc0 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4);

  // The text of bytes, or null where they are not UTF-8.
  function textOf(bytes) {
    try {
      return decodeURIComponent(bytes.replace(/[^A-Za-z0-9]/g, (c) => "%" + c.charCodeAt(0).toString(16).padStart(2, "0")));
    } catch {
      return null;
    }
  }

  const BYTE_LETTERS = (() => {
    const letters = [];
    let next = 256;
    for (let byte = 0; byte < 256; byte++) {
      const prints = (byte >= 0x21 && byte < 0x7f) || (byte >= 0xa1 && byte < 0xad) || byte >= 0xae;
      letters.push(String.fromCharCode(prints ? byte : next++));
    }
    return letters;
  })();

  // Splitting

  function classSource(ranges) {
    const edges = sums(ranges);
    let source = "[";
    for (let k = 0; k < edges.length; k += 2) {
      source += `\\u{${edges[k].toString(16)}}-\\u{${(edges[k + 1] - 1).toString(16)}}`;
    }
    return source + "]";
  }

  const regexOf = (parts, classes) =>
    new RegExp(parts.map((part) => (typeof part === "number" ? classes[part] : part)).join(""), "gu");

  // The pieces of a text; what no match holds stays as pieces of its own.
  function pieces(text, regex, behavior) {
    const edges = new Set();
    for (const match of text.matchAll(regex)) {
      if (!match[0]) throw new Error("The split pattern matches between two characters, which this page cannot run.");
      if (behavior !== "merged_with_previous") edges.add(match.index);
      if (behavior !== "merged_with_next") edges.add(match.index + match[0].length);
    }
    edges.delete(0);
    edges.add(text.length);
    let begin = 0;
    return [...edges].sort((a, b) => a - b).map((end) => text.slice(begin, (begin = end)));
  }

  // A step that sees bytes takes and gives strings of bytes, every other one text.
  function cut(stretch, steps) {
    let found = [stretch], areBytes = false;
    for (const step of steps) {
      if (step.on_bytes && !areBytes) [found, areBytes] = [found.map(utf8), true];
      found = found.flatMap((piece) => {
        if (!piece) return [];
        if (!step.on_bytes) return pieces(areBytes ? textOf(piece) : piece, step.regex, step.behavior).map(areBytes ? utf8 : String);
        const letters = Array.from(piece, (c) => BYTE_LETTERS[c.charCodeAt(0)]).join("");
        let at = 0;
        return pieces(letters, step.regex, step.behavior).map((p) => piece.slice(at, (at += p.length)));
      });
    }
    return (areBytes ? found : found.map(utf8)).filter((piece) => piece);
  }

  // Added tokens

  const escaped = (text) => text.replace(/[\^$\\.*+?()[\]{}|\/]/g, "\\$&");

  function finderOf(added, lookedFor) {
    if (!added.length) return null;
    const texts = added.map(lookedFor);
    const longest = [...texts].sort((a, b) => b.length - a.length).map(escaped);
    return { regex: new RegExp(longest.join("|"), "gu"), by: new Map(texts.map((text, k) => [text, added[k]])) };
  }

  // Stretches of text as [begin, end, added token or null].
  function stretches(text, finder, word) {
    if (!finder) return text ? [[0, text.length, null]] : [];
    const found = [];
    let done = 0;
    for (const match of text.matchAll(finder.regex)) {
      const added = finder.by.get(match[0]);
      let begin = match.index, end = begin + match[0].length;
      if (added.word) {
        const before = Array.from(text.slice(Math.max(0, begin - 2), begin)).pop() ?? "";
        const after = Array.from(text.slice(end, end + 2))[0] ?? "";
        if (word.test(before) || word.test(after)) continue;
      }
      begin = Math.max(begin, done);
      while (added.left && begin > done && RUST_SPACE.test(text[begin - 1])) begin--;
      while (added.right && end < text.length && RUST_SPACE.test(text[end])) end++;
      if (begin > done) found.push([done, begin, null]);
      found.push([begin, end, added]);
      done = end;
    }
    if (done < text.length) found.push([done, text.length, null]);
    return found;
  }

  // Encoding one piece

  class Heap {
    keys = [];
    push(key) {
      const keys = this.keys;
      let child = keys.push(key) - 1;
      while (child > 0 && keys[(child - 1) >> 1] > key) {
        keys[child] = keys[(child - 1) >> 1];
        child = (child - 1) >> 1;
      }
      keys[child] = key;
    }
    pop() {
      const keys = this.keys, least = keys[0], key = keys.pop();
      if (!keys.length) return least;
      let parent = 0;
      for (let child = 1; child < keys.length; child = 2 * parent + 1) {
        if (child + 1 < keys.length && keys[child + 1] < keys[child]) child++;
        if (keys[child] >= key) break;
        keys[parent] = keys[child];
        parent = child;
      }
      keys[parent] = key;
      return least;
    }
  }

  class Encoder {
    constructor(content, classes) {
      const settings = content.encoder;
      this.settings = settings;
      this.tokens = tokensOf(content.blob, content.lengths);
      this.ids = sums(numbersOf(content.ids).map(signed));
      this.byBytes = new Map();
      for (let rank = settings.n_stand_ins; rank < this.tokens.length; rank++) this.byBytes.set(this.tokens[rank], rank);
      this.order = settings.order ? numbersOf(settings.order) : null;
      this.pairs = settings.pairs ? this.pairOrder(settings.pairs) : null;
      this.lacking = settings.lacking.length ? new Set(settings.lacking.map((byte) => String.fromCharCode(byte))) : null;
      this.longest = this.longestByBeginning();
      this.known = new Map();
      const { split, added } = settings;
      this.steps = split.steps.map((step) => ({ ...step, regex: regexOf(step.regex, classes) }));
      this.word = split.word === null ? null : new RegExp(classes[split.word], "u");
      const spaced = (one) => one.text.replaceAll(MARK, " ");
      this.byText = split.by_text ? finderOf(added, spaced) : null;
      this.before = split.by_text ? null : finderOf(added.filter((one) => !one.after), (one) => one.text);
      this.after = split.by_text ? null : finderOf(added.filter((one) => one.after), (one) => one.normal);
    }

    pairOrder(packed) {
      const order = new Map(), at = sums(numbersOf(packed.at)), places = numbersOf(packed.order);
      at.forEach((place, k) => order.set(place, places[k]));
      let start = 0;
      this.starts = this.tokens.map((token) => (start += token.length) - token.length);
      return order;
    }

    // The most bytes of a token, by its first two.
    longestByBeginning() {
      const longest = new Uint16Array(65536);
      for (const token of this.byBytes.keys()) {
        if (token.length < 2) continue;
        const first = (token.charCodeAt(0) << 8) | token.charCodeAt(1);
        if (token.length > longest[first]) longest[first] = token.length;
      }
      return longest;
    }

    longestAt(piece, at) {
      if (at + 1 >= piece.length) return 1;
      const most = this.longest[(piece.charCodeAt(at) << 8) | piece.charCodeAt(at + 1)];
      return Math.max(1, Math.min(most, piece.length - at));
    }

    // Ids, and the bytes that each stands for, of a text in which special tokens are not recognised.
    encode(text) {
      const ids = [], bytes = [];
      for (const [piece, added] of this.preTokens(text.replace(/\p{Cs}/gu, "\ufffd"))) {
        if (added) {
          ids.push(added.id);
          bytes.push(piece);
          continue;
        }
        for (const [rank, spelt] of this.ranks(piece)) {
          ids.push(this.ids[rank]);
          bytes.push(spelt);
        }
      }
      return { ids, bytes };
    }

    // Pairs of a piece in bytes, and the added token that it is or null.
    preTokens(text) {
      const { split } = this.settings;
      if (split.by_text) {
        const prepared = this.spaced(split.form ? text.normalize(split.form) : text, true);
        return stretches(prepared, this.byText, this.word).flatMap(([begin, end, added]) => this.piecesOf(prepared.slice(begin, end), added));
      }
      const found = [];
      for (const [begin, end, added] of stretches(text, this.before, this.word)) {
        const raw = text.slice(begin, end);
        if (added) {
          found.push([utf8(added.text), added]);
          continue;
        }
        const normal = split.form ? raw.normalize(split.form) : raw;
        for (const [from, to, other] of stretches(normal, this.after, this.word)) {
          const stretch = normal.slice(from, to);
          if (other) found.push([utf8(other.text), other]);
          else for (const pair of this.piecesOf(this.spaced(stretch, begin === 0 && from === 0), null)) found.push(pair);
        }
      }
      return found;
    }

    piecesOf(stretch, added) {
      return added ? [[utf8(stretch), added]] : cut(stretch, this.steps).map((piece) => [piece, null]);
    }

    spaced(stretch, isFirst) {
      const { spaces_marks: spacesMarks, prefix, doubles } = this.settings.split;
      const text = spacesMarks ? stretch.replaceAll(MARK, " ") : stretch;
      const isPut = text && (prefix === "always" || (prefix === "first" && isFirst));
      return isPut && (doubles || !text.startsWith(" ")) ? " " + text : text;
    }

    // Pairs of a rank and the bytes that it stands for.
    ranks(piece) {
      let found = this.known.get(piece);
      if (!found) {
        found = this.ranksAnew(piece);
        if (this.known.size > 100000) this.known.clear();
        this.known.set(piece, found);
      }
      return found;
    }

    ranksAnew(piece) {
      const loses = this.lacking && Array.from(piece).some((c) => this.lacking.has(c));
      const rest = loses ? Array.from(piece).filter((c) => !this.lacking.has(c)).join("") : piece;
      const { method } = this.settings;
      if (method === "merges") return this.merged(rest, !loses);
      if (method === "scored-merges") return this.merged(rest, false);
      return method === "least-tokens" ? this.fewest(rest) : this.greedy(rest);
    }

    greedy(piece) {
      const found = [];
      for (let at = 0; at < piece.length; ) {
        let length = this.longestAt(piece, at);
        while (length > 1 && !this.byBytes.has(piece.substr(at, length))) length--;
        const spelt = piece.substr(at, length);
        found.push([this.byBytes.get(spelt), spelt]);
        at += length;
      }
      return found;
    }

    // The shortest path; only a strictly shorter one replaces one from an earlier place.
    fewest(piece) {
      const costs = new Int32Array(piece.length + 1).fill(NONE), from = new Int32Array(piece.length + 1);
      costs[0] = 0;
      for (let at = 0; at < piece.length; at++) {
        if (costs[at] === NONE) continue;
        const most = this.longestAt(piece, at);
        for (let length = 1; length <= most; length++) {
          if (costs[at] + 1 < costs[at + length] && this.byBytes.has(piece.substr(at, length))) {
            costs[at + length] = costs[at] + 1;
            from[at + length] = at;
          }
        }
      }
      const found = [];
      for (let end = piece.length; end > 0; end = from[end]) {
        const spelt = piece.slice(from[end], end);
        found.push([this.byBytes.get(spelt), spelt]);
      }
      return found.reverse();
    }

    // Parts at first: characters with a token, and the bytes of others; under merges, bytes.
    firstParts(piece) {
      const { method, byte_tokens: byteTokens, fuses } = this.settings;
      const parts = [];
      for (let at = 0; at < piece.length; ) {
        const width = method === "merges" ? 1 : Math.min(widthOf(piece.charCodeAt(at)), piece.length - at);
        const rank = this.byBytes.get(piece.substr(at, width));
        const step = rank !== undefined || fuses ? width : 1;
        for (let k = at; k < at + width; k += step) {
          parts.push([k, rank ?? byteTokens[piece.charCodeAt(k)]]);
        }
        at += width;
      }
      return parts;
    }

    // Merges of least order first, of equal ones that further left. Linked by first bytes; stale entries are skipped.
    merged(piece, looksUpWhole) {
      const whole = looksUpWhole ? this.byBytes.get(piece) : undefined;
      if (whole !== undefined) return [[whole, piece]];
      if (piece.length >= PLACES) throw new Error("A stretch without a place to split is too long for this page.");
      const n = piece.length, after = new Int32Array(n + 1), before = new Int32Array(n + 1), heap = new Heap();
      const rankAt = new Int32Array(n + 1).fill(-1), pairAt = new Float64Array(n + 1).fill(-1);
      const parts = this.firstParts(piece);
      parts.forEach(([at, rank], k) => {
        const end = k + 1 < parts.length ? parts[k + 1][0] : n;
        rankAt[at] = rank;
        after[at] = end;
        before[end] = at;
      });
      const push = (at) => {
        pairAt[at] = -1;
        if (after[at] >= n) return;
        const rank = this.byBytes.get(piece.slice(at, after[after[at]]));
        if (rank === undefined) return;
        const order = this.orderOf(rank, after[at] - at);
        if (order === NONE) return;
        pairAt[at] = order * PLACES + at;
        heap.push(pairAt[at]);
      };
      for (const [at] of parts) push(at);
      while (heap.keys.length) {
        const key = heap.pop(), at = key % PLACES;
        if (pairAt[at] !== key) continue;
        const gone = after[at], end = after[gone];
        rankAt[at] = this.byBytes.get(piece.slice(at, end));
        rankAt[gone] = pairAt[gone] = -1;
        after[at] = end;
        before[end] = at;
        push(at);
        if (at > 0) push(before[at]);
      }
      return this.closedUp(piece, rankAt, after);
    }

    closedUp(piece, rankAt, after) {
      const found = [], unknown = this.settings.fuses ? this.settings.byte_tokens[0] : -1;
      for (let at = 0; at < piece.length; at = after[at]) {
        const spelt = piece.slice(at, after[at]), last = found[found.length - 1];
        if (rankAt[at] === unknown && last && last[0] === unknown) last[1] += spelt;
        else found.push([rankAt[at], spelt]);
      }
      return found;
    }

    orderOf(rank, nLeft) {
      if (this.pairs) return this.pairs.get(this.starts[rank] + nLeft) ?? NONE;
      return this.order ? this.order[rank] : rank;
    }

    // Ids that spell a token's bytes as one piece, as Vocabulary spells what it lacks.
    spell(token) {
      const { n_stand_ins: nStandIns, byte_tokens: byteTokens, fuses } = this.settings;
      if (nStandIns > 1 && !fuses && textOf(token) === null) {
        return Array.from(token, (c) => byteTokens[c.charCodeAt(0)]).filter((rank) => rank >= 0).map((rank) => this.ids[rank]);
      }
      return this.ranks(token).map(([rank]) => this.ids[rank]);
    }
  }

  return { Encoder, bytesOf, numbersOf, signed, sums, textOf, tokensOf, utf8, classSource };
})();
