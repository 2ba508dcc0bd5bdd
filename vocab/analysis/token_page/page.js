"use strict";
// What the page shows. All text from outside goes through textContent.

const content = JSON.parse(document.getElementById("content").textContent);
const classes = content.classes.map(Tokens.classSource);
const MOST_CHARACTERS = 1_000_000, MOST_SPANS = 4000, ROWS = 200;
const $ = (id) => document.getElementById(id);
const whole = (number) => number.toLocaleString("en");
const signedShare = (share) => `${share < 0 ? "−" : "+"}${(Math.abs(share) * 100).toFixed(2)}%`;

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "text") made.textContent = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// Bytes for people: text where they are text, with what cannot be seen written as in Python, and else hexadecimal.
function visible(bytes) {
  const text = Tokens.textOf(bytes);
  if (text === null) return Array.from(bytes, (c) => "\\x" + c.charCodeAt(0).toString(16).padStart(2, "0")).join("");
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}]/gu, (c) => {
    const short = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }[c];
    return short ?? (c.codePointAt(0) < 256 ? "\\x" + c.codePointAt(0).toString(16).padStart(2, "0") : `\\u{${c.codePointAt(0).toString(16)}}`);
  });
}

class Shown {
  constructor(packed) {
    this.packed = packed;
    this.name = packed.name;
    this.encoder = packed.encoder ? new Tokens.Encoder(packed, classes) : null;
    this.tokens = this.encoder ? this.encoder.tokens : Tokens.tokensOf(packed.blob, packed.lengths);
    this.ids = this.encoder ? this.encoder.ids : Tokens.sums(Tokens.numbersOf(packed.ids).map(Tokens.signed));
    this.idOf = new Map(this.tokens.map((token, rank) => [token, this.ids[rank]]));
  }
  column(name) {
    return this.packed[name] ? Tokens.numbersOf(this.packed[name]) : null;
  }
}

const shown = content.vocabularies.map((packed) => new Shown(packed));

// Text

const panels = shown.map((vocabulary) => {
  const figures = element("div", { class: "figures", role: "status" });
  const cut = element("div", { class: "cut", tabindex: "0", role: "region", "aria-label": `Tokens of ${vocabulary.name}` });
  const ids = element("textarea", { readonly: "", rows: "3", "aria-label": `Ids of ${vocabulary.name}` });
  const details = element("details", {}, element("summary", { text: "Ids as a list" }), ids);
  const facts = element("p", { class: "soft", text: `${whole(vocabulary.packed.n_ids)} ids, ${vocabulary.packed.inference}` });
  $("panels").append(element("section", { class: "panel" }, element("h3", { text: vocabulary.name }), facts, figures, cut, details));
  return { vocabulary, figures, cut, ids };
});

const figure = (value, unit) => element("span", {}, element("b", { text: value }), ` ${unit}`);

function fill(panel, text, first) {
  const { encoder, packed } = panel.vocabulary;
  panel.figures.replaceChildren();
  panel.cut.replaceChildren();
  panel.ids.value = "";
  if (!encoder) return refuse(panel, packed.refusal);
  let cut;
  try {
    cut = encoder.encode(text);
  } catch (error) {
    return refuse(panel, error.message);
  }
  const nTokens = cut.ids.length, nBytes = Tokens.utf8(text).length;
  panel.figures.append(figure(whole(nTokens), "tokens"), figure(nTokens ? (nBytes / nTokens).toFixed(3) : "–", "bytes a token"));
  if (first && nTokens) panel.figures.append(figure(signedShare(nTokens / first - 1), "tokens against the first"));
  for (let k = 0; k < Math.min(nTokens, MOST_SPANS); k++) {
    const bytes = cut.bytes[k], breaks = bytes.endsWith("\n") ? "\n" : "";
    panel.cut.append(element("span", { class: "t", "data-id": cut.ids[k], title: `id ${cut.ids[k]}, ${bytes.length} bytes`, text: visible(bytes) }), breaks);
  }
  if (nTokens > MOST_SPANS) panel.cut.append(element("p", { text: `${whole(nTokens - MOST_SPANS)} more tokens are counted and not shown.` }));
  panel.ids.value = cut.ids.join(" ");
  return nTokens;
}

function refuse(panel, reason) {
  panel.cut.append(element("p", { class: "refusal", text: reason }));
  return 0;
}

