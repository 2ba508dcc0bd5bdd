"""`vocab diff`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from vocab.cli.screen import console, table
from vocab.cli.shared_options import Result

_SPLITS = {
    True: "The split patterns are the same.",
    False: "The split patterns differ.",
    None: "Whether they split text alike is not known.",
}


def diff(
    first: Annotated[str, typer.Argument(help="A name, file or folder, as for `vocab inspect`.")],
    second: Annotated[str, typer.Argument(help="What to compare it with.")],
    examples: Annotated[int, typer.Option("--examples", min=0, help="Tokens to list from each side.")] = 20,
) -> Result:
    """Compare two vocabularies: tokens, ids, special tokens, split pattern."""
    from vocab import analysis
    from vocab.formats import load

    a, b = load(first), load(second)
    comparison, screen = analysis.diff(a, b), console()
    shown = table(f"{a.name} and {b.name}", ["", a.name, b.name])
    shown.add_row("ids", f"{a.n_ids:,}", f"{b.n_ids:,}")
    shown.add_row("shared tokens", f"{comparison.n_shared:,}", f"{comparison.n_shared:,}")
    shown.add_row("tokens only here", f"{len(comparison.only_first):,}", f"{len(comparison.only_second):,}")
    shown.add_row(
        "special only here", f"{len(comparison.special_only_first)}", f"{len(comparison.special_only_second)}"
    )
    shown.add_row("inference", a.inference, b.inference)
    screen.print(shown)
    screen.print(f"{comparison.n_moved:,} of the shared tokens have another id.")
    screen.print(_SPLITS[comparison.same_pattern])
    for name, tokens in ((a.name, comparison.only_first), (b.name, comparison.only_second)):
        if tokens and examples:
            listed = " ".join(_shown(token) for token in tokens[:examples])
            screen.print(f"Only in {name}, first of {len(tokens):,}: {listed}")
    return Result({"first": a.name, "second": b.name, **asdict(comparison)})


def _shown(token: bytes) -> str:
    try:
        return repr(token.decode())
    except UnicodeDecodeError:
        return repr(token)
