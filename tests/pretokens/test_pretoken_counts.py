"""Counts with rows of added tokens, and sums with weights, by hand."""

from vocab.markers import marked
from vocab.pretokens.counts import PretokenCounts, merge

COUNTS = PretokenCounts.from_mapping({b"ab": 3, b"c": 5, marked("<x>"): 4, marked("<long>"): 1}, "a pattern")


def test_rows_of_added_tokens_become_sums_of_texts_without_markers():
    alone = COUNTS.without_added()
    assert alone.pretokens() == [b"ab", b"c"]
    assert (alone.n_added, alone.n_added_bytes) == (5, 4 * 3 + 6)
    assert COUNTS.n_bytes == alone.n_bytes == 3 * 2 + 5 + 18
    assert alone.without_added() is alone


def test_sums_of_added_tokens_have_the_weights_of_their_tables():
    other = PretokenCounts.from_mapping({b"ab": 1, marked("<x>"): 2}, "a pattern").without_added()
    whole = merge([COUNTS.without_added(), other], [2, 5])
    assert dict(zip(whole.pretokens(), whole.counts.tolist(), strict=True)) == {b"ab": 3 * 2 + 5, b"c": 10}
    assert (whole.n_added, whole.n_added_bytes) == (5 * 2 + 2 * 5, 18 * 2 + 6 * 5)
