"""A number and what it counts, in words: one or several."""

from __future__ import annotations


def number_of(n: int, one: str, several: str | None = None) -> str:
    """A number with its noun, as `1 byte` or `2,000 bytes`; `several` is the noun with an s by default."""
    return f"{n:,} {one if n == 1 else several or one + 's'}"
