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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from vocab.arrays import frozen
from vocab.encoding.lattice import TokenTrie
from vocab.encoding.unigram_text_kernels import encode_from
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


def byte_score(scores: npt.NDArray[np.floating[Any]]) -> float:
    """So low a score that tokenizers never takes a text like <0x41> for a byte if its characters are pieces."""
    return _N_BYTE_PIECE * min(-1.0, math.floor(float(scores[256:].min())))


@dataclass(frozen=True)
class Scores:
    """What Unigram goes by.

    Attributes:
        values: score of each token, float64[n_tokens].
        in_single: whether sums are in float32, as in sentencepiece, or in float64, as in tokenizers.
        unknown: score of a character that no token spells; its bytes stand for it.
        others: texts that are looked for beside the tokens, each with its score and the number that stands for it in
            what is encoded: n_tokens or above for what is no token.
        n_stand_ins: how many of the first tokens stand for characters that no token spells: 256 bytes, or 1 for a run.
        looks_up_unknown: whether the text of the one that stands for a run is found in text.
    """

    values: npt.NDArray[np.float64]
    in_single: bool
    unknown: float
    others: Sequence[tuple[bytes, float, int]] = ()
    n_stand_ins: int = 256
    looks_up_unknown: bool = False

    @classmethod
    def of_sentencepiece(
        cls, values: npt.NDArray[np.floating[Any]], user_defined: Sequence[str], n_stand_ins: int = 256
    ) -> Scores:
        """As sentencepiece 0.2.3 goes by them; user-defined piece k has the number n_tokens + k."""
        unknown = np.float32(values[n_stand_ins:].min()) - np.float32(_UNKNOWN_PENALTY)
        lengths = [len(text.replace(" ", MARK).encode()) for text in user_defined]
        others = [
            (text.replace(MARK, " ").encode(), float(np.float32(_FOR_EACH_BYTE * (n - 1))), values.size + k)
            for k, (text, n) in enumerate(zip(user_defined, lengths, strict=True))
        ]
        return cls(values.astype(np.float64), True, float(unknown), others, n_stand_ins)

    @classmethod
    def of_tokenizers(cls, values: npt.NDArray[np.floating[Any]], byte_pieces: Sequence[str]) -> Scores:
        """As tokenizers goes by them, to which the text of a byte piece is that piece, and bytes have scores too."""
        others = [(text.encode(), float(values[k]), k) for k, text in enumerate(byte_pieces)]
        return cls(values.astype(np.float64), False, float(values.min()) - _UNKNOWN_PENALTY, others)

    @classmethod
    def of_runs(
        cls, values: npt.NDArray[np.floating[Any]], listed: Mapping[str, float], numbered: Iterable[str]
    ) -> Scores:
        """As tokenizers goes by them where the first token stands for runs of unknown characters.

        Of added tokens `listed` has the scores of those that are pieces. That with place k in `numbered` has the number
        n_tokens + k.
        """
        numbers = {text: values.size + k for k, text in enumerate(numbered)}
        added = [(text, score) for text, score in listed.items() if text in numbers]
        others = [(text.replace(MARK, " ").encode(), score, numbers[text]) for text, score in added]
        least = min([float(values.min()), *(score for _, score, _ in others)])
        return cls(values.astype(np.float64), False, least - _UNKNOWN_PENALTY, others, 1, True)

    @cached_property
    def units(self) -> npt.NDArray[np.int64]:
        """Scores of tokens as whole numbers, int64[n_tokens], exact for ones of usual size; those of bytes are 0."""
        largest = max(1.0, float(np.abs(self.values[self.n_stand_ins :]).max(initial=0)))
        units = np.rint(np.ldexp(self.values, _UNIT_BITS - math.frexp(largest)[1])).astype(np.int64)
        units[: self.n_stand_ins] = 0
        return units


class TextEncoder:
    """Encodes whole texts with tokens (blob uint8, starts int64[n + 1]). The first tokens are stand-ins."""

    def __init__(self, blob: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], scores: Scores) -> None:
        texts = [text for text, _, _ in scores.others]
        lengths = np.cumsum([len(text) for text in texts], dtype=np.int64)
        every = np.concatenate([blob, np.frombuffer(b"".join(texts), dtype=np.uint8)])
        has_bytes = scores.n_stand_ins == 256
        trie = TokenTrie.build(
            every,
            np.concatenate([starts, starts[-1] + lengths]),
            byte_fallback=has_bytes,
            has_unknown=not has_bytes,
            looks_up_unknown=scores.looks_up_unknown,
        )
        values = np.concatenate([scores.values, [score for _, score, _ in scores.others]])
        self._table = (frozen(trie.table), frozen(trie.root), frozen(trie.lengths), frozen(values))
        self._rule = (scores.unknown, scores.in_single, -1 if has_bytes else 0)
        numbers = np.concatenate([np.arange(starts.size - 1), [number for _, _, number in scores.others]])
        self._numbers = numbers.astype(np.int32)

    def encode(self, text: bytes) -> npt.NDArray[np.int32]:
        """Numbers of the tokens of UTF-8 `text`, int32."""
        raw = frozen(np.frombuffer(text, dtype=np.uint8))
        ids = np.empty(raw.size, dtype=np.int32)
        state = np.zeros(2, dtype=np.int64)
        best, last = np.zeros(_ROOM, dtype=np.float64), np.empty(_ROOM, dtype=np.int32)
        while not encode_from(raw, *self._table, *self._rule, state, best, last, ids):
            best, last = np.concatenate([best[:1], np.empty(2 * best.size)]), np.empty(2 * best.size + 1, np.int32)
        return self._numbers[ids[: int(state[1])]]
