"""Slow, obvious twins of what the package computes fast: plain Python over bytes, dictionaries and lists.

A vocabulary is a dictionary from token to rank, a corpus a dictionary from pre-token to count. Splitting is
answered by two engines that share no code with the package: Hugging Face tokenizers (Oniguruma) and tiktoken
(fancy-regex).
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from functools import cache
from itertools import accumulate, combinations, pairwise

import tiktoken
import tokenizers
from tokenizers import pre_tokenizers

from vocab.splitting import SplitPattern

METHODS = ("merges", "least-tokens", "longest-prefix", "ungreedy")
SINGLE_BYTES = [bytes([b]) for b in range(256)]


# Splitting


def tokenizers_pieces(pattern: SplitPattern, text: str) -> list[str]:
    """Pre-tokens of `text` by Hugging Face tokenizers."""
    splitter = pre_tokenizers.Split(tokenizers.Regex(pattern.portable), "isolated")
    return [piece for piece, _ in splitter.pre_tokenize_str(text)]


def tiktoken_pieces(regex: str, text: str, expected: Sequence[str]) -> list[str]:
    """Pre-tokens of `text` by tiktoken, equal to `expected` only if these are its pre-tokens.

    tiktoken looks a whole pre-token up before it merges, so a vocabulary of all expected pieces shows its
    split. A longer pre-token of its own could still be merged into the expected pieces, were not each two
    neighbours together a token too: then these merge on, and show.
    """
    pieces = [piece.encode() for piece in expected]
    ranks = {byte: rank for rank, byte in enumerate(SINGLE_BYTES)}
    for piece in dict.fromkeys(pieces + [a + b for a, b in pairwise(pieces)]):
        ranks.setdefault(piece, len(ranks))
    encoding = tiktoken.Encoding("split", pat_str=regex, mergeable_ranks=ranks, special_tokens={})
    token_of = {rank: token for token, rank in ranks.items()}
    return [token_of[id_].decode(errors="replace") for id_ in encoding.encode_ordinary(text)]


def count(pattern: SplitPattern, texts: Iterable[str]) -> Counter[bytes]:
    """Pre-tokens of some documents, counted."""
    return Counter(piece.encode() for text in texts for piece in tokenizers_pieces(pattern, text))


def count_documents(pattern: SplitPattern, texts: Iterable[str]) -> Counter[bytes]:
    """In how many documents each pre-token occurs."""
    return Counter(piece.encode() for text in texts for piece in set(tokenizers_pieces(pattern, text)))


def tally(documents: Iterable[Iterable[bytes]]) -> dict[bytes, tuple[int, int]]:
    """How often each pre-token occurs, and in how many documents."""
    counts: Counter[bytes] = Counter()
    n_documents: Counter[bytes] = Counter()
    for pieces in map(list, documents):
        counts.update(pieces)
        n_documents.update(set(pieces))
    return {piece: (counts[piece], n_documents[piece]) for piece in counts}


# Inference


def ranks_of(tokens: Iterable[bytes]) -> dict[bytes, int]:
    return {token: rank for rank, token in enumerate(tokens)}


def encode_merges(ranks: Mapping[bytes, int], piece: bytes) -> list[bytes]:
    """The whole pre-token if it is a token; else merge the pair of lowest rank, leftmost first, and again."""
    if piece in ranks:
        return [piece]
    parts = [piece[i : i + 1] for i in range(len(piece))]
    while True:
        joined = [a + b for a, b in pairwise(parts)]
        pairs = [(ranks[pair], i) for i, pair in enumerate(joined) if pair in ranks]
        if not pairs:
            return parts
        _, i = min(pairs)
        parts[i : i + 2] = [parts[i] + parts[i + 1]]


def encode_least_tokens(ranks: Mapping[bytes, int], piece: bytes) -> list[bytes]:
    """Fewest tokens; starts are tried left to right, and only a strictly better way replaces a known one."""
    longest = max(map(len, ranks))
    best: list[list[bytes] | None] = [[]] + [None] * len(piece)
    for start in range(len(piece)):
        way = best[start]
        for end in range(start + 1, min(start + longest, len(piece)) + 1):
            so_far = best[end]
            if piece[start:end] in ranks and (so_far is None or len(way) + 1 < len(so_far)):
                best[end] = [*way, piece[start:end]]
    return best[len(piece)]


def encode_longest_prefix(ranks: Mapping[bytes, int], piece: bytes) -> list[bytes]:
    tokens = []
    while piece:
        token = next(piece[:end] for end in range(len(piece), 0, -1) if piece[:end] in ranks)
        tokens.append(token)
        piece = piece[len(token) :]
    return tokens


@cache
def utf8_characters(raw: bytes) -> list[str]:
    """Characters of some bytes; each byte that is no part of a whole one is U+FFFD."""
    found = []
    while raw:
        for width in range(1, 5):
            with suppress(UnicodeDecodeError):
                found.append(raw[:width].decode())
                raw = raw[width:]
                break
        else:
            found.append("\ufffd")
            raw = raw[1:]
    return found


@cache
def last_character(raw: bytes) -> str:
    """The whole character that some bytes end with, or nothing."""
    for width in range(1, min(4, len(raw)) + 1):
        with suppress(UnicodeDecodeError):
            if len(found := raw[-width:].decode()) == 1:
                return found
    return ""


def is_letter(c: str) -> bool:
    return bool(c) and unicodedata.category(c)[0] in "LM"


def is_number(c: str) -> bool:
    return bool(c) and unicodedata.category(c)[0] == "N"


def is_white(c: str) -> bool:
    return bool(c) and (c in "\t\n\v\f\r\x85" or unicodedata.category(c)[0] == "Z")


@cache
def words_begun(token: bytes) -> int:
    """Spaces with a letter or number after them."""
    return sum(a == " " and (is_letter(b) or is_number(b)) for a, b in pairwise(utf8_characters(token)))


@cache
def is_uniform(token: bytes) -> bool:
    """One byte, or letters and spaces, or numbers and spaces, or neither letters nor numbers; not just one space."""
    characters = utf8_characters(token)
    if len(token) == 1:
        return True
    if len(characters) < 2:
        return not is_letter(characters[0]) and not is_number(characters[0])
    for kind in (is_letter, is_number):
        if kind(characters[1]) and all(kind(c) or c == " " for c in characters):
            return True
    return not any(is_letter(c) or is_number(c) for c in characters)


@cache
def is_plain_word(token: bytes) -> bool:
    """A space and letters."""
    characters = utf8_characters(token)
    return len(characters) > 1 and characters[0] == " " and all(map(is_letter, characters[1:]))


@cache
def cut_priority(token: bytes, length: int) -> int:
    """How good a place to end it is after the first bytes of a token."""
    left = last_character(token[:length])
    right, after_space, *_ = [*utf8_characters(token[length:]), ""]
    if right == " " and (is_letter(after_space) or is_number(after_space)):
        return 10
    if (is_letter(left) or left == "_") != (is_letter(right) or right == "_") or is_number(left) != is_number(right):
        return 9
    if is_white(left) != is_white(right):
        return 7 if is_white(left) else 8
    return 1


def alternatives(ranks: Mapping[bytes, int], token: bytes) -> list[bytes]:
    """The two best tokens that `token` begins with: by the place where they end, then by length."""
    begins_words = words_begun("".join(utf8_characters(token)[:2]).encode()) == 1 and words_begun(token) > 1
    lengths = range(2 if begins_words else 1, len(token))
    found = [(cut_priority(token, length), length) for length in lengths if token[:length] in ranks]
    return [token[:length] for _, length in sorted(found, reverse=True)[:2]]


def kind_of_byte(rest: bytes) -> str:
    """What the first byte of the text that follows says of it."""
    if not rest:
        return ""
    byte = rest[0]
    if byte == 0x20:
        return "space"
    if byte < 0x80:
        c = chr(byte)
        return "letter" if c.isalpha() else "other" if c in "\t\n\r" or (c.isprintable() and not c.isdigit()) else ""
    return "other" if byte in (0xC2, 0xE2, 0xEF, 0xF0) else "letter" if 0xC3 <= byte <= 0xED else ""


def score_of_two(first: bytes, second: bytes, rest: bytes) -> int:
    """TokenMonster's score of two tokens in a row with the text that follows them."""
    after = kind_of_byte(rest)
    words = words_begun(first) + words_begun(second)
    inside = is_letter(last_character(first)) and is_letter(utf8_characters(second)[0])
    return (
        len(first + second)
        + is_uniform(first)
        + is_uniform(second)
        + sum(max(words_begun(token) - 1, 0) for token in (first, second))
        + (second[:1] == b" ")
        + (after == "space")
        + 100 * (words + (after in ("space", "other")))
        - 103 * inside
        - 3 * (after == "letter" and is_letter(last_character(second)))
    )


