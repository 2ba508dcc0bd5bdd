"""Counting into a folder: bounded memory, and a killed run goes on where its last finished part ends.

    DIR/counts.parquet          the count table, once everything is counted
    DIR/report.json             what was done
    DIR/unfinished/             until then: progress.json, and runs of sorted counts, each whole

A run holds the counts of everything read since the run before it. When the tables reach the memory allowed, or a
minute has passed, every thread's tables are written as runs and progress.json is replaced in one step; it lists the
runs that count and the position up to which they do. In the end all runs are added up. Sums do not depend on where
runs were cut, so the table is the same bytes for any memory, any number of threads and any interruptions.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from vocab.corpus.blocks import Position
from vocab.corpus.count_metadata import CountMetadata
from vocab.corpus.count_state import JobState
from vocab.corpus.count_table import CountTableWriter, rows_of_table, stored_rows
from vocab.corpus.counting import CountProgress, ThreadedCounter
from vocab.corpus.merging import write_sum
from vocab.corpus.process_memory import give_back_unused, peak_resident_bytes, resident_bytes
from vocab.corpus.readers import BLOCK_BYTES, ReadOptions, list_sources, read_blocks
from vocab.environment import processor, versions
from vocab.errors import CorpusError, OutputError, TargetError
from vocab.pretokens.table import PretokenTable
from vocab.splitting import SplitPattern
from vocab.writing import our_names, staged_file, write_errors_named, write_json

T = TypeVar("T")

TABLE_NAME = "counts.parquet"
REPORT_NAME = "report.json"
_UNFINISHED = "unfinished"
_PROGRESS = "progress.json"
_SECONDS_BETWEEN_RUNS = 60.0
# Blocks under way, Arrow's buffers and the merge at the end need about this much for each thread.
_BYTES_A_THREAD = 64 << 20
# Writing a run sorts a table and gathers it in order: for a while it needs about as much again as the table itself.
_SHARE_FOR_TABLES = 0.45
_LEAST_TABLE_BYTES = 32 << 20


@dataclass(frozen=True)
class Shard:
    """One of several machines' shares of the files of a corpus: number `number` of `n`, from 1."""

    number: int = 1
    n: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """From "2/8"; raises TargetError for anything else."""
        number, slash, n = text.partition("/")
        if not (slash and number.isdigit() and n.isdigit() and 1 <= int(number) <= int(n)):
            raise TargetError(f"{text!r} is not a shard: write the number of this one and of all, like 2/8")
        return cls(int(number), int(n))

    def of(self, files: Sequence[T]) -> list[T]:
        """Every n-th file; raises TargetError when there are fewer files than shards."""
        if len(files) < self.n:
            raise TargetError(f"{len(files)} files cannot be shared out to {self.n} shards: use at most {len(files)}")
        return list(files[self.number - 1 :: self.n])


@dataclass(frozen=True)
class CountJob:
    """What is counted, and how: everything that the result depends on."""

    places: Sequence[str]
    pattern: SplitPattern
    options: ReadOptions = field(default_factory=ReadOptions)
    shard: Shard = field(default=Shard())
    min_count: int = 1


