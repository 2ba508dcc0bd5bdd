"""Arithmetic of sizes, and what those around a target cost on a corpus."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vocab
from vocab.cli.app import app
from vocab.prune import prune
from vocab.prune.frontier.neighbours import measure_sizes
from vocab.sizes import SizeFacts, padded, parameter_bytes, size_facts, sizes_near
from vocab.vocabulary import Provenance, Vocabulary


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


# Sizes around a target


@given(st.integers(1, 200_000), st.integers(0, 3000))
def test_sizes_near_hold_the_best_of_each_side(target, within):
    found = sizes_near(target, within)
    assert found == sorted(set(found))
    assert {target, target + 1, max(1, target - 1)} <= set(found)
    assert all(size > 0 and abs(size - target) <= max(1, within) for size in found)
    for side in (range(max(1, target - within), target), range(target + 1, target + within + 1)):
        aligned = [size for size in side if size % 64 == 0]
        if aligned:
            highest = max(size_facts(size).trailing_zeros for size in aligned)
            assert any(size_facts(size).trailing_zeros == highest for size in set(found) & set(side))
        lightest = min((size.bit_count() for size in side if size % 8 == 0), default=99)
        if lightest < target.bit_count():
            assert any(size.bit_count() == lightest for size in set(found) & set(side))


def test_sizes_near_known():
    assert sizes_near(32_000, 1000) == [
        31_744, 31_872, 31_936, 31_999, 32_000, 32_001, 32_064, 32_128, 32_256, 32_768,
    ]  # fmt: skip
    assert sizes_near(1, 0) == [1, 2]
    for target, within in ((0, 5), (5, -1)):
        with pytest.raises(ValueError, match="at least"):
            sizes_near(target, within)


def test_memory_of_embedding_and_head():
    assert parameter_bytes(32_768, 2048, 2, tied=True) == 134_217_728
    assert parameter_bytes(32_768, 2048, 2, tied=False) == 268_435_456


@pytest.fixture(scope="module")
def source(cl100k):
    tokens = list(cl100k.tokens())[:3000]
    return Vocabulary.from_tokens(tokens, cl100k.pattern, {"<end>": 3000}, provenance=Provenance("first-3000"))


@pytest.fixture(scope="module")
def corpus(source, real_text, tmp_path_factory):
    place = tmp_path_factory.mktemp("sizes") / "text.txt"
    place.write_text(real_text[:300_000], encoding="utf-8")
    return vocab.count(place, source.pattern)


def test_the_largest_size_is_what_pruning_to_it_gives_and_each_smaller_needs_more(source, corpus):
    measured = measure_sizes(source, [1500, 1536, 1499, 1600, 9999], corpus, inference="least-tokens", n_threads=2)
    assert sorted(measured) == [1499, 1500, 1536, 1600]
    tokens = [measured[size].train.n_tokens for size in sorted(measured)]
    assert tokens == sorted(tokens, reverse=True)
    assert len(set(tokens)) == 4
    pruned = prune(source, 1600, corpus=corpus, inference="least-tokens").report.result
    assert measured[1600].train.n_tokens == pruned.train.n_tokens
    assert measured[1600].held_out.n_tokens == pruned.held_out.n_tokens


def test_the_size_of_the_source_is_the_source(source, corpus):
    whole = prune(source, 1000, corpus=corpus, method="rank").report.rows[0]
    assert measure_sizes(source, [source.n_ids], corpus)[source.n_ids].train == whole.train
    measured = measure_sizes(source, [source.n_ids, source.n_ids - 1], corpus, inference="least-tokens")
    assert measured[source.n_ids - 1].train.n_tokens >= measured[source.n_ids].train.n_tokens


def test_sizes_that_cannot_be_had(source, corpus):
    with pytest.raises(vocab.TargetError, match="target 200 is too small"):
        measure_sizes(source, [200, 1000], corpus)
    other = vocab.Vocabulary.from_tokens(source.tokens(), vocab.SplitPattern(r"\S+|\s+"))
    with pytest.raises(vocab.CorpusError, match="another split pattern"):
        measure_sizes(other, [1000], corpus)


def run(*words: str, capsys) -> str:
    app(["sizes", *words], standalone_mode=False)
    return capsys.readouterr().out


def test_the_command_without_a_corpus_is_arithmetic(capsys, tmp_path):
    shown = run("--near", "32000", "--width", "1024", "--out", str(tmp_path / "sizes.json"), capsys=capsys)
    assert all(len(line) <= 100 for line in shown.splitlines())
    assert "32,768" in shown
    assert "held-out" not in shown
    written = json.loads((tmp_path / "sizes.json").read_text())
    assert [row["n_tokens"] for row in written["sizes"]] == sizes_near(32_000, 1000)
    row = written["sizes"][-1]
    assert (row["hamming_weight"], row["trailing_zeros"], row["tied_bytes"]) == (1, 15, 32_768 * 1024 * 2)
    assert (written["source"], written["width"]) == (None, 1024)


def test_the_command_with_a_corpus(capsys, source, real_text, tmp_path):
    source.save(tmp_path / "source")
    (tmp_path / "text.txt").write_text(real_text[:200_000], encoding="utf-8")
    places = ["--source", str(tmp_path / "source"), "--corpus", str(tmp_path / "text.txt")]
    shown = run("--near", "1000", "--within", "64", *places, "--out", str(tmp_path / "s.json"), capsys=capsys)
    assert all(len(line) <= 100 for line in shown.splitlines())
    rows = {row["n_tokens"]: row for row in json.loads((tmp_path / "s.json").read_text())["sizes"]}
    assert rows[1000]["train_change"] == rows[1000]["held_out_change"] == 0
    assert rows[1024]["train_change"] < 0 < rows[960]["train_change"]
    with pytest.raises(vocab.TargetError, match="9999 is above the 3001 ids"):
        run("--near", "9999", *places, capsys=capsys)
    with pytest.raises(vocab.OutputError, match="cannot be written"):
        run("--near", "2000", "--out", str(tmp_path / "none/s.json"), capsys=capsys)
