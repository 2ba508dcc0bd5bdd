"""A kernel for UTF-8 characters."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

from vocab.compilation.kernels import helper


@helper
def width_of(lead):
    """Bytes of the character that begins with this byte; 1 where none does."""
    if lead < 0xC0:
        return 1
    if lead < 0xE0:
        return 2
    return 3 if lead < 0xF0 else 4
