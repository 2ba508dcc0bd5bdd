"""The lattice: for each pre-token, every place where a candidate token fits.

Flat arrays only. Byte p of the pre-tokens' blob owns edges edge_starts[p] … edge_starts[p + 1], each the id of a
token that begins there and ends within the same pre-token, shortest first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vocab.arrays import frozen
from vocab.encoding import lattice_kernels as kernels
from vocab.encoding.tokenmonster_flags import TokenFlags
from vocab.pretokens.table import PretokenTable
from vocab.splitting.preparation import n_fallback_bytes
from vocab.threads import run_shards, shard_bounds

# Edges a byte for which there is room at first; cl100k_base has about 3.
_ROOM_PER_BYTE = 4


@dataclass(frozen=True)
class TokenTrie:
    """All tokens of a vocabulary (blob uint8, starts int64[n + 1]) as a prefix tree in a hash table."""

    blob: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]
    table: npt.NDArray[np.int64]  # see `lattice_kernels`
    root: npt.NDArray[np.int64]  # what the edges of the root lead to
    lengths: npt.NDArray[np.int32]  # length of each token in bytes
    order: npt.NDArray[np.int32]  # of merging: the token of least order goes first, of equal ones that further left
    byte_tokens: npt.NDArray[np.int32]  # the token that stands for each byte, int32[256], -1 where there is none
    units: npt.NDArray[np.int64]  # score of each token under unigram as a whole number; empty for others
    pair_order: npt.NDArray[np.int32] | None = None  # of merging pair by pair: see `Vocabulary.pair_order`
    has_unknown: bool = False  # whether the first token stands for a run of characters without a token

    @classmethod
    def build(
        cls,
        blob: npt.NDArray[np.uint8],
        starts: npt.NDArray[np.int64],
        byte_fallback: bool = False,
        order: npt.NDArray[np.int32] | None = None,
        units: npt.NDArray[np.int64] | None = None,
        pair_order: npt.NDArray[np.int32] | None = None,
        has_unknown: bool = False,
        looks_up_unknown: bool = False,
    ) -> TokenTrie:
        """The trie of tokens (blob uint8, starts int64[n + 1]).

        With `byte_fallback` the first tokens are bytes that stand for characters without a token: not looked up.
        With `has_unknown` the first token stands for runs of them, and is looked up too if `looks_up_unknown` says so.
        Without `order` tokens are merged in their own. Raises ValueError when two tokens are equal or one is empty.
        """
        blob, starts = frozen(blob), frozen(starts)
        lengths = np.diff(starts).astype(np.int32)
        if lengths.size and lengths.min() < 1:
            raise ValueError(f"token {int(lengths.argmin())} is empty")
        n_unknown = int(has_unknown and not looks_up_unknown)
        first = n_fallback_bytes(blob, starts) if byte_fallback else n_unknown
        table, root = _filled_trie(blob, starts, first)
        tokens = np.arange(lengths.size, dtype=np.int32)
        singles = [_token_of(led) for led in root.tolist()]
        return cls(
            blob,
            starts,
            table,
            root,
            lengths,
            tokens if order is None else order,
            _stand_ins(blob[:first], singles, byte_fallback, has_unknown),
            np.empty(0, dtype=np.int64) if units is None else units,
            pair_order,
            has_unknown,
        )

    @cached_property
    def flags(self) -> TokenFlags:
        """What only ungreedy asks about the tokens."""
        return TokenFlags.build(self.blob, self.starts)

    def byte_token(self, byte: int) -> int:
        """The token that is looked up for a byte, or -1; one that only stands for it does not count."""
        return _token_of(int(self.root[byte]))

    def occurrences(
        self,
        blob: npt.NDArray[np.uint8],
        starts: npt.NDArray[np.int64],
        counts: npt.NDArray[np.int64],
        documents: npt.NDArray[np.int64],
        n_threads: int = 1,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Occurrences of each token in pre-tokens, overlapping ones too, and documents that hold it at most.

        Pre-tokens are distinct (blob uint8, starts int64[n + 1]), `counts` and `documents` int64[n]. Documents are
        summed over the pre-tokens that hold the token. Returns int64[n_tokens] twice.
        """
        blob, starts, counts, documents = frozen(blob), frozen(starts), frozen(counts), frozen(documents)
        table = (self.table, self.root)

        def work(a: int, b: int) -> npt.NDArray[np.int64]:
            sums = np.zeros((2, self.lengths.size), dtype=np.int64)
            seen = np.full(self.lengths.size, -1, dtype=np.int64)
            kernels.count_occurrences(blob, starts, a, b, *table, counts, documents, sums[0], sums[1], seen)
            return sums

        parts = run_shards(work, shard_bounds(starts, n_threads))
        n_found, n_documents = sum(parts, np.zeros((2, self.lengths.size), dtype=np.int64))
        return n_found, n_documents


