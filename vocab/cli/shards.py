"""`vocab shards`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vocab.cli.corpora import (
    ColumnOption,
    DocumentsOption,
    EncodingErrorsOption,
    OnErrorOption,
    ThreadsOption,
    WithoutOption,
    note_skipped,
    note_slow_split,
    read_options,
    stored_bytes,
)
from vocab.cli.screen import console, progress, say, table
from vocab.cli.shared_options import Result

if TYPE_CHECKING:
    from vocab.corpus.read_options import ReadOptions
    from vocab.model.data.shards import ShardMetadata
    from vocab.vocabulary import Vocabulary


def shards(
    vocabulary: Annotated[
        str, typer.Option("--vocab", help="Vocabulary to encode with: a tiktoken name, a file or a folder.")
    ],
    corpus: Annotated[
        list[str],
        typer.Option("--corpus", metavar="PATH", help="What to encode, as for `vocab count`. Several are added up."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the shards.")],
    column: ColumnOption = "text",
    documents: DocumentsOption = "block",
    encoding_errors: EncodingErrorsOption = "replace",
    on_error: OnErrorOption = "stop",
    without: WithoutOption = None,
    threads: ThreadsOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace earlier shards in the folder.")] = False,
) -> Result:
    """Encode a corpus once into memory-mapped token shards (llm.c's .bin), a tenth of the documents held out."""
    from vocab.formats import load_lossless
    from vocab.writing import check_target

    loaded = load_lossless(vocabulary)
    check_target(out, force=force)
    metadata = encode_corpus(
        loaded, corpus, out, read_options(column, documents, encoding_errors, on_error, without), threads, force=force
    )
    shown = table(
        f"Shards of {metadata.vocabulary} ({metadata.n_ids:,} ids)", ["", "files", "documents", "MB", "tokens"]
    )
    for side in ("train", "held_out"):
        files = getattr(metadata, side)
        cells = [
            f"{len(files):,}",
            f"{sum(f.n_documents for f in files):,}",
            f"{sum(f.n_bytes for f in files) / 1e6:,.1f}",
        ]
        shown.add_row(side.replace("_", "-"), *cells, f"{sum(f.n_tokens for f in files):,}")
    console().print(shown)
    say(f"Wrote {out}")
    return Result(asdict(metadata))


def encode_corpus(
    vocabulary: Vocabulary, corpus: list[str], out: Path, options: ReadOptions, threads: int | None, *, force: bool
) -> ShardMetadata:
    """Make shards under a progress bar."""
    from vocab.model.data.sharding import make_shards
    from vocab.threads import n_cores

    note_slow_split(vocabulary.pattern)
    with progress() as bar:
        task = bar.add_task("encode", total=stored_bytes(corpus), rate="")
        metadata = make_shards(
            vocabulary,
            corpus,
            out,
            options=options,
            n_threads=threads or n_cores(),
            force=force,
            on_progress=lambda n_bytes: bar.advance(task, n_bytes),
        )
    note_skipped(options)
    return metadata
