"""Whole numbers as people write them on a command line: 32000, 32,000, 32k, 1.5M."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated

import typer

_FACTORS = {"k": 1_000, "m": 1_000_000, "g": 1_000_000_000}


def means_number(text: str) -> bool:
    """Whether a text is written like a number, and not like the name of a file."""
    return re.fullmatch(r"[\d,_.]*\d[\d,_.]*[kmg]?", text.strip(), re.IGNORECASE) is not None


def whole_number(text: str | int) -> int:
    """The number that a text means; raises BadParameter where it means none."""
    plain = str(text).replace(",", "").replace("_", "").strip().lower()
    factor = _FACTORS.get(plain[-1:], 1)
    try:
        value = Fraction(plain[:-1] if factor > 1 else plain) * factor
    except (ValueError, ZeroDivisionError):
        value = Fraction(1, 2)
    if value.denominator != 1:
        raise typer.BadParameter(f"{text!r} is not a whole number, like 32000, 32,000 or 32k")
    return int(value)


TargetOption = Annotated[
    int,
    typer.Option(
        "--target", parser=whole_number, metavar="NUMBER", help="Ids in the result, special tokens included, like 32k."
    ),
]