function encodeAll() {
  const text = $("text").value;
  $("too-long").hidden = text.length <= MOST_CHARACTERS;
  const part = text.slice(0, MOST_CHARACTERS);
  let first = 0;
  panels.forEach((panel, k) => {
    const nTokens = fill(panel, part, k ? first : 0);
    if (!k) first = nTokens;
  });
}

let waiting = 0;
$("text").addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(encodeAll, $("text").value.length > 20000 ? 400 : 60);
});
$("show-ids").addEventListener("change", () => $("panels").classList.toggle("ids", $("show-ids").checked));

// Tokens

const base = shown[0], others = shown.slice(1);
const kinds = Tokens.numbersOf(base.packed.kind), uses = base.column("uses"), prices = base.column("prices")?.map(Tokens.signed);
const special = Object.entries(base.packed.special).map(([text, id]) => ({ bytes: Tokens.utf8(text), id, kind: "special token", use: null, price: null, special: text }));
const rows = base.tokens
  .map((bytes, rank) => ({ bytes, id: base.ids[rank], kind: base.packed.kinds[kinds[rank]], use: uses ? uses[rank] : null, price: prices && bytes.length > 1 ? prices[rank] : null }))
  .concat(special);

function idElsewhere(row, other) {
  return row.special === undefined ? other.idOf.get(row.bytes) : other.packed.special[row.special];
}

const ranksById = new Map();
function spelt(row, other) {
  if (!other.encoder || row.special !== undefined) return "dropped";
  if (!ranksById.has(other)) ranksById.set(other, new Map(other.ids.map((id, rank) => [id, rank])));
  const ranks = ranksById.get(other);
  return other.encoder.spell(row.bytes).map((id) => visible(other.tokens[ranks.get(id)] ?? "?")).join(" · ") || "nothing";
}

const columns = [
  { name: "id", value: (row) => row.id, cell: (row) => String(row.id) },
  { name: "token", isText: true, value: (row) => visible(row.bytes), cell: (row) => visible(row.bytes), style: "token" },
  { name: "bytes", value: (row) => row.bytes.length, cell: (row) => String(row.bytes.length) },
  { name: "script", isText: true, value: (row) => row.kind, cell: (row) => row.kind },
];
if (uses) columns.push({ name: "uses", value: (row) => row.use ?? -Infinity, cell: (row) => (row.use === null ? "" : whole(row.use)) });
if (prices) columns.push({ name: "price", value: (row) => row.price ?? -Infinity, cell: (row) => (row.price === null ? "" : whole(row.price)) });
for (const other of others) {
  columns.push({
    name: `id in ${other.name}`,
    value: (row) => idElsewhere(row, other) ?? Infinity,
    cell: (row) => String(idElsewhere(row, other) ?? "dropped"),
  });
  columns.push({
    name: `spelt there`, isText: true, style: "token", fixed: true,
    cell: (row) => (idElsewhere(row, other) === undefined ? spelt(row, other) : ""),
  });
}

let sorted = { column: 0, falls: false }, listed = rows, nShown = ROWS;

function listTokens() {
  const wanted = $("search").value, lower = wanted.toLowerCase(), kind = $("script").value, state = $("state").value;
  listed = rows.filter((row) => {
    if (kind && row.kind !== kind) return false;
    if (state && others.length && (idElsewhere(row, others[0]) !== undefined) !== (state === "kept")) return false;
    return !wanted || String(row.id) === wanted || visible(row.bytes).toLowerCase().includes(lower);
  });
  const { value } = columns[sorted.column], sign = sorted.falls ? -1 : 1;
  const keyed = listed.map((row) => [value(row), row]);
  keyed.sort(([a, rowA], [b, rowB]) => sign * (a < b ? -1 : a > b ? 1 : 0) || rowA.id - rowB.id);
  listed = keyed.map(([, row]) => row);
  nShown = ROWS;
  drawRows();
}

