"""Digests of count tables: of their rows and metadata, however the rows are cut into row groups and pages."""

from __future__ import annotations

import hashlib

import numpy as np

from vocab.pretokens.sorted_rows import Rows


class TableDigest:
    """The digest of rows that are added in order."""

    def __init__(self) -> None:
        self._lengths, self._bytes, self._values = hashlib.sha256(), hashlib.sha256(), hashlib.sha256()

    def add(self, rows: Rows) -> None:
        """Add the rows that follow."""
        self._lengths.update(np.diff(rows.starts).astype("<i8").tobytes())
        self._bytes.update(np.ascontiguousarray(rows.blob[rows.starts[0] : rows.starts[-1]]).data)
        self._values.update(np.ascontiguousarray(rows.values, dtype="<u8").data)

    def hexdigest(self, metadata: bytes = b"") -> str:
        """SHA-256 of the digests of lengths, bytes and counts, and of the metadata."""
        parts = [self._lengths.digest(), self._bytes.digest(), self._values.digest(), metadata]
        return hashlib.sha256(b"".join(parts)).hexdigest()
