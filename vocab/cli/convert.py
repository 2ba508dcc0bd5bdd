"""`vocab convert`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vocab.choices import VocabularyFormat
from vocab.cli.corpora import (
    ColumnOption,
    DocumentsOption,
    EncodingErrorsOption,
    OnErrorOption,
    note_skipped,
    read_options,
    texts_of,
)
from vocab.cli.screen import console, progress
from vocab.cli.shared_options import Result

if TYPE_CHECKING:
    from vocab.analysis import TextDifferences
    from vocab.corpus.read_options import ReadOptions
    from vocab.interop import Conversion


def convert(
    source: Annotated[str, typer.Argument(help="Vocabulary to convert, named as for `vocab prune --source`.")],
    to: Annotated[VocabularyFormat, typer.Option("--to", help="Format to write.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder to write. [default: ./SOURCE-FORMAT]")] = None,
    approximate: Annotated[
        bool,
        typer.Option(
            "--approximate",
            help="Where the format cannot hold the vocabulary exactly, write what comes nearest and measure the "
            "differences.",
        ),
    ] = False,
    corpus: Annotated[
        list[str] | None,
        typer.Option("--corpus", help="Text to compare and measure on. [default: the built-in profile's words]"),
    ] = None,
    megabytes: Annotated[float, typer.Option("--megabytes", min=0.0, help="MB of such text at most.")] = 2.0,
    column: ColumnOption = "text",
    documents: DocumentsOption = "block",
    encoding_errors: EncodingErrorsOption = "replace",
    on_error: OnErrorOption = "stop",
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier result in the folder.")] = False,
) -> Result:
    """Write a vocabulary in another format: with the same ids for every text, or not at all without --approximate."""
    from vocab import interop
    from vocab.formats import load_lossless
    from vocab.formats.folder import safe_name
    from vocab.writing import check_target

    whole = load_lossless(source)
    directory = out or Path(f"{safe_name(whole.name)}-{to}")
    check_target(directory, force=force)
    with progress() as bar:
        bar.add_task("convert and compare", total=None, rate="")
        options = read_options(column, documents, encoding_errors, on_error)
        texts = _texts(corpus or [], options, int(megabytes * 1e6) if corpus or approximate else 0)
        result = interop.convert(whole, to, directory, approximate=approximate, texts=texts, force=force)
    note_skipped(options)
    _show(result, directory)
    return Result(_record(result))


def _texts(corpus: list[str], options: ReadOptions, n_bytes: int) -> Iterator[str]:
    import random

    from vocab.interop.conversion.trial_texts import profile_texts

    if not corpus:
        yield from profile_texts(n_bytes, random.Random(0))  # noqa: S311
    left = n_bytes
    for text in texts_of(corpus, options):
        if left <= 0:
            return
        yield text
        left -= len(text.encode(errors="replace"))


def _record(result: Conversion) -> dict[str, Any]:
    """What was written and how it differs, as JSON types."""
    return {
        "is_exact": result.obstacle is None,
        "obstacle": result.obstacle,
        "measured": None if result.measured is None else asdict(result.measured),
        "runtimes": {check.runtime: check.version for check in result.verification.checks},
        "files": [str(path) for path in result.paths],
    }


def _show(result: Conversion, directory: Path) -> None:
    screen = console()
    if result.obstacle is None:
        screen.print(f"Exact: the same ids for every text, {result.vocabulary.n_ids:,} of them.")
        if result.named_holes:
            screen.print(f"{result.named_holes} unused ids are called <|unused_ID|>.")
    if result.measured is not None:
        screen.print(f"Approximate: {result.obstacle}.")
        screen.print(f"{result.source.n_ids:,} ids → {result.vocabulary.n_ids:,}; {_changes(result)}.")
        screen.print(_measured(result.measured))
    runtimes = [f"{check.runtime} {check.version}" for check in result.verification.checks]
    screen.print(f"The same ids in {', '.join(runtimes)}.")
    if result.verification.n_unreachable:
        screen.print(f"Tokens that no text was found for: {result.verification.n_unreachable:,}.")
    screen.print(f"Wrote {directory}: {', '.join(path.name for path in result.paths)}")


def _measured(differences: TextDifferences) -> str:
    n = differences.n_texts
    return (
        f"On {differences.n_bytes / 1e6:.1f} MB in {n:,} texts: tokens {differences.more_tokens:+.2%}; "
        f"{differences.boundaries_kept:.2%} of the boundaries between tokens are kept; "
        f"{_share(differences.n_texts_cut_differently, n)} of the texts are cut differently, and "
        f"{_share(differences.n_texts_with_other_ids, n)} have other ids."
    )


def _changes(result: Conversion) -> str:
    dropped, added = (len(result.map_of_ids[key]) for key in ("dropped", "added"))
    return f"{dropped:,} tokens are left out and {added:,} come in (id_map.json)"


def _share(n: int, of: int) -> str:
    return f"{n / of:.1%}" if of else "none"
