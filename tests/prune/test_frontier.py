"""The whole curve: orders that nest, the bound at every size, where tokens stop paying, and the picture."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import typer
from helpers import oracles
from helpers.objectives import a_corpus, objective_of
from helpers.price_books import trie_of
from helpers.strategies import corpora, vocabularies
from hypothesis import given
from hypothesis import strategies as st

import vocab
from vocab.choices import FRONTIER_METHODS
from vocab.cli.app import app, main
from vocab.corpus.counting import CorpusCounts, count_documents
from vocab.prune import ComputeModel, prune, trace_frontier
from vocab.prune.bound import dual_kernels
from vocab.prune.bound.objective import EdgePrices
from vocab.prune.frontier.bounds import DEFAULT_STEPS, bounds_at
from vocab.prune.frontier.figure import draw
from vocab.prune.frontier.neighbours import measure_sizes
from vocab.prune.frontier.payoff import TOLERANCE, payoff, saved_by_doubling, saved_per_id
from vocab.prune.frontier.trace import DEFAULT_FIRST, DEFAULT_POINTS
from vocab.prune.methods.baselines import by_leaf, leaf_order
from vocab.sizes import round_sizes, sizes_between
from vocab.splitting import CL100K_REGEX, SplitPattern
from vocab.vocabulary import Provenance, Vocabulary

# The bound at every size


def random_prices(objective, seed: int) -> EdgePrices:
    edges = np.flatnonzero(~objective.is_free[objective.lattice.edge_tokens])
    most = 3 * objective.unit * int(objective.counts.max())
    return EdgePrices(edges, np.random.default_rng(seed).integers(0, most, edges.size), objective.unit)


@pytest.mark.slow
@given(tokens=vocabularies(6), counts=corpora(4), n_others=st.integers(0, 6), seed=st.integers(0, 99))
def test_any_prices_bound_every_size(tokens, counts, n_others, seed):
    n_long = len(tokens) - 256
    objective = objective_of(tokens, counts, min(n_others, n_long), n_threads=1 + seed % 2)
    prices = random_prices(objective, seed)
    factor = Fraction(1 + seed % 5, 4)
    spread, scaled = objective.spread(prices), objective.spread(prices, factor)
    assert spread[objective.n_select] >= objective.bound(prices)[0].numerator
    assert spread.size == scaled.size == n_long + 1
    for n in range(n_long + 1):
        best = oracles.fewest_tokens(tokens, set(oracles.SINGLE_BYTES), 256 + n, counts)
        assert max(spread[n], scaled[n]) <= best * objective.unit


@pytest.mark.slow
@given(tokens=vocabularies(8), counts=corpora(3), seed=st.integers(0, 99))
def test_prices_are_lowered_to_what_shortest_paths_need(tokens, counts, seed):
    objective = objective_of(tokens, counts, 1)
    lattice, prices = objective.lattice, random_prices(objective, seed)
    costs = np.zeros(lattice.n_edges, dtype=np.int64)
    costs[prices.edges] = prices.values
    before, lowered = costs.copy(), costs
    total = dual_kernels.tighten_prices(lattice, objective.counts, objective.unit, lowered, 0, lattice.n_pretokens)
    assert (lowered <= before).all()
    same = EdgePrices(prices.edges, lowered[prices.edges], objective.unit)
    for n in range(len(tokens) - 255):
        assert replace(objective, n_select=n).bound(same)[0].numerator == objective.spread(prices)[n]
    assert total == objective.spread(prices)[0]
    for w in range(lattice.n_pretokens):
        first, last = lattice.starts[w : w + 2].tolist()
        edges = range(lattice.edge_starts[first], lattice.edge_starts[last])
        starts = np.searchsorted(lattice.edge_starts, edges, side="right") - 1 - first
        places = {
            (int(a), int(a + lattice.lengths[lattice.edge_tokens[e]])): e for a, e in zip(starts, edges, strict=True)
        }
        expected = oracles.tightened(
            tokens,
            objective.blob[first:last].tobytes(),
            int(objective.counts[w]) * objective.unit,
            {place: int(before[e]) for place, e in places.items()},
        )
        assert {place: int(lowered[e]) for place, e in places.items()} == expected


def test_without_prices_the_bound_is_what_all_tokens_need():
    tokens, counts = a_corpus(4)
    objective = objective_of(tokens, counts, 100)
    nothing = np.empty(0, dtype=np.int64)
    everything = objective.tokens(np.ones(len(tokens), dtype=np.bool_))
    assert set(objective.spread(EdgePrices(nothing, nothing, objective.unit)).tolist()) == {everything * objective.unit}


def test_prices_too_large_to_add_up_prove_nothing():
    long = [b"a" * n for n in range(2, 17)]
    objective = objective_of([*oracles.SINGLE_BYTES, *long], {b"a" * 32: 2**55}, 1)
    prices = random_prices(objective, 0)
    huge = EdgePrices(prices.edges, np.full(prices.edges.size, 2**60), objective.unit)
    assert objective.spread(huge).tolist() == [2 * 2**55 * objective.unit] * (len(long) + 1)


@pytest.mark.slow
def test_bounds_at_sizes_are_below_all_choices_and_near_the_best():
    tokens, counts = a_corpus(5)
    numbers = [10, 20, 50, 100, 150, 200, 300, len(tokens) - 256]
    objective = objective_of(tokens, counts, numbers[-1])
    uses = np.array([sum(n for piece, n in counts.items() if token in piece) for token in tokens])
    order = [k for k in np.argsort(-uses, kind="stable") if len(tokens[k]) > 1]
    fewest = []
    for n in numbers:
        kept = objective.is_free.copy()
        kept[order[:n]] = True
        fewest.append(objective.tokens(kept))
    heard = []
    found = bounds_at(objective, numbers, fewest, 40, lambda done, total: heard.append((done, total)))
    assert all(bound <= tokens for bound, tokens in zip(found, fewest, strict=True))
    assert found == sorted(found, reverse=True)
    assert found[-1] == fewest[-1]
    loose = bounds_at(objective, numbers, fewest, 0)
    assert set(loose) == {fewest[-1]}
    assert all(a > b for a, b in zip(found[:5], loose, strict=False))
    assert heard[0][0] == 0
    assert all(total == heard[0][1] for _, total in heard)
    assert bounds_at(objective_of(tokens, counts, 1, n_threads=3), numbers, fewest, 40) == found


@given(tokens=vocabularies(7), counts=corpora(5))
def test_bounds_at_tiny_sizes_hold(tokens, counts):
    n_long = len(tokens) - 256
    objective = objective_of(tokens, counts, n_long)
    best = [oracles.fewest_tokens(tokens, set(oracles.SINGLE_BYTES), 256 + n, counts) for n in range(n_long + 1)]
    found = bounds_at(objective, list(range(n_long + 1)), best, 15)
    assert all(bound <= fewest for bound, fewest in zip(found, best, strict=True))
    assert found[-1] == best[-1]


# Orders


@given(tokens=vocabularies(12), seed=st.integers(0, 99))
def test_the_leaf_order_is_that_of_dropping_one_by_one(tokens, seed):
    source = Vocabulary.from_tokens(tokens, SplitPattern(CL100K_REGEX))
    uses = np.random.default_rng(seed).integers(0, 5, len(tokens))
    parents = {}
    for token in tokens:
        without = {t: rank for rank, t in enumerate(tokens) if t != token}
        spelt = oracles.encode_merges(without, token) if len(token) > 1 else []
        if len(spelt) == 2:
            parents[token] = (spelt[0], spelt[1])
    expected = oracles.leaf_order(parents, dict(zip(tokens, uses.tolist(), strict=True)), tokens)
    protected = source.lengths == 1
    order = leaf_order(source, trie_of(tokens), uses, protected, len(tokens))
    assert [tokens[k] for k in order.tolist()] == expected
    for n_keep in range(256, len(tokens) + 1):
        kept = by_leaf(source, trie_of(tokens), uses, protected, n_keep)
        assert set(np.flatnonzero(~kept)) == set(order[: len(tokens) - n_keep])


@given(st.integers(1, 10**5), st.integers(1, 10**5), st.integers(2, 60))
def test_sizes_between_hold_the_ends_and_the_round_ones(first, more, n_even):
    last = first + more
    found = sizes_between(first, last, n_even)
    assert found == sorted(set(found))
    assert (found[0], found[-1]) == (first, last)
    assert set(round_sizes(first, last)) <= set(found)
    assert len(found) <= n_even + len(round_sizes(first, last))
    # Nothing wider than a step of the even grid, give or take what was too near a round size.
    widest = max(b / a for a, b in pairwise(found))
    assert widest <= max(2.0, (last / first) ** (1 / (n_even - 1)) * 1.07 + 1)


def test_sizes_between_known():
    assert round_sizes(1000, 33_000) == [
        1000, 1024, 2000, 2048, 4000, 4096, 8000, 8192, 16_000, 16_384, 32_000, 32_768, 33_000,
    ]  # fmt: skip
    assert sizes_between(1000, 3000, 3) == [1000, 1024, 1732, 2000, 2048, 3000]
    for first, last, n in ((5, 5, 9), (0, 5, 9), (9, 5, 9), (5, 9, 1)):
        with pytest.raises(ValueError, match="no sizes lie between"):
            sizes_between(first, last, n)


# Where tokens stop paying


def test_tokens_stop_paying_where_the_head_costs_what_they_save():
    """With tokens falling as n to the power of -e, the least of (B + n·d)·n⁻ᵉ is at n = e·B / ((1 - e)·d)."""
    decoder = ComputeModel(width=512, n_layers=8)
    assert decoder.n_body == 12 * 8 * 512 * 512
    sizes = list(range(1000, 100_000, 250))
    tokens = [round(1e12 * size**-0.2) for size in sizes]
    found = payoff(sizes, tokens, decoder)
    assert found.n_ids == pytest.approx(0.2 * decoder.n_body / (0.8 * 512), abs=2)
    assert not found.is_last
    assert min(found.costs) == pytest.approx(1.0, abs=1e-6)
    for size, cost in zip(sizes, found.costs, strict=True):
        assert (cost <= 1 + TOLERANCE) == (found.from_n_ids <= size <= found.to_n_ids)
    assert payoff(sizes, tokens, ComputeModel(512, 10_000)).is_last


@pytest.mark.parametrize("n_points", [6, 9, 17, 40])
def test_where_tokens_stop_paying_does_not_depend_on_the_sizes_measured(n_points):
    """On a curve that is no power of the size: its slope falls from 0.5 to 0.1 as a vocabulary's does."""

    def tokens_at(size):
        return round(1e12 * size**-0.1 * (1 + (2000 / size) ** 0.7))

    decoder = ComputeModel(width=1024, n_layers=8)
    sizes = sizes_between(1000, 100_000, n_points)
    found, exact = (payoff(each, [tokens_at(n) for n in each], decoder) for each in (sizes, range(1000, 100_000, 50)))
    assert found.n_ids == pytest.approx(exact.n_ids, rel=0.08)
    assert found.least == pytest.approx(exact.least, rel=5e-3)
    assert (found.from_n_ids, found.to_n_ids) == pytest.approx((exact.from_n_ids, exact.to_n_ids), rel=0.1)


