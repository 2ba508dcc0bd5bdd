"""`tokenmonster`: random vocabularies of the target size, whose worst tokens leave the pool that they come from.

Source: `training/trainvocab.go` of alasdairforsythe/tokenmonster (ea8fd60), with the settings of its `-fast`. The
procedure is kept, as far as it does not rest on which of its workers is done first:

1. The pool, at first all tokens of the source, is shuffled and cut into as many vocabularies as it has room for, at
   most ten. The corpus is encoded with each. The score of a token is the bytes that it covered; the tokens of least
   score leave the pool, a share of the target that falls as the pool does. While the pool is above 2¼ times the target,
   each vocabulary sees its own random tenth of the corpus.
2. Below twice the target the best vocabulary so far is known and is never robbed. When the pool is too small for one,
   it becomes all tokens of the vocabularies within 1% of the best, with some that scored best in two random halves of
   the pool as it was at twice the target.
3. The pool is worn down again, a few tokens a time, and filled again, until `KEEP_TRYING` vocabularies in a row are no
   better.

Left out are single bytes that turn up on the way (all are kept here), capcode's pairs of tokens, and files to resume.
TokenMonster's pool is all strings of its corpus; here it is the source's tokens.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vocab.arrays import Ints, Mask
from vocab.choices import InferenceMethod
from vocab.encoding.encoder import LOOKS_AHEAD
from vocab.encoding.inference import LatticeEncoder
from vocab.encoding.lattice import Lattice, Segments, TokenTrie
from vocab.pretokens.counts import PretokenCounts
from vocab.progress import OnProgress, silent
from vocab.threads import run_shards, shard_bounds

# Vocabularies in a row that are no better before the search ends. The reference has 1,000, and 275 with -fast.
KEEP_TRYING = 100

_MOST_AT_ONCE = 10
_SAMPLE = 0.1  # share of the corpus that each vocabulary sees while the pool is large
# What is dropped for one vocabulary is the target divided by …, by the pool's size as a multiple of the target.
_DIVISORS = ((1.25, 200), (1.5, 150), (2.0, 100), (2.25, 50), (3.375, 40), (4.5, 30), (9.0, 20), (np.inf, 10))
# In the end what is dropped goes by how many tokens the pool has to spare. -fast drops twice these.
_FEW = ((25, 2), (50, 3), (100, 4), (200, 5), (300, 6), (400, 8), (500, 10), (750, 15), (1000, 20), (2000, 30))
_MORE = ((2500, 40), (3000, 50), (np.inf, 100))
_MORE_WHEN_FAR = 4
# A token that was dropped again and again is not put back; each time weighs as much as the pool had to spare.
_MOST_DROPS_KEPT, _MOST_DROPS_ADDED = 4000, 1000


class Scorer:
    """Encodes a counted corpus with any part of a vocabulary's tokens. Memory: the lattice of distinct segments."""

    def __init__(self, trie: TokenTrie, counts: PretokenCounts, method: InferenceMethod, n_threads: int = 1) -> None:
        table = (counts.blob, counts.starts, counts.counts)
        cut = Segments.build(trie, *table, n_threads=n_threads, keep_whole=method in LOOKS_AHEAD)
        self.lengths = trie.lengths.astype(np.int64)
        self.counts = cut.counts
        lattice = Lattice.build(trie, cut.blob, cut.starts, n_threads, cut.n_whole)
        self._encoder = LatticeEncoder(method, trie, lattice, cut.blob)
        self._shards = shard_bounds(cut.starts, n_threads)

    def score(self, kept: Mask, counts: Ints | None = None) -> tuple[int, Ints]:
        """Tokens of the corpus, and the bytes that each token covered, int64[n_tokens].

        `counts` of segments replace those of the corpus.
        """
        counts = self.counts if counts is None else counts

        def work(a: int, b: int) -> tuple[int, Ints]:
            uses = np.zeros(kept.size, dtype=np.int64)
            return self._encoder.tally(kept, counts, a, b, uses), uses

        parts = run_shards(work, self._shards)
        uses = sum((uses for _, uses in parts), np.zeros(kept.size, dtype=np.int64))
        return sum(n for n, _ in parts), uses * self.lengths


