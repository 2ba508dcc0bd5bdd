"""`vocab show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vocab.cli.corpora import (
    ColumnOption,
    CorpusOption,
    CountsOption,
    DocumentsOption,
    EncodingErrorsOption,
    OnErrorOption,
    ThreadsOption,
    corpus_of,
    read_options,
)
from vocab.cli.named_files import ReplaceOption
from vocab.cli.screen import console
from vocab.cli.shared_options import Result


def show(
    vocabularies: Annotated[
        list[str],
        typer.Argument(
            metavar="VOCABULARY",
            help="Names, files or folders, as for `vocab inspect`; tokens of the first are listed.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="HTML file to write.")] = Path("vocab.html"),
    frontier: Annotated[
        list[Path] | None,
        typer.Option(help="File that `vocab frontier --out` wrote, to draw its curves. Repeat it for several."),
    ] = None,
    corpus: CorpusOption = None,
    counts: CountsOption = None,
    force: ReplaceOption = False,
    column: ColumnOption = "text",
    documents: DocumentsOption = "block",
    encoding_errors: EncodingErrorsOption = "replace",
    on_error: OnErrorOption = "stop",
    threads: ThreadsOption = None,
) -> Result:
    """Write a page that shows how vocabularies cut text, as one file that works offline.

    Open it in a browser and type or paste text. Each vocabulary cuts it, side by side, with ids, counts and bytes a
    token. Below it are a table of tokens to search and sort, and the figures of report.json where a folder has them.
    With --corpus or --counts the table says how often each token is used, and what it would cost to drop it.
    """
    from vocab.analysis.token_page.html_page import html_page
    from vocab.formats import load, load_lossless
    from vocab.prune import token_worth
    from vocab.threads import n_cores
    from vocab.writing import check_file, write_text

    check_file(out, force=force)
    loaded = [load(name) for name in vocabularies]
    folders = [Path(name) for name in vocabularies if Path(name).is_dir()]
    options = read_options(column, documents, encoding_errors, on_error)
    worth = None
    if corpus or counts:
        first = load_lossless(loaded[0])
        counted = corpus_of(corpus, counts, first.pattern, options, threads or n_cores())
        worth = token_worth(first, counted, threads) if counted else None
    page = html_page(loaded, folders, frontier or [], worth)
    write_text(out, page)
    n_bytes = len(page.encode())
    console().print(f"Wrote {out}: {n_bytes / 1e6:.1f} MB", soft_wrap=True)
    return Result({"file": str(out), "n_bytes": n_bytes, "vocabularies": [one.name for one in loaded]})
