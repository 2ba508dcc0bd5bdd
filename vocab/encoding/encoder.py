"""Text to tokens with any inference method: split, find the distinct pre-tokens, run the lattice, put together."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vocab.choices import InferenceMethod
from vocab.encoding.cached_encoding import CachedEncoding
from vocab.encoding.id_cache import IdCaches
from vocab.encoding.inference import LatticeEncoder
from vocab.encoding.lattice import Lattice, TokenTrie
from vocab.encoding.unigram import Scores, TextEncoder
from vocab.markers import marked, marked_rows
from vocab.splitting import SplitPattern
from vocab.threads import run_shards, shard_bounds
from vocab.utf8 import NEVER_IN_UTF8

# Looks past places that no token crosses, so that it must have pre-tokens whole (`Segments.build`).
LOOKS_AHEAD: frozenset[InferenceMethod] = frozenset({"ungreedy"})

_MARKED = re.compile(b"(\xff[^\xff]+\xff)")
_BEFORE_SPACE = re.compile(rb"(?= )")
# Words whose tokens are held.
_MOST_WORDS = 1 << 18
_NO_IDS = np.empty(0, dtype=np.int32)


class Encoder:
    """Encodes with the tokens (blob uint8, starts int64[n + 1]) of a vocabulary; ids are token positions.

    For `byte_fallback`, `order`, `pair_order` and `has_unknown` see `TokenTrie`; unigram, and only that, has `scores`.
    The added token `added[k]`, which the split pattern marks in text, has the number n + k. Raises ValueError when a
    token repeats, or when a single byte that text or a token holds is missing; with `leaves_out` text loses such bytes.

    Attributes:
        lacking: the single bytes that are missing.
    """

    def __init__(
        self,
        blob: npt.NDArray[np.uint8],
        starts: npt.NDArray[np.int64],
        pattern: SplitPattern,
        method: InferenceMethod,
        byte_fallback: bool = False,
        order: npt.NDArray[np.int32] | None = None,
        scores: Scores | None = None,
        added: Sequence[str] = (),
        pair_order: npt.NDArray[np.int32] | None = None,
        has_unknown: bool = False,
        leaves_out: bool = False,
    ) -> None:
        units = scores.units if scores else None
        looked_up = scores is not None and scores.looks_up_unknown
        self.trie = TokenTrie.build(blob, starts, byte_fallback, order, units, pair_order, has_unknown, looked_up)
        self._whole_texts = TextEncoder(blob, starts, scores) if scores else None
        self.lacking = b"" if byte_fallback else _lacking(self.trie, method, leaves_out)
        if byte_fallback:
            _check_fallback(self.trie)
        self._is_lacking = np.isin(np.arange(256), list(self.lacking))
        self.pattern = pattern
        self.method = method
        self._kept = np.ones(starts.size - 1, dtype=np.bool_)
        self._cuts_words = pattern.steps is not None and pattern.steps.cuts_at_marks
        self._words: dict[bytes, npt.NDArray[np.int32]] = {}
        self._cached = CachedEncoding(
            self.trie,
            merges=method == "merges",
            caches=IdCaches(),
            encode_pretokens=self.encode_pretokens,
        )
        self._added = {marked(text): starts.size - 1 + k for k, text in enumerate(added)}

    @property
    def cache_bytes(self) -> int:
        """The most memory of what encoding remembers, for each call at once; `limit_cache` changes it."""
        return self._cached.caches.n_bytes

    def limit_cache(self, n_bytes: int) -> None:
        """Bound what encoding remembers: `n_bytes` for each call at once (64 MB at first), and forget what it has.

        Raises TargetError for less than 64 kB. Ids do not depend on it.
        """
        self._cached.caches = IdCaches(n_bytes)

    def encode(self, text: bytes) -> npt.NDArray[np.int32]:
        """Token ids of UTF-8 `text`, without special tokens, int32."""
        return self.encode_prepared(self.pattern.prepared(text))

    def encode_prepared(self, text: bytes) -> npt.NDArray[np.int32]:
        """The same for a text that is prepared as the split pattern wants it.

        Under unigram the text is encoded as one, as runtimes do, and `Scores.others` have their numbers.
        """
        return self.encode_pieces(text, None)

    def encode_pieces(self, text: bytes, ends: npt.NDArray[np.int64] | None) -> npt.NDArray[np.int32]:
        """The same for a prepared text that is split already, its pre-tokens ending at `ends`."""
        if self._whole_texts:
            return self._encode_stretches(text, self._whole_texts)
        ends = self.pattern.ends(text) if ends is None else ends
        raw = np.frombuffer(text, dtype=np.uint8)
        return self._encode_split(raw, ends, np.array([0, ends.size], dtype=np.int64), 0)[0]

    def encode_documents(
        self, text: npt.NDArray[np.uint8], doc_starts: npt.NDArray[np.int64], n_threads: int = 1
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Token ids of many documents that stand one after another in one buffer, each encoded on its own.

        Args:
            text: UTF-8, uint8; document d is text[doc_starts[d] : doc_starts[d + 1]].
            doc_starts: int64[n_documents + 1] from 0 on, never falling, the last len(text).
            n_threads: threads to use; the ids are the same for any number.

        Returns:
            (ids, firsts): ids int32 end to end; those of document d are ids[firsts[d] : firsts[d + 1]], int64.
        """
        text, doc_starts = self.pattern.prepared_documents(text, doc_starts)
        if self._whole_texts:
            raw, edges = text.tobytes(), itertools.pairwise(doc_starts.tolist())
            each = [self._encode_stretches(raw[a:b], self._whole_texts) for a, b in edges]
            firsts = np.concatenate([[0], np.cumsum([ids.size for ids in each], dtype=np.int64)])
            return np.concatenate([np.empty(0, dtype=np.int32), *each]), firsts
        shards = shard_bounds(doc_starts, n_threads)
        parts = run_shards(lambda a, b: self._encode_whole(text, doc_starts[a : b + 1]), shards)
        if len(parts) == 1:
            return parts[0]
        before = np.cumsum([0, *(ids.size for ids, _ in parts)])
        shifted = [part[:-1] + n for (_, part), n in zip(parts, before, strict=False)]
        return np.concatenate([_NO_IDS, *(ids for ids, _ in parts)]), np.concatenate([*shifted, before[-1:]])

    def _encode_whole(
        self, text: npt.NDArray[np.uint8], doc_starts: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """The same for documents that are prepared, on this thread."""
        ends, firsts = self.pattern.ends_of_documents(text, doc_starts)
        return self._encode_split(text, ends, firsts, int(doc_starts[0]))

    def _encode_split(
        self, text: npt.NDArray[np.uint8], ends: npt.NDArray[np.int64], firsts: npt.NDArray[np.int64], begin: int
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """The same for pieces, as `CachedEncoding.encode`, which knows no piece without a token."""
        if not self.lacking or not self._is_lacking[text].any():
            return self._cached.encode(text, ends, firsts, begin)
        starts = np.concatenate([[begin], ends])
        ids, sizes = self.encode_pretokens(text[begin : starts[-1]], starts - begin)
        id_firsts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])[firsts]
        return ids[_places(starts[:-1] - begin, sizes)], id_firsts

    def _encode_stretches(self, text: bytes, whole_texts: TextEncoder) -> npt.NDArray[np.int32]:
        """A prepared text under unigram: each stretch between added tokens as one, or each word where runtimes cut."""
        if not self._added and not self._cuts_words:
            return whole_texts.encode(text)
        parts = []
        for k, stretch in enumerate(_MARKED.split(text)):
            if k % 2:
                parts.append(np.array([self._added[stretch]], dtype=np.int32))
            else:
                parts += self._encode_words(stretch, whole_texts)
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int32)

    def _encode_words(self, text: bytes, whole_texts: TextEncoder) -> list[npt.NDArray[np.int32]]:
        words = _BEFORE_SPACE.split(text) if self._cuts_words else [text]
        if len(self._words) > _MOST_WORDS:
            self._words.clear()
        for word in words:
            if word not in self._words:
                self._words[word] = whole_texts.encode(word)
        return [self._words[word] for word in words]

    def count_unknown(
        self, ids: npt.NDArray[np.int32], sizes: npt.NDArray[np.int32], starts: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int32]:
        """How many tokens of each pre-token are the unknown one, of what `encode_pretokens` gives."""
        return sums_within(ids == 0, sizes, starts).astype(np.int32) if self.trie.has_unknown else np.zeros_like(sizes)

    def encode_pretokens(
        self, blob: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], n_threads: int = 1
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Tokens of pre-tokens: (ids int32[len(blob)], sizes int32[n]); those of w are ids[starts[w]:][:sizes[w]].

        Under unigram ways of equal score are told apart by their first difference alone, and not by rounding. A
        pre-token that loses bytes is made by merges alone: what is left of it is looked up whole by no runtime.
        """
        if self.lacking and self._is_lacking[blob].any():
            ids, sizes = self._encode_without_lacking(blob, starts, n_threads)
        else:
            ids, sizes = self._encode_rows(blob, starts, n_threads)
        for row in marked_rows(blob, starts):
            number = self._added.get(blob[starts[row] : starts[row + 1]].tobytes())
            if number is not None:
                ids[starts[row]], sizes[row] = number, 1
        return ids, sizes

    def _encode_rows(
        self,
        blob: npt.NDArray[np.uint8],
        starts: npt.NDArray[np.int64],
        n_threads: int,
        n_whole: int | None = None,
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Tokens of pre-tokens of known bytes; those from number `n_whole` on are not looked up whole."""
        lattice = Lattice.build(self.trie, blob, starts, n_threads, n_whole)
        encoder = LatticeEncoder(self.method, self.trie, lattice, blob)
        ids = np.empty(blob.size, dtype=np.int32)
        sizes = np.empty(starts.size - 1, dtype=np.int32)
        run_shards(lambda a, b: encoder.encode(self._kept, a, b, ids, sizes), shard_bounds(starts, n_threads))
        return ids, sizes

    def _encode_without_lacking(
        self, blob: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], n_threads: int
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """The same for all pre-tokens. Those that lose bytes go last, as their rest is not looked up whole."""
        lengths = np.diff(starts)
        n_lost = sums_within(self._is_lacking[blob], lengths, starts)
        order = np.argsort(n_lost > 0, kind="stable")
        places = _places(starts[order], lengths[order])
        rest = blob[places]
        rest = rest[~self._is_lacking[rest]]
        rest_starts = np.concatenate([[0], np.cumsum((lengths - n_lost)[order])])
        n_whole = int(np.count_nonzero(n_lost == 0))
        ids, sizes = self._encode_rows(rest, rest_starts, n_threads, n_whole)
        all_ids, all_sizes = np.empty(blob.size, dtype=np.int32), np.empty_like(sizes)
        all_sizes[order] = sizes
        all_ids[_places(starts[order], sizes)] = ids[_places(rest_starts[:-1], sizes)]
        return all_ids, all_sizes


