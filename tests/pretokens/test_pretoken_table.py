"""The table of pre-tokens against dictionaries and sorted lists."""

import itertools
import random
from collections.abc import Iterable, Mapping

import numpy as np
import pytest
from helpers.oracles import tally
from hypothesis import given
from hypothesis import strategies as st

from vocab.pretokens import table as table_module
from vocab.pretokens.table import PretokenTable

# Pieces around the lengths at which the table changes how it holds them, which differ in the last byte or only in
# trailing NULs.
LENGTHS = [1, 2, 7, 8, 9, 14, 15, 16, 17, 23, 24, 25, 31, 32, 33]
NEAR_EQUAL = [b"a" * n + tail for n in LENGTHS for tail in (b"", b"a", b"b", b"\x00", b"\x00\x00", b"\xff")]
NEAR_EQUAL += [b"\x00" * n for n in LENGTHS]
PIECES = sorted(set(NEAR_EQUAL))

piece = st.one_of(st.sampled_from(PIECES), st.binary(min_size=1, max_size=20))
document = st.lists(piece, max_size=20)
batch = st.lists(st.tuples(document, st.booleans()), max_size=8)


def add_documents(table: PretokenTable, documents: list[list[bytes]], chosen: list[bool] | None = None) -> None:
    pieces = [piece for document in documents for piece in document]
    table.add_documents(
        np.frombuffer(b"".join(pieces), dtype=np.uint8),
        np.cumsum([0, *(sum(map(len, document)) for document in documents)]),
        np.cumsum([0, *map(len, pieces)])[1:],
        np.cumsum([0, *map(len, documents)]),
        np.array([True] * len(documents) if chosen is None else chosen, dtype=np.bool_),
    )


def add(table: PretokenTable, pieces: list[bytes], weights: list[int] | None = None) -> list[int]:
    ends = np.cumsum([0, *map(len, pieces)])[1:]
    counts = None if weights is None else np.array(weights, dtype=np.uint64)
    return table.add(np.frombuffer(b"".join(pieces), dtype=np.uint8), ends, counts).tolist()


def cut(blob: np.ndarray, starts: np.ndarray) -> list[bytes]:
    raw = blob.tobytes()
    return [raw[a:b] for a, b in itertools.pairwise(starts.tolist())]


def check(table: PretokenTable, expected: Mapping[bytes, tuple[int, int]]) -> None:
    """The table holds (count, documents) of each pre-token, and sorts them."""
    assert table.n_entries == len(expected)
    pieces = cut(table.blob, table.starts)
    rows = zip(table.counts.tolist(), table.n_documents.tolist(), strict=True)
    assert dict(zip(pieces, rows, strict=True)) == expected
    assert (table.counts.dtype, table.n_documents.dtype) == (np.uint64, np.uint64)
    in_order = sorted(expected)
    assert [pieces[entry] for entry in table.order().tolist()] == in_order
    blob, starts, counts, n_documents = table.sorted_arrays()
    assert cut(blob, starts) == in_order
    assert list(zip(counts.tolist(), n_documents.tolist(), strict=True)) == [expected[piece] for piece in in_order]


def table_of(pieces: Iterable[bytes]) -> PretokenTable:
    table = PretokenTable()
    add(table, list(pieces))
    return table


@given(batches=st.lists(batch, max_size=4))
def test_documents_are_counted_as_by_dictionaries(batches):
    table = PretokenTable()
    for documents in batches:
        add_documents(table, [pieces for pieces, _ in documents], [is_chosen for _, is_chosen in documents])
    check(table, tally(pieces for documents in batches for pieces, is_chosen in documents if is_chosen))


