"""Substrings of pre-tokens as further candidates: those of whole characters that occur often enough."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vocab.arrays import frozen
from vocab.pretokens.counts import PretokenCounts
from vocab.prune.candidates import mining_kernels
from vocab.prune.candidates.apriori import (
    MOST_IDS,
    Limits,
    Places,
    Substrings,
    collected,
    frequent_runs,
    together,
)


def mine(
    counts: PretokenCounts,
    min_count: int,
    *,
    min_documents: int = 1,
    max_bytes: int = 32,
    most: int | None = None,
    closed_only: bool = True,
    n_threads: int = 1,
) -> Substrings:
    """Find the substrings of pre-tokens, of whole UTF-8 characters, that occur often enough.

    Memory: 20 bytes a character of the distinct pre-tokens; and 60 to 130 bytes for each distinct substring of one
    length whose two shorter substrings are frequent.

    Args:
        counts: pre-tokens with counts.
        min_count: occurrences at least.
        min_documents: documents at least, where documents were counted.
        max_bytes: bytes at most; the least is 2.
        most: substrings at most, the most frequent; None for all.
        closed_only: whether to leave out a substring that always occurs with the same character before or after it,
            as long as the longer one is within `max_bytes`.
        n_threads: threads; the result does not depend on how many.
    """
    limits = Limits(min_count, min_documents, max_bytes)
    runs = together(frequent_runs(_characters(counts), limits, n_threads))
    chosen = np.flatnonzero((runs.n_bytes > 1) & (runs.is_closed if closed_only else True))
    substrings = collected(counts.blob, runs, chosen, most)
    return replace(substrings, document_counts=None) if counts.document_counts is None else substrings


def _characters(counts: PretokenCounts) -> Places:
    """The characters of pre-tokens as places, each pre-token an owner."""
    blob, starts = frozen(counts.blob), frozen(counts.starts)
    none, no_begins = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64)
    n = int(mining_kernels.fill_slots(blob, starts, none, none, no_begins, False))
    if max(n, counts.n_pretokens) > MOST_IDS:
        raise ValueError(f"substrings of at most {MOST_IDS:,} distinct characters and pre-tokens can be counted")
    ids, owners = np.empty((2, n), dtype=np.int32)
    begins = np.empty(n, dtype=np.int64)
    mining_kernels.fill_slots(blob, starts, ids, owners, begins, True)
    documents = no_begins if counts.document_counts is None else counts.document_counts.astype(np.int64)
    return Places(ids, owners, begins, frozen(counts.counts.astype(np.int64)), frozen(documents))
