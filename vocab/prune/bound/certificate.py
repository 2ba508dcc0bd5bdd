"""Certificates: a bound, a vocabulary near it and everything that proves both, in one file of plain text.

`certificate.zip` holds four plain texts. `vocab/prune/check_certificate.py` verifies them with the standard library
alone.

    header.json      what is claimed, and the SHA-256 of the other three
    counts.txt       a line for each pre-token: its bytes in hexadecimal, its count
    candidates.txt   a line for each token: its bytes in hexadecimal; always, kept or dropped; kept ones by rank
    prices.txt       a line for each segment with prices: its bytes in hexadecimal, then start:end:price for each

A segment is a piece of a pre-token: pre-tokens are cut wherever no candidate crosses. A price belongs to the token that
is bytes start … end of the segment, and is a multiple of 1 / unit token.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from vocab.pretokens.counts import PretokenCounts
from vocab.prune.bound.objective import EdgePrices, Objective
from vocab.prune.bound.optimal import SearchResult
from vocab.vocabulary import Vocabulary

FILE_NAME = "certificate.zip"
FORMAT = "vocab-certificate"
VERSION = 1
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the same bytes each time


@dataclass(frozen=True)
class Certificate:
    """A lower bound on tokens for some counts, candidates and target, and a vocabulary within a gap of it.

    Attributes:
        candidates: the vocabulary whose tokens could be chosen.
        counts: the pre-tokens and counts that tokens were chosen by: of the corpus, and of the prior if any.
        note: a description of the counts.
        objective: the same as a lattice, with the tokens always kept and the number of others that may be.
        kept: numbers of the kept candidates in the order of their ranks, int64[n_kept].
        inference: the method that `tokens` were counted with.
        tokens: tokens of the vocabulary on the counts.
        search: the bound, with its prices, and how the search for it went.
    """

    candidates: Vocabulary
    counts: PretokenCounts
    note: str
    objective: Objective
    kept: npt.NDArray[np.int64]
    inference: str
    tokens: int
    search: SearchResult

    @property
    def gap(self) -> float:
        """Distance of the vocabulary from the bound, as a share of the bound."""
        return self.search.bound.gap(self.tokens)

    @cached_property
    def claims(self) -> dict[str, Any]:
        """All claims, with digests, as JSON types: the content of header.json, repeated in report.json."""
        digests = {f"{name}_sha256": hashlib.sha256(text).hexdigest() for name, text in self._texts.items()}
        bound, n_always = self.search.bound, int(np.count_nonzero(self.objective.is_free))
        return {
            "format": FORMAT,
            "version": VERSION,
            "objective": self.note,
            "split_pattern_sha256": self.counts.pattern_sha256,
            "n_candidates": self.candidates.n_tokens,
            "n_keep": n_always + self.objective.n_select,
            "n_always_kept": n_always,
            "inference": self.inference,
            "tokens": self.tokens,
            "bound_tokens": bound.tokens,
            "bound_numerator": bound.numerator,
            "unit": bound.prices.unit,
            "gap": self.gap,
            **digests,
            "search": {
                "best_tokens_under_least_tokens": self.search.tokens,
                "n_steps": self.search.n_steps,
                "stopped_by": self.search.stopped_by,
            },
        }

    @cached_property
    def _texts(self) -> dict[str, bytes]:
        return {"counts": self._counts_text(), "candidates": self._candidates_text(), "prices": self._prices_text()}

    def _counts_text(self) -> bytes:
        pieces = _hex_pieces(self.counts.blob, self.counts.starts)
        return _lines(f"{p} {n}" for p, n in zip(pieces, self.counts.counts.tolist(), strict=True))

    def _candidates_text(self) -> bytes:
        pieces = _hex_pieces(self.candidates.blob, self.candidates.starts)
        states = np.full(len(pieces), "dropped", dtype="<U7")
        states[self.kept] = "kept"
        states[self.objective.is_free] = "always"
        dropped = np.setdiff1d(np.arange(len(pieces)), self.kept)
        return _lines(f"{pieces[k]} {states[k]}" for k in [*self.kept.tolist(), *dropped.tolist()])

    def _prices_text(self) -> bytes:
        return _lines(_price_lines(self.objective, self.search.bound.prices))

    def as_zip(self) -> bytes:
        """The bytes of certificate.zip; equal certificates give equal bytes."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            header = json.dumps(self.claims, indent=2).encode() + b"\n"
            for name, text in {"header.json": header, **{f"{k}.txt": v for k, v in self._texts.items()}}.items():
                entry = zipfile.ZipInfo(name, _LONG_AGO)
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, text)
        return buffer.getvalue()


def _price_lines(objective: Objective, prices: EdgePrices) -> list[str]:
    """Lines of prices.txt."""
    lattice = objective.lattice
    places = np.searchsorted(lattice.edge_starts, prices.edges, side="right") - 1
    segments = np.searchsorted(lattice.starts, places, side="right") - 1
    begins = places - lattice.starts[segments]
    ends = begins + lattice.lengths[lattice.edge_tokens[prices.edges]]
    lines: list[list[str]] = []
    last = -1
    columns = (segments.tolist(), begins.tolist(), ends.tolist(), prices.values.tolist())
    for segment, begin, end, value in zip(*columns, strict=True):
        if segment != last:
            text = objective.blob[lattice.starts[segment] : lattice.starts[segment + 1]]
            lines.append([text.tobytes().hex()])
            last = segment
        lines[-1].append(f"{begin}:{end}:{value}")
    return [" ".join(parts) for parts in lines]


def _hex_pieces(blob: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64]) -> list[str]:
    text, ends = blob.tobytes().hex(), (2 * starts).tolist()
    return [text[a:b] for a, b in pairwise(ends)]


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
