"""Sums of count tables of any size: sorted tables are read side by side, a few rows of each at a time."""

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
    """Write the sum of count tables; the same file in whatever order and groups they are added.

    Pre-tokens that occur fewer than `min_count` times in the sum are left out; the metadata returned say how many.
    Memory: about 150 MB, whatever the size and number of tables. Raises CorpusError for tables counted in different
    ways.
    """
    metadata = merged_metadata([CountTable(path).metadata for path in paths], [str(path) for path in paths])
    return write_sum([partial(_rows, path) for path in paths], out, metadata, min_count, on_rows)


def _rows(path: Path) -> Iterator[Rows]:
    """The rows of a table, which is open only while they are read: there may be more tables than may be open."""
    yield from CountTable(path).rows()


def write_sum(
    tables: Sequence[Callable[[], Iterator[Rows]]],
    out: Path,
    metadata: CountMetadata,
    min_count: int = 1,
    on_rows: Callable[[int], None] | None = None,
) -> CountMetadata:
    """Write the sum of sorted tables, given by what starts reading each, with these metadata; nothing half-written."""
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
    try:
        for group, path in zip(groups, paths, strict=True):
            writer = CountTableWriter(path)
            for rows in _side_by_side([table() for table in group]):
                writer.write(rows)
            writer.close()
        yield from _summed([partial(stored_rows, path) for path in paths], scratch, level + 1)
    finally:
        for path in paths:
            path.unlink(missing_ok=True)


def _side_by_side(tables: Sequence[Iterator[Rows]]) -> Iterator[Rows]:
    """Rows of the sum in order. Each round takes, of every table, what is not after the least last row in hand."""
    in_hand = [(rows, table) for table in tables if (rows := _next(table)) is not None]
    while in_hand:
        bound = min(rows.pretoken(rows.n_rows - 1) for rows, _ in in_hand)
        taken, rest = [], []
        for rows, table in in_hand:
            n = rows.n_at_most(bound)
            taken.append(rows.slice(0, n))
            left = rows.slice(n, rows.n_rows) if n < rows.n_rows else _next(table)
            if left is not None:
                rest.append((left, table))
        yield sum_rows(taken)
        in_hand = rest


def _next(table: Iterator[Rows]) -> Rows | None:
    return next((rows for rows in table if rows.n_rows), None)
