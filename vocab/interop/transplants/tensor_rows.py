"""The rows of a tensor that follows the vocabulary, written in blocks of bounded size.

Kept rows are copied byte by byte. A token new to the source starts from the mean of the rows that spell it. Rows
without a source (new special tokens; padding up to a multiple) are the mean of all kept rows. In an output head their
logit is then the mean of the others' and never above the highest. A row of zeros has the logit 0, which may be above
all others.
"""

from __future__ import annotations

import errno
import itertools
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from vocab.errors import SourceError
from vocab.interop.transplants.finite_rows import finite
from vocab.interop.transplants.float_rows import DTYPES, Floats, RawRows, decode, encode, means
from vocab.interop.transplants.safetensors_file import BITS
from vocab.interop.transplants.vocabulary_tensors import VocabularyTensor

_BLOCK_BYTES = 4 << 20
_CHUNK_BYTES = 64 << 20
_NOT_IN_KERNEL = {errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM}

Ids = npt.NDArray[np.int64]
OnWritten = Callable[[int], None]  # called with the number of bytes just written


@dataclass(frozen=True)
class RowPlan:
    """The origin of each new row: old ids whose rows are averaged, one for a kept row, none for the mean of all."""

    sources: Sequence[tuple[int, ...]]

    @cached_property
    def old(self) -> Ids:
        """Old row of each kept one, int64[n_rows], -1 for the others."""
        return np.array([rows[0] if len(rows) == 1 else -1 for rows in self.sources], dtype=np.int64)

    @property
    def n_rows(self) -> int:
        """RawRows to write."""
        return len(self.sources)

    @cached_property
    def needs_mean(self) -> bool:
        """Whether some row is the mean of all kept ones."""
        return not all(self.sources)

    @cached_property
    def copies_only(self) -> bool:
        """Whether no number has to be computed."""
        return all(len(rows) == 1 for rows in self.sources)


class RowWriter:
    """Writes the rows of one tensor from an open file to another, both as descriptors."""

    def __init__(
        self, by_id: VocabularyTensor, plan: RowPlan, source: int, data_start: int, on_written: OnWritten
    ) -> None:
        tensor, axis = by_id.tensor, by_id.axis
        shape, dtype = tensor.shape, tensor.dtype
        self.by_id, self.plan, self.source, self.on_written = by_id, plan, source, on_written
        self.dtype = dtype
        self.n_slabs = math.prod(shape[:axis])
        bits = math.prod(shape[axis + 1 :]) * BITS[dtype]
        if bits % 8 or not bits:
            raise SourceError(f"{tensor.name} has rows of {bits} bits, which cannot be told apart")
        self.row_bytes = bits // 8
        if not plan.copies_only and dtype not in DTYPES:
            raise SourceError(
                f"{tensor.name} has the dtype {dtype}, whose rows cannot be averaged for new or padding rows: "
                "convert the model to bfloat16 first"
            )
        self.start = data_start + tensor.begin

    @property
    def new_shape(self) -> tuple[int, ...]:
        """The tensor's shape with the new number of rows."""
        shape, axis = self.by_id.tensor.shape, self.by_id.axis
        return (*shape[:axis], self.plan.n_rows, *shape[axis + 1 :])

    @property
    def n_bytes(self) -> int:
        """Bytes of the new tensor."""
        return self.n_slabs * self.plan.n_rows * self.row_bytes

    def write_to(self, sink: int) -> None:
        """Write all rows to the end of an open file; raises SourceError for one with NaN or an infinity."""
        for k in range(self.n_slabs):
            read = self._reader(self.start + k * self.by_id.n_rows * self.row_bytes)
            mean = self._mean(read) if self.plan.needs_mean else None
            for first, last in _blocks(self.plan.n_rows, self.row_bytes):
                write_all(sink, self._block(read, first, last, mean))
                self.on_written((last - first) * self.row_bytes)

    def _block(self, read: Callable[[Ids], RawRows], first: int, last: int, mean: RawRows | None) -> RawRows:
        old = self.plan.old[first:last]
        block = np.empty((last - first, self.row_bytes), dtype=np.uint8)
        is_kept = old >= 0
        if is_kept.all():
            return read(old)
        block[is_kept] = read(old[is_kept])
        others = np.flatnonzero(~is_kept)
        spelt = np.array([k for k in others.tolist() if self.plan.sources[first + k]], dtype=np.int64)
        if mean is not None:
            block[np.setdiff1d(others, spelt)] = mean
        if spelt.size:
            spellings = [self.plan.sources[first + k] for k in spelt.tolist()]
            lengths = np.array([len(spelling) for spelling in spellings], dtype=np.int64)
            rows = read(np.array([old for spelling in spellings for old in spelling], dtype=np.int64))
            block[spelt] = encode(means(rows, lengths, self.dtype), self.dtype)
        return block

    def _mean(self, read: Callable[[Ids], RawRows]) -> RawRows:
        """The mean of the kept rows, as one row."""
        kept = np.unique(self.plan.old[self.plan.old >= 0])
        total: Floats | float = 0.0
        for first, last in _blocks(kept.size, self.row_bytes):
            total = total + decode(read(kept[first:last]), self.dtype).sum(axis=0)
        return encode(np.atleast_2d(np.asarray(total) / kept.size), self.dtype)

    def _reader(self, start: int) -> Callable[[Ids], RawRows]:
        """A reader of rows of a slab by their numbers: a small slab is read once and held."""
        n_bytes = self.by_id.n_rows * self.row_bytes
        if n_bytes > _BLOCK_BYTES:
            return finite(self.by_id.tensor, lambda ids: self._read_runs(start, ids))
        slab = np.empty((self.by_id.n_rows, self.row_bytes), dtype=np.uint8)
        read_all(self.source, slab.reshape(-1), start)
        return finite(self.by_id.tensor, lambda ids: slab[ids])

    def _read_runs(self, start: int, ids: Ids) -> RawRows:
        """RawRows by their numbers; neighbours are read at once."""
        rows = np.empty((ids.size, self.row_bytes), dtype=np.uint8)
        breaks = np.flatnonzero(np.diff(ids) != 1) + 1
        begins = np.concatenate([[0], breaks, [ids.size]]).tolist()
        for a, b in itertools.pairwise(begins):
            if b > a:
                read_all(self.source, rows[a:b].reshape(-1), start + int(ids[a]) * self.row_bytes)
        return rows


