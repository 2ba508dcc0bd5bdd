"""Sorted runs: count tables on disk of what was counted since the run before."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from vocab.corpus.count_table import CountTableWriter, rows_of_table, stored_rows
from vocab.corpus.counting import ThreadedCounter
from vocab.pretokens.sorted_rows import Rows
from vocab.pretokens.table import PretokenTable
from vocab.writing import staged_file


@dataclass(frozen=True)
class SortedRun:
    """A run on disk, and the digest of its rows."""

    path: Path
    digest: str

    def rows(self) -> Iterator[Rows]:
        """Its rows; raises CorpusError where they are not those that were written."""
        yield from stored_rows(self.path, self.digest)


def write_runs(counter: ThreadedCounter, folder: Path, first: int, n_threads: int = 1) -> list[SortedRun]:
    """Write the tables of a counter as sorted runs and empty the counter.

    Args:
        counter: what was counted. Its `wait` must have returned.
        folder: where the runs go.
        first: the number of the first run.
        n_threads: threads to write with.

    Returns:
        The runs. Chance is part of their names, so that no two processes ever write one.

    Raises:
        OutputError: the disk is full or refuses.
    """
    tables = [(table, side) for side, tables in enumerate(counter.take_tables()) for table in tables if table.n_entries]
    paths = [folder / f"run-{first + k:06}-{secrets.token_hex(4)}.parquet" for k in range(len(tables))]
    with ThreadPoolExecutor(n_threads) as threads:
        return list(threads.map(_write_run, paths, *zip(*tables, strict=True)))


def _write_run(path: Path, table: PretokenTable, is_held_out: int) -> SortedRun:
    """Write one thread's table of training (0) or held-out (1) documents, sorted."""
    with staged_file(path) as staged:
        writer = CountTableWriter(staged)
        for rows in rows_of_table(table, held_out=bool(is_held_out)):
            writer.write(rows)
        digest = writer.close()
    return SortedRun(path, digest)
