"""`vocab convert`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vocab.choices import VocabularyFormat
from vocab.cli.screen import console, progress

if TYPE_CHECKING:
    from vocab.analysis import TextDifferences
    from vocab.interop import Conversion


def convert(
    source: Annotated[str, typer.Argument(help="Vocabulary to convert, named as for `vocab prune --source`.")],
    to: Annotated[VocabularyFormat, typer.Option("--to", help="Format to write.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write. [default: ./SOURCE-FORMAT]")] = None,
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
        typer.Option("--corpus", help="Text to measure on. [default: the built-in profile's words]"),
    ] = None,
    megabytes: Annotated[float, typer.Option("--megabytes", min=0.0, help="MB of text to measure on at most.")] = 2.0,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier result in the folder.")] = False,
) -> None:
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
        texts = _texts(corpus or [], int(megabytes * 1e6))
        result = interop.convert(whole, to, directory, approximate=approximate, texts=texts, force=force)
    _show(result, directory)


def _texts(corpus: list[str], n_bytes: int) -> Iterator[str]:
    import random

    from vocab.corpus.documents import read_documents
    from vocab.interop.conversion.trial_texts import profile_texts

    if not corpus:
        yield from profile_texts(n_bytes, random.Random(0))  # noqa: S311
    left = n_bytes
    for text in (text for name in corpus for text in read_documents(name)):
        if left <= 0:
            return
        yield text
        left -= len(text.encode(errors="replace"))


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
