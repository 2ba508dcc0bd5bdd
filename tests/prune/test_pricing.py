"""Prices, gains and distillation against encoding everything twice."""

import random
from itertools import accumulate, pairwise

import numpy as np
import pytest
from helpers import oracles
from helpers.oracles import METHODS
from helpers.price_books import PATTERN, book_of, check_prices, kept_ranks, trie_of
from helpers.strategies import corpora, vocabularies
from helpers.texts import random_tokens
from hypothesis import given
from hypothesis import strategies as st

from vocab.analysis.evaluation import Evaluator
from vocab.corpus.counting import CorpusCounts, CorpusPart
from vocab.encoding.encoder import Encoder
from vocab.encoding.lattice import Segments, shard_bounds
from vocab.pretokens.counts import PretokenCounts
from vocab.prune.methods import pricing
from vocab.prune.methods.distill import distill
from vocab.prune.methods.pricing import MAX_PRICED_BYTES, PriceBook
from vocab.splitting import SplitPattern


def check_gains(book: PriceBook, tokens: list[bytes], counts: dict[bytes, int], method: str) -> None:
    ranks = kept_ranks(book, tokens)
    dropped = {token: k for k, token in enumerate(tokens) if token not in ranks}
    gains = {token: oracles.gain(method, ranks, counts, token, k) for token, k in dropped.items()}
    expected = [gains.get(token, 0) for token in tokens]
    assert book.gains(~book.kept).tolist() == expected


def random_change(rng: random.Random, book: PriceBook, tokens: list[bytes]) -> dict[str, np.ndarray]:
    """Some live tokens to drop and some dropped ones to restore, either or both."""
    longer = np.array([len(token) > 1 for token in tokens])
    live, dropped = np.flatnonzero(book.kept & longer), np.flatnonzero(~book.kept)
    change = {}
    if rng.random() < 0.8:
        change["drop"] = live[[rng.random() < 0.3 for _ in live]]
    if rng.random() < 0.6:
        change["restore"] = dropped[[rng.random() < 0.4 for _ in dropped]]
    return change


@pytest.mark.parametrize("method", METHODS)
@given(tokens=vocabularies(), counts=corpora(), seed=st.integers(0, 2**32))
def test_prices_are_exact_after_any_changes(method, tokens, counts, seed):
    rng = random.Random(seed)
    book = book_of(tokens, counts, method)
    check_prices(book, tokens, counts, method)
    for _ in range(4):
        book.change(**random_change(rng, book, tokens))
        check_prices(book, tokens, counts, method)


@given(st.integers(60, 68), st.integers(0, 2**32))
def test_merges_are_priced_alike_with_a_table_and_without(n_bytes, seed):
    """Up to 64 bytes a pre-token has a table of its tokens; longer ones are scanned."""
    rng = random.Random(seed)
    counts = {bytes(rng.choices(b"ab", [3, 1], k=n_bytes)): rng.randint(1, 9) for _ in range(2)}
    texts = [word[k : k + n] for word in counts for k in range(n_bytes) for n in (2, 3, 5, 31, n_bytes)]
    tokens = list(dict.fromkeys([*oracles.SINGLE_BYTES, *rng.sample(texts, 12), b"a" * 2]))
    book = book_of(tokens, counts, "merges")
    for _ in range(2):
        check_prices(book, tokens, counts, "merges")
        check_gains(book, tokens, counts, "merges")
        book.change(**random_change(rng, book, tokens))


@given(tokens=vocabularies(), train=corpora(), held_out=corpora(), seed=st.integers(0, 2**32))
def test_segments_of_the_evaluator_give_the_same_prices(tokens, train, held_out, seed):
    """Those that only held-out text has count for nothing, and long ones are cut."""
    train[b"ab" * 150 + b"a"] = 3
    counted = [PretokenCounts.from_mapping(counts, PATTERN) for counts in (train, held_out)]
    corpus = CorpusCounts((CorpusPart("text", *counted, weight=2),))
    trie = trie_of(tokens)
    shared = PriceBook(trie, Evaluator(trie, corpus).training(MAX_PRICED_BYTES), "merges", 2)
    own = PriceBook(trie, corpus.train, "merges")
    rng = random.Random(seed)
    for _ in range(2):
        change = random_change(rng, own, tokens)
        for book in (shared, own):
            book.change(**change)
        assert (shared.total_tokens, shared.prices.tolist()) == (own.total_tokens, own.prices.tolist())
        assert shared.gains(~shared.kept).tolist() == own.gains(~own.kept).tolist()