def _stand_ins(
    fallback: npt.NDArray[np.uint8], singles: list[int], byte_fallback: bool, has_unknown: bool
) -> npt.NDArray[np.int32]:
    """`TokenTrie.byte_tokens`; `fallback` are the bytes that the first tokens are."""
    if has_unknown:
        return np.zeros(256, dtype=np.int32)
    if not byte_fallback:
        return np.array(singles, dtype=np.int32)
    stand_ins = np.full(256, -1, dtype=np.int32)
    stand_ins[fallback] = np.arange(fallback.size)
    return stand_ins


def _token_of(led: int) -> int:
    """As in `lattice_kernels`."""
    return (led & 0xFFFFFFFF) - 1


def _filled_trie(
    blob: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], first: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The table and the root of a trie of tokens from `first` on."""
    loose = _free_slots(blob.size)
    node_token = np.full(blob.size + 1, -1, dtype=np.int32)
    has_children = np.zeros(blob.size + 1, dtype=np.bool_)
    n_nodes = int(kernels.build_trie(blob, starts, loose, node_token, has_children, first))
    if n_nodes < 0:
        token = bytes(blob[starts[-1 - n_nodes] : starts[-n_nodes]])
        raise ValueError(f"the token {token!r} appears twice")
    table, root = _free_slots(n_nodes), np.zeros(256, dtype=np.int64)
    kernels.pack_trie(loose, node_token, has_children, table, root)
    return table, root


def _free_slots(n_nodes: int) -> npt.NDArray[np.int64]:
    """Room for twice as many edges as there are nodes at most."""
    return np.full((1 << max(4, (2 * n_nodes).bit_length()), 2), -1, dtype=np.int64)


class Lattice(NamedTuple):
    """Every (place, token) of some pre-tokens; built once and shared by all methods.

    A named tuple, because Numba passes those to kernels whole; so it holds only what nearly every kernel reads. Memory:
    5 bytes an edge, 8 where a token has 256 bytes or more, and 8 a byte of distinct pre-tokens.
    """

    starts: npt.NDArray[np.int64]  # first byte of each pre-token, [n_pretokens + 1]
    edge_starts: npt.NDArray[np.int64]  # first edge of each byte, [n_bytes + 1]
    edge_tokens: npt.NDArray[np.int32]
    edge_lengths: npt.NDArray[
        Any
    ]  # of their tokens, in bytes: beside them, for speed; uint8 where they fit, else int32
    lengths: npt.NDArray[np.int32]  # length of each token in bytes
    n_whole: int  # pre-tokens from here on are segments of longer ones: merges look up no whole one

    @property
    def n_pretokens(self) -> int:
        return self.starts.size - 1

    @property
    def n_edges(self) -> int:
        return self.edge_tokens.size

    @classmethod
    def build(
        cls,
        trie: TokenTrie,
        blob: npt.NDArray[np.uint8],
        starts: npt.NDArray[np.int64],
        n_threads: int = 1,
        n_whole: int | None = None,
    ) -> Lattice:
        """The lattice of pre-tokens (blob uint8, starts int64[n + 1]) over the tokens of `trie`.

        With `n_whole`, those from there on are `Segments` of pre-tokens and not whole ones.
        """
        blob, starts = frozen(blob), frozen(starts)
        edge_starts, edge_tokens, edge_lengths = _filled_edges(trie, blob, starts, n_threads)
        edges = frozen(edge_starts), frozen(edge_tokens), frozen(edge_lengths)
        whole = starts.size - 1 if n_whole is None else n_whole
        return cls(starts, *edges, frozen(trie.lengths), whole)


def _filled_edges(
    trie: TokenTrie, blob: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], n_threads: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[Any]]:
    """The arrays of edges of a lattice.

    One walk counts edges and writes them, each shard where it has room in one array, before the shards are moved
    together. Pages that are not written take no memory. Where there is too little room, a second walk writes them.
    """
    shards = shard_bounds(starts, n_threads)
    edge_starts = np.zeros(blob.size + 1, dtype=np.int64)
    fits = trie.lengths.max(initial=0) <= np.iinfo(np.uint8).max

    def walk(limits: list[int]) -> tuple[list[int], list[npt.NDArray[Any]]]:
        places = {a: limits[k : k + 2] for k, (a, _) in enumerate(shards)}
        arrays = [np.empty(limits[-1], dtype=dtype) for dtype in (np.int32, np.uint8 if fits else np.int32)]
        work = (trie.table, trie.root)
        return run_shards(
            lambda a, b: int(kernels.fill_edges(blob, starts, a, b, *work, *places[a], edge_starts, *arrays)), shards
        ), arrays

    roomy = [_ROOM_PER_BYTE * int(starts[w]) for w in [*(a for a, _ in shards), -1]]
    counts, arrays = walk(roomy)
    exact = [0, *accumulate(counts)]
    if any(n > end - begin for n, (begin, end) in zip(counts, pairwise(roomy), strict=True)):
        arrays.clear()
        _, arrays = walk(exact)
    else:
        _move_together(arrays, roomy, exact)
    for (a, b), first in zip(shards, exact, strict=False):
        edge_starts[starts[a] + 1 : starts[b] + 1] += first
    return edge_starts, arrays[0], arrays[1]


def _move_together(arrays: list[npt.NDArray[Any]], begins: list[int], limits: list[int]) -> None:
    """Move runs of each array from `begins` to `limits`, which are no later, and cut off what is behind."""
    for array in arrays:
        for begin, (first, end) in zip(begins, pairwise(limits), strict=False):
            array[first:end] = array[begin : begin + end - first]
        array.resize(limits[-1], refcheck=False)


@dataclass(frozen=True)
class Segments:
    """Distinct segments of pre-tokens with counts: what is left when pre-tokens are cut where no token crosses.

    Every inference method but ungreedy encodes the segments of a pre-token independently, so their tokens add up to
    those of the corpus exactly; and there are far fewer distinct segments than pre-tokens, above all where words are
    not spaced. For ungreedy, which looks past the cut, pre-tokens are left whole.

    Pre-token w is made of the distinct segments entries[firsts[w] : firsts[w + 1]].
    """

    blob: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    n_whole: int  # the first so many are whole pre-tokens
    entries: npt.NDArray[np.int64]
    firsts: npt.NDArray[np.int64]

    @classmethod
    def build(
        cls,
        trie: TokenTrie,
        blob: npt.NDArray[np.uint8],
        starts: npt.NDArray[np.int64],
        counts: npt.NDArray[np.uint64],
        max_bytes: int | None = None,
        n_threads: int = 1,
        keep_whole: bool = False,
    ) -> Segments:
        """Cut distinct pre-tokens (blob uint8, starts int64[n + 1], counts) where no token of `trie` crosses.

        With `keep_whole` they are not cut there. A segment longer than `max_bytes` is cut there all the same; only then
        are sums no longer exact.
        """
        blob, starts = frozen(blob), frozen(starts)
        keep_whole = keep_whole or trie.has_unknown  # a run of unknown characters is one token
        most = blob.size + 1 if max_bytes is None else max_bytes
        is_end = np.zeros(blob.size, dtype=np.bool_)
        table = (trie.table, trie.root)
        run_shards(
            lambda a, b: kernels.mark_cuts(blob, starts, a, b, most, keep_whole, *table, is_end),
            shard_bounds(starts, n_threads),
        )
        firsts = np.zeros(starts.size, dtype=np.int64)
        kernels.count_ends(is_end, starts, firsts[1:])
        n_segments = firsts[1:].copy()
        np.cumsum(firsts, out=firsts)
        # Pre-tokens are distinct, so only those that were cut have anything in common.
        is_whole = n_segments == 1
        lengths = np.diff(starts)
        in_whole = np.repeat(is_whole, lengths)
        whole_starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths[is_whole])])
        fragments = PretokenTable()
        rows = fragments.add(
            blob[~in_whole],
            np.flatnonzero(is_end[~in_whole]) + 1,
            np.repeat(counts[~is_whole], n_segments[~is_whole]),
        )
        n_whole = whole_starts.size - 1
        entries = np.empty(int(firsts[-1]), dtype=np.int64)
        cut_entries = np.repeat(~is_whole, n_segments)
        entries[~cut_entries] = np.arange(n_whole)
        entries[cut_entries] = rows + np.int64(n_whole)
        return cls(
            np.concatenate([blob[in_whole], fragments.blob]),
            np.concatenate([whole_starts, fragments.starts[1:] + whole_starts[-1]]),
            np.concatenate([counts[is_whole], fragments.counts]).astype(np.int64),
            n_whole,
            entries,
            firsts,
        )

    def sums(self, rows: npt.NDArray[np.int64], counts: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """Occurrences of each segment in pre-tokens (their numbers, int64[n]) of such counts (uint64[n]), int64."""
        sums = np.zeros(self.counts.size, dtype=np.int64)
        kernels.sum_segments(frozen(rows), frozen(counts), frozen(self.entries), frozen(self.firsts), sums)
        return sums


class CountedLattice(NamedTuple):
    """Segments of a corpus as a lattice, for what is counted over them; those whose count is 0 count for nothing."""

    lattice: Lattice
    blob: npt.NDArray[np.uint8]  # bytes of the segments
    counts: npt.NDArray[np.int64]  # occurrences of each

    @classmethod
    def of(cls, trie: TokenTrie, cut: Segments, n_threads: int = 1) -> CountedLattice:
        """The lattice of segments that were cut for `trie`."""
        return cls(Lattice.build(trie, cut.blob, cut.starts, n_threads, cut.n_whole), cut.blob, cut.counts)

    def with_short_segments(self, trie: TokenTrie, max_bytes: int, n_threads: int, keep_whole: bool) -> CountedLattice:
        """The same with every segment above `max_bytes` cut there, as `Segments.build` cuts; itself where none is."""
        lattice = self.lattice
        lengths = np.diff(lattice.starts)
        is_long = (lengths > max_bytes) & (self.counts > 0)
        if not is_long.any():
            return self
        blob = self.blob[np.repeat(is_long, lengths)]
        starts = np.concatenate([[0], np.cumsum(lengths[is_long])])
        table = (blob, starts, self.counts[is_long].astype(np.uint64))
        more = CountedLattice.of(trie, Segments.build(trie, *table, max_bytes, n_threads, keep_whole), n_threads)
        joined = Lattice(
            frozen(np.concatenate([lattice.starts, more.lattice.starts[1:] + lattice.starts[-1]])),
            frozen(np.concatenate([lattice.edge_starts, more.lattice.edge_starts[1:] + lattice.n_edges])),
            frozen(np.concatenate([lattice.edge_tokens, more.lattice.edge_tokens])),
            frozen(np.concatenate([lattice.edge_lengths, more.lattice.edge_lengths])),
            lattice.lengths,
            lattice.n_whole,
        )
        counts = np.concatenate([np.where(is_long, 0, self.counts), more.counts])
        return CountedLattice(joined, np.concatenate([self.blob, more.blob]), counts)
