"""`NgramModel`: interpolated n-grams with modified Kneser-Ney smoothing, over the tokens of documents.

Source: Chen and Goodman 1998, "An empirical study of smoothing techniques for language modeling", with three discounts
for each length. The end of a document is predicted as well, so that probabilities of documents add up to 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vocab.arrays import Ints, Tokens
from vocab.errors import StudyError
from vocab.experiments.ngram import ngram_kernels as kernels

Floats = npt.NDArray[np.float64]


class NgramModel:
    """An n-gram model of documents as token ids.

    Memory: 28 bytes for each slot and length; slots are a power of two, from 1.3 times as many as tokens.
    """

    def __init__(self, ids: Tokens, starts: Ints, n_ids: int, n_tokens: int, order: int) -> None:
        """Count the documents.

        Args:
            ids: ids of all documents end to end, int32.
            starts: where each document starts, int64[n_documents + 1].
            n_ids: a number above every id.
            n_tokens: how many tokens the vocabulary has, over which an unseen one is spread evenly.
            order: the longest n-grams, in tokens.

        Raises:
            StudyError: for text without a document.
        """
        if starts.size < 2:
            raise StudyError("an n-gram model needs at least one document")
        self._end, self._start, self._factor, self._n_words = n_ids, n_ids + 1, n_ids + 2, n_tokens + 1
        text = self._marked(ids, starts)
        n_slots = 1 << int(1.3 * text.size + 2).bit_length()
        self._keys = np.full((order, n_slots), -1, dtype=np.int64)
        self._counts = np.zeros((order, n_slots), dtype=np.int32)
        work = np.zeros(order, dtype=np.int64), np.zeros(order, dtype=np.bool_)
        kernels.count_ngrams(text, self._start, self._factor, self._keys, self._counts, *work)
        self._sums = np.zeros((order, n_slots, 4), dtype=np.int32)
        kernels.sum_contexts(self._keys, self._counts, self._factor, self._sums)
        n_of = np.zeros((order, 4), dtype=np.int64)
        kernels.count_counts(self._counts, n_of)
        self._discounts = np.array([discounts(row) for row in n_of.tolist()])

    def bits(self, ids: Tokens, starts: Ints) -> Floats:
        """What each document costs, in bits, float64[n_documents], its end included."""
        text = self._marked(ids, starts)
        documents = np.repeat(np.arange(starts.size - 1, dtype=np.int32), np.diff(starts) + 2)
        total = np.zeros(starts.size - 1)
        before = np.zeros(self._keys.shape[0] + 1, dtype=np.int64)
        tables = self._keys, self._counts, self._sums, self._discounts
        kernels.add_bits(text, documents, self._start, self._factor, *tables, self._n_words, before, total)
        return total

    def _marked(self, ids: Tokens, starts: Ints) -> Tokens:
        """The documents, each between a start and an end."""
        marks = np.stack([np.full(starts.size, self._end), np.full(starts.size, self._start)], axis=1).ravel()[1:-1]
        return np.insert(ids, np.repeat(starts, 2)[1:-1], marks).astype(np.int32)


def discounts(n_of: Sequence[int]) -> list[float]:
    """What is taken off counts of 0, 1, 2, and 3 or more, from how many n-grams have the counts 1 to 4.

    Chen and Goodman's estimates; a count that no n-gram has, as in very little text, gives half of each count.
    """
    if not all(n_of):
        return [0.0, 0.5, 1.0, 1.5]
    ratio = n_of[0] / (n_of[0] + 2 * n_of[1])
    estimates = [k - (k + 1) * ratio * n_of[k] / n_of[k - 1] for k in (1, 2, 3)]
    return [0.0, *(min(max(estimate, 0.0), float(k)) for k, estimate in enumerate(estimates, 1))]