def _lacking(trie: TokenTrie, method: InferenceMethod, leaves_out: bool) -> bytes:
    """Single bytes without a token; raises ValueError for one that a token holds, or text that may not lose it."""
    lacking = bytes(np.flatnonzero(trie.byte_tokens < 0).tolist())
    if lacking and method in LOOKS_AHEAD:
        raise ValueError(f"{method} needs all 256 single bytes, and the vocabulary lacks {len(lacking)}")
    needed = [b for b in lacking if b not in NEVER_IN_UTF8]
    if needed and not leaves_out:
        n_bytes = 256 - len(NEVER_IN_UTF8)
        raise ValueError(f"the vocabulary lacks {len(needed)} of the {n_bytes} bytes of UTF-8, first {needed[0]}")
    held = np.flatnonzero(np.isin(trie.blob, list(lacking)))
    if held.size:
        token = int(np.searchsorted(trie.starts, held[0], side="right")) - 1
        raw = trie.blob[trie.starts[token] : trie.starts[token + 1]].tobytes()
        raise ValueError(f"the token {raw!r} holds the byte {trie.blob[held[0]]}, which is no token by itself")
    return lacking


def _check_fallback(trie: TokenTrie) -> None:
    """A byte may lack its token if no text holds it, or only as a character with a token; else raises ValueError."""
    for b in np.flatnonzero(trie.byte_tokens < 0).tolist():
        is_spelt = b < 0x80 and trie.byte_token(b) >= 0
        if not is_spelt and b not in NEVER_IN_UTF8:
            raise ValueError(f"the vocabulary has no token for the byte {b}, which characters without a token hold")