@pytest.mark.parametrize("method", METHODS)
@given(tokens=vocabularies(), counts=corpora(), seed=st.integers(0, 2**32))
def test_gains_are_exact_after_any_changes(method, tokens, counts, seed):
    rng = random.Random(seed)
    book = book_of(tokens, counts, method)
    for _ in range(3):
        book.change(**random_change(rng, book, tokens))
        check_gains(book, tokens, counts, method)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_longer_pretokens(method):
    """Up to the longest segment that is priced whole."""
    rng = random.Random(21)
    for _ in range(6):
        tokens = random_tokens(rng, b"abc", 40, 5)
        counts = {bytes(rng.choices(b"abc!", [9, 9, 9, 1], k=rng.randint(1, 128))): 3 for _ in range(6)}
        book = book_of(tokens, counts, method)
        check_prices(book, tokens, counts, method)
        book.change(**random_change(rng, book, tokens))
        check_prices(book, tokens, counts, method)
        check_gains(book, tokens, counts, method)


@pytest.mark.parametrize("method", METHODS)
def test_pretokens_long_enough_for_the_heap(method, monkeypatch):
    monkeypatch.setattr(pricing, "MAX_PRICED_BYTES", 10_000)
    rng = random.Random(22)
    tokens = random_tokens(rng, b"ab", 8, 4)
    counts = {bytes(rng.choices(b"ab", k=n)): 2 for n in (201, 240)}
    book = book_of(tokens, counts, method)
    check_prices(book, tokens, counts, method)
    book.change(drop=np.flatnonzero([len(token) == 2 for token in tokens]))
    check_prices(book, tokens, counts, method)
    check_gains(book, tokens, counts, method)


def test_dropping_a_token_can_help_merges():
    """`bc` of low rank breaks `ab` + `cd`: its price is negative, and so is its gain once it is dropped."""
    tokens = [*oracles.SINGLE_BYTES, b"bc", b"ab", b"cd"]
    book = book_of(tokens, {b"abcd": 5}, "merges")
    assert (book.total_tokens, book.prices[256]) == (15, -5)
    book.change(drop=np.array([256]))
    assert book.total_tokens == 10
    assert book.gains(~book.kept)[256] == -5


def test_a_revived_token_can_break_a_segment_that_is_one_token():
    """`abcd` is a segment of `abcd!` and so never looked up whole: with `bc` it is a + bc + d."""
    tokens = [*oracles.SINGLE_BYTES, b"bc", b"ab", b"cd", b"abcd"]
    book = book_of(tokens, {b"abcd!": 5}, "merges")
    assert (book.total_tokens, book.prices[256]) == (20, -10)
    book.change(drop=np.array([256]))
    assert book.total_tokens == 10
    assert book.gains(~book.kept)[256] == -10


@pytest.mark.parametrize("method", METHODS)
def test_gains_are_given_for_candidates_only(method):
    tokens = [*oracles.SINGLE_BYTES, b"ab", b"abc", b"cd"]
    book = book_of(tokens, {b"abcd": 1, b"cd": 4}, method)
    book.change(drop=np.array([256, 257, 258]))
    wanted = np.zeros(len(tokens), dtype=np.bool_)
    wanted[[97, 258]] = True
    assert np.flatnonzero(book.gains(wanted)).tolist() == [258]
    assert book.gains(wanted)[258] == 5


@pytest.mark.parametrize("method", METHODS)
def test_taking_a_change_back_restores_every_figure(method):
    rng = random.Random(23)
    for _ in range(10):
        tokens = random_tokens(rng, b"abc ", 60, 6)
        counts = {bytes(rng.choices(b"abc ", k=rng.randint(1, 30))): rng.randint(1, 9) for _ in range(40)}
        book = book_of(tokens, counts, method)
        total, prices = book.total_tokens, book.prices.copy()
        dropped = np.flatnonzero([len(token) > 1 and rng.random() < 0.5 for token in tokens])
        book.change(drop=dropped)
        book.change(restore=dropped)
        assert book.total_tokens == total
        assert np.array_equal(book.prices, prices)
        assert book.kept.all()


