"""Unigram: the path of highest summed score, over a whole text as the runtimes add its scores up.

Source: google/sentencepiece `unigram_model.cc` (`EncodeOptimized`), huggingface/tokenizers `unigram/model.rs`, which
follows it. Both add scores up from the beginning of a text and take a way only when it is strictly better than those
that began further left. sentencepiece keeps sums in float32, so that far into a text two ways whose scores differ by
little, or hold the same pieces in another order, are told apart by rounding alone; tokenizers keeps them in float64.
Equal ids need equal rounding, so a text is never cut here. Where many texts are only counted, `inference` adds up whole
numbers instead, which the cutting into pre-tokens cannot change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from vocab.arrays import frozen
from vocab.encoding.lattice import TokenTrie
from vocab.splitting.preparation import MARK

# A character that no piece spells is this much worse than the worst piece (`kUnkPenalty`).
_UNKNOWN_PENALTY = 10.0
# What a user-defined piece has for each byte but one (`GetUserDefinedScore`), since 0.2.2.
_FOR_EACH_BYTE = 0.1
# Characters of a byte piece, <0xNN>, and two to spare: that many of the worst pieces are better than one.
_N_BYTE_PIECE = 8
# Scores become whole numbers, the largest about 2³⁶, so that paths of 2²⁶ tokens can be summed.
_UNIT_BITS = 36
# Bytes of text for which there is room at first; it grows when no place is left that no token crosses.
_ROOM = 1 << 16
_UNSEEN, _UNKNOWN = -2, -1
# Sums beyond this begin at 0 again in sentencepiece since 0.2.2 (`kScoreResetThreshold`).
_START_OVER = 100_000.0

_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(31)
_KERNEL: dict[str, Any] = {"nogil": True, "cache": True, "_nrt": False}


@njit(**_KERNEL)
def _find_child(keys, node, byte):
    """As in `lattice`."""
    mask = np.uint64(keys.size - 1)
    key = np.int64(node) * 256 + byte
    slot = ((np.uint64(key) * _MIX) >> _SHIFT) & mask
    while keys[slot] >= 0 and keys[slot] != key:
        slot = (slot + np.uint64(1)) & mask
    return slot


@njit(**_KERNEL)
def _width(lead):
    """As in `inference`: bytes of the character that begins with this byte."""
    if lead < 0xC0:
        return 1
    if lead < 0xE0:
        return 2
    return 3 if lead < 0xF0 else 4


@njit(**_KERNEL)
def _offer(best, last, reach, at, score, token, in_single):
    """Take a way to place `at` unless one that is as good is known; returns how far ways reach then."""
    for k in range(reach + 1, at + 1):
        last[k] = _UNSEEN
    score = np.float64(np.float32(score)) if in_single else score
    if last[at] == _UNSEEN or score > best[at]:
        best[at] = score
        last[at] = token
    return max(reach, at)


@njit(**_KERNEL)
def _start_over(best, last, at, reach):
    """Let sums begin at 0 again at place `at`, as sentencepiece does when they are large."""
    offset = best[at]
    for k in range(at, reach + 1):
        if k == at or last[k] != _UNSEEN:
            best[k] = np.float64(np.float32(best[k] - offset))


@njit(**_KERNEL)
def _write_path(text, begin, end, last, lengths, ids, n):
    """Put the path from byte `begin` to byte `end` after n ids, an unknown character as its bytes; returns how many."""
    first, at = n, end
    while at > begin:
        token = last[at - begin]
        if token != _UNKNOWN:
            ids[n] = token
            n += 1
            at -= lengths[token]
            continue
        start = at - 1
        while text[start] & 0xC0 == 0x80:
            start -= 1
        for k in range(at - 1, start - 1, -1):
            ids[n] = text[k]
            n += 1
        at = start
    for k in range((n - first) // 2):
        ids[first + k], ids[n - 1 - k] = ids[n - 1 - k], ids[first + k]
    return n


@njit(**_KERNEL)
def _encode_from(text, keys, children, node_token, root, lengths, scores, unknown, in_single, state, best, last, ids):
    """Encode from where `state` (int64: first byte, ids so far) says; returns whether there was room to the end.

    best[0] is the score so far. Ids go to `ids` (int32, a place a byte); 0 … 255 are bytes. `unknown` is the score of a
    character without a token.
    """
    begin, n = state[0], state[1]
    at = begin
    reach = 0  # places are counted from `begin`
    while at < text.size:
        if at - begin == reach and reach > 0:
            n = _write_path(text, begin, at, last, lengths, ids, n)
            best[0] = best[reach]
            begin, reach = at, 0
            state[0], state[1] = begin, n
        place = at - begin
        if in_single and abs(best[place]) > _START_OVER:
            _start_over(best, last, place, reach)
        so_far = best[place]
        width = min(_width(text[at]), text.size - at)
        is_known = False
        node = root[text[at]]
        q = at + 1
        while node >= 0:
            token = node_token[node]
            if token >= 0:
                if q - begin >= best.size:
                    return False
                reach = _offer(best, last, reach, q - begin, so_far + scores[token], token, in_single)
                is_known = is_known or q == at + width
            if q == text.size:
                break
            slot = _find_child(keys, node, text[q])
            node = children[slot] if keys[slot] >= 0 else -1
            q += 1
        if not is_known:
            if place + width >= best.size:
                return False
            reach = _offer(best, last, reach, place + width, so_far + unknown, _UNKNOWN, in_single)
        at += width
    if at > begin:
        n = _write_path(text, begin, at, last, lengths, ids, n)
    state[0], state[1] = at, n
    return True


def byte_score(scores: npt.NDArray[np.floating[Any]]) -> float:
    """So low a score that tokenizers never takes a text like <0x41> for a byte if its characters are pieces."""
    return _N_BYTE_PIECE * min(-1.0, math.floor(float(scores[256:].min())))


@dataclass(frozen=True)
class Scores:
    """What Unigram goes by.

    Attributes:
        values: score of each token, float64[n_tokens], of which the first 256 are bytes.
        in_single: whether sums are in float32, as in sentencepiece, or in float64, as in tokenizers.
        unknown: score of a character that no token spells; its bytes stand for it.
        others: texts that are looked for beside the tokens, each with its score and the number that stands for it in
            what is encoded: n_tokens or above for what is no token.
    """

    values: npt.NDArray[np.float64]
    in_single: bool
    unknown: float
    others: Sequence[tuple[bytes, float, int]] = ()

    @classmethod
    def of_sentencepiece(cls, values: npt.NDArray[np.floating[Any]], user_defined: Sequence[str]) -> Scores:
        """As sentencepiece 0.2.3 goes by them; user-defined piece k has the number n_tokens + k."""
        unknown = np.float32(values[256:].min()) - np.float32(_UNKNOWN_PENALTY)
        lengths = [len(text.replace(" ", MARK).encode()) for text in user_defined]
        others = [
            (text.replace(MARK, " ").encode(), float(np.float32(_FOR_EACH_BYTE * (n - 1))), values.size + k)
            for k, (text, n) in enumerate(zip(user_defined, lengths, strict=True))
        ]
        return cls(values.astype(np.float64), True, float(unknown), others)

    @classmethod
    def of_tokenizers(cls, values: npt.NDArray[np.floating[Any]], byte_pieces: Sequence[str]) -> Scores:
        """As tokenizers goes by them, to which the text of a byte piece is that piece, and bytes have scores too."""
        others = [(text.encode(), float(values[k]), k) for k, text in enumerate(byte_pieces)]
        return cls(values.astype(np.float64), False, float(values.min()) - _UNKNOWN_PENALTY, others)

    @cached_property
    def units(self) -> npt.NDArray[np.int64]:
        """Scores of tokens as whole numbers, int64[n_tokens], exact for ones of usual size; those of bytes are 0."""
        largest = max(1.0, float(np.abs(self.values[256:]).max(initial=0)))
        units = np.rint(np.ldexp(self.values, _UNIT_BITS - math.frexp(largest)[1])).astype(np.int64)
        units[:256] = 0
        return units


class TextEncoder:
    """Encodes whole texts with tokens (blob uint8, starts int64[n + 1]) of which the first 256 are bytes."""

    def __init__(self, blob: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], scores: Scores) -> None:
        texts = [text for text, _, _ in scores.others]
        lengths = np.cumsum([len(text) for text in texts], dtype=np.int64)
        every = np.concatenate([blob, np.frombuffer(b"".join(texts), dtype=np.uint8)])
        trie = TokenTrie.build(every, np.concatenate([starts, starts[-1] + lengths]), byte_fallback=True)
        values = np.concatenate([scores.values, [score for _, score, _ in scores.others]])
        nodes = (frozen(trie.keys), frozen(trie.children), frozen(trie.node_token), frozen(trie.root))
        self._table = (*nodes, frozen(trie.lengths), frozen(values))
        self._rule = (scores.unknown, scores.in_single)
        numbers = np.concatenate([np.arange(starts.size - 1), [number for _, _, number in scores.others]])
        self._numbers = numbers.astype(np.int32)

    def encode(self, text: bytes) -> npt.NDArray[np.int32]:
        """Numbers of the tokens of UTF-8 `text`, int32."""
        raw = frozen(np.frombuffer(text, dtype=np.uint8))
        ids = np.empty(raw.size, dtype=np.int32)
        state = np.zeros(2, dtype=np.int64)
        best, last = np.zeros(_ROOM, dtype=np.float64), np.empty(_ROOM, dtype=np.int32)
        while not _encode_from(raw, *self._table, *self._rule, state, best, last, ids):
            best, last = np.concatenate([best[:1], np.empty(2 * best.size)]), np.empty(2 * best.size + 1, np.int32)
        return self._numbers[ids[: int(state[1])]]