def test_documents_while_the_table_grows():
    """More new pre-tokens in one call than there is room for, among old ones, in documents short and long."""
    rng = random.Random(41)
    table, everything = PretokenTable(), []
    for n_most in (3, 3000, 3, 60_000):
        documents = [
            [rng.randbytes(rng.choice([1, 1, 2, 3, 8, 15, 16, 40])) for _ in range(rng.randint(0, n_most))]
            for _ in range(20_000 // n_most + 3)
        ]
        add_documents(table, documents)
        everything += documents
    check(table, tally(everything))


def test_pieces_that_hardly_differ_are_told_apart():
    rng = random.Random(42)
    documents = [rng.choices(PIECES, k=300) for _ in range(30)] + [PIECES]
    table = PretokenTable()
    add_documents(table, documents)
    check(table, tally(documents))


def test_entries_are_numbered_by_first_appearance():
    rng = random.Random(43)
    table, expected, numbers = PretokenTable(), dict.fromkeys(PIECES, 0), {}
    for _ in range(20):
        pieces = rng.choices(PIECES, k=200)
        weights = [rng.randint(0, 2**40) for _ in pieces]
        for piece_, weight in zip(pieces, weights, strict=True):
            expected[piece_] += weight
            numbers.setdefault(piece_, len(numbers))
        assert add(table, pieces, weights) == [numbers[piece_] for piece_ in pieces]
    assert cut(table.blob, table.starts) == list(numbers)
    check(table, {piece_: (expected[piece_], 0) for piece_ in numbers})


def test_empty_piece_and_huge_piece():
    huge = random.Random(44).randbytes(1 << 20)
    table = PretokenTable()
    assert add(table, [b"", huge, b"", huge[:-1] + b"!", huge, b"x"]) == [0, 1, 0, 2, 1, 3]
    check(table, {b"": (2, 0), huge: (2, 0), huge[:-1] + b"!": (1, 0), b"x": (1, 0)})


def test_nothing_at_all():
    table = PretokenTable()
    add_documents(table, [])
    add_documents(table, [[], []])
    add_documents(table, [[b"a"], [b"b"]], [False, False])
    assert add(table, []) == []
    check(table, {})


@given(first=st.lists(document, max_size=6), second=st.lists(document, max_size=6))
def test_sum_of_two_tables(first, second):
    tables = [PretokenTable(), PretokenTable()]
    add_documents(tables[0], first)
    add_documents(tables[1], second)
    total = PretokenTable()
    for table in tables:
        entries = total.add_counts(*table.sorted_arrays())
        assert entries.dtype == np.int32
        assert entries.size == table.n_entries
    check(total, tally(first + second))
    # A table that was counted into takes the counts of others too, and goes on counting documents.
    tables[0].add_counts(tables[1].blob, tables[1].starts, tables[1].counts, tables[1].n_documents)
    add_documents(tables[0], second)
    check(tables[0], tally(first + second + second))


def test_counts_and_documents_beyond_32_bits():
    one = np.array([0, 1], dtype=np.int64)
    table = PretokenTable()
    for _ in range(2):
        table.add_counts(np.frombuffer(b"a", dtype=np.uint8), one, np.uint64([2**62]), np.uint64([2**40]))
    check(table, {b"a": (2**63, 2**41)})


def test_order_of_pieces_with_long_common_prefixes():
    rng = random.Random(45)
    prefix = rng.randbytes(3000)
    pieces = {prefix + rng.randbytes(rng.randint(0, 9)) for _ in range(2000)}
    pieces |= {prefix[:n] for n in range(1, 3000, 3)}
    pieces |= {b"\x00" * n for n in range(1, 500)}
    pieces |= {prefix[:20] + b"\x00" * n + bytes([last]) for n in range(60) for last in (0, 1, 255)}
    table = table_of(rng.sample(sorted(pieces), len(pieces)))
    check(table, dict.fromkeys(pieces, (1, 0)))


def test_order_of_a_million_pieces_that_share_a_prefix():
    rng = np.random.default_rng(46)
    numbers = rng.permutation(1_000_000).astype(">u4")
    shared = np.tile(np.frombuffer(b"the same thirty-two bytes begin ", dtype=np.uint8), (numbers.size, 1))
    blob = np.hstack([shared, numbers.view(np.uint8).reshape(-1, 4)])
    table = PretokenTable()
    table.add(blob.reshape(-1), np.arange(1, numbers.size + 1) * blob.shape[1])
    assert (numbers[table.order()] == np.arange(numbers.size)).all()


def test_memory_grows_with_what_is_new_only():
    table = PretokenTable()
    empty = table.n_bytes_held
    add_documents(table, [[b"a", b"bc", b"a longer piece than fits a key"] * 100_000])
    assert table.n_bytes_held == empty
    add(table, [number.to_bytes(3, "big") for number in range(100_000)])
    assert empty < table.n_bytes_held < 200 * 100_000


def test_cleared_table_is_as_new_and_keeps_its_memory():
    table = table_of(number.to_bytes(3, "big") for number in range(50_000))
    held = table.n_bytes_held
    table.clear()
    check(table, {})
    documents = [PIECES, PIECES[:20], PIECES[:10]]
    add_documents(table, documents)
    check(table, tally(documents))
    assert table.n_bytes_held == held


def test_more_entries_than_fit_are_refused(monkeypatch):
    monkeypatch.setattr(table_module, "_MOST_ENTRIES", 5000)
    pieces = [number.to_bytes(2, "big") for number in range(5001)]
    table = table_of(pieces[:5000])
    add_documents(table, [pieces[:5000]])
    check(table, dict.fromkeys(pieces[:5000], (2, 1)))
    with pytest.raises(ValueError, match="at most 5,000 distinct pre-tokens"):
        add(table, pieces)
    with pytest.raises(ValueError, match="at most 5,000 distinct pre-tokens"):
        add_documents(table, [pieces])
