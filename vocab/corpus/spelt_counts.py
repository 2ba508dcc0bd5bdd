"""A counted corpus for a vocabulary that has no token for some bytes."""

from __future__ import annotations

from dataclasses import replace

from vocab.corpus.counting import CorpusCounts, CorpusPart
from vocab.utf8 import NEVER_IN_UTF8


def spelt_without(corpus: CorpusCounts, lacking: bytes, name: str) -> CorpusCounts:
    """`without_added`, and without pre-tokens with bytes that the vocabulary `name` lacks; a note says so."""
    plain = corpus.without_added()
    spelt = plain.with_tables(lambda counts: counts.without_bytes(lacking)) if lacking else plain
    missed = [b for b in lacking if b not in NEVER_IN_UTF8]
    if spelt is plain and not missed:
        return plain
    n_lost = sum(map(_n_bytes, plain.parts)) - sum(map(_n_bytes, spelt.parts))
    note = (
        f"{name} has no token for {len(missed)} bytes that text may hold, so its runtime leaves them out: "
        f"{n_lost:,} bytes of words with them are not counted."
    )
    return replace(spelt, notes=(*corpus.notes, note))


def _n_bytes(part: CorpusPart) -> int:
    return part.train.n_bytes + part.held_out.n_bytes
