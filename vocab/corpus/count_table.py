"""Count tables: the public Parquet format for a counted corpus, which anyone can write and `vocab` reads back.

One row a distinct pre-token, sorted by its bytes, no two equal:

    pretoken            binary
    count               uint64   occurrences in documents that are not held out
    documents           uint64   documents that hold it and are not held out (may be left out)
    held_out_count      uint64   the same of held-out documents (may be left out: nothing is held out)
    held_out_documents  uint64

The schema metadata key "vocab.counts" holds JSON: at least `format` (1) and `split_pattern`. The key "vocab.digest"
holds the digest of rows and JSON, where the writer gives one. See docs/counts.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from vocab.corpus.arrow import blob_and_starts
from vocab.corpus.count_metadata import CountMetadata, LeftOut
from vocab.corpus.counting import CorpusPart
from vocab.corpus.files import read_errors_named
from vocab.corpus.table_digest import TableDigest
from vocab.errors import CorpusError
from vocab.pretokens.counts import PretokenCounts
from vocab.pretokens.sorted_rows import Rows, concatenate_rows
from vocab.pretokens.table import PretokenTable
from vocab.splitting import SplitPattern
from vocab.writing import write_errors_named

VALUE_COLUMNS = ("count", "documents", "held_out_count", "held_out_documents")
_SCHEMA = pa.schema([("pretoken", pa.binary()), *((name, pa.uint64()) for name in VALUE_COLUMNS)])
_METADATA, _DIGEST = b"vocab.counts", b"vocab.digest"
_ROW_GROUP_ROWS = 1 << 16
_READ_ROWS = 1 << 14
# Sums of counts times lengths stay exact in int64.
_MOST_BYTES = 1 << 62
_NO_ROWS = Rows(
    np.empty(0, dtype=np.uint8), np.zeros(1, dtype=np.int64), np.empty((0, len(VALUE_COLUMNS)), dtype=np.uint64)
)


def rows_of_table(table: PretokenTable, *, held_out: bool) -> Iterator[Rows]:
    """The entries of a thread's table in byte order, as counts of training or held-out documents, in chunks."""
    for blob, starts, counts, documents in table.sorted_chunks(_ROW_GROUP_ROWS):
        values = np.zeros((counts.size, len(VALUE_COLUMNS)), dtype=np.uint64)
        values[:, 2 * held_out], values[:, 2 * held_out + 1] = counts, documents
        yield Rows(blob, starts, values)


