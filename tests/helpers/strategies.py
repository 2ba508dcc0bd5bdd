"""What hypothesis draws: small vocabularies over few letters, so that their tokens overlap in every way."""

from __future__ import annotations

from hypothesis import strategies as st

from helpers.oracles import SINGLE_BYTES


@st.composite
def vocabularies(draw, most: int = 30) -> list[bytes]:
    """The 256 single bytes and some strings of 2 … 6 bytes, in any order of rank."""
    longer = draw(st.lists(pieces(2, 6), unique=True, max_size=most))
    singles_first = draw(st.booleans())
    return SINGLE_BYTES + longer if singles_first else longer + SINGLE_BYTES


def pieces(min_size: int = 1, max_size: int = 12) -> st.SearchStrategy[bytes]:
    letters = st.sampled_from([b"a", b"b", b"c", b" ", b"\xc3"])
    return st.lists(letters, min_size=min_size, max_size=max_size).map(b"".join)


def corpora(most: int = 12) -> st.SearchStrategy[dict[bytes, int]]:
    """Pre-tokens with counts."""
    return st.dictionaries(pieces(), st.integers(1, 1000), min_size=1, max_size=most)
