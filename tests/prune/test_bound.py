"""The lower bound against every choice there is, and the steps of its search against every path there is."""

import itertools
import math

import numpy as np
import pytest
from helpers import oracles
from helpers.objectives import a_corpus, objective_of
from helpers.price_books import PATTERN, trie_of
from helpers.strategies import corpora, vocabularies
from hypothesis import given
from hypothesis import strategies as st

from vocab.pretokens.counts import PretokenCounts
from vocab.prune import check_certificate
from vocab.prune.bound import dual_kernels
from vocab.prune.bound.dual import DualSearch
from vocab.prune.bound.dual_kernels import FLOW
from vocab.prune.bound.limits import Limits
from vocab.prune.bound.objective import EdgePrices, Objective
from vocab.prune.bound.optimal import search
from vocab.prune.methods.pricing import PriceBook


def found_for(tokens, counts, n_others, always=(), n_threads=1, **limits):
    objective = objective_of(tokens, counts, n_others, always, n_threads)
    book = PriceBook(trie_of(tokens), PretokenCounts.from_mapping(counts, PATTERN), "least-tokens", n_threads)
    spare = np.flatnonzero(~objective.is_free)[objective.n_select :]
    book.change(drop=spare)
    return objective, search(objective, book, Limits(**limits))


def bound_by_hand(objective: Objective, tokens: list[bytes], prices: EdgePrices) -> int:
    """The same bound with the checker's plain Python."""
    lattice, everything = objective.lattice, set(tokens)
    prefixes = check_certificate.prefixes_of(everything)
    price_of = dict(zip(prices.edges.tolist(), prices.values.tolist(), strict=True))
    total, sums = 0, dict.fromkeys(range(len(tokens)), 0)
    for w, count in enumerate(objective.counts.tolist()):
        first, last = lattice.starts[w : w + 2].tolist()
        placed = {}
        for p in range(first, last):
            for e in range(lattice.edge_starts[p], lattice.edge_starts[p + 1]):
                token = int(lattice.edge_tokens[e])
                placed[p - first, p - first + len(tokens[token])] = price_of.get(e, 0)
                sums[token] += price_of.get(e, 0)
        segment = objective.blob[first:last].tobytes()
        total += check_certificate.shortest_path(segment, everything, prefixes, count * prices.unit, placed)
    return total - sum(sorted(sums.values(), reverse=True)[: objective.n_select])


@given(tokens=vocabularies(7), counts=corpora(5), n_others=st.integers(0, 7), seed=st.integers(0, 99), data=st.data())
def test_any_prices_give_a_bound_below_every_choice(tokens, counts, n_others, seed, data):
    long = [token for token in tokens if len(token) > 1]
    always = set(data.draw(st.lists(st.sampled_from(long), max_size=1))) if long else set()
    n_others = min(n_others, len(long) - len(always))
    objective = objective_of(tokens, counts, n_others, always, n_threads=1 + seed % 2)
    lattice = objective.lattice
    edges = np.flatnonzero(~objective.is_free[lattice.edge_tokens])
    values = np.random.default_rng(seed).integers(0, 3 * objective.unit * max(counts.values()), edges.size)
    prices = EdgePrices(edges, values, objective.unit)
    bound, used = objective.bound(prices)
    fixed = always | set(oracles.SINGLE_BYTES)
    best = oracles.fewest_tokens(tokens, fixed, len(fixed) + n_others, counts)
    assert bound.numerator == bound_by_hand(objective, tokens, prices)
    assert bound.numerator <= best * objective.unit
    assert bound.tokens <= best
    assert used.any()


@given(tokens=vocabularies(7), counts=corpora(5), n_others=st.integers(0, 7))
def test_the_best_choice_lies_between_the_bound_and_what_is_found(tokens, counts, n_others):
    n_others = min(n_others, len(tokens) - 256)
    objective, found = found_for(tokens, counts, n_others, gap=0.0, max_steps=60)
    best = oracles.fewest_tokens(tokens, set(oracles.SINGLE_BYTES), 256 + n_others, counts)
    assert found.bound.tokens <= best <= found.tokens
    kept = [token for token, is_kept in zip(tokens, found.kept, strict=True) if is_kept]
    assert len(kept) == 256 + n_others
    assert set(kept) >= set(oracles.SINGLE_BYTES)
    assert found.tokens == oracles.total_tokens("least-tokens", oracles.ranks_of(kept), counts)
    assert objective.bound(found.bound.prices)[0].numerator == found.bound.numerator