def test_payoff_of_few_sizes():
    found = payoff([10, 20, 30], [100, 100, 100], ComputeModel(1, 1))
    assert (found.n_ids, found.from_n_ids, found.to_n_ids, found.is_last) == (10, 10, 10, False)
    assert found.costs == pytest.approx([1, 32 / 22, 42 / 22])
    # Only the run around the least counts as near it.
    found = payoff([1, 2, 3, 4], [1300, 2000, 1130, 1060], ComputeModel(1, 1))
    assert (found.n_ids, found.from_n_ids, found.to_n_ids, found.is_last) == (1, 1, 1, False)
    empty = payoff([10, 20], [0, 0], ComputeModel(1, 1))
    assert (empty.n_ids, empty.costs) == (10, [1.0, 1.0])


def test_savings_by_hand():
    assert saved_per_id([10, 20, 40], [100, 50, 40]) == [5.0, 0.5, None]
    assert saved_by_doubling([10, 20, 40], [100, 50, 40]) == pytest.approx([0.5, 0.2, None])
    assert saved_by_doubling([100, 101, 200, 400], [100, 99, 60, 30])[0] == pytest.approx(0.4)
    assert saved_by_doubling([10, 11, 12], [0, 0, 0]) == [0.0, None, None]


# The frontier of a small source


