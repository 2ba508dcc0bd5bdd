"""`vocab inspect`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vocab.cli.screen import console, table
from vocab.cli.shared_options import Result

if TYPE_CHECKING:
    from vocab.analysis import Composition

_MAX_SCRIPTS = 16
_LENGTH_BOUNDS = (1, 2, 3, 4, 6, 8, 12, 16, 32)


def inspect(
    vocabulary: Annotated[
        str, typer.Argument(help="A name, file or folder, as for `vocab prune --source`, or any other tokenizer.json.")
    ],
    certificate: Annotated[
        Path | None,
        typer.Option(
            "--certificate",
            help="A certificate.zip, or its folder: show how many tokens are in every choice as good, or in none.",
        ),
    ] = None,
) -> Result:
    """Show what a vocabulary is made of: size, scripts, lengths, white space, Hamming weight."""
    from vocab import analysis
    from vocab.formats import load

    loaded = load(vocabulary)
    composition, screen = analysis.inspect(loaded), console()
    n = loaded.n_tokens
    screen.print(
        f"{loaded.name}: {composition.size.n_tokens:,} ids, {n:,} ordinary and {composition.n_special} special"
    )
    if loaded.max_id != loaded.n_ids - 1:
        screen.print(f"Ids have holes: the highest is {loaded.max_id:,}.")
    screen.print(f"Inference {loaded.inference}; {loaded.split_description}")
    if obstacle := getattr(loaded, "obstacle", None):
        screen.print(f"It can be measured, not pruned: {obstacle}.")
    screen.print(
        f"Hamming weight {composition.size.hamming_weight}, {composition.size.trailing_zeros} trailing zeros, "
        f"divisible by {composition.size.largest_power_of_two_divisor}"
    )
    if composition.n_unmade is not None:
        screen.print(_closed_sentence(composition.n_unmade))
    screen.print()
    _show_shapes(composition, n)
    _show_scripts(composition, n)
    settled = _show_settled(certificate, set(loaded.tokens())) if certificate else {}
    facts = {"name": loaded.name, "inference": loaded.inference, "max_id": loaded.max_id}
    return Result({**facts, **asdict(composition), **settled})


def _show_settled(certificate: Path, tokens: set[bytes]) -> dict[str, int]:
    """Print what a certificate says of the tokens of a vocabulary; returns the same numbers."""
    from vocab.errors import CertificateError
    from vocab.prune.bound.settled import settled_tokens

    found = settled_tokens(certificate / "certificate.zip" if certificate.is_dir() else certificate)
    if not found.kept <= tokens:
        raise CertificateError(f"{certificate} is of another vocabulary: name that of this one, or of what came of it")
    n_in, n_always, n_out = (len(tokens & some) for some in (found.in_every, found.always, found.in_none))
    n_open = len(tokens & found.open_kept)
    console().print(
        f"By {certificate.name}, {n_always + n_in:,} of the tokens are in every choice that needs at most "
        f"{found.tokens:,} tokens, {n_always:,} of them because they are always kept. {n_out:,} are ruled out, and "
        f"{n_open:,} undecided. vocab check verifies the certificate."
    )
    return {"n_always_kept": n_always, "n_in_every": n_in, "n_in_none": n_out, "n_open": n_open}


def _closed_sentence(n_unmade: int) -> str:
    """Say whether a vocabulary is closed under merges."""
    if n_unmade == 0:
        return "Closed under merges: runtimes that look up no whole words give the same ids."
    return (
        f"Not closed: no merge of two earlier tokens makes {n_unmade:,} tokens, so runtimes must look up whole words."
    )


def _show_shapes(composition: Composition, n: int) -> None:
    shown = table(f"Shapes (mean length {composition.mean_bytes:.2f} bytes)", ["tokens", "number", "share"])
    rows = {
        "single bytes": composition.n_single_bytes,
        "begin with a space": composition.n_with_leading_space,
        "white space only": composition.n_whitespace_only,
        "part of a character": composition.n_partial_characters,
    }
    low = 0
    for high in (*_LENGTH_BOUNDS, max(composition.lengths, default=0)):
        label = f"{high} bytes" if high == low + 1 else f"{low + 1}-{high} bytes"
        if high > low:
            rows[label] = sum(k for length, k in composition.lengths.items() if low < length <= high)
        low = max(low, high)
    for label, number in rows.items():
        shown.add_row(label, f"{number:,}", f"{number / max(n, 1):.1%}")
    console().print(shown)


def _show_scripts(composition: Composition, n: int) -> None:
    shown = table("By script of the first letter", ["script", "tokens", "share"])
    scripts = list(composition.scripts.items())
    for script, number in scripts[:_MAX_SCRIPTS]:
        shown.add_row(script, f"{number:,}", f"{number / max(n, 1):.1%}")
    if rest := scripts[_MAX_SCRIPTS:]:
        number = sum(k for _, k in rest)
        shown.add_row(f"{len(rest)} others", f"{number:,}", f"{number / max(n, 1):.1%}")
    console().print(shown)