@pytest.mark.parametrize("method", METHODS)
def test_threads_do_not_change_figures(method):
    rng = random.Random(24)
    for _ in range(5):
        tokens = random_tokens(rng, b"abc ", 80, 6)
        counts = {bytes(rng.choices(b"abc ", k=rng.randint(1, 60))): rng.randint(1, 9) for _ in range(60)}
        books = [book_of(tokens, counts, method, n_threads) for n_threads in (1, 3)]
        for _ in range(4):
            change = random_change(rng, books[0], tokens)
            for book in books:
                book.change(**change)
            one, three = books
            assert one.total_tokens == three.total_tokens
            assert np.array_equal(one.prices, three.prices)
            assert np.array_equal(one.gains(~one.kept), three.gains(~three.kept))


def test_more_threads_than_pretokens():
    book = book_of([*oracles.SINGLE_BYTES, b"ab"], {b"ab": 2, b"b": 1}, "merges", n_threads=16)
    assert (book.total_tokens, book.prices[256]) == (3, 2)


def test_shards_cover_all_pretokens_once():
    rng = random.Random(25)
    for _ in range(100):
        lengths = [rng.choice([1, 2, 3, 500]) for _ in range(rng.randint(1, 30))]
        starts = np.array([0, *accumulate(lengths)], dtype=np.int64)
        shards = shard_bounds(starts, rng.randint(1, 40))
        assert [w for a, b in shards for w in range(a, b)] == list(range(len(lengths)))


def segments_of(tokens: list[bytes], counts: dict[bytes, int], max_bytes: int, n_threads=1) -> Segments:
    table = PretokenCounts.from_mapping(counts, PATTERN)
    return Segments.build(trie_of(tokens), table.blob, table.starts, table.counts, max_bytes, n_threads)


def as_counts(segments: Segments) -> tuple[dict[bytes, int], dict[bytes, int]]:
    """Whole pre-tokens and fragments with their counts; the same bytes may stand in both."""
    blob, starts = segments.blob.tobytes(), segments.starts.tolist()
    held = [(blob[a:b], int(n)) for a, b, n in zip(starts, starts[1:], segments.counts, strict=False)]
    whole, fragments = held[: segments.n_whole], held[segments.n_whole :]
    assert len(dict(whole)) == len(whole)
    assert len(dict(fragments)) == len(fragments)
    return dict(whole), dict(fragments)


def cut_where_no_token_crosses(tokens: list[bytes], piece: bytes) -> list[bytes]:
    crossed = {
        start + k
        for start in range(len(piece))
        for token in tokens
        if piece.startswith(token, start)
        for k in range(1, len(token))
    }
    cuts = [0, *(k for k in range(1, len(piece)) if k not in crossed), len(piece)]
    return [piece[a:b] for a, b in pairwise(cuts)]


@given(tokens=vocabularies(8), counts=corpora(), n_threads=st.integers(1, 3))
def test_segments_are_cut_where_no_token_crosses(tokens, counts, n_threads):
    whole, fragments = {}, {}
    for piece, count in counts.items():
        parts = cut_where_no_token_crosses(tokens, piece)
        for part in parts:
            target = whole if len(parts) == 1 else fragments
            target[part] = target.get(part, 0) + count
    assert as_counts(segments_of(tokens, counts, 1000, n_threads)) == (whole, fragments)


@given(tokens=vocabularies(), counts=corpora(), max_bytes=st.integers(1, 8))
def test_segments_are_no_longer_than_asked_and_lose_nothing(tokens, counts, max_bytes):
    whole, fragments = as_counts(segments_of(tokens, counts, max_bytes))
    assert max(map(len, [*whole, *fragments])) <= max_bytes
    n_bytes = sum(len(part) * count for held in (whole, fragments) for part, count in held.items())
    assert n_bytes == sum(len(piece) * count for piece, count in counts.items())
    assert set(whole) <= set(counts)