@given(tokens=vocabularies(7), counts=corpora(5), n_others=st.integers(0, 7), above=st.integers(0, 2))
def test_settled_tokens_are_in_every_choice_as_good_or_in_none(tokens, counts, n_others, above):
    """By trying all choices; the checker's plain Python finds the same tokens."""
    n_others = min(n_others, len(tokens) - 256)
    objective, found = found_for(tokens, counts, n_others, gap=0.0, max_steps=60)
    most = found.tokens + above
    is_in, is_out = objective.settled(found.bound, most)
    long = [token for token in tokens if len(token) > 1]
    as_good = [
        set(choice)
        for choice in itertools.combinations(long, n_others)
        if oracles.total_tokens("least-tokens", oracles.ranks_of([*oracles.SINGLE_BYTES, *choice]), counts) <= most
    ]
    names = [{token for token, k in zip(tokens, mask.tolist(), strict=True) if k} for mask in (is_in, is_out)]
    assert all(names[0] <= choice and not names[1] & choice for choice in as_good)
    lattice, prices = objective.lattice, found.bound.prices
    sums = dict.fromkeys(long, 0)
    for edge, value in zip(prices.edges.tolist(), prices.values.tolist(), strict=True):
        sums[tokens[lattice.edge_tokens[edge]]] += value
    slack = most * prices.unit - found.bound.numerator
    assert check_certificate.settled(sums, set(long), n_others, slack) == tuple(names)


def test_tokens_are_settled_where_the_bound_is_near():
    tokens, counts = a_corpus(3)
    objective, found = found_for(tokens, counts, 150, gap=0.0, max_steps=300)
    is_in, is_out = objective.settled(found.bound, found.tokens)
    assert np.count_nonzero(is_in) > 4
    assert not (is_in & ~found.kept).any()
    assert not (is_out & found.kept).any()


@given(tokens=vocabularies(12), counts=corpora(6), n_others=st.integers(0, 7), seed=st.integers(0, 99))
def test_improved_prices_prove_no_less(tokens, counts, n_others, seed):
    """Their bound is that of the checker's plain Python; prices of the largest sums leave no cheaper way around."""
    n_others = min(n_others, len(tokens) - 256)
    objective = objective_of(tokens, counts, n_others)
    edges = np.flatnonzero(~objective.is_free[objective.lattice.edge_tokens])
    values = np.random.default_rng(seed).integers(0, 2 * objective.unit * max(counts.values()), edges.size)
    before, _ = objective.bound(EdgePrices(edges, values, objective.unit))
    after = objective.improved(before)
    assert after.numerator >= before.numerator
    assert after.numerator == bound_by_hand(objective, tokens, after.prices)
    again = objective.improved(after)
    assert again.numerator >= after.numerator


@given(tokens=vocabularies(12), counts=corpora(4), seed=st.integers(0, 99))
def test_raised_prices_cannot_rise_further(tokens, counts, seed):
    """One more on any edge leaves the cheapest path of its segment as dear as it is."""
    objective = objective_of(tokens, counts, 3)
    lattice, is_long = objective.lattice, ~objective.is_free
    costs = np.random.default_rng(seed).integers(0, 9, lattice.n_edges) * is_long[lattice.edge_tokens]
    before = costs.copy()
    sums = np.bincount(lattice.edge_tokens, weights=costs, minlength=is_long.size).astype(np.int64)
    dual_kernels.lift_prices(lattice, objective.counts, 1, costs, sums, np.where(is_long, 2**40, 0))
    assert (costs >= before).all()
    assert sums.tolist() == np.bincount(lattice.edge_tokens, weights=costs, minlength=is_long.size).tolist()
    for w, count in enumerate(objective.counts.tolist()):
        first, last = lattice.starts[w : w + 2].tolist()
        edges = range(lattice.edge_starts[first], lattice.edge_starts[last])
        places = np.searchsorted(lattice.edge_starts, edges, side="right") - 1 - first
        ends = [(p, p + len(tokens[lattice.edge_tokens[e]])) for p, e in zip(places.tolist(), edges, strict=True)]
        segment = objective.blob[first:last].tobytes()

        def cheapest(prices, segment=segment, count=count, ends=ends):
            given = dict(zip(ends, prices.tolist(), strict=True))
            prefixes = check_certificate.prefixes_of(set(tokens))
            return check_certificate.shortest_path(segment, set(tokens), prefixes, count, given)

        least = cheapest(costs[edges])
        for k, e in enumerate(edges):
            if is_long[lattice.edge_tokens[e]]:
                assert cheapest(costs[edges] + (np.arange(len(edges)) == k)) == least


def test_improving_settles_more_tokens():
    tokens, counts = a_corpus(3)
    objective, found = found_for(tokens, counts, 150, gap=0.0, max_steps=300)
    dual = DualSearch(objective, 50.0)
    for _ in range(300):
        dual.step()
    plain = dual.bound()
    n_plain, n_improved = (
        np.count_nonzero(objective.settled(bound, found.tokens)[0]) for bound in (plain, objective.improved(plain))
    )
    assert n_improved > n_plain


