"""`vocab frontier`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from vocab.choices import FRONTIER_METHODS, ByteInferenceMethod
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
    read_options,
)
from vocab.cli.named_files import ReplaceOption
from vocab.cli.screen import console, progress, stages, table
from vocab.cli.shared_options import Result

if TYPE_CHECKING:
    from vocab.choices import FrontierMethod
    from vocab.cli.tables import ShownTable
    from vocab.prune import Curve, Frontier


def frontier(
    source: Annotated[
        str,
        typer.Option("--source", help="Vocabulary to prune: a tiktoken name, a .tiktoken file, or a tokenizer.json."),
    ] = "cl100k_base",
    corpus: CorpusOption = None,
    counts: CountsOption = None,
    min_count: MinCountOption = 1,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="|".join(FRONTIER_METHODS),
            help="How tokens are ordered; may be given several times, the first is the one that is marked. "
            "[default: all four]",
        ),
    ] = None,
    inference: Annotated[
        ByteInferenceMethod, typer.Option("--inference", help="How text is cut into tokens.")
    ] = "merges",
    first: Annotated[int, typer.Option("--from", min=1, metavar="IDS", help="The smallest size.")] = 1000,
    last: Annotated[
        int | None, typer.Option("--to", min=2, metavar="IDS", help="The largest size. [default: the source's]")
    ] = None,
    points: Annotated[
        int, typer.Option("--points", min=2, help="Sizes at equal ratios, besides the round ones and powers of two.")
    ] = 24,
    steps: Annotated[
        int,
        typer.Option(
            "--steps", min=0, help="Steps of the search for the bound at each of a few sizes; 0 leaves the search out."
        ),
    ] = 20,
    width: Annotated[
        int, typer.Option("--width", min=1, help="Width of the model, for where tokens stop paying.")
    ] = 2048,
    layers: Annotated[
        int, typer.Option("--layers", min=1, help="Layers of the model, for where tokens stop paying.")
    ] = 24,
    json_file: Annotated[Path | None, typer.Option("--out", "-o", help="File to write the figures to as JSON.")] = None,
    png_file: Annotated[Path | None, typer.Option("--png", help="File to draw the curves to as PNG.")] = None,
    svg_file: Annotated[Path | None, typer.Option("--svg", help="File to draw the curves to as SVG.")] = None,
    force: ReplaceOption = False,
    column: ColumnOption = "text",
    documents: DocumentsOption = "block",
    encoding_errors: EncodingErrorsOption = "replace",
    on_error: OnErrorOption = "stop",
    threads: ThreadsOption = None,
) -> Result:
    """Trace bytes a token against vocabulary size, by several methods, with the bound on what is possible.

    Each method puts the source's tokens into one order, which gives every size; the bound holds for any choice of them.
    Marked is where tokens stop paying: the size at which the same text costs a model of this width and depth the least
    compute, its output head included. Drawing needs Matplotlib: pip install 'vocabkit[plots]'.
    """
    from vocab.formats import load_lossless
    from vocab.prune import ComputeModel, trace_frontier
    from vocab.prune.frontier.trace import check_frontier
    from vocab.threads import n_cores

    files = {kind: path for kind, path in (("json", json_file), ("png", png_file), ("svg", svg_file)) if path}
    _check_files(files, force)
    whole = load_lossless(source)
    methods = cast("list[FrontierMethod]", method or list(FRONTIER_METHODS))
    check_frontier(whole, first, whole.n_ids if last is None else last, methods)
    options = read_options(column, documents, encoding_errors, on_error)
    counted = corpus_of(corpus, counts, whole.pattern, options, threads or n_cores(), min_count)
    with progress() as bar:
        traced = trace_frontier(
            whole,
            corpus=counted,
            inference=inference,
            methods=methods,
            first=first,
            last=last,
            n_points=points,
            n_steps=steps,
            model=ComputeModel(width, layers),
            n_threads=threads,
            on_progress=stages(bar),
        )
    _write({path: _content(traced, kind) for kind, path in files.items()})
    _show(traced, list(files.values()))
    return Result(traced.as_json())


def _check_files(files: dict[str, Path], force: bool) -> None:
    """Raise an error now for files that could not be written or drawn after minutes of work."""
    from vocab.errors import OutputError
    from vocab.prune.frontier.figure import check_drawing
    from vocab.writing import check_file

    for path in files.values():
        check_file(path, force=force)
    if len({path.absolute() for path in files.values()}) < len(files):
        raise OutputError("two results cannot be written to the same file: name another")
    if {"png", "svg"} & files.keys():
        check_drawing()


def _content(traced: Frontier, kind: str) -> bytes:
    """The bytes of a file of one kind: json, png or svg."""
    from vocab.prune.frontier.figure import draw
    from vocab.writing import json_text

    if kind == "json":
        return json_text(traced.as_json()).encode()
    return draw(traced, "png" if kind == "png" else "svg")


def _write(contents: dict[Path, bytes]) -> None:
    """Write all files beside their names before any takes its name."""
    from vocab.writing import staged_file

    with ExitStack() as names:
        for path, content in contents.items():
            names.enter_context(staged_file(path)).write_bytes(content)


def _show(traced: Frontier, written: list[Path]) -> None:
    """Print a table of round sizes, where tokens stop paying, and the files written."""
    screen, curve = console(), traced.curves[0]
    name = "held-out" if traced.has_held_out else "training"
    screen.print(_table(traced, curve, name))
    if not traced.has_held_out:
        screen.print("No document was held out: the corpus is too small, so no held-out figure can be given.")
    screen.print(
        f"Of {curve.method}: train, bytes a token of the text it chose by; bound, what no choice of the source's "
        f"tokens passes there; above, tokens above the bound; doubling, what twice the ids would change the {name} "
        "tokens by at the rate from here on; compute, of a decoder for that text above the least."
    )
    screen.print(_where_tokens_stop(traced, curve, name))
    for path in written:
        screen.print(f"Wrote {path}", soft_wrap=True)


def _table(traced: Frontier, curve: Curve, text_name: str) -> ShownTable:
    """The round sizes of a frontier, with the bound and the payoff of one curve."""
    from vocab.sizes import round_sizes

    columns = ["ids", *(c.method for c in traced.curves), "train", "bound", "above", "doubling", "compute"]
    shown = table(f"{traced.source['name']} run with {traced.inference}: bytes a token of {text_name} text", columns)
    costs = traced.payoff(curve).costs
    best = traced.sizes[costs.index(min(costs))]
    listed = {*round_sizes(traced.sizes[0], traced.sizes[-1]), best}
    for k, size in enumerate(traced.sizes):
        if size in listed:
            shown.add_row(f"{size:,}", *_cells(traced, curve, k), style="bold" if size == best else None)
    return shown


def _cells(traced: Frontier, curve: Curve, k: int) -> list[str]:
    """The figures of one size: each curve, the bound, and what `curve` saves and costs there."""
    judged = [c.held_out if traced.has_held_out else c.train for c in traced.curves]
    ratios = [f"{texts[k].bytes_per_token:.3f}" for texts in (*judged, curve.train, traced.bound)]
    saved, cost = traced.saved_by_doubling(curve)[k], traced.payoff(curve).costs[k]
    return [
        *ratios,
        f"{traced.gaps(curve)[k]:+.2%}",
        f"{-saved:+.1%}" if saved is not None else "–",
        f"{cost - 1:+.1%}",
    ]


def _where_tokens_stop(traced: Frontier, curve: Curve, text_name: str) -> str:
    """The size at which tokens stop paying, as a sentence."""
    payoff, model = traced.payoff(curve), traced.model
    decoder = f"a decoder of width {model.width:,} and {model.n_layers} layers"
    near = f"From {payoff.from_n_ids:,} to {payoff.to_n_ids:,} ids it is at most 1% more."
    what = f"compute of {decoder} for the same {text_name} text, its output head included, is least. {near}"
    if payoff.is_last:
        return f"Tokens of {curve.method} pay up to the largest size, {payoff.n_ids:,} ids: there, {what}"
    return f"Tokens of {curve.method} stop paying at {payoff.n_ids:,} ids: there, {what}"