class CountTableWriter:
    """Writes rows in row groups of a fixed size, so that the same rows make the same file however they arrive."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pending: list[pa.Table] = []
        self._n_pending = 0
        self._digest = TableDigest()
        with write_errors_named(path):
            self._writer = pq.ParquetWriter(
                path,
                _SCHEMA,
                compression="zstd",
                use_dictionary=False,
                write_statistics=False,  # a pre-token can be a megabyte long
                column_encoding={
                    "pretoken": "DELTA_LENGTH_BYTE_ARRAY",
                    **dict.fromkeys(VALUE_COLUMNS, "DELTA_BINARY_PACKED"),
                },
            )

    def write(self, rows: Rows) -> None:
        """Add rows that follow those already written; raises OutputError when there is no room on the disk."""
        self._digest.add(rows)
        for first in range(0, rows.n_rows, _ROW_GROUP_ROWS):
            self._pending.append(_as_arrow(rows.slice(first, min(rows.n_rows, first + _ROW_GROUP_ROWS))))
            self._n_pending += len(self._pending[-1])
            self._flush(_ROW_GROUP_ROWS)

    def _flush(self, n_rows: int) -> None:
        while self._n_pending >= max(1, n_rows):
            table = pa.concat_tables(self._pending)
            with write_errors_named(self._path):
                self._writer.write_table(table.slice(0, _ROW_GROUP_ROWS))
            rest = table.slice(_ROW_GROUP_ROWS)
            self._pending, self._n_pending = ([rest], len(rest)) if len(rest) else ([], 0)

    def close(self, metadata: CountMetadata | None = None) -> str:
        """Write what is left, the metadata and the digest, which is returned."""
        self._flush(1)
        text = metadata.to_json() if metadata else ""
        digest = self._digest.hexdigest(text.encode())
        with write_errors_named(self._path):
            if metadata:
                self._writer.add_key_value_metadata({_METADATA.decode(): text, _DIGEST.decode(): digest})
            self._writer.close()
        return digest


def _as_arrow(rows: Rows) -> pa.Table:
    offsets = rows.starts.astype(np.int32 if rows.blob.size < 1 << 31 else np.int64)
    kind = pa.binary() if offsets.dtype == np.int32 else pa.large_binary()
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(rows.blob))]
    pretokens = pa.Array.from_buffers(kind, rows.n_rows, buffers)
    columns = [pa.array(np.ascontiguousarray(rows.values[:, k])) for k in range(len(VALUE_COLUMNS))]
    return pa.Table.from_arrays([pretokens, *columns], schema=_SCHEMA)


class CountTable:
    """A count table on disk, read a few rows at a time and checked on the way."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with read_errors_named(path):
            file = pq.ParquetFile(path)
        self._file = file
        metadata = file.metadata.metadata or {}
        if _METADATA not in metadata:
            raise CorpusError(
                f"{path} is not a count table: it does not say which split pattern it was counted with; "
                "see docs/counts.md"
            )
        self.metadata = CountMetadata.from_json(metadata[_METADATA], path)
        self._described: bytes = metadata[_METADATA]
        self._digest: bytes | None = metadata.get(_DIGEST)
        self.n_rows: int = file.metadata.num_rows
        self._columns = _checked_columns(file.schema_arrow, path)

    def rows(self) -> Iterator[Rows]:
        """All rows in order.

        Raises:
            CorpusError: for the first row that cannot be, or after the last where the digest is another than stated.
        """
        before, digest = None, TableDigest()
        n_before = n_bytes = 0
        with read_errors_named(self.path):
            for batch in self._file.iter_batches(_READ_ROWS, columns=self._columns, use_threads=False):
                rows = _from_arrow(batch, self.path, n_before)
                _check_rising(rows, before, self.path, n_before)
                n_bytes += _total_bytes(rows)
                if n_bytes > _MOST_BYTES:
                    raise CorpusError(
                        f"{self.path} counts more than {_MOST_BYTES:,} bytes of text: its counts overflow"
                    )
                if rows.n_rows:
                    before = rows.pretoken(rows.n_rows - 1)
                n_before += rows.n_rows
                digest.add(rows)
                yield rows
        if self._digest is not None and digest.hexdigest(self._described).encode() != self._digest:
            raise CorpusError(f"{self.path} is damaged: its rows have another digest than it states")


def most_frequent(table: CountTable, n: int) -> list[tuple[bytes, list[int]]]:
    """The n pre-tokens of highest count with their four values; every row is read, and checked, on the way."""
    best: list[tuple[int, bytes, list[int]]] = []
    for rows in table.rows():
        counts = rows.values[:, 0]
        here = np.argsort(counts)[counts.size - min(n, counts.size) :].tolist()
        best = sorted(best + [(-int(counts[k]), rows.pretoken(k), rows.values[k].tolist()) for k in here])[:n]
    return [(pretoken, values) for _, pretoken, values in best]


def stored_rows(path: Path, digest: str) -> Iterator[Rows]:
    """All rows of a file that CountTableWriter wrote, whose `close` gave the digest; raises CorpusError for another."""
    now = TableDigest()
    with read_errors_named(path):
        for batch in pq.ParquetFile(path).iter_batches(_READ_ROWS, use_threads=False):
            rows = _from_arrow(batch, path, 0)
            now.add(rows)
            yield rows
    if now.hexdigest() != digest:
        raise CorpusError(f"{path} is damaged: start over with `force`")


def _checked_columns(schema: pa.Schema, path: Path) -> list[str]:
    names = [name for name in _SCHEMA.names if name in schema.names]
    missing = [name for name in ("pretoken", "count") if name not in names]
    if missing:
        raise CorpusError(
            f"{path} is not a count table: it has no column {missing[0]!r} (it has: {', '.join(schema.names)})"
        )
    kind = schema.field("pretoken").type
    if kind not in (pa.binary(), pa.large_binary(), pa.string(), pa.large_string()):
        raise CorpusError(f"{path} is not a count table: its pre-tokens are {kind} and not binary")
    for name in names[1:]:
        if not pa.types.is_integer(schema.field(name).type):
            raise CorpusError(
                f"{path} is not a count table: column {name!r} is {schema.field(name).type} and not uint64"
            )
    return names


