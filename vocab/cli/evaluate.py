"""`vocab eval`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vocab.cli.corpora import (
    ColumnOption,
    CorpusOption,
    CountsOption,
    DocumentsOption,
    EncodingErrorsOption,
    MinCountOption,
    ThreadsOption,
    corpus_of,
    read_options,
)
from vocab.cli.screen import console, ratio_cells, table

if TYPE_CHECKING:
    from vocab.analysis import Measured
    from vocab.corpus.counting import CorpusCounts
    from vocab.splitting import SplitPattern


def evaluate(
    tokenizers: Annotated[
        list[str],
        typer.Argument(help="Tiktoken names, .tiktoken, tokenizer.json or TokenMonster YAML files, or folders."),
    ],
    corpus: CorpusOption = None,
    counts: CountsOption = None,
    min_count: MinCountOption = 1,
    column: ColumnOption = "text",
    documents: DocumentsOption = "block",
    encoding_errors: EncodingErrorsOption = "replace",
    threads: ThreadsOption = None,
) -> None:
    """Compare tokenizers on a corpus: tokens and bytes a token, in one table."""
    from vocab.analysis import compare
    from vocab.corpus.profile import builtin_profile
    from vocab.formats import load
    from vocab.threads import n_cores

    loaded = [load(name) for name in tokenizers]
    _check_read_once(corpus or [], {tokenizer.pattern.sha256 for tokenizer in loaded})

    def count(pattern: SplitPattern) -> CorpusCounts:
        options = read_options(column, documents, encoding_errors)
        named = corpus_of(corpus, counts, pattern, options, threads or n_cores(), min_count)
        return named or builtin_profile(pattern)

    measured = compare(loaded, count, threads or n_cores())
    names = [*(corpus or []), *(counts or [])]
    _show(measured, ", ".join(names) or "Built-in profile")
    for one in measured:
        _note_losses(one, whole_words=bool(names))


def _check_read_once(corpus: list[str], patterns: set[str]) -> None:
    from vocab.errors import CorpusError

    if "-" in corpus and len(patterns) > 1:
        raise CorpusError(
            f"these tokenizers split text in {len(patterns)} ways, so the corpus is read as often, which standard "
            "input cannot be: give a file"
        )


def _show(measured: list[Measured], title: str) -> None:
    from vocab.prune.report import change

    first, screen = measured[0], console()
    columns = ["tokenizer", "inference", "ids", "tokens", "bytes/token", "change", "held-out b/t", "change"]
    shown = table(title, columns, n_text=2)
    for m in measured:
        cells = [
            m.tokenizer.name,
            m.tokenizer.inference,
            f"{m.tokenizer.n_ids:,}",
            f"{m.train.n_tokens:,}",
        ]
        cells += ratio_cells(m.train, change(m.train, first.train))
        cells += ratio_cells(m.held_out, change(m.held_out, first.held_out))
        shown.add_row(*cells)
    screen.print(shown)
    screen.print(f"Change: tokens against {first.tokenizer.name}. Held out: a tenth of the documents, by hash.")


def _note_losses(measured: Measured, *, whole_words: bool) -> None:
    """Print the limits of the figures of a tokenizer whose ids do not give the text back."""
    from vocab.vocabulary import Vocabulary

    train, tokenizer = measured.train, measured.tokenizer
    if isinstance(tokenizer, Vocabulary):
        return
    note = (
        f"{tokenizer.name} does not give text back: it drops white space, may normalize, and "
        f"{train.n_unknown / max(train.n_tokens, 1):.2%} of its tokens are {tokenizer.unknown}, each for a word. "
        "Bytes are those of the text itself."
    )
    if not whole_words:
        note += " The built-in profile cuts some of its words: name a corpus."
    console().print(note, markup=False)
