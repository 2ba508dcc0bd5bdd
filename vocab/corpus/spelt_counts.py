"""A counted corpus for a vocabulary that has no token for some bytes."""

from __future__ import annotations

from dataclasses import replace

from vocab.corpus.counting import CorpusCounts, CorpusPart
from vocab.number_words import number_of
from vocab.utf8 import NEVER_IN_UTF8


def spelt_without(corpus: CorpusCounts, lacking: bytes, name: str) -> CorpusCounts:
    """`without_added`, and without pre-tokens with bytes that the vocabulary `name` lacks; a note says so."""
    plain = corpus.without_added()
    spelt = plain.with_tables(lambda counts: counts.without_bytes(lacking)) if lacking else plain
    missed = [b for b in lacking if b not in NEVER_IN_UTF8]
    if spelt is plain and not missed:
        return plain
    n_lost = sum(map(_n_bytes, plain.parts)) - sum(map(_n_bytes, spelt.parts))
    lost = f"{number_of(n_lost, 'byte')} of words with them are left out" if n_lost else "no word here has one"
    values = number_of(len(missed), "byte value", "byte values")
    note = f"{name} has no token for {values} that text may hold, and its runtime drops them: {lost}."
    return replace(spelt, notes=(*corpus.notes, note))


def _n_bytes(part: CorpusPart) -> int:
    return part.train.n_bytes + part.held_out.n_bytes