def _from_arrow(batch: pa.RecordBatch, path: Path, n_before: int) -> Rows:
    values = np.zeros((len(batch), len(VALUE_COLUMNS)), dtype=np.uint64)
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if column.null_count:
            row = column.is_null().to_pylist().index(True)
            raise CorpusError(f"{path} row {n_before + row:,} has no {name}")
        if name != "pretoken":
            values[:, VALUE_COLUMNS.index(name)] = _unsigned(column, f"{path}", name, n_before)
    return Rows(*blob_and_starts(batch.column(0).cast(pa.large_binary())), values)


def _unsigned(column: pa.Array, path: str, name: str, n_before: int) -> npt.NDArray[np.uint64]:
    numbers = column.to_numpy(zero_copy_only=False)
    if numbers.dtype.kind == "i" and numbers.size and numbers.min() < 0:
        row = int(np.argmax(numbers < 0))
        raise CorpusError(f"{path} row {n_before + row:,} has a negative {name}: {numbers[row]}")
    return np.asarray(numbers, dtype=np.uint64)


def _check_rising(rows: Rows, before: bytes | None, path: Path, n_before: int) -> None:
    """Raise CorpusError at the first row that is not after the one before it, or is empty."""
    from vocab.pretokens.sorted_row_kernels import first_not_rising

    if rows.n_rows == 0:
        return
    wrong = 0 if rows.starts[1] == 0 or (before is not None and rows.pretoken(0) <= before) else -1
    if wrong < 0:
        wrong = int(first_not_rising(rows.blob, rows.starts))
    if wrong >= 0:
        raise CorpusError(
            f"{path} row {n_before + wrong:,} is not after the row before it: sort pre-tokens by their bytes, each once"
        )


def _total_bytes(rows: Rows) -> int:
    """Bytes of text behind the rows, without overflow."""
    lengths = np.diff(rows.starts).astype(np.float64)
    counts = rows.values[:, 0].astype(np.float64) + rows.values[:, 2].astype(np.float64)
    return int((lengths * counts).sum())


def read_part(path: Path, pattern: SplitPattern | None = None, min_count: int = 1) -> CorpusPart:
    """A count table as a part of a corpus, without pre-tokens that occur fewer than `min_count` times in all.

    Raises CorpusError when the table cannot be trusted, or was counted with another split pattern.
    """
    table = CountTable(path)
    digest = SplitPattern(table.metadata.split_pattern).sha256
    if pattern and digest != pattern.sha256:
        raise CorpusError(
            f"{path} was counted with another split pattern: count the corpus again with that of `source`"
        )
    kept, left_out = [], LeftOut()
    for rows in table.rows():
        rows, dropped = drop_rare(rows, min_count)
        left_out += dropped
        kept.append(rows)
    train, held_out = _side(kept, 0, digest), _side(kept, 2, digest)
    part = CorpusPart.of(table.metadata.name, train, held_out, table.metadata.tally)
    return replace(part, held_out_rule=table.metadata.held_out_rule)


def drop_rare(rows: Rows, min_count: int) -> tuple[Rows, LeftOut]:
    """Rows of pre-tokens that occur at least `min_count` times, held-out documents included, and what that drops."""
    if min_count <= 1:
        return rows, LeftOut()
    totals = rows.values[:, 0] + rows.values[:, 2]
    kept = totals >= min_count
    lengths = np.diff(rows.starts)
    rare = totals[~kept]
    left_out = LeftOut(int(rare.size), int(rare.sum()), int((rare * lengths[~kept].astype(np.uint64)).sum()))
    return _chosen(rows, kept), left_out


def _chosen(rows: Rows, mask: npt.NDArray[np.bool_]) -> Rows:
    lengths = np.diff(rows.starts)
    starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths[mask])])
    return Rows(rows.blob[np.repeat(mask, lengths)], starts, rows.values[mask])


def _side(parts: Sequence[Rows], column: int, digest: str) -> PretokenCounts:
    """Training (column 0) or held-out counts (column 2), without the pre-tokens that do not occur there.

    Documents are known when each of these is in at least one.
    """
    whole = concatenate_rows([_NO_ROWS, *(_chosen(rows, rows.values[:, column] > 0) for rows in parts)])
    counts, documents = np.ascontiguousarray(whole.values[:, column : column + 2].T)
    return PretokenCounts(whole.blob, whole.starts, counts, digest, documents if documents.all() else None)