def test_bound_and_vocabulary_are_near_each_other():
    tokens, counts = a_corpus(1)
    _, found = found_for(tokens, counts, 150, max_steps=300)
    assert 0 <= found.gap < 0.02
    worst = found_for(tokens, counts, 150, max_steps=1)[1]
    assert worst.bound.numerator < found.bound.numerator


def test_the_mean_of_prices_comes_near_the_best_bound_there_is():
    """HiGHS finds 79,131.99 for the relaxation; the prices of the last steps alone prove 0.9990 of it."""
    best, share = 79_131.99451570939, 0.9994
    dual = DualSearch(objective_of(*a_corpus(1), 30), 425.0)
    for n in range(1, 301):
        dual.step()
        if n in (14, 28, 60, 120, 200, 300):
            bound = dual.bound()
    assert share * best <= bound.numerator / bound.prices.unit <= best


def test_results_do_not_depend_on_threads():
    tokens, counts = a_corpus(2)
    founds = [found_for(tokens, counts, 120, n_threads=n, max_steps=60)[1] for n in (1, 3)]
    assert founds[0].bound.numerator == founds[1].bound.numerator
    assert np.array_equal(founds[0].bound.prices.edges, founds[1].bound.prices.edges)
    assert np.array_equal(founds[0].bound.prices.values, founds[1].bound.prices.values)
    assert np.array_equal(founds[0].kept, founds[1].kept)


def test_prices_that_cannot_be_are_refused():
    objective = objective_of([*oracles.SINGLE_BYTES, b"ab"], {b"ab": 1}, 1)
    token = objective.lattice.edge_tokens
    for edge, value in ((int(np.flatnonzero(token == 256)[0]), -1), (int(np.flatnonzero(token != 256)[0]), 1)):
        with pytest.raises(ValueError, match="below 0 or stands on a token"):
            objective.bound(EdgePrices(np.array([edge]), np.array([value]), 1))


def test_huge_counts_do_not_overflow():
    objective = objective_of([*oracles.SINGLE_BYTES, b"ab"], {b"abababab": 2**55}, 1)
    nothing = np.empty(0, dtype=np.int64)
    assert objective.bound(EdgePrices(nothing, nothing, objective.unit))[0].tokens == 4 * 2**55
    assert objective.tokens(np.ones(257, dtype=np.bool_)) == 4 * 2**55


def test_time_and_ctrl_c_end_a_search_with_what_it_has():
    tokens, counts = a_corpus(3)
    assert found_for(tokens, counts, 100, seconds=0.0)[1].stopped_by == "time"

    def stop(bound: int, best: int, done: int, of: int) -> None:
        if done == 20:
            raise KeyboardInterrupt

    objective = objective_of(tokens, counts, 100)
    book = PriceBook(trie_of(tokens), PretokenCounts.from_mapping(counts, PATTERN), "least-tokens")
    book.change(drop=np.flatnonzero(~objective.is_free)[100:])
    found = search(objective, book, Limits(), stop)
    assert found.stopped_by == "Ctrl-C"
    assert 0 < found.bound.tokens <= found.tokens
    assert found.kept.sum() == 356


@given(tokens=vocabularies(10), pieces=corpora(4))
def test_one_step_spreads_paths_by_their_cost(tokens, pieces):
    """From nothing, the chance of a path falls by e for each token and stride that it needs."""
    counts = dict.fromkeys(pieces, 1)
    objective = objective_of(tokens, counts, 1)
    dual = DualSearch(objective, threshold=10.0)
    stride = dual._stride
    dual._step_paths_and_prices()
    lattice = objective.lattice
    flows = dict(zip(dual._edges.tolist(), dual._state[:, FLOW].tolist(), strict=True))
    for w in range(lattice.n_pretokens):
        first, last = lattice.starts[w : w + 2].tolist()
        rate = 1 / (stride * min(int(objective.counts[w]), 10.0)) * int(objective.counts[w])
        paths = list(oracles.all_paths(set(tokens), objective.blob[first:last].tobytes()))
        chances = [math.exp(-rate * len(path)) for path in paths]
        for p in range(first, last):
            for e in range(lattice.edge_starts[p], lattice.edge_starts[p + 1]):
                place = (p - first, p - first + len(tokens[lattice.edge_tokens[e]]))
                if place[1] - place[0] > 1:
                    through = sum(c for c, path in zip(chances, paths, strict=True) if place in path)
                    assert flows[e] == pytest.approx(through / sum(chances), abs=2e-3)
