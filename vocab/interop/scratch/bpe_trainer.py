"""`train_bpe`: byte-level BPE trained from counted pre-tokens, with the merges of Hugging Face's trainer."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vocab.arrays import Scalar, frozen
from vocab.errors import CorpusError
from vocab.interop.scratch import bpe_queue_kernels as queue
from vocab.interop.scratch import bpe_table_kernels as tables
from vocab.interop.scratch import bpe_trainer_kernels as kernels
from vocab.pretokens.counts import PretokenCounts
from vocab.progress import OnProgress, silent
from vocab.splitting.byte_alphabet import BYTE_TO_CHARACTER

N_BYTES = 256
_BYTES = np.array(sorted(range(N_BYTES), key=BYTE_TO_CHARACTER.__getitem__), dtype=np.uint8)
_MOST_BYTES = 1 << 62  # of text: then no sum of counts overflows
_AT_ONCE = 256  # tokens between two calls of `on_progress`


@dataclass(frozen=True, eq=False)
class TrainedBpe:
    """Tokens and merges of byte-level BPE.

    Attributes:
        tokens: bytes of each token: 256 single ones in the order of GPT-2's alphabet, then in the order of training.
        merges: ids of the two tokens that each merge puts together, int32[n_merges, 2]. A token that two pairs spell
            has two merges. One pair can be merged twice, where such a token came up between.
    """

    tokens: list[bytes]
    merges: npt.NDArray[np.int32]


def train_bpe(counts: PretokenCounts, n_tokens: int, on_progress: OnProgress | None = None) -> TrainedBpe:
    """Train byte-level BPE from counted pre-tokens, until there are `n_tokens` tokens or no pair occurs any more.

    The merges are those of `BpeTrainer` of Hugging Face tokenizers 0.23 with `min_frequency=0` from the same counts.
    That trainer counts pairs in 32 bits and goes wrong above 2³¹ - 1; here they are int64. One thread, and the same
    counts give the same merges. That trainer leaves the order of two equal entries of one pair to chance; here the
    older is first.

    Memory: about 25 bytes for each byte of the distinct pre-tokens, and 80 for each pair that came up.

    Args:
        counts: distinct pre-tokens with their counts.
        n_tokens: tokens wanted, the 256 bytes included.
        on_progress: called with ("merge pairs", tokens made, `n_tokens`).

    Raises:
        CorpusError: the counts stand for more than 2⁶² bytes of text.
    """
    if n_tokens < N_BYTES:
        raise ValueError(f"n_tokens is {n_tokens}, but the single bytes alone are {N_BYTES}")
    if np.dot(counts.counts.astype(np.float64), np.diff(counts.starts)) > _MOST_BYTES:
        raise CorpusError(f"the counts stand for more than {_MOST_BYTES:,} bytes of text: give smaller weights")
    training = _Training(counts, n_tokens)
    notify = on_progress or silent
    for goal in [*range(N_BYTES + _AT_ONCE, n_tokens, _AT_ONCE), n_tokens]:
        if not training.merge_until(goal):
            break
        notify("merge pairs", goal, n_tokens)
    return training.result()


class _Training:
    """Arrays of the kernels, which grow when a kernel asks for room."""

    def __init__(self, counts: PretokenCounts, n_tokens: int) -> None:
        self._words = _words_of(counts)
        n_bytes = self._words.symbols.size
        self._state = np.zeros(tables.N_STATE, dtype=np.int64)
        self._state[tables.LEAST] = np.iinfo(np.int64).max
        self._pairs = _new_pairs(1 << 18)
        pairs, waiting = np.zeros((2, 1 << 17), dtype=np.int64)
        starts, words = np.zeros((1 << 17) + 1, dtype=np.int64), np.empty(3 * n_bytes, dtype=np.int32)
        self._entries = queue.Entries(pairs, waiting, starts, words)
        self._heap = np.empty((1 << 17, 3), dtype=np.int64)
        self._merges = np.empty((n_tokens, 2), dtype=np.int32)
        self._step = _new_step(n_tokens, n_bytes)
        table = np.zeros(1 << (4 * n_tokens).bit_length(), dtype=np.int32)
        self._tokens = tables.Tokens(np.empty(16 * n_tokens, np.uint8), np.zeros(n_tokens + 2, np.int64), table)
        tables.add_bytes(self._tokens, frozen(_BYTES), self._state)
        self._queue_byte_pairs()

    def _queue_byte_pairs(self) -> None:
        amounts, n_words = np.zeros((2, N_BYTES * N_BYTES), dtype=np.int64)
        last = np.full(N_BYTES * N_BYTES, -1, dtype=np.int32)
        kernels.count_byte_pairs(self._words, amounts, n_words, last)
        last[:] = -1
        kernels.queue_byte_pairs(self._words, self._pairs, self._entries, amounts, n_words, last, self._state)

    def merge_until(self, n_tokens: int) -> bool:
        """Merge until there are `n_tokens` tokens; False when no pair occurs any more."""
        while True:
            ended = kernels.merge_pairs(
                self._words,
                self._pairs,
                self._entries,
                self._heap,
                self._merges,
                self._tokens,
                self._step,
                self._state,
                n_tokens,
            )
            if ended in (kernels.DONE, kernels.EXHAUSTED):
                return bool(ended == kernels.DONE)
            self._make_room(ended)

    def _make_room(self, lacking: int) -> None:
        if lacking == kernels.LACKS_PAIRS:
            larger = _new_pairs(2 * self._pairs.keys.size)
            tables.move_pairs(self._pairs, larger)
            self._pairs = larger
        elif lacking == kernels.LACKS_ENTRIES:
            old = self._entries
            self._entries = queue.Entries(_doubled(old.pairs), _doubled(old.counts), _doubled(old.starts), old.words)
        elif lacking == kernels.LACKS_HEAP:
            self._heap = _doubled(self._heap)
        elif lacking == kernels.LACKS_MERGES:
            self._merges = _doubled(self._merges)
        else:
            self._tokens = self._tokens._replace(blob=_doubled(self._tokens.blob))

    def result(self) -> TrainedBpe:
        """What was trained so far."""
        n_tokens, n_merges = int(self._state[tables.N_TOKENS]), int(self._state[tables.N_MERGES])
        starts = self._tokens.starts[: n_tokens + 1].tolist()
        blob = self._tokens.blob[: starts[-1]].tobytes()
        return TrainedBpe([blob[a:b] for a, b in itertools.pairwise(starts)], self._merges[:n_merges].copy())


def _words_of(counts: PretokenCounts) -> kernels.Words:
    """The pre-tokens that occur, as ids of bytes."""
    counts = counts.chosen(counts.counts > 0)
    id_of_byte = np.empty(N_BYTES, dtype=np.int32)
    id_of_byte[_BYTES] = np.arange(N_BYTES, dtype=np.int32)
    symbols = id_of_byte[counts.blob[: counts.starts[-1]]]
    lengths = np.diff(counts.starts).astype(np.int32)
    return kernels.Words(symbols, frozen(counts.starts), lengths, frozen(counts.counts.astype(np.int64)))


def _new_pairs(n_slots: int) -> tables.Pairs:
    return tables.Pairs(np.full(n_slots, tables.FREE), np.zeros(n_slots, dtype=np.int64))


def _new_step(n_tokens: int, n_bytes: int) -> kernels.Step:
    room = 2 * (n_tokens + 1)
    amounts, n_words, slots = np.zeros((3, room), dtype=np.int64)
    last, touched = np.full((2, room), -1, dtype=np.int32)
    return kernels.Step(amounts, n_words, last, slots, touched, np.empty((n_bytes, 2), dtype=np.int32))


def _doubled(array: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """The array with room for as many rows more."""
    larger = np.empty((2 * len(array), *array.shape[1:]), dtype=array.dtype)
    larger[: len(array)] = array
    return larger