@pytest.fixture(scope="module")
def source(cl100k):
    tokens = list(cl100k.tokens())[:3000]
    return Vocabulary.from_tokens(
        tokens, cl100k.pattern, {"<end>": 3000}, provenance=Provenance("first-3000", "ab" * 32)
    )


@pytest.fixture(scope="module")
def corpus(source, real_text, tmp_path_factory):
    place = tmp_path_factory.mktemp("frontier") / "text.txt"
    place.write_text(real_text[:400_000], encoding="utf-8")
    return vocab.count(place, source.pattern)


@pytest.fixture(scope="module")
def traced(source, corpus):
    return trace_frontier(source, corpus=corpus, first=400, n_points=5, n_threads=2)


def test_every_curve_has_every_size_and_ends_at_the_source(traced, source, corpus):
    assert traced.sizes == sizes_between(400, 3001, 5)
    assert [curve.method for curve in traced.curves] == list(FRONTIER_METHODS)
    whole = prune(source, 1000, corpus=corpus, method="rank").report.rows[0]
    for curve in traced.curves:
        assert len(curve.train) == len(curve.held_out) == len(traced.sizes) == len(traced.bound)
        assert (curve.train[-1], curve.held_out[-1]) == (whole.train, whole.held_out)
        assert all(gap >= 0 for gap in traced.gaps(curve))


