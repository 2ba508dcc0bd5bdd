"""`vocab sizes`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vocab.choices import CHARACTER_METHODS, ByteInferenceMethod
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
from vocab.cli.screen import console, progress, stages, table
from vocab.cli.shared_options import Result

if TYPE_CHECKING:
    from vocab.cli.tables import ShownTable
    from vocab.corpus.counting import CorpusCounts
    from vocab.prune import MeasuredSize
    from vocab.vocabulary import Vocabulary

# Sizes are listed as far from the target as a 32nd of it, and at least this far, unless --within says otherwise.
_LEAST_WITHIN = 64


def sizes(
    near: Annotated[int, typer.Option("--near", min=2, help="The size to look around, special tokens included.")],
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            help="Vocabulary to measure the sizes of: a tiktoken name, a file or a folder. [default: cl100k_base, if a "
            "corpus is named]",
        ),
    ] = None,
    corpus: CorpusOption = None,
    counts: CountsOption = None,
    inference: Annotated[
        ByteInferenceMethod, typer.Option("--inference", help="How text is cut into tokens.")
    ] = "merges",
    within: Annotated[
        int | None,
        typer.Option("--within", min=0, help="How far from the size to look. [default: a 32nd of it, at least 64]"),
    ] = None,
    width: Annotated[
        int, typer.Option("--width", min=1, help="Width of the model, for the memory of its embedding and head.")
    ] = 2048,
    dtype_bytes: Annotated[int, typer.Option("--dtype-bytes", min=1, help="Bytes of a parameter.")] = 2,
    json_file: Annotated[Path | None, typer.Option("--out", "-o", help="File to write the figures to as JSON.")] = None,
    column: ColumnOption = "text",
    force: ReplaceOption = False,
    documents: DocumentsOption = "block",
    encoding_errors: EncodingErrorsOption = "replace",
    on_error: OnErrorOption = "stop",
    threads: ThreadsOption = None,
) -> Result:
    """List sizes around one that suit hardware, with what they cost in tokens and in memory.

    Without a source or a corpus nothing is measured; with a source alone, on the built-in profile.
    """
    from vocab.formats import load_lossless
    from vocab.sizes import sizes_near
    from vocab.threads import n_cores
    from vocab.writing import check_file, write_json

    if json_file:
        check_file(json_file, force=force)
    listed = sizes_near(near, max(_LEAST_WITHIN, near // 32) if within is None else within)
    measured: dict[int, MeasuredSize] = {}
    vocabulary = load_lossless(source or "cl100k_base") if source or corpus or counts else None
    if vocabulary:
        _check_sizes(vocabulary, near)
        options = read_options(column, documents, encoding_errors, on_error)
        counted = corpus_of(corpus, counts, vocabulary.pattern, options, threads or n_cores())
        measured = _measured(vocabulary, listed, counted, inference, threads or n_cores())
    run_by = vocabulary.inference if vocabulary and vocabulary.inference in CHARACTER_METHODS else inference
    rows = [_row(size, near, measured, width, dtype_bytes) for size in listed]
    console().print(_table(rows, near, width, dtype_bytes))
    if vocabulary:
        distilled = f"Tokens of {vocabulary.name} distilled for {run_by}"
        console().print(f"{distilled}, one pruning order for all sizes: change against {near:,} ids.")
    content: dict[str, Any] = {"near": near, "width": width, "dtype_bytes": dtype_bytes}
    content |= {"inference": run_by, "source": vocabulary.name if vocabulary else None, "sizes": rows}
    if json_file:
        write_json(json_file, content, ensure_ascii=True)
    return Result(content)


def _check_sizes(vocabulary: Vocabulary, near: int) -> None:
    """Raise TargetError for a size that the source does not have."""
    from vocab.errors import TargetError

    if near > vocabulary.n_ids:
        raise TargetError(f"{near} is above the {vocabulary.n_ids} ids of {vocabulary.name}: nothing to compare")


def _measured(
    vocabulary: Vocabulary,
    sizes: list[int],
    counted: CorpusCounts | None,
    inference: ByteInferenceMethod,
    n_threads: int,
) -> dict[int, MeasuredSize]:
    """Measure the sizes on a corpus, or on the built-in profile, with a progress bar."""
    from vocab.corpus.profile import builtin_profile
    from vocab.prune import measure_sizes

    corpus = counted or builtin_profile(vocabulary.pattern)
    with progress() as bar:
        return measure_sizes(
            vocabulary, sizes, corpus, inference=inference, n_threads=n_threads, on_progress=stages(bar)
        )


def _row(size: int, near: int, measured: dict[int, MeasuredSize], width: int, dtype_bytes: int) -> dict[str, Any]:
    """One size as JSON types; without figures of tokens where nothing was measured."""
    from dataclasses import asdict

    from vocab.prune.report import change
    from vocab.sizes import parameter_bytes, size_facts

    row: dict[str, Any] = asdict(size_facts(size))
    row["tied_bytes"] = parameter_bytes(size, width, dtype_bytes, tied=True)
    row["untied_bytes"] = parameter_bytes(size, width, dtype_bytes, tied=False)
    if size in measured:
        for side in ("train", "held_out"):
            ours, base = getattr(measured[size], side), getattr(measured[near], side)
            row[f"{side}_tokens"], row[f"{side}_change"] = ours.n_tokens, change(ours, base)
            row[f"{side}_bytes_per_token"] = ours.bytes_per_token
    return row


def _table(rows: list[dict[str, Any]], near: int, width: int, dtype_bytes: int) -> ShownTable:
    """The sizes with their binary digits, the memory of their parameters, and tokens where they were measured."""
    has_tokens = any("train_tokens" in row for row in rows)
    columns = ["ids", "from", "Hamming weight", "zeros", "divisible by", "tied MB", "untied MB"]
    columns += ["tokens", "held-out"] if has_tokens else []
    shown = table(f"Sizes around {near:,}; width {width:,}, {dtype_bytes} bytes a parameter", columns)
    for row in rows:
        size = row["n_tokens"]
        cells = [f"{size:,}", f"{size - near:+,}" if size != near else "–", f"{row['hamming_weight']}"]
        cells += [f"{row['trailing_zeros']}", f"{row['largest_power_of_two_divisor']:,}"]
        cells += [f"{row[key] / 1e6:,.1f}" for key in ("tied_bytes", "untied_bytes")]
        if has_tokens:
            cells += [f"{row[key]:+.3%}" if key in row else "–" for key in ("train_change", "held_out_change")]
        shown.add_row(*cells, style="bold" if size == near else None)
    return shown