function drawRows() {
  const body = $("tokens").tBodies[0];
  body.replaceChildren(
    ...listed.slice(0, nShown).map((row) =>
      element("tr", {}, ...columns.map((column) => {
        const style = [column.isText ? "text" : "", column.style ?? ""].join(" ").trim();
        const text = column.cell(row);
        return element("td", { class: style, text, ...(column.style ? { title: text } : {}) });
      })),
    ),
  );
  $("n-listed").textContent = `${whole(Math.min(nShown, listed.length))} of ${whole(listed.length)} tokens`;
  $("more").hidden = nShown >= listed.length;
  for (const [k, head] of [...$("tokens").tHead.rows[0].cells].entries()) {
    if (columns[k].fixed) continue;
    head.setAttribute("aria-sort", k === sorted.column ? (sorted.falls ? "descending" : "ascending") : "none");
  }
}

$("tokens").tHead.append(
  element("tr", {}, ...columns.map((column, k) => {
    if (column.fixed) return element("th", { scope: "col", class: "text", text: column.name });
    const button = element("button", { type: "button", text: column.name });
    button.addEventListener("click", () => {
      sorted = { column: k, falls: sorted.column === k ? !sorted.falls : !column.isText && k > 0 };
      listTokens();
    });
    return element("th", { scope: "col", class: column.isText ? "text" : "" }, button);
  })),
);
for (const kind of [...new Set(rows.map((row) => row.kind))].sort()) $("script").append(element("option", { value: kind, text: kind }));
$("state-label").hidden = !others.length;
let searching = 0;
$("search").addEventListener("input", () => {
  clearTimeout(searching);
  searching = setTimeout(listTokens, 120);
});
for (const id of ["script", "state"]) $(id).addEventListener("change", listTokens);
$("more").addEventListener("click", () => {
  nShown += ROWS;
  drawRows();
});

// Figures

for (const { title, note, columns: heads, rows: cells } of content.tables) {
  const table = element("table", {}, element("caption", { text: note }));
  table.append(element("thead", {}, element("tr", {}, ...heads.map((head, k) => element("th", { scope: "col", class: k ? "" : "text", text: head })))));
  table.append(element("tbody", {}, ...cells.map((row) => element("tr", {}, ...row.map((cell, k) => element("td", { class: k ? "" : "text", text: cell }))))));
  $("figures").append(element("h3", { text: title }), element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, table));
}

const SVG = "http://www.w3.org/2000/svg";
function svg(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// Curves of bytes a token against ids, whose axis is logarithmic.
function chart({ title, sizes, curves }) {
  const width = 720, height = 360, left = 52, right = 130, top = 14, bottom = 40;
  const logs = sizes.map(Math.log), values = curves.flatMap((curve) => curve.values);
  const low = Math.min(...values), high = Math.max(...values), span = high - low || 1;
  const x = (k) => left + ((logs[k] - logs[0]) / (logs[logs.length - 1] - logs[0] || 1)) * (width - left - right);
  const y = (value) => height - bottom - ((value - low) / span) * (height - top - bottom);
  const drawn = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img", "aria-label": title });
  for (let k = 0; k <= 4; k++) {
    const value = low + (span * k) / 4;
    drawn.append(svg("line", { x1: left, x2: width - right, y1: y(value), y2: y(value) }));
    drawn.append(svg("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(2)));
  }
  let lastX = -Infinity;
  sizes.forEach((size, k) => {
    if (x(k) - lastX < 64) return;
    lastX = x(k);
    drawn.append(svg("text", { x: x(k), y: height - bottom + 18, "text-anchor": "middle" }, whole(size)));
  });
  drawn.append(svg("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, "ids"));
  const places = curves.map((curve) => y(curve.values[curve.values.length - 1]));
  const order = places.map((_, k) => k).sort((a, b) => places[a] - places[b]);
  let lastY = -Infinity;
  for (const k of order) {
    const color = `var(--c${k % 5})`, points = curves[k].values.map((value, i) => `${x(i)},${y(value)}`).join(" ");
    drawn.append(svg("polyline", { points, fill: "none", style: `stroke:${color};stroke-width:2${curves[k].isBound ? ";stroke-dasharray:5 4" : ""}` }));
    lastY = Math.max(places[k], lastY + 15);
    drawn.append(svg("text", { x: width - right + 8, y: lastY + 4, style: `fill:${color}` }, curves[k].name));
  }
  return drawn;
}

for (const frontier of content.frontiers) {
  $("figures").append(element("h3", { text: frontier.title }), element("p", { class: "soft", text: frontier.note }), chart(frontier));
}
$("figures-section").hidden = !content.tables.length && !content.frontiers.length;

encodeAll();
listTokens();