def encode_ungreedy(ranks: Mapping[bytes, int], piece: bytes) -> list[bytes]:
    """TokenMonster's look-ahead without capcode over a text that is this pre-token alone."""
    tokens = []
    while piece:
        longest = longest_token(ranks, piece)
        rest = piece[len(longest) :]
        choice = longest
        if rest and not (is_plain_word(longest) and rest[:1] == b" "):
            branches = []
            for first in [longest, *alternatives(ranks, longest)]:
                second = longest_token(ranks, piece[len(first) :])
                n = len(first + second)
                score = score_of_two(first, second, piece[n:])
                if first != longest:
                    score -= 100 * (n < len(longest)) + 10_000 * (n == len(longest))
                branches.append((score, first))
            choice = max(branches, key=lambda branch: branch[0])[1]
        tokens.append(choice)
        piece = piece[len(choice) :]
    return tokens


def longest_token(ranks: Mapping[bytes, int], piece: bytes) -> bytes:
    """The longest token of at most 40 bytes that the piece begins with."""
    return next(piece[:end] for end in range(min(len(piece), 40), 0, -1) if piece[:end] in ranks)


def encode_scored_merges(scores: Mapping[str, float], piece: str) -> list[str | int]:
    """SentencePiece's merges from characters, highest score and then leftmost first; bytes where there is no token.

    A character without a token merges with nothing.
    """
    parts: list[str | int] = []
    for character in piece:
        parts += [character] if character in scores else list(character.encode())
    while True:
        pairs = [(a + b, i) for i, (a, b) in enumerate(pairwise(parts)) if isinstance(a, str) and isinstance(b, str)]
        known = [(-scores[pair], i) for pair, i in pairs if pair in scores]
        if not known:
            return parts
        _, i = min(known)
        parts[i : i + 2] = [parts[i] + parts[i + 1]]


