"""The page as one HTML file: it loads nothing, and no token can end its script."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from vocab.analysis.token_page.folder_figures import folder_figures
from vocab.analysis.token_page.javascript_regex import ClassTable
from vocab.analysis.token_page.page_vocabulary import page_vocabulary
from vocab.analysis.token_page.token_worth import TokenWorth
from vocab.hard_texts import SCRIPTS
from vocab.measured import MeasuredTokenizer

# Nothing is loaded, and nothing is sent, whatever a token says.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
_FIRST_TEXT = (
    "Type or paste text here. Each vocabulary cuts it into its tokens.\n\n"
    "def greet(name: str) -> str:\n    return f'Hello, {name}!'\n\n"
)
_FIRST_SCRIPTS = ("latin", "cyrillic", "chinese", "symbols")

_BODY = """\
<header>
<h1>$title</h1>
<p class="soft">This page works offline and sends nothing.
Its encoder gives the ids of <code>Vocabulary.encode</code>.</p>
</header>
<main>
<section aria-labelledby="h-text">
<h2 id="h-text">Text</h2>
<label for="text" class="soft">Text to encode</label>
<textarea id="text" spellcheck="false">$text</textarea>
<p id="too-long" hidden>Only the first 1,000,000 characters are encoded.</p>
<div class="row"><label class="check"><input type="checkbox" id="show-ids"> Show ids beside tokens</label></div>
<div id="panels" class="panels"></div>
</section>
<section aria-labelledby="h-tokens">
<h2 id="h-tokens">Tokens of $first</h2>
<div class="row" role="search">
<label>Text or id<input type="search" id="search" placeholder="search tokens"></label>
<label>Script<select id="script"><option value="">all</option></select></label>
<label id="state-label">In the second<select id="state"><option value="">all</option><option value="kept">kept</option>\
<option value="dropped">dropped</option></select></label>
<span id="n-listed" role="status" class="soft"></span>
</div>
<div class="scroll" tabindex="0" role="region" aria-label="Tokens of $first">
<table id="tokens"><thead></thead><tbody></tbody></table>
</div>
<p><button type="button" id="more">Show more tokens</button></p>
</section>
<section id="figures-section" aria-labelledby="h-figures">
<h2 id="h-figures">Figures</h2>
<div id="figures"></div>
</section>
</main>
<noscript><p>This page needs JavaScript.</p></noscript>
"""


def html_page(
    vocabularies: Sequence[MeasuredTokenizer],
    folders: Sequence[Path] = (),
    frontiers: Sequence[Path] = (),
    worth: TokenWorth | None = None,
) -> str:
    """A page that cuts text by vocabularies side by side and lists the tokens of the first.

    Args:
        vocabularies: what `vocab.load` gives; tokens of the first are listed, and looked for in the others.
        folders: results, whose report.json and frontier.json are shown where they have them.
        frontiers: files that `vocab frontier` wrote as JSON.
        worth: uses and prices of the tokens of the first; None where they are not known.

    Returns:
        The HTML, with all it needs in it.

    Raises:
        SourceError: a tokenizer does not give the bytes of its tokens, or a file of figures is damaged.
    """
    classes = ClassTable()
    packed = [page_vocabulary(one, classes, worth if k == 0 else None) for k, one in enumerate(vocabularies)]
    figures = folder_figures(folders, frontiers)
    content = {"vocabularies": packed, "classes": classes.ranges, **figures}
    title = html.escape(", ".join(one.name for one in vocabularies))
    body = _BODY.replace("$title", title).replace("$first", html.escape(vocabularies[0].name))
    body = body.replace("$text", html.escape(_FIRST_TEXT + "\n".join(SCRIPTS[name] for name in _FIRST_SCRIPTS)))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{_asset('page.css')}</style></head>\n<body>\n{body}"
        f'<script type="application/json" id="content">{_json_in_html(content)}</script>\n'
        f"<script>\n{_asset('encoder.js')}{_asset('page.js')}</script>\n</body></html>\n"
    )


def _asset(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _json_in_html(content: Mapping[str, Any]) -> str:
    """JSON that no text in it can end."""
    return json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")
