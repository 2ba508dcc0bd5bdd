"""`vocab frontier`."""

from __future__ import annotations

from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
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
from vocab.cli.prune import InferenceName
from vocab.cli.screen import console, progress, stages, table

if TYPE_CHECKING:
    from vocab.choices import FrontierMethod
    from vocab.prune.frontier.trace import Curve, Frontier


class OrderName(StrEnum):
    """Methods that put tokens into one order, which gives every size."""

    distill = "distill"
    frequency = "frequency"
    leaf = "leaf"
    rank = "rank"


def frontier(
    source: Annotated[
        str,
        typer.Option("--source", help="Vocabulary to prune: a tiktoken name, a .tiktoken file, or a tokenizer.json."),
    ] = "cl100k_base",
    corpus: CorpusOption = None,
    counts: CountsOption = None,
    min_count: MinCountOption = 1,
    method: Annotated[
        list[OrderName] | None,
        typer.Option(
            "--method",
            help="How tokens are ordered; may be given several times, the first is the one that is marked. "
            "[default: all four]",
        ),
    ] = None,
    inference: Annotated[
        InferenceName, typer.Option("--inference", help="How text is cut into tokens.")
    ] = InferenceName.merges,
    first: Annotated[int, typer.Option("--from", min=1, metavar="IDS", help="The smallest size.")] = 1000,
    last: Annotated[
        int | None, typer.Option("--to", min=2, metavar="IDS", help="The largest size. [default: the source's]")
    ] = None,
    points: Annotated[
        int, typer.Option("--points", min=2, help="Sizes at equal ratios, beside the round ones and powers of two.")
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
    json_file: Annotated[Path | None, typer.Option("--json", help="File to write the figures to as JSON.")] = None,
    png_file: Annotated[Path | None, typer.Option("--png", help="File to draw the curves to as PNG.")] = None,
    svg_file: Annotated[Path | None, typer.Option("--svg", help="File to draw the curves to as SVG.")] = None,
    column: ColumnOption = "text",
    documents: DocumentsOption = "block",
    encoding_errors: EncodingErrorsOption = "replace",
    threads: ThreadsOption = None,
) -> None:
    """Trace bytes a token against vocabulary size, by several methods, with the bound on what is possible.

    Each method puts the source's tokens into one order, which gives every size; the bound holds for any choice of them.
    Marked is where tokens stop paying: the size at which the same text costs a model of this width and depth the least
    compute, its output head included. Drawing needs Matplotlib: pip install 'vocabkit[plots]'.
    """
    from vocab.formats import load_lossless
    from vocab.prune.frontier.figure import check_drawing, draw
    from vocab.prune.frontier.payoff import Decoder
    from vocab.prune.frontier.trace import check_frontier, trace_frontier
    from vocab.threads import n_cores

    files = {kind: path for kind, path in (("json", json_file), ("png", png_file), ("svg", svg_file)) if path}
    _check_files(list(files.values()))
    if png_file or svg_file:
        check_drawing()
    whole = load_lossless(source)
    methods: list[FrontierMethod] = [name.value for name in method or OrderName]
    check_frontier(whole, first, whole.n_ids if last is None else last, methods)
    options = read_options(column, documents, encoding_errors)
    counted = corpus_of(corpus, counts, whole.pattern, options, threads or n_cores(), min_count)
    with progress() as bar:
        found = trace_frontier(
            whole,
            corpus=counted,
            inference=inference.value,
            methods=methods,
            first=first,
            last=last,
            n_points=points,
            n_steps=steps,
            decoder=Decoder(width, layers),
            n_threads=threads,
            on_progress=stages(bar),
        )
    contents = {
        path: draw(found, "png" if kind == "png" else "svg") if kind != "json" else _json(found)
        for kind, path in files.items()
    }
    _write(contents)
    _show(found)
    for path in contents:
        console().print(f"Wrote {path}", soft_wrap=True)


def _check_files(paths: list[Path]) -> None:
    """Raise OutputError now for a file that could not be written after minutes of work."""
    from vocab.errors import OutputError
    from vocab.writing import check_file

    for path in paths:
        check_file(path)
    if len({path.absolute() for path in paths}) < len(paths):
        raise OutputError("two results cannot be written to the same file: name another")


def _json(found: Frontier) -> bytes:
    from vocab.writing import json_text

    return json_text(found.as_json()).encode()


def _write(contents: dict[Path, bytes]) -> None:
    """Write all files beside their names before any takes its name."""
    from vocab.writing import staged_file

    with ExitStack() as names:
        for path, content in contents.items():
            names.enter_context(staged_file(path)).write_bytes(content)


def _show(found: Frontier) -> None:
    """A table of round sizes, and where tokens stop paying."""
    from vocab.sizes import round_sizes

    screen, curve = console(), found.curves[0]
    side, name = ("held_out", "held-out") if found.has_held_out else ("train", "training")
    columns = ["ids", *(c.method for c in found.curves), "train", "bound", "above", "doubling", "compute"]
    shown = table(f"{found.source['name']} run with {found.inference}: bytes a token of {name} text", columns)
    payoff, gaps, savings = found.payoff(curve), found.gaps(curve), found.saved_by_doubling(curve)
    wanted = {*round_sizes(found.sizes[0], found.sizes[-1]), payoff.n_ids}
    for k, size in enumerate(found.sizes):
        if size in wanted:
            cells = [f"{size:,}", *(f"{getattr(c, side)[k].bytes_per_token:.3f}" for c in found.curves)]
            cells += [f"{text[k].bytes_per_token:.3f}" for text in (curve.train, found.bound)]
            saved = savings[k]
            cells += [f"{gaps[k]:+.2%}", f"{-saved:+.1%}" if saved is not None else "–", f"{payoff.costs[k] - 1:+.1%}"]
            shown.add_row(*cells, style="bold" if size == payoff.n_ids else None)
    screen.print(shown)
    if not found.has_held_out:
        screen.print("No document was held out: the corpus is too small, so no held-out figure can be given.")
    screen.print(
        f"Of {curve.method}: train, bytes a token of the text it chose by; bound, what no choice of the source's "
        f"tokens passes there; above, tokens above the bound; doubling, what twice the ids would change the {name} "
        "tokens by at the rate from here on; compute, of a decoder for that text above the least."
    )
    screen.print(_where_tokens_stop(found, curve, name))


def _where_tokens_stop(found: Frontier, curve: Curve, text: str) -> str:
    payoff, decoder = found.payoff(curve), found.decoder
    model = f"a decoder of width {decoder.width:,} and {decoder.layers} layers"
    near = f"From {payoff.from_n_ids:,} to {payoff.to_n_ids:,} ids it is at most 1% more."
    what = f"compute of {model} for the same {text} text, its output head included, is least. {near}"
    if payoff.is_last:
        return f"Tokens of {curve.method} pay up to the largest size, {payoff.n_ids:,} ids: there, {what}"
    return f"Tokens of {curve.method} stop paying at {payoff.n_ids:,} ids: there, {what}"