def total_scored(scores: Mapping[str, float], counts: Mapping[str, int]) -> int:
    """Tokens of a whole corpus by scored merges."""
    return sum(count * len(encode_scored_merges(scores, piece)) for piece, count in counts.items())


def encode_unigram(scores: Mapping[str, float], text: str) -> list[str | int]:
    """The way of highest score, exact as fractions; starts are tried left to right, only a better way replaces another.

    A character without a token is its bytes, and no token goes over it.
    """
    usable = {token: Fraction(score) for token, score in scores.items() if all(c in scores for c in token)}
    best: list[tuple[Fraction, list[str | int]] | None] = [(Fraction(0), [])] + [None] * len(text)
    for start, character in enumerate(text):
        so_far, way = best[start]
        offers = [(end, text[start:end]) for end in range(start + 1, len(text) + 1) if text[start:end] in usable]
        ways = [(end, so_far + usable[token], [*way, token]) for end, token in offers]
        if character not in usable:
            ways = [(start + 1, so_far, [*way, *character.encode()])]
        for end, score, new in ways:
            if best[end] is None or score > best[end][0]:
                best[end] = (score, new)
    return best[len(text)][1]


def total_unigram(scores: Mapping[str, float], counts: Mapping[str, int]) -> int:
    """Tokens of a whole corpus by Unigram."""
    return sum(count * len(encode_unigram(scores, piece)) for piece, count in counts.items())


def all_ways(tokens: Collection[str], text: str) -> Iterator[list[str]]:
    """Every way to cut a text into tokens; a character without a token stands alone and counts as nothing."""
    if not text:
        yield []
    for end in range(1, len(text) + 1):
        if text[:end] in tokens:
            yield from ([text[:end], *way] for way in all_ways(tokens, text[end:]))
    if text and text[0] not in tokens:
        yield from all_ways(tokens, text[1:])


