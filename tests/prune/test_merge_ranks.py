"""The order of merge ranks: what is asked of it, moves of single tokens, and vocabularies that come out of it."""

import random
from collections import Counter

import numpy as np
import pytest
from helpers import oracles
from helpers.price_books import book_of, check_prices
from helpers.strategies import corpora, vocabularies
from helpers.texts import random_tokens
from hypothesis import given
from hypothesis import strategies as st

from vocab import TargetError, count
from vocab.prune import check_certificate, prune
from vocab.prune.methods import merge_ranks as order
from vocab.prune.methods.distill import distill
from vocab.prune.methods.merge_ranks import (
    distill_in_order,
    improve_order,
    precedences,
    recombine,
    tokens_in_order,
)


def shuffled(n_tokens: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(n_tokens)


def ranks_after(tokens: list[bytes], book) -> dict[bytes, int]:
    return {tokens[k]: rank for rank, k in enumerate(book.tokens.tolist()) if book.kept[rank]}


@given(tokens=vocabularies(), counts=corpora(), seed=st.integers(0, 99))
def test_tokens_in_any_order_are_those_of_merging(tokens, counts, seed):
    book = book_of(tokens, counts, "merges", n_threads=1 + seed % 2)
    ranks = shuffled(len(tokens), seed)
    expected = oracles.total_tokens("merges", dict(zip(tokens, ranks.tolist(), strict=True)), counts)
    assert tokens_in_order(book, ranks) == expected


@given(tokens=vocabularies(), counts=corpora(), seed=st.integers(0, 99))
def test_a_reordered_book_has_the_prices_of_its_ranks(tokens, counts, seed):
    book = book_of(tokens, counts, "merges")
    book.change(drop=np.flatnonzero([len(t) > 1 and k % 5 == 0 for k, t in enumerate(tokens)]))
    gone = {tokens[k] for k in np.flatnonzero(~book.kept)}
    new_order = shuffled(len(tokens), seed)
    book.reorder(new_order)
    in_order = [tokens[k] for k in new_order]
    assert {t for t, kept in zip(in_order, book.kept, strict=True) if not kept} == gone
    check_prices(book, in_order, counts, "merges")
    assert [tokens[k] for k in book.tokens] == in_order
    book.change(drop=np.flatnonzero([kept and len(t) > 1 for t, kept in zip(in_order, book.kept, strict=True)])[:2])
    check_prices(book, in_order, counts, "merges")


def test_only_merges_have_ranks():
    book = book_of([*oracles.SINGLE_BYTES, b"ab"], {b"ab": 1}, "least-tokens")
    with pytest.raises(ValueError, match="only merges go by rank"):
        book.reorder(np.arange(257))


@given(tokens=vocabularies(), counts=corpora(), seed=st.integers(0, 99))
def test_demands_are_those_of_a_slow_twin(tokens, counts, seed):
    book = book_of(tokens, counts, "merges", n_threads=1 + seed % 2)
    ranks = shuffled(len(tokens), seed)
    named = dict(zip(tokens, ranks.tolist(), strict=True))
    expected = Counter()
    for segment, n in segments(book, tokens).items():
        for pair, times in oracles.demands(named, segment).items():
            expected[pair] += n * times
    found = precedences(book, ranks)
    columns = (found.earlier.tolist(), found.later.tolist(), found.weights.tolist())
    assert {(tokens[a], tokens[b]): n for a, b, n in zip(*columns, strict=True)} == expected


def segments(book, tokens: list[bytes]) -> Counter[bytes]:
    """The book's segments, spelt by the single bytes that begin at each place."""
    lattice, found = book.lattice, Counter()
    spelt = b"".join(tokens[book.tokens[t]] for t in lattice.edge_tokens[lattice.edge_starts[:-1]])
    for w in range(lattice.n_pretokens):
        found[spelt[lattice.starts[w] : lattice.starts[w + 1]]] += int(book.counts[w])
    return found


@given(
    n=st.integers(1, 9),
    pairs=st.dictionaries(st.tuples(st.integers(0, 8), st.integers(0, 8)), st.integers(1, 9), max_size=25),
    seed=st.integers(0, 99),
)
def test_the_best_place_of_a_token_is_found_by_trying_all(n, pairs, seed):
    pairs = {(a, b): weight for (a, b), weight in pairs.items() if a != b and max(a, b) < n}
    columns = [np.array(column, dtype=np.int64) for column in ([a for a, _ in pairs], [b for _, b in pairs])]
    demanded = order.Precedences(*columns, np.array(list(pairs.values()), dtype=np.int64))
    ranks = shuffled(n, seed)
    gains, places = order._best_places(demanded, ranks)
    for token in range(n):
        costs = {p: oracles.cost_of_place(pairs, ranks, token, p) for p in [*np.arange(-0.5, n), float(ranks[token])]}
        here, least = costs[float(ranks[token])], min(costs.values())
        assert gains[token] == here - least
        best = [place for place, cost in costs.items() if cost == least]
        if gains[token]:
            assert costs[places[token]] == least
            assert abs(places[token] - ranks[token]) == min(abs(place - ranks[token]) for place in best)


def a_corpus(seed: int, n: int = 1500) -> tuple[list[bytes], dict[bytes, int]]:
    rng = random.Random(seed)
    tokens = random_tokens(rng, b"abcd", 300, 5)
    return tokens, {bytes(rng.choices(b"abcd", k=rng.randint(2, 14))): int(rng.paretovariate(0.8)) for _ in range(n)}


def test_a_better_order_needs_fewer_tokens_and_is_what_the_encoder_does():
    tokens, counts = a_corpus(3)
    book = book_of(tokens, counts, "merges")
    before = book.total_tokens
    improve_order(book)
    assert book.total_tokens < before * 0.99
    assert sorted(book.tokens.tolist()) == list(range(len(tokens)))
    assert book.total_tokens == oracles.total_tokens("merges", ranks_after(tokens, book), counts)
    fewest = oracles.total_tokens("least-tokens", ranks_after(tokens, book), counts)
    assert fewest <= book.total_tokens


def test_distilling_in_order_keeps_as_many_and_needs_fewer():
    tokens, counts = a_corpus(4)
    protected = np.array([len(token) == 1 or k == 7 for k, token in enumerate(tokens)])
    plain, ordered = (book_of(tokens, counts, "merges") for _ in range(2))
    distill(plain, 330, protected)
    heard = []
    distill_in_order(ordered, 330, protected, lambda done, total: heard.append((done, total)))
    assert ordered.n_kept == plain.n_kept == 330
    assert set(np.flatnonzero(protected)) <= set(ordered.kept_tokens.tolist())
    assert ordered.total_tokens < plain.total_tokens
    assert ordered.total_tokens == oracles.total_tokens("merges", ranks_after(tokens, ordered), counts)
    assert all(0 <= done <= total == len(tokens) - 330 for done, total in heard)
    others = book_of(tokens, counts, "least-tokens")
    distill(others, 330, protected)
    recombine(ordered, others.kept, 330, protected)
    assert ordered.n_kept == 330
    assert ordered.total_tokens == oracles.total_tokens("merges", ranks_after(tokens, ordered), counts)


def test_the_order_does_not_depend_on_threads():
    tokens, counts = a_corpus(5)
    protected = np.array([len(token) == 1 for token in tokens])
    kept = []
    for n_threads in (1, 3):
        book = book_of(tokens, counts, "merges", n_threads)
        distill_in_order(book, 320, protected)
        kept.append(book.kept_tokens.tolist())
    assert kept[0] == kept[1]


@pytest.fixture(scope="module")
def reordered(cl100k, real_text, tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "text.txt"
    path.write_text(real_text)
    corpus = count(str(path), cl100k.pattern)
    results = {
        ranks: prune(cl100k, 4000, corpus=corpus, ranks=ranks, certify=ranks == "reorder")
        for ranks in ("source", "reorder")
    }
    return results, corpus


@pytest.mark.slow
def test_a_reordered_result_needs_fewer_tokens_than_one_in_the_source_s_order(reordered):
    results, _ = reordered
    ours, plain = results["reorder"].report, results["source"].report
    assert ours.result.train.n_tokens < plain.result.train.n_tokens
    assert 0 <= ours.above_least_tokens["train"] < plain.above_least_tokens["train"]
    row = ours.as_json()["rows"][1]
    assert ours.as_json()["held_out_gap"] == row["held_out_change"] - row["train_change"]
    assert (np.diff(results["source"].kept_ids) > 0).all()
    assert (np.diff(results["reorder"].kept_ids) < 0).any()


@pytest.mark.slow
def test_a_reordered_result_is_run_alike_by_everyone(reordered, cl100k, real_text, nasty, tmp_path):
    result = reordered[0]["reorder"]
    vocabulary = result.vocabulary
    tiktoken, tokenizers = vocabulary.to_tiktoken(), vocabulary.to_tokenizers()
    for text in [real_text[:200_000], *nasty]:
        ids = vocabulary.encode(text)
        assert tiktoken.encode_ordinary(text) == ids
        if not any(special in text for special in vocabulary.special_tokens):
            assert tokenizers.encode(text, add_special_tokens=False).ids == ids
    assert all(cl100k[old] == vocabulary[new] for old, new in result.id_map.items() if old < cl100k.n_tokens)
    result.save(tmp_path / "out")
    header = check_certificate.check(str(tmp_path / "out" / "certificate.zip"), str(tmp_path / "out" / "report.json"))
    assert header["tokens"] == result.report.result.train.n_tokens
    card = (tmp_path / "out" / "README.md").read_text()
    assert "in an order of their own" in card
    assert "by which merging needs fewer tokens than by the source's" in card


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ranks": "reorder", "inference": "least-tokens"}, "reordered for merges only"),
        ({"ranks": "reorder", "method": "frequency"}, "frequency keeps the source's order"),
        ({"ranks": "shuffle"}, "source or reorder, not 'shuffle'"),
    ],
)
def test_ranks_that_cannot_be_reordered_are_refused(cl100k, options, message):
    with pytest.raises(TargetError, match=message):
        prune(cl100k, 4000, **options)
