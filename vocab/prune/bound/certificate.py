"""Certificates: a bound, a vocabulary near it and everything that proves both, in one file of plain text.

`certificate.zip` holds four plain texts. `vocab/prune/check_certificate.py` verifies them with the standard library
alone.

    header.json      what is claimed, and the SHA-256 of the other three
    counts.txt       a line for each pre-token: its bytes in hexadecimal, its count
    candidates.txt   a line for each token: its bytes in hexadecimal; always, kept or dropped; kept ones by rank.
                     Behind kept ones of SentencePiece stands what merging goes by, or the score (`token_rules`)
    prices.txt       a line for each segment with prices: its bytes in hexadecimal, then start:end:price for each

A segment is a piece of a pre-token: pre-tokens are cut wherever no candidate crosses. A price belongs to the token that
is bytes start … end of the segment, and is a multiple of 1 / unit token.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from vocab.arrays import Ints, Mask
from vocab.errors import CertificateError
from vocab.pretokens.counts import PretokenCounts
from vocab.prune.bound.objective import EdgePrices, Objective
from vocab.prune.bound.optimal import SearchResult
from vocab.prune.check_certificate import MAX_TEXT_BYTES
from vocab.vocabulary import Vocabulary

FILE_NAME = "certificate.zip"
FORMAT = "vocab-certificate"
VERSION = 1
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the same bytes each time


@dataclass(frozen=True)
class Certificate:
    """A lower bound on tokens for some counts, candidates and target, a vocabulary near it, and what proves both.

    Attributes:
        claims: all claims, with digests, as JSON types: the content of header.json, repeated in report.json.
        texts: the three texts that prove them, by name: "counts", "candidates" and "prices".
    """

    claims: dict[str, Any]
    texts: dict[str, bytes]

    @property
    def tokens(self) -> int:
        """Tokens of the vocabulary on the counts."""
        return int(self.claims["tokens"])

    @property
    def bound_tokens(self) -> int:
        """Tokens that any choice of candidates needs at least."""
        return int(self.claims["bound_tokens"])

    @property
    def gap(self) -> float:
        """Distance of the vocabulary from the bound, as a share of the bound."""
        return float(self.claims["gap"])

    def as_zip(self) -> bytes:
        """The bytes of certificate.zip; equal certificates give equal bytes."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            header = json.dumps(self.claims, indent=2).encode() + b"\n"
            for name, text in {"header.json": header, **{f"{k}.txt": v for k, v in self.texts.items()}}.items():
                entry = zipfile.ZipInfo(name, _LONG_AGO)
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, text)
        return buffer.getvalue()


@dataclass(frozen=True)
class Proof:
    """What a certificate is made from.

    Attributes:
        candidates: the vocabulary whose tokens could be chosen, no two of the same bytes.
        n_repeated: byte pieces that every choice has besides, since they repeat the bytes of candidates.
        n_put_in: single bytes among the candidates that the vocabulary lacks; every choice has them, and uses none.
        counts: the pre-tokens and counts that tokens were chosen by: of the corpus, and of the prior if any.
        counts_note: a description of the counts.
        objective: the same as a lattice, with the tokens always kept and the number of others that may be.
        kept: numbers of the kept candidates in the order of their ranks, int64[n_kept].
        rules: by the bytes of kept candidates what the inference method goes by besides ranks; see `token_rules`.
        inference: the method that `tokens` were counted with.
        tokens: tokens of the kept candidates on the counts.
        search: the bound, with its prices, and how the search for it went.
    """

    candidates: Vocabulary
    n_repeated: int
    n_put_in: int
    counts: PretokenCounts
    counts_note: str
    objective: Objective
    kept: Ints
    rules: Mapping[bytes, str]
    inference: str
    tokens: int
    search: SearchResult

    def certificate(self) -> Certificate:
        """Write down the claims and the texts that prove them; raises CertificateError when they are too large."""
        texts = {
            "counts": _counts_text(self.counts),
            "candidates": _candidates_text(self.candidates, self.kept, self.objective.is_free, self.rules),
            "prices": _lines(_price_lines(self.objective, self.search.bound.prices)),
        }
        for name, text in texts.items():
            if len(text) > MAX_TEXT_BYTES:
                raise CertificateError(
                    f"{name}.txt of the certificate would have {len(text):,} bytes, and only {MAX_TEXT_BYTES:,} are "
                    "ever checked: certify for a smaller corpus"
                )
        return Certificate(self._claims(texts), texts)

    def _claims(self, texts: dict[str, bytes]) -> dict[str, Any]:
        bound, n_always = self.search.bound, int(np.count_nonzero(self.objective.is_free))
        is_in, is_out = self.objective.settled(bound, self.tokens)
        besides = {"n_repeated": self.n_repeated, "n_put_in": self.n_put_in}
        return {
            "format": FORMAT,
            "version": VERSION,
            "objective": self.counts_note,
            "split_pattern_sha256": self.counts.pattern_sha256,
            "n_candidates": self.candidates.n_tokens,
            "n_keep": n_always + self.objective.n_select,
            "n_always_kept": n_always,
            **{name: n for name, n in besides.items() if n},
            "inference": self.inference,
            "tokens": self.tokens,
            "bound_tokens": bound.tokens,
            "bound_numerator": bound.numerator,
            "unit": bound.prices.unit,
            "gap": bound.gap(self.tokens),
            "n_in_every": int(np.count_nonzero(is_in)),
            "n_in_none": int(np.count_nonzero(is_out)),
            **{f"{name}_sha256": hashlib.sha256(text).hexdigest() for name, text in texts.items()},
            "search": {
                "best_tokens_under_least_tokens": self.search.tokens,
                "n_steps": self.search.n_steps,
                "stopped_by": self.search.stopped_by,
            },
        }


def _counts_text(counts: PretokenCounts) -> bytes:
    """The content of counts.txt."""
    pieces = _hex_pieces(counts.blob, counts.starts)
    return _lines(f"{p} {n}" for p, n in zip(pieces, counts.counts.tolist(), strict=True))


def _candidates_text(candidates: Vocabulary, kept: Ints, is_free: Mask, rules: Mapping[bytes, str]) -> bytes:
    """The content of candidates.txt."""
    pieces = _hex_pieces(candidates.blob, candidates.starts)
    states = np.full(len(pieces), "dropped", dtype="<U7")
    states[kept] = "kept"
    states[is_free] = "always"
    rule_of = {token.hex(): f" {rule}" for token, rule in rules.items()}
    dropped = np.setdiff1d(np.arange(len(pieces)), kept)
    kept_lines = (f"{pieces[k]} {states[k]}{rule_of.get(pieces[k], '')}" for k in kept.tolist())
    return _lines([*kept_lines, *(f"{pieces[k]} {states[k]}" for k in dropped.tolist())])


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
