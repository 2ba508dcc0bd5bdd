"""Count tables merged into one list of distinct pre-tokens, against dictionaries."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vocab.errors import CorpusError
from vocab.pretokens.counts import PretokenCounts, merge
from vocab.pretokens.merged_counts import MergedCounts

# Few letters and NULs, around the eight bytes that are compared at once: prefixes and ties.
PRETOKENS = st.lists(st.sampled_from([b"\0", b"a", b"b", b"aaaaaaa", b"\xff"]), min_size=1, max_size=5).map(b"".join)
TABLES = st.lists(st.dictionaries(PRETOKENS, st.integers(1, 1 << 40), max_size=12), min_size=1, max_size=7)


def as_dict(counts: PretokenCounts) -> dict[bytes, int]:
    return dict(zip(counts.pretokens(), counts.counts.tolist(), strict=True))


@given(TABLES, st.data())
def test_merged_tables_are_those_of_dictionaries(given_counts, data):
    tables = [PretokenCounts.from_mapping(counts, "") for counts in given_counts]
    weights = data.draw(st.lists(st.integers(1, 9), min_size=len(tables), max_size=len(tables)))
    n_threads = data.draw(st.integers(1, 4))
    merged = MergedCounts.of(tables, n_threads)
    pretokens = sorted(set().union(*given_counts))
    assert [merged.blob[a:b].tobytes() for a, b in zip(merged.starts[:-1], merged.starts[1:], strict=True)] == pretokens
    for table, entries in zip(tables, merged.entries, strict=True):
        assert [pretokens[k] for k in entries.tolist()] == table.pretokens()
    chosen = range(data.draw(st.integers(0, len(tables) - 1)), len(tables))
    total: Counter[bytes] = Counter()
    for k in chosen:
        total.update({pretoken: n * weights[k] for pretoken, n in given_counts[k].items()})
    expected = dict(sorted(total.items()))
    summed = [
        merged.total(chosen, weights[chosen.start :]),
        merge(tables[chosen.start :], weights[chosen.start :], n_threads),
    ]
    assert [list(as_dict(counts).items()) for counts in summed] == [list(expected.items())] * 2


def test_documents_are_counted_only_where_every_table_has_them():
    one, other = (PretokenCounts.from_mapping({b"a": n, b"b": 1}, "") for n in (2, 3))
    known = PretokenCounts(one.blob, one.starts, one.counts, "", np.array([1, 1], dtype=np.uint64))
    merged = MergedCounts.of([known, known, other])
    assert merged.total(range(3), [1, 1, 1]).document_counts is None
    both = merged.total(range(2), [1, 5]).document_counts
    assert both is not None
    assert both.tolist() == [2, 2]


def test_tables_of_different_patterns_are_not_merged():
    with pytest.raises(CorpusError, match="different split patterns"):
        MergedCounts.of([PretokenCounts.from_mapping({b"a": 1}, pattern) for pattern in ("one", "other")])