@pytest.fixture(scope="module")
def real_counts(cl100k, real_text) -> PretokenCounts:
    """Pre-tokens of 300 kB of real text, those left out that are longer than what is priced whole."""
    counts = oracles.count(cl100k.pattern, [real_text[-300_000:]])
    kept = {piece: n for piece, n in counts.items() if len(piece) <= pricing.MAX_PRICED_BYTES}
    return PretokenCounts.from_mapping(kept, cl100k.pattern.sha256)


def n_tokens_under(tokens: list[bytes], pattern: SplitPattern, method: str, counts: PretokenCounts) -> int:
    """Tokens that an encoder of a finished vocabulary needs for a corpus."""
    starts = np.array([0, *accumulate(map(len, tokens))], dtype=np.int64)
    encoder = Encoder(np.frombuffer(b"".join(tokens), dtype=np.uint8), starts, pattern, method)
    _, sizes = encoder.encode_pretokens(counts.blob, counts.starts)
    return int((sizes * counts.counts.astype(np.int64)).sum())


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_distilled_cl100k(method, cl100k, real_counts):
    tokens = list(cl100k.tokens())
    book = PriceBook(trie_of(tokens), real_counts, method)
    assert book.total_tokens == n_tokens_under(tokens, cl100k.pattern, method, real_counts)

    n_keep = 3000
    protected = cl100k.lengths == 1
    protected[[50_000, 70_000, 99_999]] = True
    heard = []
    distill(book, n_keep, protected, lambda done, of: heard.append((done, of)))
    assert book.n_kept == n_keep
    assert book.kept[protected].all()
    assert [of for _, of in heard] == [len(tokens) - n_keep] * len(heard)
    assert [done for done, _ in heard] == sorted({done for done, _ in heard})

    kept = [tokens[k] for k in np.flatnonzero(book.kept)]
    assert book.total_tokens == n_tokens_under(kept, cl100k.pattern, method, real_counts)

    encoder = Encoder(cl100k.blob, cl100k.starts, cl100k.pattern, method)
    ids, sizes = encoder.encode_pretokens(real_counts.blob, real_counts.starts)
    uses = np.zeros(len(tokens), dtype=np.int64)
    for start, size, count in zip(real_counts.starts, sizes, real_counts.counts, strict=False):
        np.add.at(uses, ids[start : start + size], int(count))
    uses[protected] = uses.sum()
    frequent = [tokens[k] for k in sorted(np.lexsort((np.arange(len(tokens)), -uses))[:n_keep])]
    assert book.total_tokens <= n_tokens_under(frequent, cl100k.pattern, method, real_counts)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_distilling_small_vocabularies_keeps_what_it_must(method):
    rng = random.Random(26)
    for _ in range(10):
        tokens = random_tokens(rng, b"abc ", 150, 6)
        counts = {bytes(rng.choices(b"abc ", k=rng.randint(1, 25))): rng.randint(1, 9) for _ in range(50)}
        protected = np.array([len(token) == 1 or rng.random() < 0.1 for token in tokens])
        n_keep = rng.randint(int(protected.sum()), len(tokens))
        book = book_of(tokens, counts, method)
        distill(book, n_keep, protected)
        assert book.n_kept == n_keep
        assert book.kept[protected].all()
        check_prices(book, tokens, counts, method)


def test_distilling_to_the_size_there_is_changes_nothing():
    tokens = [*oracles.SINGLE_BYTES, b"ab", b"bc"]
    book = book_of(tokens, {b"abc": 1}, "merges")
    distill(book, len(tokens), np.zeros(len(tokens), dtype=np.bool_))
    assert book.kept.all()


@pytest.mark.parametrize("method", METHODS)
def test_distilling_is_the_same_on_any_number_of_threads(method):
    rng = random.Random(27)
    tokens = random_tokens(rng, b"abc ", 300, 6)
    counts = {bytes(rng.choices(b"abc ", k=rng.randint(1, 40))): rng.randint(1, 9) for _ in range(200)}
    protected = np.array([len(token) == 1 for token in tokens])
    kept = []
    for n_threads in (1, 3):
        book = book_of(tokens, counts, method, n_threads)
        distill(book, 300, protected)
        kept.append(np.flatnonzero(book.kept).tolist())
    assert kept[0] == kept[1]
