"""New scores for a smaller Unigram vocabulary: probabilities fitted to the counts by expectation-maximization.

When pieces are dropped, others take their places, so the old scores no longer say how often a piece is used. EM (Kudo
2018, "Subword Regularization", section 3.2) gives each piece the probability with which it is used over all ways to cut
the corpus, each weighted by its own probability. Scores are then rounded, so that runtimes agree, which add them up in
different precision.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vocab.arrays import frozen
from vocab.encoding.inference import LatticeEncoder
from vocab.encoding.lattice import Lattice, Segments
from vocab.encoding.unigram import byte_score
from vocab.pretokens.counts import PretokenCounts
from vocab.prune.methods.pricing import MAX_PRICED_BYTES
from vocab.prune.methods.refit_kernels import expected_uses, new_room
from vocab.threads import shard_bounds
from vocab.vocabulary import Vocabulary

# Pre-tokens are summed up in runs of about this many bytes whatever the number of threads: sums of floats depend on
# their order.
_RUN_BYTES = 1 << 20
_N_ROUNDS = 4
# Uses that a piece counts with at least: some pieces are kept that the corpus does not use.
_LEAST_USES = 0.5
# Scores are multiples of 1 / 128: float32 holds sums of them exactly up to 131,072, and sentencepiece starts over at
# 100,000, so that no text is so long that rounding decides.
_STEPS = 128

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Refit:
    """A vocabulary with fitted scores.

    Attributes:
        vocabulary: the same pieces with fitted scores.
        likelihoods: log-likelihood of the counts before each round.
    """

    vocabulary: Vocabulary
    likelihoods: list[float]


def refit(vocabulary: Vocabulary, counts: PretokenCounts, *, scale: int = 1, n_threads: int = 1) -> Refit:
    """Fit the scores of a Unigram vocabulary to pre-tokens with counts, in a few rounds from its own scores.

    A piece that fitted scores would never produce gets the least score with which it is produced.

    Args:
        vocabulary: a Unigram vocabulary.
        counts: pre-tokens with counts.
        scale: what the counts of the corpus were multiplied by.
        n_threads: threads; the result does not depend on how many.
    """
    trie = vocabulary.encoder.trie
    cut = Segments.build(trie, counts.blob, counts.starts, counts.counts, MAX_PRICED_BYTES, n_threads)
    lattice = Lattice.build(trie, cut.blob, cut.starts, n_threads)
    logs = np.zeros(vocabulary.n_tokens) if vocabulary.scores is None else vocabulary.scores.astype(np.float64)
    likelihoods, n = [], vocabulary.n_stand_ins
    for _ in range(_N_ROUNDS):
        uses, likelihood = _expected(lattice, logs, cut.counts, n_threads)
        likelihoods.append(likelihood)
        uses[n:] = np.maximum(uses[n:], _LEAST_USES * scale)
        logs[n:] = np.log(uses[n:]) - np.log(uses[n:].sum())
    logs[:n] = 0
    steps = _reachable(vocabulary, np.rint(logs * _STEPS).astype(np.int64))
    return Refit(replace(vocabulary, scores=_from_steps(steps, n)), likelihoods)


def rounded(scores: npt.NDArray[np.floating[Any]], n_stand_ins: int = 256) -> npt.NDArray[np.float32]:
    """Round scores so that every runtime adds them up to the same sums, float32; the first are of stand-ins."""
    return _from_steps(np.rint(scores.astype(np.float64) * _STEPS), n_stand_ins)


def _from_steps(steps: npt.NDArray[np.floating[Any] | np.int64], n_stand_ins: int) -> npt.NDArray[np.float32]:
    scores = (steps / _STEPS).astype(np.float32)
    if n_stand_ins == 256:
        scores[:256] = byte_score(scores)
    return scores


def _reachable(vocabulary: Vocabulary, steps: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Raise scores (int64[n_tokens]) where a token has a lower one than the sum of others that spell it.

    Those are shorter, so after as many passes as the longest token has characters nothing is left to raise.
    """
    trie = vocabulary.encoder.trie
    lattice = Lattice.build(trie, vocabulary.blob, vocabulary.starts, n_whole=0)
    ids, sizes = np.empty(vocabulary.blob.size, dtype=np.int32), np.empty(steps.size, dtype=np.int32)
    while True:
        encoder = LatticeEncoder("unigram", replace(trie, units=steps), lattice, vocabulary.blob)
        encoder.encode(np.ones(steps.size, dtype=np.bool_), 0, steps.size, ids, sizes, leaves_out=True)
        within = np.arange(ids.size) - np.repeat(vocabulary.starts[:-1], vocabulary.lengths)
        is_set = within < np.repeat(sizes, vocabulary.lengths)
        used = np.where(is_set, ids, 0)
        others = np.add.reduceat(np.where(is_set, steps[used], 0), vocabulary.starts[:-1])
        needs_bytes = np.logical_or.reduceat(is_set & (used < vocabulary.n_stand_ins), vocabulary.starts[:-1])
        raised = np.where(needs_bytes, steps, np.maximum(steps, others))
        if np.array_equal(raised, steps):
            return steps
        steps = raised


def _expected(lattice: Lattice, logs: Floats, counts: npt.NDArray[np.int64], n_threads: int) -> tuple[Floats, float]:
    """Expected uses of each token and the log-likelihood."""

    def work(a: int, b: int) -> tuple[Floats, float]:
        uses = np.zeros(logs.size)
        return uses, float(
            expected_uses(
                lattice, frozen(logs), counts, a, b, uses, new_room(lattice.starts, lattice.edge_starts, a, b)
            )
        )

    runs = shard_bounds(lattice.starts, int(lattice.starts[-1]) // _RUN_BYTES + 1)
    with ThreadPoolExecutor(n_threads) as pool:
        parts = list(pool.map(work, *zip(*runs, strict=True)))
    return np.sum([uses for uses, _ in parts], axis=0), sum(likelihood for _, likelihood in parts)