def _places(begins: npt.NDArray[np.int64], sizes: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int64]:
    """begins[k], begins[k] + 1, … for sizes[k] places each, end to end, int64."""
    before = np.cumsum(sizes) - sizes
    return np.repeat(begins - before, sizes) + np.arange(int(sizes.sum()))


def sums_within(
    values: npt.NDArray[Any], sizes: npt.NDArray[np.int32], starts: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Sum of the values at the first sizes[w] places from starts[w] on, int64[n]."""
    lengths = np.diff(starts)
    within = np.arange(values.size) - np.repeat(starts[:-1], lengths) < np.repeat(sizes, lengths)
    before = np.concatenate([[0], np.cumsum(np.where(within, values, 0), dtype=np.int64)])
    return np.diff(before[starts])


def merge_parents(
    trie: TokenTrie, blob: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], method: InferenceMethod = "merges"
) -> npt.NDArray[np.int64]:
    """The two tokens whose merge makes each token, int64[n_tokens, 2]; -1 for single bytes and orphans.

    `method` is merges or scored-merges. Parents of a character of two bytes are its bytes.
    """
    return merged_pairs(trie, blob, starts, method, leaves_out=True)


def merged_pairs(
    trie: TokenTrie,
    blob: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    method: InferenceMethod = "merges",
    *,
    leaves_out: bool = False,
) -> npt.NDArray[np.int64]:
    """The two tokens that merging each text ends in, int64[n_texts, 2]; -1 for one that ends in fewer or more.

    Texts are blob uint8, starts int64[n_texts + 1]. With `leaves_out`, text w is token w, merged as if that were none.
    """
    n_texts = starts.size - 1
    lattice = Lattice.build(trie, blob, starts, n_whole=0)
    ids = np.empty(blob.size, dtype=np.int32)
    sizes = np.empty(n_texts, dtype=np.int32)
    kept = np.ones(trie.lengths.size, dtype=np.bool_)
    LatticeEncoder(method, trie, lattice, blob).encode(kept, 0, n_texts, ids, sizes, leaves_out=leaves_out)
    parents = np.full((n_texts, 2), -1, dtype=np.int64)
    merged = np.flatnonzero(sizes == 2)
    begins = starts[merged]
    parents[merged, 0], parents[merged, 1] = ids[begins], ids[begins + 1]
    return parents