def test_each_method_is_what_pruning_to_a_size_gives(traced, source, corpus):
    k = traced.sizes.index(1000)
    rows = {row.name: row for row in prune(source, 1000, corpus=corpus, method="distill").report.rows}
    for curve in traced.curves[1:]:
        assert curve.train[k].n_tokens == rows[curve.method].train.n_tokens
        assert curve.held_out[k].n_tokens == rows[curve.method].held_out.n_tokens
    measured = measure_sizes(source, traced.sizes, corpus)
    assert traced.curves[0].train == [measured[size].train for size in traced.sizes]
    # Exchanges at the end make a single pruning better than the order that serves all sizes.
    assert traced.curves[0].train[k].n_tokens == pytest.approx(rows["distill"].train.n_tokens, rel=0.03)


@pytest.mark.parametrize("inference", ["least-tokens", "ungreedy"])
def test_the_bound_holds_for_every_inference_method(source, corpus, traced, inference):
    found = trace_frontier(
        source, corpus=corpus, inference=inference, methods=["distill", "leaf"], first=400, n_points=5, n_threads=1
    )
    assert all(gap >= 0 for curve in found.curves for gap in found.gaps(curve))
    if inference == "least-tokens":
        assert found.gaps(found.curves[0])[-1] == 0
        assert max(found.gaps(found.curves[0])) < 0.1


def test_the_bound_is_below_what_optimal_finds(traced, source, corpus):
    best = vocab.prune.best_possible(source, 1000, corpus=corpus)
    bound = traced.bound[traced.sizes.index(1000)].n_tokens
    assert 0.97 * best.bound_tokens < bound <= best.tokens


def test_the_bound_is_on_real_text_where_a_prior_chooses(source, corpus):
    with_prior = replace(corpus, prior=1.5)
    options = {"methods": ["rank"], "first": 1000, "last": 2000, "n_points": 2, "n_steps": 5}
    plain, other = (trace_frontier(source, corpus=c, **options) for c in (corpus, with_prior))
    assert plain.bound == other.bound
    assert plain.curves == other.curves


@pytest.mark.slow
def test_a_frontier_is_the_same_on_any_number_of_threads(traced, source, corpus):
    again = trace_frontier(source, corpus=corpus, first=400, n_points=5, n_threads=3)
    assert (again.curves, again.bound) == (traced.curves, traced.bound)
    assert draw(again, "svg") == draw(traced, "svg")


def test_the_json_says_what_the_curves_are(traced):
    content = json.loads(json.dumps(traced.as_json()))
    assert content["source"]["sha256"] == "ab" * 32
    assert {"numpy", "numba", "vocabkit"} <= set(content["versions"])
    assert content["corpus"]["parts"][0]["n_bytes_train"] == traced.curves[0].train[0].n_bytes
    assert list(content["seconds"]) == ["prepare the corpus", *FRONTIER_METHODS, "raise the bound"]
    for curve, shown in zip(traced.curves, content["curves"], strict=True):
        for side in ("train", "held_out"):
            tokens = [text.n_tokens for text in getattr(curve, side)]
            assert shown[side]["tokens"] == tokens
            steps = zip(pairwise(traced.sizes), shown[side]["tokens_saved_per_added_id"], strict=False)
            assert sum((b - a) * saved for (a, b), saved in steps) == pytest.approx(tokens[0] - tokens[-1])
        least = shown["least_compute"]
        assert least["relative_compute"][traced.sizes.index(least["n_ids"])] == 1.0
        assert least["on"] == "held_out"
    assert content["bound"]["tokens_at_least"] == [text.n_tokens for text in traced.bound]


