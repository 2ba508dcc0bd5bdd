"""Documents as kernels take them: valid UTF-8 end to end in one array."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vocab.arrays import end_to_end
from vocab.choices import EncodingErrors
from vocab.corpus.arrow import blob_and_starts
from vocab.errors import CorpusError


@dataclass(frozen=True)
class Batch:
    """Documents end to end; document d is text[starts[d] : starts[d + 1]].

    `n_bytes_read` are the bytes of all documents before anything was replaced or skipped.
    """

    text: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]
    n_bytes_read: int
    n_repaired: int = 0  # documents in which invalid UTF-8 became U+FFFD
    n_skipped: int = 0  # documents left out because they were not valid UTF-8
    n_without_text: int = 0  # rows left out because their text is null or missing
    n_rows_skipped: int = 0  # bad rows left out
    n_of_benchmarks: int = 0  # documents left out because they hold text of a benchmark
    n_bytes_of_benchmarks: int = 0  # their bytes

    @property
    def n_documents(self) -> int:
        """Number of documents."""
        return self.starts.size - 1

    def documents(self) -> list[str]:
        """The documents as strings."""
        raw, starts = self.text.tobytes(), self.starts.tolist()
        return [raw[a:b].decode() for a, b in itertools.pairwise(starts)]

    def chosen(self, mask: npt.NDArray[np.bool_]) -> Batch:
        """The documents of a mask, bool[n_documents], in their order."""
        if mask.all():
            return self
        sizes = np.diff(self.starts)
        starts = np.concatenate([[0], np.cumsum(sizes[mask])]).astype(np.int64)
        return replace(self, text=self.text[np.repeat(mask, sizes)], starts=starts)

    @classmethod
    def of_arrow(cls, array: pa.Array, errors: EncodingErrors, where: Callable[[int], str]) -> Batch:
        """Documents of an Arrow string or binary array without nulls; `where(d)` names document d in an error."""
        return cls._checked(*blob_and_starts(array.cast(pa.large_string())), errors, where)

    @classmethod
    def of_utf8(cls, documents: Sequence[bytes]) -> Batch:
        """Documents that are known to be UTF-8."""
        text, starts = end_to_end(documents)
        return cls(text, starts, text.size)

    @classmethod
    def of_bytes(cls, documents: Sequence[bytes], errors: EncodingErrors, where: Callable[[int], str]) -> Batch:
        """Documents from bytes; `where(d)` names document d in an error."""
        text, starts = end_to_end(documents)
        return cls._checked(text, starts, errors, where)

    @classmethod
    def _checked(
        cls,
        text: npt.NDArray[np.uint8],
        starts: npt.NDArray[np.int64],
        errors: EncodingErrors,
        where: Callable[[int], str],
    ) -> Batch:
        if _is_valid(text, starts):
            return cls(text, starts, text.size)
        return _repaired(text.tobytes(), starts.tolist(), errors, where)


def _is_valid(text: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64]) -> bool:
    """Whether every document is valid UTF-8 on its own."""
    buffers = [None, pa.py_buffer(starts), pa.py_buffer(text)]
    try:
        pa.Array.from_buffers(pa.large_string(), starts.size - 1, buffers).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _repaired(raw: bytes, starts: list[int], errors: EncodingErrors, where: Callable[[int], str]) -> Batch:
    """The documents one by one: invalid ones are repaired, left out or refused."""
    kept: list[bytes] = []
    n_repaired = n_skipped = 0
    for d, (first, last) in enumerate(itertools.pairwise(starts)):
        document = raw[first:last]
        repaired = decoded(document, errors, lambda d=d: where(d))  # type: ignore[misc]
        if repaired is None:
            n_skipped += 1
            continue
        n_repaired += repaired is not document
        kept.append(repaired)
    text, offsets = end_to_end(kept)
    return Batch(text, offsets, len(raw), n_repaired, n_skipped)


def decoded(document: bytes, errors: EncodingErrors, where: Callable[[], str]) -> bytes | None:
    """A document itself when it is UTF-8; otherwise repaired, None to skip it, or CorpusError."""
    try:
        document.decode()
    except UnicodeDecodeError as error:
        if errors == "refuse":
            what = f"{where()} is not UTF-8 at its byte {error.start:,}"
            raise CorpusError(f"{what}: repair it, or set `encoding_errors` to replace or skip") from None
        return None if errors == "skip" else document.decode(errors="replace").encode()
    return document
