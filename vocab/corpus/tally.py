"""Sums over the documents of a corpus."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Tally:
    """Sums over the documents that were read.

    Attributes:
        n_documents: documents, those held out included.
        n_documents_held_out: documents held out.
        n_documents_repaired: documents in which invalid UTF-8 became U+FFFD.
        n_documents_skipped: documents left out for invalid UTF-8.
        n_documents_of_benchmarks: documents left out because they hold text of a benchmark.
        n_bytes_of_benchmarks: their bytes.
        n_bytes_read: bytes of text, before anything was replaced or skipped.
        n_rows_without_text: rows whose text is null or missing.
        n_rows_skipped: rows that cannot be read or hold something else than text.
    """

    n_documents: int = 0
    n_documents_held_out: int = 0
    n_documents_repaired: int = 0
    n_documents_skipped: int = 0
    n_documents_of_benchmarks: int = 0
    n_bytes_of_benchmarks: int = 0
    n_bytes_read: int = 0
    n_rows_without_text: int = 0
    n_rows_skipped: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(Tally)})