def test_what_cannot_be_traced_is_refused(source, corpus):
    cases = [
        ({"first": 200}, "no vocabulary has 200 ids: 256 single bytes and 1 special tokens .* from 257 or more"),
        ({"last": 9999}, "sizes cannot go to 9999: first-3000 has 3001 ids"),
        ({"first": 3001}, "no sizes from 3001 to 3001"),
        ({"methods": ["best"]}, "no order is called 'best'; there are distill, frequency, leaf, rank"),
        ({"methods": []}, "at least one method"),
        ({"methods": ["rank", "rank"]}, "each of them once"),
        ({"inference": "guess"}, "no inference method is called 'guess'"),
    ]
    for options, message in cases:
        with pytest.raises(vocab.TargetError, match=message):
            trace_frontier(source, corpus=corpus, **options)
    pieces = replace(source, inference="unigram", byte_fallback=True)
    with pytest.raises(
        vocab.TargetError, match="goes from characters, and the frontier is of tokens that go from bytes"
    ):
        trace_frontier(pieces, corpus=corpus)
    other = Vocabulary.from_tokens(source.tokens(), SplitPattern(r"\S+|\s+"))
    with pytest.raises(vocab.CorpusError, match="another split pattern"):
        trace_frontier(other, corpus=corpus)


def test_from_the_least_size_there_is(source, corpus):
    found = trace_frontier(source, corpus=corpus, methods=["frequency"], first=257, last=300, n_points=3, n_steps=3)
    assert found.curves[0].train[0].n_tokens == found.curves[0].train[0].n_bytes == found.bound[0].n_tokens


# The picture


def labels(svg: bytes) -> str:
    return svg.decode("utf-8")


@pytest.mark.slow
def test_the_picture_says_what_it_shows(traced):
    svg = labels(draw(traced, "svg"))
    for text in (
        "first-3000 pruned",
        "Held-out text",
        "bytes a token",
        "vocabulary size, ids",
        "bound",
        "above the bound",
    ):
        assert text in svg, text
    assert all(f">{method}<" in svg for method in FRONTIER_METHODS)
    assert f"{traced.payoff(traced.curves[0]).n_ids:,} ids" in svg
    png = draw(traced, "png")
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert png.endswith(b"IEND\xaeB`\x82")
    assert (png, svg) == (draw(traced, "png"), labels(draw(traced, "svg")))


@pytest.mark.slow
def test_a_picture_without_held_out_text_and_with_one_method(source):
    part = count_documents(["All of this is one document. " * 40], "tiny", source.pattern)
    found = trace_frontier(source, corpus=CorpusCounts((part,)), methods=["rank"], first=1000, n_points=2, n_steps=2)
    assert not found.has_held_out
    assert found.as_json()["curves"][0]["least_compute"]["on"] == "train"
    svg = labels(draw(found, "svg"))
    assert "Held-out" not in svg
    assert ">rank<" in svg
    assert ">distill<" not in svg


@pytest.mark.slow
def test_drawing_leaves_the_settings_of_matplotlib_alone(traced):
    import matplotlib as mpl

    with mpl.rc_context({"font.size": 33, "svg.fonttype": "path"}):
        assert draw(traced, "svg") == draw(traced, "svg")
        assert (mpl.rcParams["font.size"], mpl.rcParams["svg.fonttype"]) == (33, "path")
        loud = draw(traced, "svg")
    assert loud == draw(traced, "svg")
    assert "matplotlib.pyplot" not in sys.modules


# The command


def run(*words: object, capsys) -> str:
    app(["frontier", *map(str, words)], standalone_mode=False)
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def places(source, real_text, tmp_path_factory):
    folder = tmp_path_factory.mktemp("command")
    source.save(folder / "source")
    (folder / "text.txt").write_text(real_text[:200_000], encoding="utf-8")
    return ["--source", folder / "source", "--corpus", folder / "text.txt"]