def expected_uses(logs: Mapping[str, float], counts: Mapping[str, int]) -> tuple[Counter[str], float]:
    """Uses of each token over all ways, weighted by their probabilities, and the logarithm of that of all ways."""
    uses: Counter[str] = Counter()
    likelihood = 0.0
    for text, count in counts.items():
        ways = [(way, math.exp(sum(logs[token] for token in way))) for way in all_ways(logs, text)]
        total = sum(weight for _, weight in ways)
        likelihood += count * math.log(total)
        for way, weight in ways:
            for token in way:
                uses[token] += count * weight / total
    return uses, likelihood


ENCODERS = {
    "merges": encode_merges,
    "least-tokens": encode_least_tokens,
    "longest-prefix": encode_longest_prefix,
    "ungreedy": encode_ungreedy,
}


def encode(method: str, ranks: Mapping[bytes, int], piece: bytes) -> list[int]:
    return [ranks[token] for token in ENCODERS[method](ranks, piece)]


# Prices


def total_tokens(method: str, ranks: Mapping[bytes, int], counts: Mapping[bytes, int]) -> int:
    """Tokens of a whole corpus."""
    return sum(count * len(ENCODERS[method](ranks, piece)) for piece, count in counts.items())


def price(method: str, ranks: Mapping[bytes, int], counts: Mapping[bytes, int], token: bytes) -> int:
    """Tokens that the corpus needs more when `token` is dropped: everything is encoded twice."""
    without = {other: rank for other, rank in ranks.items() if other != token}
    touched = {piece: count for piece, count in counts.items() if token in piece}
    return total_tokens(method, without, touched) - total_tokens(method, ranks, touched)


def gain(method: str, ranks: Mapping[bytes, int], counts: Mapping[bytes, int], token: bytes, rank: int):
    """Tokens that the corpus saves when the dropped `token` gets back its `rank`."""
    return price(method, {**ranks, token: rank}, counts, token)


# Candidates


def whole_characters(raw: bytes) -> list[bytes | None]:
    """The characters of some bytes, None for each byte that is no part of a whole one."""
    found: list[bytes | None] = []
    while raw:
        widths = [n for n in range(1, 5) if _is_character(raw[:n])]
        found.append(raw[: widths[0]] if widths else None)
        raw = raw[widths[0] if widths else 1 :]
    return found


def _is_character(raw: bytes) -> bool:
    try:
        return len(raw.decode()) == 1
    except UnicodeDecodeError:
        return False


def substrings(
    counts: Mapping[bytes, int], documents: Mapping[bytes, int], min_count: int, min_documents: int, max_bytes: int
) -> dict[bytes, tuple[int, int]]:
    """Occurrences, and documents at most, of substrings of whole characters; single bytes among them."""
    n_found: Counter[bytes] = Counter()
    n_documents: Counter[bytes] = Counter()
    for piece, count in counts.items():
        characters = whole_characters(piece)
        spans = [characters[a:b] for a in range(len(characters)) for b in range(a + 1, len(characters) + 1)]
        inside = [b"".join(span) for span in spans if None not in span]
        for token in inside:
            n_found[token] += count
        for token in set(inside):
            n_documents[token] += documents[piece]
    return {
        token: (n, n_documents[token])
        for token, n in n_found.items()
        if n >= min_count and n_documents[token] >= min_documents and len(token) <= max_bytes
    }


def closed(found: Mapping[bytes, tuple[int, int]]) -> set[bytes]:
    """Those that no other with one more character equals in occurrences."""
    longer = [(token.decode(), n) for token, (n, _) in found.items() if len(token.decode()) > 1]
    same = {part.encode() for text, n in longer for part in (text[1:], text[:-1]) if found[part.encode()][0] == n}
    return set(found) - same


def documents_with(counts: Iterable[bytes], documents: Mapping[bytes, int], token: bytes) -> int:
    """Documents that hold a token at most: a document counts once for each distinct pre-token with the token."""
    return sum(documents[piece] for piece in counts if token in piece)


def occurrences(counts: Mapping[bytes, int], token: bytes) -> int:
    """How often a token occurs in pre-tokens, overlapping itself too."""
    return sum(n * sum(piece.startswith(token, k) for k in range(len(piece))) for piece, n in counts.items())


# The best possible


