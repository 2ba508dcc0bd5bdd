"""`vocab train-tokenizer`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vocab.choices import Style
from vocab.cli.corpora import (
    ColumnOption,
    CountsOption,
    DocumentsOption,
    EncodingErrorsOption,
    MinCountOption,
    OnErrorOption,
    ThreadsOption,
    corpus_of,
    note_skipped,
    read_options,
)
from vocab.cli.screen import console, progress, stages
from vocab.cli.shared_options import Result
from vocab.cli.whole_numbers import whole_number

if TYPE_CHECKING:
    from vocab.interop import TrainedTokenizer


def train_tokenizer(
    style: Annotated[
        Style,
        typer.Option(
            "--style",
            help="llama2: SentencePiece's BPE with Llama 2's settings, which holds all the text in memory. cl100k: "
            "byte-level BPE with cl100k_base's split pattern and the merges of Hugging Face tokenizers, which holds "
            "the distinct pre-tokens.",
        ),
    ],
    size: Annotated[
        int,
        typer.Option(
            "--size", parser=whole_number, metavar="NUMBER", help="Ids in the result, special tokens included."
        ),
    ],
    corpus: Annotated[
        list[str] | None,
        typer.Option(
            "--corpus",
            metavar="PATH",
            help="Text to train on: a file, folder or glob of text, JSON, CSV, Parquet or Arrow (plain, .gz, "
            '.zst, .bz2, .xz), "-" for standard input, or hf://DATASET[:SPLIT]. May be given several times. The '
            "documents that `vocab count` holds out are left out here too.",
        ),
    ] = None,
    counts: CountsOption = None,
    min_count: MinCountOption = 1,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to write. [default: ./STYLE-style-SIZE]")
    ] = None,
    special: Annotated[
        list[str] | None,
        typer.Option(
            "--special",
            metavar="NAME",
            help="Special token; may be given several times. llama2 has <unk>, <s> and </s> beside them. [default for "
            "cl100k: <|endoftext|>]",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier result in the folder.")] = False,
    column: ColumnOption = "text",
    documents: DocumentsOption = "block",
    encoding_errors: EncodingErrorsOption = "replace",
    on_error: OnErrorOption = "stop",
    threads: ThreadsOption = None,
) -> Result:
    """Train a tokenizer from scratch, to compare a pruned one with or to use.

    Counts in place of text are for cl100k alone. They train on any amount of text within the memory of its pre-tokens.
    """
    from vocab import interop
    from vocab.interop.scratch.cl100k_style import PATTERN
    from vocab.interop.scratch.train_tokenizer import check_corpus, check_request
    from vocab.writing import check_target

    directory = out or Path(f"{style}-style-{size}")
    check_target(directory, force=force)
    check_request(style, size, special)
    check_corpus(style, has_text=bool(corpus), has_counts=bool(counts))
    options = read_options(column, documents, encoding_errors, on_error)
    counted = corpus_of(None, counts, PATTERN, options, 1, min_count)
    with progress() as bar:
        result = interop.train_tokenizer(
            style,
            size,
            corpus or [],
            corpus=counted,
            options=options,
            special=special,
            n_threads=threads,
            on_progress=stages(bar),
        )
    note_skipped(options)
    paths = result.save(directory, force=force)
    _show(result, directory, [path.name for path in paths])
    return Result(result.report)


def _show(result: TrainedTokenizer, directory: Path, names: list[str]) -> None:
    report, screen = result.report, console()
    read = report["corpus"]
    screen.print(
        f"{report['size']:,} ids in the style of {report['style']}, {len(report['special_tokens'])} of them special, "
        f"from {read['n_bytes'] / 1e6:,.1f} MB in {read['n_documents']:,} documents "
        f"({read['n_documents_held_out']:,} held out)."
    )
    screen.print(f"{report['seconds']:,.1f} s, peak memory {report['peak_memory_bytes'] / 1e6:,.0f} MB.")
    screen.print(f"Wrote {directory}: {', '.join(names)}")