def test_the_command_writes_figures_and_pictures(capsys, places, tmp_path):
    files = {kind: tmp_path / f"curve.{kind}" for kind in ("json", "png", "svg")}
    options = [word for kind, path in files.items() for word in ("--out" if kind == "json" else f"--{kind}", path)]
    small = ["--method", "frequency", "--method", "rank", "--from", 500, "--points", 4, "--steps", 5]
    shown = run(*places, *small, "--width", 64, "--layers", 2, *options, capsys=capsys)
    assert all(len(line) <= 100 for line in shown.splitlines() if not line.startswith("Wrote"))
    content = json.loads(files["json"].read_text())
    least = content["curves"][0]["least_compute"]
    assert f"stop paying at {least['n_ids']:,} ids" in shown
    assert content["decoder"] == {"width": 64, "layers": 2, "n_body_parameters": 98304}
    assert f"{content['curves'][0]['held_out']['bytes_per_token'][0]:.3f}" in shown
    assert files["png"].read_bytes().startswith(b"\x89PNG")
    assert f"{least['n_ids']:,} ids" in files["svg"].read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["curve.json", "curve.png", "curve.svg"]


def test_the_command_and_the_library_agree_on_what_goes_without_saying():
    command = typer.main.get_command(app).commands["frontier"]
    said = {parameter.name: parameter.default for parameter in command.params}
    assert (said["points"], said["steps"], said["first"]) == (DEFAULT_POINTS, DEFAULT_STEPS, DEFAULT_FIRST)
    assert ComputeModel(said["width"], said["layers"]) == ComputeModel()
    methods = next(p for p in command.params if p.name == "method")
    assert tuple(methods.metavar.split("|")) == FRONTIER_METHODS


def refused(*words: object, monkeypatch, capsys) -> str:
    monkeypatch.setattr(sys, "argv", ["vocab", "frontier", *map(str, words)])
    with pytest.raises(SystemExit) as stopped:
        main()
    screen = capsys.readouterr()
    assert (stopped.value.code, screen.out) == (2, "")
    return screen.err


def test_files_that_cannot_be_written_are_refused_before_the_work(monkeypatch, capsys, places, tmp_path):
    (tmp_path / "file").write_text("")
    cases = [
        (["--out", tmp_path], "it is a folder"),
        (["--png", tmp_path / "none/a.png"], "there is no folder"),
        (["--svg", tmp_path / "file/a.svg"], "there is no folder"),
        (["--png", tmp_path / "a", "--svg", tmp_path / "a"], "to the same file"),
        ([*places, "--from", 9], "no vocabulary has 9 ids"),
        ([*places, "--from", 2000, "--to", 1000], "no sizes from 2000 to 1000"),
        ([*places, "--method", "best"], "best"),
    ]
    for words, message in cases:
        errors = refused(*words, monkeypatch=monkeypatch, capsys=capsys)
        assert message in " ".join(errors.split()), errors
        assert "Traceback" not in errors
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_without_matplotlib_the_extra_is_named(monkeypatch, capsys, places, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    errors = refused(*places, "--png", tmp_path / "a.png", monkeypatch=monkeypatch, capsys=capsys)
    assert errors == (
        "vocab: drawing a picture needs the package matplotlib, which is not installed: pip install 'vocabkit[plots]'\n"
    )
    small = ["--method", "rank", "--from", 2000, "--points", 2, "--steps", 0]
    run(*places, *small, "--out", tmp_path / "a.json", capsys=capsys)
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("where", ["vocab.prune.frontier.trace.bounds_at", "vocab.prune.frontier.figure._figure"])
def test_ctrl_c_leaves_earlier_files_as_they_were(monkeypatch, capsys, places, tmp_path, where):
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    (tmp_path / "a.json").write_text("earlier")
    monkeypatch.setattr(where, stop)
    files = ["--out", tmp_path / "a.json", "--png", tmp_path / "a.png", "--force"]
    small = ["--method", "rank", "--from", 2000, "--points", 2, "--steps", 1]
    monkeypatch.setattr(sys, "argv", ["vocab", "frontier", *map(str, [*places, *small, *files])])
    with pytest.raises(SystemExit) as stopped:
        main()
    screen = capsys.readouterr()
    assert (stopped.value.code, screen.err, screen.out) == (130, "vocab: stopped; nothing was written\n", "")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a.json": "earlier"}


@pytest.mark.slow
def test_help_and_figures_alone_do_not_load_matplotlib(places):
    words = [*map(str, places), "--method", "rank", "--from", "2000", "--points", "2", "--steps", "0"]
    code = f"import sys\nfrom vocab.cli.app import app\napp({['frontier', *words]!r}, standalone_mode=False)\n"
    code += "print('matplotlib' in sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "100"}
    )
    assert done.stderr == "False\n"