def fewest_tokens(tokens: Sequence[bytes], always: set[bytes], n_keep: int, counts: Mapping[bytes, int]) -> int:
    """Tokens of the corpus under the best choice of `n_keep` tokens: every choice is tried."""
    others = [token for token in tokens if token not in always]
    choices = combinations(others, min(n_keep - len(always), len(others)))
    return min(total_tokens("least-tokens", ranks_of([*always, *choice]), counts) for choice in choices)


def all_paths(tokens: set[bytes], piece: bytes) -> Iterator[list[tuple[int, int]]]:
    """Every way to spell a piece, as the (start, end) of its tokens."""
    ways: list[list[tuple[int, int]]] = [[]]
    while ways:
        way = ways.pop()
        start = way[-1][1] if way else 0
        if start == len(piece):
            yield way
        ends = (end for end in range(start + 1, len(piece) + 1) if piece[start:end] in tokens)
        ways.extend([*way, (start, end)] for end in ends)


def borders_of(pieces: Iterable[bytes]) -> set[int]:
    """Where pieces that stand one after another end."""
    return set(accumulate(map(len, pieces)))


def wanted_path(ranks: Mapping[bytes, int], piece: bytes) -> list[bytes]:
    """Of the shortest paths the one with most borders that merging has too; of those the first by its borders."""
    merged = borders_of(encode_merges(ranks, piece))
    paths = [[piece[a:b] for a, b in path] for path in all_paths(set(ranks), piece)]
    return min(paths, key=lambda path: (len(path), len(borders_of(path) - merged), sorted(borders_of(path))))


def demands(ranks: Mapping[bytes, int], piece: bytes) -> Counter[tuple[bytes, bytes]]:
    """Pairs of tokens of which the first has to be merged before the second, for the wanted path to come out."""
    if piece in ranks:
        return Counter()
    path = wanted_path(ranks, piece)
    borders = borders_of(path)
    parts, found = [piece[i : i + 1] for i in range(len(piece))], Counter()
    while True:
        ends = list(accumulate(map(len, parts)))
        pairs = [a + b for a, b in pairwise(parts)]
        inner = [i for i, pair in enumerate(pairs) if pair in ranks and ends[i] not in borders]
        if not inner:
            break
        best = min(inner, key=lambda i: (ranks[pairs[i]], i))
        for i in (best - 1, best + 1):
            if 0 <= i < len(pairs) and pairs[i] in ranks and ends[i] in borders and pairs[i] != pairs[best]:
                found[pairs[best], pairs[i]] += 1
        parts[best : best + 2] = [pairs[best]]
    # What cannot be merged within the borders asks for nothing, unless it is better than what merging does now.
    is_of_use = len(parts) == len(path) or len(parts) < len(encode_merges(ranks, piece))
    return found if is_of_use else Counter()


def cost_of_place(demanded: Mapping[tuple[int, int], int], ranks: Sequence[int], token: int, place: float) -> int:
    """Places in which a demand on `token` is not met when it moves to `place` (between ranks) and no other does."""
    where = {t: float(rank) for t, rank in enumerate(ranks)} | {token: place}
    return sum(n for (a, b), n in demanded.items() if token in (a, b) and where[a] > where[b])


def tightened(tokens: Collection[bytes], piece: bytes, step: int, prices: Mapping[tuple[int, int], int]):
    """The least prices at which every rest of a piece costs as much as at `prices`, of each (start, end)."""

    def cost(start: int) -> int:
        ways = all_paths(set(tokens), piece[start:])
        return min(sum(step + prices.get((start + a, start + b), 0) for a, b in way) for way in ways)

    return {(a, b): max(0, cost(a) - cost(b) - step) for a, b in prices}


def leaf_order(parents: Mapping[bytes, tuple[bytes, bytes]], uses: Mapping[bytes, int], tokens: Sequence[bytes]):
    """Tokens of two bytes and more in the order in which leaf pruning drops them; `tokens` are in rank order."""
    left, counts, order = list(tokens), dict(uses), []
    while True:
        needed = {parent for token in left for parent in parents.get(token, ())}
        leaves = [token for token in left if len(token) > 1 and token not in needed]
        if not leaves:
            return order
        least = min(leaves, key=lambda token: (counts[token], -tokens.index(token)))
        order.append(least)
        left.remove(least)
        for parent in parents.get(least, ()):
            counts[parent] += counts[least]
