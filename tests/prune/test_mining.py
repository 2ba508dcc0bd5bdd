"""Mining substrings of pre-tokens: against an oracle that looks at every substring."""

import numpy as np
import pytest
from helpers.oracles import closed, documents_with, occurrences, substrings
from helpers.strategies import vocabularies
from hypothesis import given
from hypothesis import strategies as st

from vocab.encoding.lattice import TokenTrie
from vocab.pretokens.counts import PretokenCounts
from vocab.prune.candidates.mining import mine
from vocab.splitting import CL100K_REGEX, SplitPattern
from vocab.vocabulary import Vocabulary

PATTERN = SplitPattern(CL100K_REGEX)

# Characters of one to four bytes, and bytes that are no part of one.
LETTERS = st.sampled_from(["a", "b", " ", "é", "世", "🙂", "\ufffd"]).map(str.encode) | st.sampled_from(
    [b"\xc3", b"\xa9", b"\xf0\x9f", b"\xed\xa0\x80", b"\xff"]
)
PIECES = st.lists(LETTERS, min_size=1, max_size=9).map(b"".join)
COUNTS = st.dictionaries(PIECES, st.tuples(st.integers(1, 50), st.integers(1, 5)), max_size=14)


def counts_of(table: dict[bytes, tuple[int, int]], *, with_documents: bool = True) -> PretokenCounts:
    plain = PretokenCounts.from_mapping({piece: n for piece, (n, _) in table.items()}, PATTERN.sha256)
    documents = np.array([table[piece][1] for piece in plain.pretokens()], dtype=np.uint64)
    return PretokenCounts(plain.blob, plain.starts, plain.counts, PATTERN.sha256, documents if with_documents else None)


@given(
    table=COUNTS,
    min_count=st.integers(1, 60),
    min_documents=st.integers(1, 6),
    max_bytes=st.integers(1, 12),
    closed_only=st.booleans(),
    with_documents=st.booleans(),
    n_threads=st.integers(1, 3),
)
def test_what_is_mined_is_what_every_substring_shows(
    table, min_count, min_documents, max_bytes, closed_only, with_documents, n_threads
):
    mined = mine(
        counts_of(table, with_documents=with_documents),
        min_count,
        min_documents=min_documents,
        max_bytes=max_bytes,
        closed_only=closed_only,
        n_threads=n_threads,
    )
    counts = {piece: n for piece, (n, _) in table.items()}
    documents = {piece: n for piece, (_, n) in table.items()}
    expected = substrings(counts, documents, min_count, min_documents if with_documents else 0, max_bytes)
    wanted = {token for token in (closed(expected) if closed_only else expected) if len(token) > 1}
    order = sorted(wanted, key=lambda token: (-expected[token][0], len(token), token))
    assert mined.as_bytes() == order
    assert mined.counts.tolist() == [expected[token][0] for token in order]
    if with_documents:
        assert mined.document_counts.tolist() == [expected[token][1] for token in order]
    else:
        assert mined.document_counts is None


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_many_substrings_are_counted_right(n_threads):
    rng = np.random.default_rng(3)
    pieces = {rng.choice(list(b"abcd efgh"), size=rng.integers(1, 14)).astype(np.uint8).tobytes() for _ in range(4000)}
    table = {piece: (int(rng.integers(1, 100)), int(rng.integers(1, 9))) for piece in sorted(pieces)}
    mined = mine(counts_of(table), 1, max_bytes=5, closed_only=False, n_threads=n_threads)
    expected = substrings({p: n for p, (n, _) in table.items()}, {p: n for p, (_, n) in table.items()}, 1, 1, 5)
    found = zip(mined.as_bytes(), zip(mined.counts.tolist(), mined.document_counts.tolist(), strict=True), strict=True)
    assert mined.counts.size > 15_000  # so that tables grow
    assert dict(found) == {token: both for token, both in expected.items() if len(token) > 1}


def test_no_more_are_mined_than_asked_for():
    table = {b"abcabc": (5, 1), b"bcx": (4, 1)}
    assert mine(counts_of(table), 1, most=2).as_bytes() == [b"bc", b"abc"]
    assert mine(counts_of(table), 1, most=0).as_bytes() == []


def test_nothing_is_mined_from_nothing():
    mined = mine(counts_of({}), 1)
    assert (mined.as_bytes(), mined.counts.size, mined.starts.tolist()) == ([], 0, [0])


@given(tokens=vocabularies(), table=COUNTS, n_threads=st.integers(1, 3))
def test_occurrences_of_tokens(tokens, table, n_threads):
    made = Vocabulary.from_tokens(tokens, PATTERN)
    counts = counts_of(table)
    n_found, n_documents = TokenTrie.build(made.blob, made.starts).occurrences(
        counts.blob, counts.starts, counts.counts.astype(np.int64), counts.document_counts.astype(np.int64), n_threads
    )
    n_of = {piece: n for piece, (n, _) in table.items()}
    assert n_found.tolist() == [occurrences(n_of, token) for token in tokens]
    documents = {piece: n for piece, (_, n) in table.items()}
    assert n_documents.tolist() == [documents_with(table, documents, token) for token in tokens]