@dataclass(frozen=True)
class CountResult:
    """What counting a job into a folder came to."""

    path: Path
    metadata: CountMetadata
    n_pretokens: int  # distinct, in the table
    n_runs: int
    n_run_bytes: int  # on disk, before runs were added up
    n_files_skipped: int  # in folders, not text
    seconds: float  # of interrupted runs too
    memory_bytes: int  # asked to keep to
    peak_resident_bytes: int  # of this run, 0 where the system does not tell
    was_resumed: bool

    @property
    def bytes_per_second(self) -> float:
        """Text counted and added up in a second."""
        return self.metadata.tally.n_bytes_read / self.seconds


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, after everything counted so far was put on disk."""


OnJobProgress = Callable[[str, CountProgress], None]


def count_to(
    directory: Path,
    job: CountJob,
    *,
    memory_bytes: int = 4 * 10**9,
    n_threads: int = 1,
    force: bool = False,
    on_progress: OnJobProgress | None = None,
) -> CountResult:
    """Count a corpus into DIR/counts.parquet, going on where an interrupted run of the same job stopped.

    `on_progress` hears ("count" or "add up", how far). Memory stays below `memory_bytes`, as long as single
    documents are small against it. Raises CorpusError when the corpus cannot be read or changed since an interrupted
    run, OutputError when the folder holds something else or the disk is full, TargetError when the memory is too
    small; Interrupted on Ctrl-C. Whatever happens, finished runs stay, so the same call goes on.
    """
    return _Run(directory, job, memory_bytes, n_threads, force, on_progress or (lambda stage, progress: None)).finish()


class _Run:
    def __init__(
        self, directory: Path, job: CountJob, memory_bytes: int, n_threads: int, force: bool, on_progress: OnJobProgress
    ) -> None:
        self.directory = directory
        self.scratch = directory / _UNFINISHED
        self.table = directory / TABLE_NAME
        self.job = job
        self.n_threads = n_threads
        self.memory_bytes = memory_bytes
        self.on_progress = on_progress
        listed = [(place, source) for place in job.places for source in list_sources(place)]
        self.places, self.sources = zip(*job.shard.of(listed), strict=True)
        self.started = time.monotonic()
        self.state = self._opened(force)
        self.seconds_before = self.state.seconds

    def _opened(self, force: bool) -> JobState:
        """The state of an interrupted run of this job, or a new one."""
        if force:
            self._remove_earlier()
        self._check_foreign()
        path, identity = self.scratch / _PROGRESS, self._identity()
        if path.exists():
            state = JobState.load(path)
            if state.runs:
                state.check_same(identity, self.directory)
                return state
        elif self.table.exists():
            raise OutputError(
                f"{self.directory} holds a finished count already: name another folder with `directory`, "
                "or pass `force`"
            )
        with write_errors_named(self.scratch):
            self.scratch.mkdir(parents=True, exist_ok=True)
        state = JobState(identity)
        state.save(path)
        return state

    def _identity(self) -> dict[str, Any]:
        """What must be the same for an interrupted count to go on, named as a person would."""
        files = json.dumps([source.fingerprint for source in self.sources])
        return {
            "corpus": list(self.job.places),
            "files": hashlib.sha256(files.encode()).hexdigest(),
            "split pattern": self.job.pattern.sha256,
            "column": self.job.options.column,
            "documents": self.job.options.documents,
            "encoding errors": self.job.options.encoding_errors,
            "size of blocks": BLOCK_BYTES,  # positions count them
            "shard": f"{self.job.shard.number}/{self.job.shard.n}",
        }

    def _remove_earlier(self) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)
        for name in (TABLE_NAME, REPORT_NAME):
            (self.directory / name).unlink(missing_ok=True)

    def _check_foreign(self) -> None:
        ours = {_UNFINISHED, TABLE_NAME, REPORT_NAME}
        our_names(self.directory, lambda names: [name for name in names if name not in ours])

    def finish(self) -> CountResult:
        """Count what is left, add up, report; what an interrupted count needs goes last."""
        was_resumed = self.state.position > Position()
        try:
            self._count()
        finally:
            if not self.state.runs:  # there is nothing to go on from
                self._remove_scratch()
        if not self.state.runs:
            raise CorpusError(f"corpus {' + '.join(self.job.places)} is empty: there is no text to count")
        metadata, n_pretokens = self._add_up()
        done = CountResult(
            path=self.table,
            metadata=metadata,
            n_pretokens=n_pretokens,
            n_runs=len(self.state.runs),
            n_run_bytes=sum((self.scratch / name).stat().st_size for name in self.state.runs),
            n_files_skipped=self.state.n_files_skipped,
            seconds=self._seconds(),
            memory_bytes=self.memory_bytes,
            peak_resident_bytes=peak_resident_bytes(),
            was_resumed=was_resumed,
        )
        write_json(self.directory / REPORT_NAME, _report(self.job, done))
        self._remove_scratch()
        return done

    def _add_up(self) -> tuple[CountMetadata, int]:
        """Write the table; its metadata, and how many pre-tokens it has."""
        done = CountProgress(self.state.n_stored_bytes, self.state.tally.n_bytes_read, 0)
        n_rows = 0

        def on_rows(n: int) -> None:
            nonlocal n_rows
            n_rows += n
            self.on_progress("add up", replace(done, n_pretokens=n_rows))

        runs = [partial(stored_rows, self.scratch / name) for name in self.state.runs]
        metadata = write_sum(runs, self.table, self._metadata(), self.job.min_count, on_rows)
        return metadata, n_rows - metadata.left_out.n_pretokens

    def _remove_scratch(self) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)
        with suppress(OSError):  # there is a table in it, or it was there before
            self.directory.rmdir()

    def _seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.started

    def _metadata(self) -> CountMetadata:
        corpus = []
        for place in sorted(self.job.places):
            mine = [s for name, s in zip(self.places, self.sources, strict=True) if name == place]
            corpus.append({"place": place, "n_files": len(mine), "n_stored_bytes": sum(s.n_stored_bytes for s in mine)})
        return CountMetadata(self.job.pattern.regex, tuple(corpus), self.state.tally)

    def _count(self) -> None:
        budget = self._table_bytes()
        before, options = self.state, replace(self.job.options, skipped=[])
        last_run = time.monotonic()
        with deferred_interrupt() as interrupt, ThreadedCounter(self.job.pattern, options, self.n_threads) as pool:
            end = before.position
            for block in read_blocks(self.sources, options, end):
                pool.count(block)
                end = block.end
                self.on_progress("count", _sum(before, pool.progress))
                is_due = time.monotonic() - last_run > _SECONDS_BETWEEN_RUNS
                if interrupt.is_set() or is_due or pool.n_bytes_held > budget:
                    self._write_runs(pool, before, end, options)
                    last_run = time.monotonic()
                if interrupt.is_set():
                    raise Interrupted
            pool.wait()
            self.on_progress("count", _sum(before, pool.progress))
            self._write_runs(pool, before, end, options)

    def _table_bytes(self) -> int:
        free = self.memory_bytes - resident_bytes() - _BYTES_A_THREAD * self.n_threads
        if free * _SHARE_FOR_TABLES < _LEAST_TABLE_BYTES:
            least = self.memory_bytes - free + _LEAST_TABLE_BYTES / _SHARE_FOR_TABLES
            raise TargetError(
                f"{self.memory_bytes / 1e6:,.0f} MB are too few: give `memory_bytes` at least {least / 1e6:.0f}MB"
            )
        return int(free * _SHARE_FOR_TABLES)

    def _write_runs(self, pool: ThreadedCounter, before: JobState, end: Position, options: ReadOptions) -> None:
        """Put everything counted since the last time on disk, then say so in progress.json."""
        pool.wait()
        paths = write_runs(pool, self.scratch, len(self.state.runs), self.n_threads)
        self.state = replace(
            self.state,
            position=end,
            runs=[*self.state.runs, *(path.name for path in paths)],
            tally=before.tally + pool.tally,
            n_stored_bytes=before.n_stored_bytes + pool.progress.n_stored_bytes,
            n_files_skipped=before.n_files_skipped + len(options.skipped),
            seconds=self._seconds(),
        )
        self.state.save(self.scratch / _PROGRESS)
        give_back_unused()


def _report(job: CountJob, done: CountResult) -> dict[str, Any]:
    """report.json: the metadata of the table, the settings, and what it took."""
    return {
        **json.loads(done.metadata.to_json()),
        "n_pretokens": done.n_pretokens,
        "column": job.options.column,
        "documents": job.options.documents,
        "encoding_errors": job.options.encoding_errors,
        "shard": asdict(job.shard),
        "n_files_skipped": done.n_files_skipped,
        "n_runs": done.n_runs,
        "n_run_bytes": done.n_run_bytes,
        "was_resumed": done.was_resumed,
        "seconds": done.seconds,
        "bytes_per_second": done.bytes_per_second,
        "memory_bytes": done.memory_bytes,
        "peak_resident_bytes": done.peak_resident_bytes,
        "processor": processor(),
        "versions": versions(),
    }


def _sum(before: JobState, progress: CountProgress) -> CountProgress:
    return replace(
        progress,
        n_stored_bytes=before.n_stored_bytes + progress.n_stored_bytes,
        n_bytes_read=before.tally.n_bytes_read + progress.n_bytes_read,
    )


def write_runs(pool: ThreadedCounter, folder: Path, first: int, n_threads: int = 1) -> list[Path]:
    """Write all that a pool holds as sorted runs, numbered from `first` on, and leave it empty; the runs' paths."""
    tables = [(table, side) for side, tables in enumerate(pool.take_tables()) for table in tables if table.n_entries]
    paths = [folder / f"run-{first + k:06}.parquet" for k in range(len(tables))]
    with ThreadPoolExecutor(n_threads) as threads:
        list(threads.map(_write_run, paths, *zip(*tables, strict=True)))
    return paths


def _write_run(path: Path, table: PretokenTable, is_held_out: int) -> None:
    """Write a thread's table of training (0) or held-out (1) documents, sorted; OutputError when the disk is full."""
    with staged_file(path) as staged:
        writer = CountTableWriter(staged)
        for rows in rows_of_table(table, held_out=bool(is_held_out)):
            writer.write(rows)
        writer.close()


@contextmanager
def deferred_interrupt() -> Iterator[threading.Event]:
    """Within, a first Ctrl-C only sets the event; a second one interrupts at once, as everywhere."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    earlier = signal.getsignal(signal.SIGINT)

    def hear(*_: object) -> None:
        asked.set()
        signal.signal(signal.SIGINT, earlier)

    signal.signal(signal.SIGINT, hear)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, earlier)
