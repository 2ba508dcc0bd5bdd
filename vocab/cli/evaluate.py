"""`vocab eval`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vocab.cli.corpora import (
    ColumnOption,
    CorpusOption,
    CountsOption,
    DocumentsOption,
    EncodingErrorsOption,
    MinCountOption,
    OnErrorOption,
    ThreadsOption,
    corpus_of,
    documents_bar,
    documents_of,
    note_skipped,
    read_options,
)
from vocab.cli.screen import console, ratio_cells, table
from vocab.cli.shared_options import Result

if TYPE_CHECKING:
    from vocab.analysis import Measured
    from vocab.corpus.counting import CorpusCounts
    from vocab.splitting import SplitPattern


def evaluate(
    tokenizers: Annotated[
        list[str],
        typer.Argument(help="Names, files or folders, as for `vocab prune --source`, and any other tokenizer.json."),
    ],
    corpus: CorpusOption = None,
    counts: CountsOption = None,
    min_count: MinCountOption = 1,
    column: ColumnOption = "text",
    documents: DocumentsOption = "block",
    encoding_errors: EncodingErrorsOption = "replace",
    on_error: OnErrorOption = "stop",
    threads: ThreadsOption = None,
) -> Result:
    """Compare tokenizers on a corpus: tokens and bytes a token, in one table."""
    from vocab.analysis import compare
    from vocab.corpus.profile import builtin_profile
    from vocab.formats import load
    from vocab.threads import n_cores

    loaded = [load(name) for name in tokenizers]
    _check_read_once(corpus or [], {tokenizer.pattern.sha256 if tokenizer.pattern else None for tokenizer in loaded})
    options = read_options(column, documents, encoding_errors, on_error)

    def count(pattern: SplitPattern) -> CorpusCounts:
        named = corpus_of(corpus, counts, pattern, options, threads or n_cores(), min_count)
        return named or builtin_profile(pattern)

    # Count tables hold no documents, and standard input is read once.
    needs = "-" not in (corpus or []) or any(tokenizer.pattern is None for tokenizer in loaded)
    whole = documents_of(corpus, options) if corpus and not counts and needs else None
    with documents_bar(corpus or []) as on_block:
        measured = compare(loaded, count, threads or n_cores(), corpus=whole, on_block=on_block)
    if whole and not options.skipped.sentences():  # else counting has said so already
        for part in whole.parts:
            note_skipped(part.options)
    names = [*(corpus or []), *(counts or [])]
    _show(measured, ", ".join(names) or "Built-in profile")
    for one in measured:
        _note_losses(one, whole_words=bool(names))
    return Result([_record(one, measured[0]) for one in measured])


def _record(one: Measured, first: Measured) -> dict[str, Any]:
    """What the table says of a tokenizer, as JSON types."""
    from vocab.prune.report import change

    record: dict[str, Any] = {"tokenizer": one.tokenizer.name, "inference": one.tokenizer.inference}
    record["n_ids"] = one.tokenizer.n_ids
    for side in ("train", "held_out"):
        text = getattr(one, side)
        record[side] = {**asdict(text), "change": change(text, getattr(first, side))}
    return record


def _check_read_once(corpus: list[str], patterns: set[str | None]) -> None:
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
    """Print how the figures of a tokenizer came about that is run by its own runtime, and what they leave out."""
    from vocab.formats import RuntimeTokenizer

    train, tokenizer = measured.train, measured.tokenizer
    if measured.is_text_changed:
        console().print(f"{tokenizer.name} changes text, and its bytes are those of the changed text.")
    if not isinstance(tokenizer, RuntimeTokenizer):
        return
    how = "word by word" if tokenizer.pattern else "on whole documents"
    sentences = [f"{tokenizer.name} is run by {tokenizer.runtime.name}, {how}; its ids need not give text back."]
    if tokenizer.unknown is not None:
        share = train.n_unknown / max(train.n_tokens, 1)
        sentences.append(f"{share:.2%} of its tokens are {tokenizer.unknown}, each for what it cannot spell.")
    sentences += [*tokenizer.notes, "Bytes are those of the text itself."]
    if not whole_words:
        sentences.append("The built-in profile cuts some of its words: name a corpus.")
    console().print(" ".join(sentences))