def by_tokenmonster(
    scorer: Scorer,
    protected: Mask,
    n_keep: int,
    *,
    seed: int = 0,
    keep_trying: int = KEEP_TRYING,
    on_progress: OnProgress | None = None,
) -> Mask:
    """Search for a vocabulary of `n_keep` tokens, the protected ones among them; returns its tokens, bool[n_tokens].

    The result is the same for the same seed and any number of threads. The search ends after `keep_trying` vocabularies
    in a row that are no better. `on_progress` is called with a stage, how much of it is done, and how much there is.
    Raises ValueError when more than `n_keep` are protected.
    """
    if (n_free := n_keep - int(np.count_nonzero(protected))) < 0:
        raise ValueError(f"{n_keep} tokens cannot be kept: more are protected")
    if n_free == 0:
        return protected.copy()
    search = _Search(scorer, protected, n_free, seed, on_progress or silent)
    search.distil(keep_trying)
    search.refine(keep_trying)
    return search.best


class _Search:
    """The state of one search: the pool, the best vocabulary, those near it, and how often tokens were dropped."""

    def __init__(self, scorer: Scorer, protected: Mask, n_free: int, seed: int, on_progress: OnProgress) -> None:
        self.scorer = scorer
        self.protected = protected
        self.n_free = n_free
        self.target = n_free + int(np.count_nonzero(protected))
        self.pool: Ints = np.flatnonzero(~protected)
        self.best = protected
        self.least: int | None = None  # tokens of the corpus with the best vocabulary
        self.n_no_better = 0
        self.near: list[tuple[int, npt.NDArray[np.uint8]]] = []  # those within 1% of the best, `kept` as bits
        self.drops = np.zeros(protected.size, dtype=np.int64)
        self.twice: Ints = self.pool  # the pool when it came down to twice the target
        self._random = np.random.Generator(np.random.PCG64(seed))
        self._on_progress = on_progress
        self._tried: set[bytes] = set()

    def distil(self, keep_trying: int) -> None:
        """Wear the pool down until it is smaller than one vocabulary."""
        to_drop = self.pool.size - self.n_free
        n_idle = 0
        while (surplus := self.pool.size - self.n_free) >= 0 and n_idle < keep_trying:
            self._on_progress("drop tokens", to_drop - surplus, to_drop)
            ratio = 1 + surplus / self.target
            n = max(2, self.target // next(d for most, d in _DIVISORS if ratio < most))
            if ratio > 2:
                n_dropped = self._drop(self._blind(n, ratio), at_most=surplus - self.target)
                self.twice = self.pool
            else:
                vocabularies = self._vocabularies()
                if not vocabularies:
                    return
                n_dropped = self._drop([self._worst(kept, n) for kept in vocabularies])
            n_idle = 0 if n_dropped else n_idle + 1

    def refine(self, keep_trying: int) -> None:
        """Fill the pool from the best vocabularies and wear it down again, until no better one comes."""
        final = np.flatnonzero(np.any([self._kept(bits) for _, bits in self.near], axis=0) & ~self.protected)
        self.pool, is_full, extra = self._filled(final), True, 0
        self.n_no_better = 0
        while self.n_no_better < keep_trying:
            self._on_progress("try vocabularies", self.n_no_better, keep_trying)
            spare = self.pool.size - self.n_free
            vocabularies = self._vocabularies()
            if not vocabularies and is_full:
                return
            is_full = False
            leaving = [self._worst_few(kept, spare, extra) for kept in vocabularies]
            if any(worn.size for worn in leaving):
                extra = 0 if self._drop(leaving) else extra + 1
                self.drops[np.concatenate(leaving)] += spare
            if not vocabularies or self.pool.size < self.n_free:
                kept = final[self.drops[final] < _MOST_DROPS_KEPT]
                self.pool, is_full = self._filled(np.union1d(kept, self.pool)), True

    def _vocabularies(self) -> list[Mask]:
        """Vocabularies from the pool that share no free token and were not tried before; at most ten."""
        new = []
        for kept in self._cut(self.pool, min(_MOST_AT_ONCE, self.pool.size // self.n_free)):
            key = np.packbits(kept).tobytes()
            if key not in self._tried:
                self._tried.add(key)
                new.append(kept)
        return new

    def _cut(self, pool: Ints, n: int) -> list[Mask]:
        """Cut the pool, in random order, into n vocabularies; the last one is filled up from the beginning."""
        order = self._random.permutation(pool)
        vocabularies = []
        for k in range(n):
            kept = self.protected.copy()
            kept[np.take(order, range(k * self.n_free, (k + 1) * self.n_free), mode="wrap")] = True
            vocabularies.append(kept)
        return vocabularies

    def _blind(self, n: int, ratio: float) -> list[Ints]:
        """Tokens to drop from a large pool, whose vocabularies are not compared: the n worst of each and all unused."""
        leaving = []
        for kept in self._cut(self.pool, min(_MOST_AT_ONCE, self.pool.size // self.n_free)):
            is_sampled = ratio > _DIVISORS[3][0]
            counts = self._random.binomial(self.scorer.counts, _SAMPLE) if is_sampled else None
            _, scores = self.scorer.score(kept, counts)
            leaving.append(self._least_scored(kept, scores, n, and_unused=True))
        return leaving

    def _worst(self, kept: Mask, n: int) -> Ints:
        """The n worst tokens of a vocabulary and all unused, or none of the best one's."""
        total, scores = self.scorer.score(kept)
        is_best = self._compare(kept, total)
        return self._least_scored(kept, scores, 0 if is_best else n, and_unused=not is_best)

    def _worst_few(self, kept: Mask, spare: int, extra: int) -> Ints:
        """The same with the small numbers of the end."""
        total, scores = self.scorer.score(kept)
        if self._compare(kept, total):
            return np.empty(0, dtype=np.int64)
        few = next(n for below, n in (*_FEW, *_MORE) if spare < below)
        few += 0 if self._is_near(total) else _MORE_WHEN_FAR
        return self._least_scored(kept, scores, 2 * few + extra, and_unused=False)

    def _least_scored(self, kept: Mask, scores: Ints, n: int, *, and_unused: bool) -> Ints:
        """The n free tokens of least score, of equal ones the later ranks."""
        ids = np.flatnonzero(kept & ~self.protected)
        order: Ints = ids[np.lexsort((-ids, scores[ids]))]
        return order[: max(n, int(np.count_nonzero(scores[ids] == 0)) if and_unused else 0)]

    def _compare(self, kept: Mask, total: int) -> bool:
        """Note a vocabulary that is the best so far or near it; returns whether it is as good as the best."""
        if self.least is None or total < self.least:
            self.best, self.least, self.n_no_better = kept, total, 0
            self.near = [(n, bits) for n, bits in self.near if self._is_near(n)]
        else:
            self.n_no_better += 1
        if self._is_near(total):
            self.near.append((total, np.packbits(kept)))
        return total == self.least

    def _is_near(self, total: int) -> bool:
        return self.least is not None and total <= self.least + self.least // 100

    def _kept(self, bits: npt.NDArray[np.uint8]) -> Mask:
        return np.unpackbits(bits, count=self.protected.size).astype(np.bool_)

    def _drop(self, leaving: list[Ints], at_most: int | None = None) -> int:
        """Take tokens out of the pool, the last ranks where there are too many; returns how many."""
        worn = np.unique(np.concatenate(leaving))[::-1][:at_most]
        before = self.pool.size
        self.pool = np.setdiff1d(self.pool, worn, assume_unique=True)
        return before - self.pool.size

    def _filled(self, pool: Ints) -> Ints:
        """The pool with the best of two random halves of the one that was twice the target, a third of its surplus."""
        added = []
        for kept in self._cut(self.twice, 2):
            _, scores = self.scorer.score(kept)
            best_first = self._least_scored(kept, scores, self.n_free, and_unused=False)[::-1]
            missing = best_first[~np.isin(best_first, pool)][: max(0, pool.size - self.n_free) // 3]
            added.append(missing[self.drops[missing] < _MOST_DROPS_ADDED])
        return np.unique(np.concatenate([pool, *added]))
