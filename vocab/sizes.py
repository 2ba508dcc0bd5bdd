"""Arithmetic of vocabulary sizes: Hamming weight, trailing zeros, alignment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SizeFacts:
    """The binary digits of a vocabulary size.

    LokiLM reports that sizes of lower Hamming weight tend to run faster. Alignment (trailing zeros) is the rival
    explanation, so both are always shown.

    Attributes:
        n_tokens: the size, in ids.
        hamming_weight: ones among its binary digits.
        trailing_zeros: zeros at their end.
        largest_power_of_two_divisor: the largest power of two that divides the size.
    """

    n_tokens: int
    hamming_weight: int
    trailing_zeros: int
    largest_power_of_two_divisor: int


def size_facts(n_tokens: int) -> SizeFacts:
    """The binary digits of a size.

    Args:
        n_tokens: the size, in ids; at least 1.

    Raises:
        ValueError: the size is below 1.
    """
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


def parameter_bytes(n_tokens: int, width: int, dtype_bytes: int, *, tied: bool) -> int:
    """Bytes of the embedding and the output head for `n_tokens` ids, one matrix where they are tied."""
    return n_tokens * width * dtype_bytes * (1 if tied else 2)


# Matrix kernels gain nothing from multiples below 64. Low Hamming weight is listed only for multiples of 8.
_LEAST_ALIGNMENT = 64
_LEAST_MULTIPLE = 8


def sizes_near(target: int, within: int) -> list[int]:
    """Sizes near a target that suit hardware, rising; the target and its two neighbours are always listed.

    Walking away from the target, a size is listed when it sets a record. It is divisible by a higher power of two
    (at least 64) than every nearer size, or it is a multiple of 8 with a lower Hamming weight.

    Args:
        target: a size, in ids; at least 1.
        within: largest distance from the target; at least 0.

    Raises:
        ValueError: `target` or `within` is too small.
    """
    if target < 1 or within < 0:
        raise ValueError(f"a size is at least 1 and a distance at least 0, not {target} and {within}")
    listed = {target, target + 1, max(1, target - 1)}
    for step in (-1, 1):
        highest, least = _LEAST_ALIGNMENT - 1, target.bit_count()
        for size in range(target + step, max(0, target + step * (within + 1)), step):
            facts = size_facts(size)
            if facts.largest_power_of_two_divisor > highest:
                highest = facts.largest_power_of_two_divisor
                listed.add(size)
            if facts.largest_power_of_two_divisor >= _LEAST_MULTIPLE and facts.hamming_weight < least:
                least = facts.hamming_weight
                listed.add(size)
    return sorted(listed)


# Sizes that vocabularies often have, beside the powers of two.
_USUAL = [thousands * 1000 for thousands in (1, 2, 4, 8, 16, 32, 50, 64, 100, 128, 200, 256)]
# A size of the even grid nearer than this to one that is there already, as a factor, would say nothing new.
_NEXT_TO = 1.03


def round_sizes(first: int, last: int) -> list[int]:
    """`first`, `last`, and the powers of two and the round decimal sizes between them, rising."""
    powers = [1 << k for k in range(last.bit_length())]
    return sorted({first, last, *(size for size in [*_USUAL, *powers] if first < size < last)})


def sizes_between(first: int, last: int, n_even: int) -> list[int]:
    """Sizes from `first` to `last` for a curve, rising.

    They are the round sizes, and those of `n_even` sizes of equal ratio that are far enough from the round ones. Raises
    ValueError unless 1 ≤ first < last and n_even ≥ 2.
    """
    if not 1 <= first < last or n_even < 2:
        raise ValueError(f"no sizes lie between {first} and {last} in {n_even} steps")
    sizes = round_sizes(first, last)
    even = [round(first * (last / first) ** (k / (n_even - 1))) for k in range(n_even)]
    new = {size for size in even if all(size > _NEXT_TO * n or n > _NEXT_TO * size for n in sizes)}
    return sorted(new.union(sizes))
