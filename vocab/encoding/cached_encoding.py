"""Encoding of pieces of text with a table of ids before the inference kernels, which see only what is new."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vocab.arrays import frozen
from vocab.encoding import id_cache_kernels as kernels
from vocab.encoding.id_cache import IdCache, IdCaches
from vocab.encoding.lattice import TokenTrie
from vocab.encoding.merging_kernels import NONE
from vocab.encoding.piece_merges_kernels import fill_tokens
from vocab.pretokens.table import PretokenTable

# Tokens of pre-tokens end to end, in the layout of `Encoder.encode_pretokens`.
EncodePretokens = Callable[
    [npt.NDArray[np.uint8], npt.NDArray[np.int64]], tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]
]
# New pieces that are encoded at once: how many, and about how many bytes.
_MOST_LATER, _MOST_LATER_BYTES = 1 << 20, 8 << 20
_N_MARKS = 1 << 14  # words of 64: some bits for each token
_BYTES_AN_ID = 3  # fewer than in most text: the first room for ids; it is made larger when it is not enough


class _Later(NamedTuple):
    """Pieces that were encoded by the lattice: (piece, where its ids are, how many) int64[n, 3], and the ids int32."""

    rows: npt.NDArray[np.int64]
    ids: npt.NDArray[np.int32]


_NONE = _Later(frozen(np.empty((0, 3), dtype=np.int64)), frozen(np.empty(0, dtype=np.int32)))


class CachedEncoding:
    """Encodes pieces with what earlier calls have left. The ids do not depend on it, nor on the number of threads."""

    def __init__(self, trie: TokenTrie, *, merges: bool, caches: IdCaches, encode_pretokens: EncodePretokens) -> None:
        """With `merges`, the inference method, new pieces are merged on the trie; all others by `encode_pretokens`."""
        self._trie = trie
        self._merges = merges
        self._encode_pretokens = encode_pretokens
        self.caches = caches

    def encode(
        self, text: npt.NDArray[np.uint8], ends: npt.NDArray[np.int64], firsts: npt.NDArray[np.int64], begin: int = 0
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Ids of the pieces of `text` that stop at `ends`, the first of which begins at `begin`.

        Document d has the pieces firsts[d] to firsts[d + 1], int64[n_documents + 1]. Returns (ids, id_firsts): ids
        int32 end to end, those of document d from id_firsts[d] to id_firsts[d + 1], int64.
        """
        cache = self.caches.take()
        text, ends, firsts = frozen(text), frozen(ends), frozen(firsts)
        ids = np.empty((text.size - begin) // _BYTES_AN_ID + 64, dtype=np.int32)
        id_firsts = np.empty(firsts.size, dtype=np.int64)
        cache.state[:] = (0, begin, 0, 0, 0)
        later, status = _NONE, -1
        while status != kernels.DONE:
            status = kernels.encode_pieces(
                text, ends, firsts, *cache.table(), *self._tokens, self._merges, *cache.room(), *later, ids, id_firsts
            )
            if status == kernels.NEED_IDS:
                ids = _longer(ids, cache.state, ends)
            elif status == kernels.NEED_ROOM:
                cache.make_room()
            elif status == kernels.NEED_LATER:
                later = self._encode_later(text, ends, cache)
        self.caches.give_back(cache)
        return ids[: cache.state[kernels.N_IDS]], id_firsts

    @cached_property
    def _tokens(self) -> tuple[npt.NDArray[Any], ...]:
        """The tokens as `piece_merges_kernels` looks them up; empty where that is not asked."""
        blob, starts = self._trie.blob, self._trie.starts
        n_tokens = starts.size - 1 if self._merges else 0
        slots = np.zeros(1 << (n_tokens * 5 // 4).bit_length(), dtype=np.uint64)
        keys = np.empty((n_tokens, 2), dtype=np.uint64)
        marks = np.zeros(_N_MARKS, dtype=np.uint64)
        singles, pairs = np.full(256, NONE, dtype=np.int32), np.full(256 * 256, NONE, dtype=np.int32)
        if self._merges:
            fill_tokens(blob, starts, slots, keys, marks, singles, pairs)
        return blob, starts, *(frozen(array) for array in (slots, keys, marks, singles, pairs))

    def _encode_later(self, text: npt.NDArray[np.uint8], ends: npt.NDArray[np.int64], cache: IdCache) -> _Later:
        """Encode what is new from here on, each distinct piece once."""
        rows = np.empty((min(_MOST_LATER, ends.size - int(cache.state[kernels.PIECE])), 3), dtype=np.int64)
        slots, held_text, _, _ = cache.table()
        n = kernels.list_later(text, ends, slots, held_text, self._merges, _MOST_LATER_BYTES, cache.state, rows)
        rows = rows[:n]
        lengths = rows[:, 2]
        own_ends = np.cumsum(lengths)
        places = np.repeat(rows[:, 1] - own_ends + lengths, lengths) + np.arange(int(own_ends[-1]))
        table = PretokenTable()
        entries = table.add(text[places], own_ends)
        ids, sizes = self._encode_pretokens(table.blob, table.starts)
        rows[:, 1], rows[:, 2] = table.starts[entries], sizes[entries]
        cache.state[kernels.N_LATER] = 0
        return _Later(frozen(rows), frozen(ids))


def _longer(
    ids: npt.NDArray[np.int32], state: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> npt.NDArray[np.int32]:
    """The ids so far with room for those of as many pieces as are encoded at once, an id a byte, and as many again."""
    piece, begin, n_ids = state[kernels.PIECE], state[kernels.BEGIN], int(state[kernels.N_IDS])
    stop = ends[min(piece + kernels.N_CHUNK, ends.size) - 1]
    longer = np.empty(max(2 * ids.size, n_ids + int(stop - begin) + kernels.N_INLINE), dtype=np.int32)
    longer[:n_ids] = ids[:n_ids]
    return longer
