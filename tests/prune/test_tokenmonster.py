"""TokenMonster's search among random vocabularies."""

import random
from itertools import accumulate

import numpy as np
import pytest
from helpers import oracles
from helpers.oracles import METHODS, SINGLE_BYTES
from helpers.strategies import corpora, vocabularies
from helpers.texts import random_tokens
from hypothesis import given
from hypothesis import strategies as st

import vocab
from vocab.encoding.lattice import TokenTrie
from vocab.pretokens.counts import PretokenCounts
from vocab.prune import prune
from vocab.prune.methods.baselines import BASELINES
from vocab.prune.methods.tokenmonster import Scorer, by_tokenmonster

TARGET = 3000


def scorer_of(tokens: list[bytes], counts: dict[bytes, int], method: str, n_threads: int = 1) -> Scorer:
    starts = np.array([0, *accumulate(map(len, tokens))], dtype=np.int64)
    trie = TokenTrie.build(np.frombuffer(b"".join(tokens), dtype=np.uint8), starts)
    return Scorer(trie, PretokenCounts.from_mapping(counts, "digest"), method, n_threads)


def singles(tokens: list[bytes]) -> np.ndarray:
    return np.array([len(token) == 1 for token in tokens])


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@given(tokens=vocabularies(), counts=corpora(), data=st.data())
def test_scores_are_the_bytes_that_tokens_cover(method, tokens, counts, data):
    kept = singles(tokens) | np.array([data.draw(st.booleans()) for _ in tokens])
    ranks = {token: k for k, token in enumerate(tokens) if kept[k]}
    total, scores = scorer_of(tokens, counts, method).score(kept)
    expected = np.zeros(len(tokens), dtype=np.int64)
    for piece, count in counts.items():
        for k in oracles.encode(method, ranks, piece):
            expected[k] += count * len(tokens[k])
    assert total == oracles.total_tokens(method, ranks, counts)
    assert scores.tolist() == expected.tolist()


@pytest.mark.slow
@given(tokens=vocabularies(), counts=corpora(), data=st.data())
def test_any_size_of_any_pool(tokens, counts, data):
    """Corpora so small that most tokens are never used, where pools could vanish in one round."""
    protected = singles(tokens) | np.array([data.draw(st.integers(0, 9)) == 0 for _ in tokens])
    n_keep = data.draw(st.integers(int(protected.sum()), len(tokens)))
    scorer = scorer_of(tokens, counts, "longest-prefix")
    kept = by_tokenmonster(scorer, protected, n_keep, keep_trying=5)
    assert kept.sum() == n_keep
    assert kept[protected].all()


@pytest.fixture(scope="module")
def example() -> tuple[list[bytes], dict[bytes, int]]:
    rng = random.Random(31)
    tokens = random_tokens(rng, b"abcde ", 600, 6)
    return tokens, {bytes(rng.choices(b"abcde ", k=rng.randint(1, 20))): rng.randint(1, 50) for _ in range(300)}


@pytest.mark.parametrize("method", METHODS)
def test_better_than_any_of_many_random_vocabularies(method, example):
    tokens, counts = example
    scorer, protected = scorer_of(tokens, counts, method), singles(tokens)
    kept = by_tokenmonster(scorer, protected, 256 + 80, keep_trying=30)
    rng = np.random.default_rng(3)
    others = []
    for _ in range(200):
        other = protected.copy()
        other[rng.permutation(np.flatnonzero(~protected))[:80]] = True
        others.append(scorer.score(other)[0])
    assert scorer.score(kept)[0] < min(others)


def test_the_same_seed_gives_the_same_on_any_threads(example):
    tokens, counts = example
    protected = singles(tokens)
    found = [
        by_tokenmonster(scorer_of(tokens, counts, "merges", n), protected, 300, seed=seed, keep_trying=20)
        for n, seed in ((1, 0), (3, 0), (1, 1))
    ]
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_progress_is_heard(example):
    tokens, counts = example
    heard = []
    scorer = scorer_of(tokens, counts, "merges")
    by_tokenmonster(scorer, singles(tokens), 300, keep_trying=20, on_progress=lambda *step: heard.append(step))
    assert {stage for stage, _, _ in heard} == {"drop tokens", "try vocabularies"}
    assert all(0 <= done <= total for _, done, total in heard)


def test_more_protected_than_asked_for():
    tokens = [*SINGLE_BYTES, b"ab"]
    scorer = scorer_of(tokens, {b"ab": 1}, "merges")
    with pytest.raises(ValueError, match="100 tokens cannot be kept"):
        by_tokenmonster(scorer, singles(tokens), 100)
    assert np.array_equal(by_tokenmonster(scorer, singles(tokens), 256), singles(tokens))


def test_pruning_with_it(cl100k, real_text, tmp_path):
    (tmp_path / "text.txt").write_text(real_text[:300_000], encoding="utf-8")
    corpus = vocab.count(tmp_path / "text.txt", cl100k.pattern)
    small = vocab.Vocabulary.from_tokens(list(cl100k.tokens())[:8000], cl100k.pattern, {"<end>": 8000})
    results = [
        prune(small, TARGET, corpus=corpus, method="tokenmonster", inference="least-tokens", seed=seed, n_threads=n)
        for seed, n in ((4, 1), (4, 2))
    ]
    first, second = results
    assert first.report.seed == 4
    assert first.vocabulary == second.vocabulary
    assert first.vocabulary.n_ids == TARGET
    rows = {row.name: row.train.n_tokens for row in first.report.rows}
    assert list(rows) == ["unnamed", "tokenmonster", *BASELINES]
    assert rows["tokenmonster"] < rows["rank"]
    assert prune(small, TARGET, corpus=corpus, method="rank").report.seed is None
