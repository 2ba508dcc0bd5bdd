"""Tokens of vocabularies on a counted corpus, on each part of it, trained on and held out."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vocab.arrays import Ints
from vocab.choices import InferenceMethod
from vocab.corpus.counting import CorpusCounts
from vocab.encoding.encoder import LOOKS_AHEAD, sums_within
from vocab.encoding.inference import LatticeEncoder
from vocab.encoding.lattice import CountedLattice, Lattice, Segments, TokenTrie
from vocab.encoding.loop_kernels import count_uses
from vocab.pretokens.counts import PretokenCounts
from vocab.threads import run_shards, shard_bounds


@dataclass(frozen=True)
class Compression:
    """Tokens of some text.

    Attributes:
        n_bytes: bytes of the text.
        n_tokens: tokens of the text.
        n_unknown: tokens among them that are the unknown token.
        n_unknown_bytes: bytes of the prepared text that these stand for; None where they are not known.
    """

    n_bytes: int
    n_tokens: int
    n_unknown: int = 0
    n_unknown_bytes: int | None = None

    @property
    def bytes_per_token(self) -> float:
        """Mean bytes of text per token; 0 for empty text."""
        return self.n_bytes / self.n_tokens if self.n_tokens else 0.0

    @property
    def unknown_share(self) -> float:
        """Share of the bytes that become the unknown token; 0 for empty text, and where it is not known."""
        return (self.n_unknown_bytes or 0) / self.n_bytes if self.n_bytes else 0.0


def total(parts: Sequence[Compression], weights: Sequence[int]) -> Compression:
    """Bytes and tokens of several texts together, each times its weight."""
    pairs = list(zip(parts, weights, strict=True))
    n_bytes, n_tokens, n_unknown = (
        sum(getattr(p, name) * w for p, w in pairs) for name in ("n_bytes", "n_tokens", "n_unknown")
    )
    is_known = all(p.n_unknown_bytes is not None for p in parts)
    n_unknown_bytes = sum((p.n_unknown_bytes or 0) * w for p, w in pairs) if is_known else None
    return Compression(n_bytes, n_tokens, n_unknown, n_unknown_bytes)


@dataclass(frozen=True)
class Evaluation:
    """One vocabulary on one corpus.

    Attributes:
        train: training text, each part times its weight.
        held_out: held-out text, each part times its weight.
        parts: (train, held out) of each part by its name, without weights.
        uses: uses of each token on weighted training text, int64[n_tokens].
        is_used: whether a token occurs at all, held-out text included, bool[n_tokens].
    """

    train: Compression
    held_out: Compression
    parts: dict[str, tuple[Compression, Compression]]
    uses: npt.NDArray[np.int64]
    is_used: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _PartRows:
    """A count table as rows of the table of all distinct segments."""

    entries: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    n_bytes: int
    n_added: int


class Evaluator:
    """Counts tokens for any subset of a vocabulary's tokens; each distinct segment of all parts is encoded once.

    Segments are cut only where no token crosses, so figures are exact. With `keep_whole` nothing is cut, as ungreedy
    needs it. Memory: the lattice of all distinct segments, and 16 bytes for each distinct one of each part.
    """

    def __init__(self, trie: TokenTrie, corpus: CorpusCounts, n_threads: int = 1, *, keep_whole: bool = False) -> None:
        merged = corpus.without_added().merged
        # What the segments count is not used: each part counts its own.
        nothing = np.zeros(merged.starts.size - 1, dtype=np.uint64)
        cut = Segments.build(trie, merged.blob, merged.starts, nothing, n_threads=n_threads, keep_whole=keep_whole)
        self._keeps_whole, self._n_threads = keep_whole, n_threads
        with ThreadPoolExecutor(n_threads) as pool:
            rows = list(
                pool.map(lambda side: _segment_rows(cut, *side), zip(merged.entries, merged.tables, strict=True))
            )
        names = [part.name for part in corpus.parts]
        self._parts = dict(zip(names, zip(rows[: len(names)], rows[len(names) :], strict=True), strict=True))
        self._weights = [part.weight for part in corpus.parts]
        self._trie, self._blob = trie, cut.blob
        self._lattice = Lattice.build(trie, cut.blob, cut.starts, n_threads, cut.n_whole)
        self._shards = shard_bounds(cut.starts, n_threads)

    def evaluate(self, kept_mask: npt.NDArray[np.bool_], method: InferenceMethod) -> Evaluation:
        """Encode with the tokens of `kept_mask` alone (bool[n_tokens], all single bytes among them).

        Raises ValueError for a method that looks ahead where pre-tokens were cut.
        """
        ids, sizes = self._encode(kept_mask, method)
        parts = self._by_part(ids, sizes)
        train, held_out = self._totals(parts)
        uses, is_used = self._uses(ids, sizes, kept_mask.size)
        return Evaluation(
            train=train,
            held_out=held_out,
            parts=parts,
            uses=uses,
            is_used=is_used,
        )

    def compression(self, kept_mask: npt.NDArray[np.bool_], method: InferenceMethod) -> tuple[Compression, Compression]:
        """The totals of `evaluate` alone, trained on and held out."""
        return self._totals(self._by_part(*self._encode(kept_mask, method)))

    def _encode(
        self, kept_mask: npt.NDArray[np.bool_], method: InferenceMethod
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        if method in LOOKS_AHEAD and not self._keeps_whole:
            raise ValueError(f"{method} needs whole pre-tokens")
        ids = np.zeros(int(self._lattice.starts[-1]), dtype=np.int32)
        sizes = np.zeros(self._lattice.n_pretokens, dtype=np.int32)
        encoder = LatticeEncoder(method, self._trie, self._lattice, self._blob)
        run_shards(lambda a, b: encoder.encode(kept_mask, a, b, ids, sizes), self._shards)
        return ids, sizes

    def _by_part(
        self, ids: npt.NDArray[np.int32], sizes: npt.NDArray[np.int32]
    ) -> dict[str, tuple[Compression, Compression]]:
        unknown = self._unknown(ids, sizes)
        return {
            name: (_compression(a, sizes, unknown), _compression(b, sizes, unknown))
            for name, (a, b) in self._parts.items()
        }

    def _unknown(self, ids: npt.NDArray[np.int32], sizes: npt.NDArray[np.int32]) -> tuple[Ints, Ints] | None:
        """Unknown tokens of each segment and the bytes that they stand for, int64; None where nothing is unknown."""
        if not self._trie.has_unknown:
            return None
        starts, is_unknown = self._lattice.starts, ids == 0
        spelt = sums_within(np.where(is_unknown, 0, self._trie.lengths[ids]), sizes, starts)
        return sums_within(is_unknown, sizes, starts), np.diff(starts) - spelt

    def _totals(self, parts: dict[str, tuple[Compression, Compression]]) -> tuple[Compression, Compression]:
        trained, held_out = zip(*parts.values(), strict=True)
        return total(trained, self._weights), total(held_out, self._weights)

    def training(self, max_bytes: int) -> CountedLattice:
        """The segments with their weighted training counts, where they are longer than `max_bytes` cut there."""
        text = CountedLattice(self._lattice, self._blob, self._training_counts())
        return text.with_short_segments(self._trie, max_bytes, self._n_threads, self._keeps_whole)

    def _training_counts(self) -> Ints:
        counts = np.zeros(self._lattice.n_pretokens, dtype=np.int64)
        for (train, _), weight in zip(self._parts.values(), self._weights, strict=True):
            counts[train.entries] += train.counts * weight
        return counts

    def _uses(
        self, ids: npt.NDArray[np.int32], sizes: npt.NDArray[np.int32], n_tokens: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        counts = self._training_counts()
        uses = np.zeros(n_tokens, dtype=np.int64)
        count_uses(self._lattice.starts, ids, sizes, counts, uses)
        occurrences = np.zeros(n_tokens, dtype=np.int64)
        count_uses(self._lattice.starts, ids, sizes, np.ones(sizes.size, dtype=np.int64), occurrences)
        return uses, occurrences > 0


def _segment_rows(cut: Segments, rows: npt.NDArray[np.int64], counts: PretokenCounts) -> _PartRows:
    """Counts of segments from those of pre-tokens, whose numbers in the table that was cut are `rows`."""
    sums = cut.sums(rows, counts.counts)
    present = np.flatnonzero(sums)
    return _PartRows(present, sums[present], counts.n_bytes, counts.n_added)


def _compression(rows: _PartRows, sizes: npt.NDArray[np.int32], unknown: tuple[Ints, Ints] | None) -> Compression:
    n_tokens = int((rows.counts * sizes[rows.entries]).sum()) + rows.n_added
    lost = [int((rows.counts * each[rows.entries]).sum()) for each in unknown] if unknown else [0, 0]
    return Compression(rows.n_bytes, n_tokens, *lost)
