"""Sums of count tables of any size: sorted tables are read side by side, a few rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from vocab.corpus.count_metadata import CountMetadata, LeftOut, merged_metadata
from vocab.corpus.count_table import CountTable, CountTableWriter, drop_rare, stored_rows
from vocab.pretokens.sorted_rows import Rows, sum_rows
from vocab.writing import staged_file

# Tables read side by side; more are added up in groups first.
MAX_SIDE_BY_SIDE = 32


def merge_count_tables(
    paths: Sequence[Path], out: Path, *, min_count: int = 1, on_rows: Callable[[int], None] | None = None
) -> CountMetadata:
    """Write the sum of count tables. Their order and grouping do not change the file.

    Memory: about 150 MB, for tables of any size and number.

    Args:
        paths: the tables.
        out: the file of the sum.
        min_count: the least count of a pre-token in the sum. Rarer ones are left out.
        on_rows: called with the number of rows that were added up.

    Returns:
        The metadata of the sum, which count the pre-tokens left out.

    Raises:
        CorpusError: a table cannot be read, or the tables were counted in different ways.
        OutputError: `out` cannot be written.
    """
    metadata = merged_metadata([CountTable(path).metadata for path in paths], [str(path) for path in paths])
    return write_sum([partial(_rows, path) for path in paths], out, metadata, min_count, on_rows)


def _rows(path: Path) -> Iterator[Rows]:
    """Rows of a table. It is open only while they are read: there may be more tables than may be open at once."""
    yield from CountTable(path).rows()


def write_sum(
    tables: Sequence[Callable[[], Iterator[Rows]]],
    out: Path,
    metadata: CountMetadata,
    min_count: int = 1,
    on_rows: Callable[[int], None] | None = None,
) -> CountMetadata:
    """Write the sum of sorted tables, all or nothing. Each element of `tables` starts reading one of them."""
    left_out = LeftOut()
    with staged_file(out) as staged:
        writer = CountTableWriter(staged)
        for rows in _summed(tables, staged):
            if on_rows:
                on_rows(rows.n_rows)
            kept, dropped = drop_rare(rows, min_count)
            left_out += dropped
            writer.write(kept)
        metadata = metadata.with_left_out(min_count, left_out)
        writer.close(metadata)
    return metadata


def _summed(tables: Sequence[Callable[[], Iterator[Rows]]], scratch: Path, level: int = 0) -> Iterator[Rows]:
    if len(tables) <= MAX_SIDE_BY_SIDE:
        yield from _side_by_side([table() for table in tables])
        return
    groups = [tables[k : k + MAX_SIDE_BY_SIDE] for k in range(0, len(tables), MAX_SIDE_BY_SIDE)]
    paths = [scratch.with_name(f"{scratch.name}-{level}-{k}") for k in range(len(groups))]
    sums = []
    try:
        for group, path in zip(groups, paths, strict=True):
            writer = CountTableWriter(path)
            for rows in _side_by_side([table() for table in group]):
                writer.write(rows)
            sums.append(partial(stored_rows, path, writer.close()))
        yield from _summed(sums, scratch, level + 1)
    finally:
        for path in paths:
            path.unlink(missing_ok=True)


def _side_by_side(tables: Sequence[Iterator[Rows]]) -> Iterator[Rows]:
    """Rows of the sum in order. Each round takes the rows of every table up to the least of the last rows in memory."""
    pending = [(rows, table) for table in tables if (rows := _next(table)) is not None]
    while pending:
        bound = min(rows.pretoken(rows.n_rows - 1) for rows, _ in pending)
        taken, rest = [], []
        for rows, table in pending:
            n = rows.n_at_most(bound)
            taken.append(rows.slice(0, n))
            left = rows.slice(n, rows.n_rows) if n < rows.n_rows else _next(table)
            if left is not None:
                rest.append((left, table))
        yield sum_rows(taken)
        pending = rest


def _next(table: Iterator[Rows]) -> Rows | None:
    return next((rows for rows in table if rows.n_rows), None)
