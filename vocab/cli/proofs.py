"""Options of commands that prove a bound, and what they print of a certificate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from vocab.cli.grouped_help import PROOF
from vocab.cli.screen import console

DEFAULT_GAP_PER_CENT = 0.01
GapOption = Annotated[
    float,
    typer.Option(
        "--gap",
        rich_help_panel=PROOF,
        min=0.0,
        metavar="PER_CENT",
        help="With optimal or --certify: stop the search when the best is at most this far above the bound.",
    ),
]
TimeOption = Annotated[
    float | None,
    typer.Option(
        "--time",
        rich_help_panel=PROOF,
        min=0.0,
        metavar="SECONDS",
        help="With optimal or --certify: stop the search after this time. The result then depends on the machine.",
    ),
]


def show_certificate(claims: Mapping[str, Any]) -> None:
    """Print the claims of a certificate, and whether Ctrl-C ended its search."""
    from vocab.prune.report import certificate_sentence

    screen = console()
    screen.print(certificate_sentence(claims))
    if claims["search"]["stopped_by"] == "Ctrl-C":
        screen.print("The search was stopped by Ctrl-C; this is the best that it had found.")
