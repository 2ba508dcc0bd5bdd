"""Arithmetic of vocabulary sizes: Hamming weight, trailing zeros, alignment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SizeFacts:
    """What the binary digits of a vocabulary size say about it.

    LokiLM reports that sizes of lower Hamming weight tend to run faster; alignment (trailing zeros) is the
    rival explanation, so both always stand side by side.
    """

    n_tokens: int
    hamming_weight: int
    trailing_zeros: int
    largest_power_of_two_divisor: int


def size_facts(n_tokens: int) -> SizeFacts:
    """Facts about a size ≥ 1; raises ValueError below that."""
    if n_tokens < 1:
        raise ValueError(f"a vocabulary size is at least 1, not {n_tokens}")
    divisor = n_tokens & -n_tokens
    return SizeFacts(
        n_tokens=n_tokens,
        hamming_weight=n_tokens.bit_count(),
        trailing_zeros=divisor.bit_length() - 1,
        largest_power_of_two_divisor=divisor,
    )


def padded(n_tokens: int, multiple_of: int) -> int:
    """Rows of an embedding that holds `n_tokens` ids, rounded up to a multiple of `multiple_of` ≥ 1."""
    if multiple_of < 1:
        raise ValueError(f"a multiple is at least 1, not {multiple_of}")
    return -(-n_tokens // multiple_of) * multiple_of
