import pytest
from hypothesis import given
from hypothesis import strategies as st

from vocab.sizes import SizeFacts, padded, size_facts


@given(st.integers(1, 2**70))
def test_facts_equal_those_of_the_binary_digits(n):
    digits = f"{n:b}"
    zeros = len(digits) - len(digits.rstrip("0"))
    assert size_facts(n) == SizeFacts(
        n_tokens=n,
        hamming_weight=digits.count("1"),
        trailing_zeros=zeros,
        largest_power_of_two_divisor=2**zeros,
    )


@pytest.mark.parametrize(
    ("n", "weight", "zeros", "divisor"),
    [(1, 1, 0, 1), (32_000, 6, 8, 256), (32_768, 1, 15, 32_768), (49_152, 2, 14, 16_384), (50_257, 6, 0, 1)],
)
def test_known_sizes(n, weight, zeros, divisor):
    facts = size_facts(n)
    assert (facts.hamming_weight, facts.trailing_zeros, facts.largest_power_of_two_divisor) == (
        weight,
        zeros,
        divisor,
    )


@pytest.mark.parametrize("n", [0, -1])
def test_sizes_below_one_are_refused(n):
    with pytest.raises(ValueError, match=f"at least 1, not {n}"):
        size_facts(n)


@given(st.integers(1, 10**6), st.integers(1, 1000))
def test_padding_is_the_next_multiple(n, multiple):
    rows = padded(n, multiple)
    assert rows % multiple == 0
    assert n <= rows < n + multiple


def test_padding_known_sizes():
    assert (padded(50_257, 64), padded(50_304, 64), padded(0, 64)) == (50_304, 50_304, 0)
    with pytest.raises(ValueError, match="at least 1, not 0"):
        padded(5, 0)