def _blocks(n_rows: int, row_bytes: int) -> Iterator[tuple[int, int]]:
    step = max(1, _BLOCK_BYTES // row_bytes)
    return ((first, min(first + step, n_rows)) for first in range(0, n_rows, step))


def read_all(source: int, into: npt.NDArray[np.uint8], offset: int) -> None:
    """Fill an array from an offset in a file; raises SourceError when the file ends before."""
    done = 0
    while done < into.size:
        n = os.preadv(source, [into[done:].data], offset + done)
        if n == 0:
            raise SourceError("a safetensors file became shorter while it was read")
        done += n


def write_all(sink: int, data: npt.NDArray[np.uint8] | bytes) -> None:
    """Write everything to the end of a file."""
    view = np.ascontiguousarray(data).reshape(-1).data if isinstance(data, np.ndarray) else memoryview(data)
    while view:
        view = view[os.write(sink, view) :]


def copy_bytes(source: int, sink: int, offset: int, n_bytes: int, on_written: OnWritten) -> None:
    """Copy a part of a file to the end of another, in the kernel where it can; raises SourceError at an early end."""
    in_kernel = hasattr(os, "copy_file_range")
    buffer = None
    while n_bytes:
        if in_kernel:
            try:
                n = os.copy_file_range(source, sink, min(n_bytes, _CHUNK_BYTES), offset_src=offset)
            except OSError as error:
                if error.errno not in _NOT_IN_KERNEL:
                    raise
                in_kernel = False
                continue
            if n == 0:
                raise SourceError("a safetensors file became shorter while it was read")
        else:
            buffer = np.empty(_BLOCK_BYTES, dtype=np.uint8) if buffer is None else buffer
            n = min(n_bytes, buffer.size)
            read_all(source, buffer[:n], offset)
            write_all(sink, buffer[:n])
        offset, n_bytes = offset + n, n_bytes - n
        on_written(n)
