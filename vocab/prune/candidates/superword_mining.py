"""Superwords of text, found by Apriori.

A unit is cut into pre-tokens by the source's pattern, and a pre-token that goes over a unit's end is cut there. Runs of
these are counted as `apriori` says, each document once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from vocab.arrays import Mask, frozen
from vocab.choices import Barrier
from vocab.corpus.batch import Batch
from vocab.corpus.held_documents import HeldDocuments
from vocab.errors import CorpusError
from vocab.pretokens.table import PretokenTable
from vocab.prune.candidates.apriori import (
    MOST_IDS,
    Limits,
    Places,
    Substrings,
    collected,
    frequent_runs,
    together,
)
from vocab.prune.candidates.superwords import UNITS, Superwords
from vocab.splitting import SplitPattern
from vocab.splitting.classes import CASELESS, DIGIT, LETTER, LOWER, NEWLINE, SPACE, UPPER, class_table

_IN_WORDS = LETTER | DIGIT | SPACE | UPPER | LOWER | CASELESS
_Bits = npt.NDArray[np.uint8]
_CLASSES: dict[Barrier, Callable[[_Bits], Mask]] = {
    "digits": lambda bits: (bits & DIGIT) != 0,
    "punctuation": lambda bits: (bits & _IN_WORDS) == 0,
    "line-ends": lambda bits: (bits & NEWLINE) != 0,
}


def mine_superwords(
    documents: HeldDocuments,
    weights: Sequence[int],
    pattern: SplitPattern,
    wanted: Superwords,
    min_count: int,
    n_threads: int = 1,
) -> Substrings:
    """Find the superwords of training documents that occur often enough.

    Left out are those that always occur with the same pre-token before or after them, in a longer superword.

    Memory: the training text, 20 bytes for each pre-token in it, and what `frequent_runs` takes.

    Args:
        documents: the documents.
        weights: of each part.
        pattern: the source's split pattern.
        wanted: which superwords.
        min_count: occurrences at least, each times its part's weight.
        n_threads: threads; the result does not depend on how many.

    Raises:
        CorpusError: the documents have 2³¹ pre-tokens or more.
    """
    batches = [
        (batch, weight)
        for part, weight in zip(documents.parts, weights, strict=True)
        for batch in part.training_batches()
        if batch.text.size
    ]
    places = _places([batch for batch, _ in batches], [weight for _, weight in batches], pattern, wanted.barriers)
    text = np.concatenate([np.empty(0, dtype=np.uint8), *(batch.text for batch, _ in batches)])
    limits = Limits(min_count, wanted.min_documents, wanted.max_bytes)
    levels = frequent_runs(places, limits, n_threads, wanted.max_words)
    runs = together(levels)
    is_word = np.arange(runs.begins.size) < levels[0].begins.size
    return collected(text, runs, np.flatnonzero(runs.is_closed & ~is_word), None)


def _places(
    batches: Sequence[Batch], weights: Sequence[int], pattern: SplitPattern, barriers: Sequence[Barrier]
) -> Places:
    """The pre-tokens of documents, within units, as places in their text; each document is an owner."""
    table = PretokenTable(1 << 16)
    slots = [_slots(batch, pattern, table) for batch in batches]
    n_slots = sum(ids.size for ids, _, _ in slots)
    if n_slots > MOST_IDS:
        raise CorpusError("superwords of 2³¹ pre-tokens cannot be counted at once: hold fewer documents")
    numbers = np.arange(table.n_entries + 1, dtype=np.int32)
    numbers[:-1][_has_barrier(table, barriers)] = -1
    numbers[-1] = -1  # of the end of a unit
    ids, owners = np.empty((2, n_slots), dtype=np.int32)
    begins = np.empty(n_slots, dtype=np.int64)
    at = n_documents = n_bytes = 0
    for batch, (entries, documents, firsts) in zip(batches, slots, strict=True):
        here = slice(at, at + entries.size)
        ids[here], owners[here], begins[here] = numbers[entries], documents + n_documents, firsts + n_bytes
        at, n_documents, n_bytes = here.stop, n_documents + batch.n_documents, n_bytes + batch.text.size
    counts = np.repeat(np.array(weights, dtype=np.int64), [batch.n_documents for batch in batches])
    return Places(ids, owners, begins, frozen(counts), frozen(np.ones(n_documents, dtype=np.int64)))


def _slots(
    batch: Batch, pattern: SplitPattern, table: PretokenTable
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Entry in `table`, document and first byte of each pre-token of a batch; entry -1 after each unit."""
    unit_ends, _ = UNITS.ends_of_documents(batch.text, batch.starts)
    ends = np.union1d(pattern.ends_of_documents(batch.text, batch.starts)[0], unit_ends)
    after = np.searchsorted(ends, unit_ends) + 1
    entries = np.insert(table.add(batch.text, ends), after, np.int32(-1))
    begins = np.insert(np.concatenate([[0], ends[:-1]]), after, unit_ends)
    documents = np.searchsorted(batch.starts, np.minimum(begins, batch.text.size - 1), side="right") - 1
    return entries, documents.astype(np.int32), begins.astype(np.int32)


def _has_barrier(table: PretokenTable, barriers: Sequence[Barrier]) -> Mask:
    """Which pre-tokens of a table hold what no superword may, bool[n_entries]."""
    text = table.blob
    bits = class_table()[np.frombuffer(text.tobytes().decode().encode("utf-32-le"), dtype=np.uint32)]
    is_barrier = np.zeros(bits.size, dtype=np.bool_)
    for barrier in barriers:
        is_barrier |= _CLASSES[barrier](bits)
    characters = np.flatnonzero((text & 0xC0) != 0x80)[is_barrier]
    has_barrier = np.zeros(table.n_entries, dtype=np.bool_)
    has_barrier[np.searchsorted(table.starts, characters, side="right") - 1] = True
    return has_barrier
