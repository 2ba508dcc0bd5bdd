"""The report as one HTML file: its text, and its charts to hover, zoom and filter; nothing is loaded from elsewhere."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any

from markdown_it import MarkdownIt

_STYLE = """\
body{font:16px/1.55 system-ui,sans-serif;max-width:74rem;margin:2rem auto;padding:0 1.2rem;color:#1a1a1a}
table{border-collapse:collapse;display:block;overflow-x:auto;font-size:.85rem}
td,th{padding:.25rem .5rem;border-bottom:1px solid #ddd;text-align:right;white-space:nowrap}
th{white-space:normal;vertical-align:bottom}
td:first-child,th:first-child{text-align:left}
tr:hover td{background:#f4f7fb}
code{background:#f2f2f2;padding:0 .25em}
input{font:inherit;padding:.3rem .6rem;margin:.4rem 0;width:22rem;max-width:100%}
.chart{overflow-x:auto;margin:1.2rem 0}
"""
# Each long table gets a field that hides the rows which lack what is typed.
_SCRIPT = """\
for (const table of document.querySelectorAll("table")) {
  const rows = [...table.querySelectorAll("tbody tr")];
  if (rows.length < 6) continue;
  const field = document.createElement("input");
  field.placeholder = "show rows with …";
  field.setAttribute("aria-label", "filter the table below");
  field.addEventListener("input", () => {
    const wanted = field.value.toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
  table.before(field);
}
for (const [id, spec] of Object.entries(charts)) vegaEmbed("#" + id, spec, {actions: false});
"""
# Nothing is loaded, whatever the text asks for. Vega compiles the expressions of charts.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
_PICTURE = re.compile(r'<p><img src="([^"]+)" alt="([^"]*)"\s*/?></p>')


def write_page(markdown: str, charts: Mapping[str, Any]) -> str:
    """The page's text. Needs vl-convert-python, which carries Vega."""
    import vl_convert

    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    title = html.escape(markdown.partition("\n")[0].removeprefix("# "))
    specs = {_id(name): chart.to_dict() for name, chart in charts.items()}
    body = _PICTURE.sub(lambda m: f'<div class="chart" id="{_id(m[1])}" role="img" aria-label="{m[2]}"></div>', body)
    bundle = vl_convert.javascript_bundle()  # type: ignore[call-arg]
    data = json.dumps(specs).replace("<", "\\u003c")  # so that no text ends the script
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><title>{title}</title>\n'
        f"<style>{_STYLE}</style>\n<script>{bundle}</script></head>\n<body>\n{body}\n"
        f"<script>const charts = {data};\n{_SCRIPT}</script>\n</body></html>\n"
    )


def _id(name: str) -> str:
    return "chart-" + re.sub(r"[^a-z0-9]+", "-", name.removesuffix(".svg").lower())
