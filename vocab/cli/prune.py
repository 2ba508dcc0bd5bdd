"""`vocab prune`."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vocab.cli.corpora import ColumnOption, CorpusOption, ThreadsOption, count_corpora
from vocab.cli.screen import console, progress, ratio_cells, stages, table

if TYPE_CHECKING:
    from vocab.prune import PruneResult


class MethodName(StrEnum):
    """How tokens are chosen."""

    rank = "rank"
    frequency = "frequency"
    leaf = "leaf"
    distill = "distill"


class InferenceName(StrEnum):
    """How text is cut into tokens with the result."""

    merges = "merges"
    least_tokens = "least-tokens"
    longest_prefix = "longest-prefix"


def prune(
    target: Annotated[int, typer.Option("--target", help="Ids in the result, special tokens included.")],
    source: Annotated[
        str,
        typer.Option("--source", help="Vocabulary to prune: a tiktoken name, a .tiktoken file, or a tokenizer.json."),
    ] = "cl100k_base",
    corpus: CorpusOption = None,
    method: Annotated[MethodName, typer.Option("--method", help="How tokens are chosen.")] = MethodName.distill,
    inference: Annotated[
        InferenceName,
        typer.Option(
            "--inference",
            help="How text is cut into tokens with the result. merges runs everywhere; least-tokens needs fewer "
            "tokens and runs in Hugging Face tokenizers.",
        ),
    ] = InferenceName.merges,
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write. [default: ./SOURCE-TARGET]")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier result in the folder.")] = False,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep",
            help="File of tokens never to drop, one a line; a line in double quotes is a JSON string.",
        ),
    ] = None,
    special: Annotated[
        list[str] | None,
        typer.Option("--special", metavar="NAME", help="Special token to add; may be given several times."),
    ] = None,
    pad_to_multiple_of: Annotated[
        int,
        typer.Option("--pad-to-multiple-of", min=1, help="State the embedding rows for this multiple; invents no ids."),
    ] = 1,
    column: ColumnOption = "text",
    threads: ThreadsOption = None,
) -> None:
    """Prune a vocabulary to exactly TARGET ids and write it for tiktoken and Hugging Face."""
    from vocab.formats import load
    from vocab.formats.folder import safe_name
    from vocab.formats.staging import check_target
    from vocab.prune import check_request
    from vocab.prune import prune as run
    from vocab.threads import n_cores

    whole = load(source)
    directory = out or Path(f"{safe_name(whole.source.name)}-{target}")
    check_target(directory, force=force)
    tokens = _tokens_to_keep(keep) if keep else []
    check_request(whole, target, keep=tokens, special=special or [])
    counts = count_corpora(corpus, whole.pattern, column, threads or n_cores()) if corpus else None
    with progress() as bar:
        result = run(
            whole,
            target,
            corpus=counts,
            method=method.value,
            inference=inference.value,
            keep=tokens,
            special=special or [],
            pad_to_multiple_of=pad_to_multiple_of,
            n_threads=threads,
            on_progress=stages(bar),
        )
    paths = result.save(directory, force=force)
    _show(result, directory, [path.name for path in paths])


def _tokens_to_keep(path: Path) -> list[bytes]:
    from vocab.errors import TargetError

    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        quoted = (json.loads(line) if line[:1] == '"' == line[-1:] and len(line) > 1 else line for line in lines)
        return [token.encode() for token in quoted if token]
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise TargetError(f"the tokens to keep cannot be read from {path}: {reason}") from None


def _show(result: PruneResult, directory: Path, names: list[str]) -> None:
    from vocab.sizes import padded, size_facts

    report, screen = result.report, console()
    columns = ["vocabulary", "inference", "ids", "bytes/token", "change", "held-out b/t", "change", "unused"]
    shown = table(f"{report.source['name']} → {report.target:,} ids by {report.method}", columns, n_text=2)
    for row in report.rows:
        style = "bold" if row is report.result else None
        cells = [row.name, row.inference, f"{row.n_ids:,}", *ratio_cells(row.train, row.train_change)]
        cells += [*ratio_cells(row.held_out, row.held_out_change), f"{row.n_unused:,}"]
        shown.add_row(*cells, style=style)
    screen.print(shown)
    screen.print("Change: tokens against the whole source. Held-out text was not used to choose tokens.")
    if report.result.held_out.n_bytes == 0:
        screen.print("No document was held out: the corpus is too small, so no held-out figure can be given.")
    for note in report.corpus["notes"]:
        screen.print(note)
    size = size_facts(report.target)
    if report.multiple_of > 1:
        rows = padded(report.target, report.multiple_of)
        screen.print(
            f"Embedding rows for a multiple of {report.multiple_of}: {rows:,} ({rows - report.target} unused)."
        )
    screen.print(
        f"{report.n_ordinary:,} ordinary + {report.n_special} special tokens; {report.n_unreachable} unreachable; "
        f"Hamming weight {size.hamming_weight}, divisible by {size.largest_power_of_two_divisor}."
    )
    screen.print(f"Wrote {directory}: {', '.join(names)}", soft_wrap=False)
