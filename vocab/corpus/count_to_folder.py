"""Counting into a folder in bounded memory; a killed run continues after its last finished part.

A run holds the counts of everything read since the run before it. When the tables reach the memory allowed, or a
minute has passed, every thread's tables are written as runs and progress.json is replaced in one step. It lists the
runs that count and the position up to which they do. In the end all runs are added up. Sums do not depend on where
runs were cut. So the table has the same bytes for any memory, any number of threads and any interruptions.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path

from vocab.corpus.blocks import Position
from vocab.corpus.count_job import CountJob, CountResult, report_of
from vocab.corpus.count_metadata import CountMetadata
from vocab.corpus.count_state import JobState
from vocab.corpus.counting import CountProgress, ThreadedCounter, count_documents
from vocab.corpus.deferred_interrupt import deferred_interrupt
from vocab.corpus.job_folder import TABLE, JobFolder
from vocab.corpus.merging import write_sum
from vocab.corpus.process_memory import give_back_unused, peak_resident_bytes, resident_bytes
from vocab.corpus.read_options import ReadOptions
from vocab.corpus.readers import read_blocks
from vocab.corpus.skipped import FirstRowWithoutText, Skipped, SkippedSummary
from vocab.corpus.sorted_runs import SortedRun, write_runs
from vocab.corpus.sources import list_corpora
from vocab.errors import CorpusError, TargetError
from vocab.pretokens.counts import merge
from vocab.splitting import SplitPattern

_SECONDS_BETWEEN_RUNS = 60.0
# Blocks under way, Arrow's buffers and the merge at the end need about this much for each thread.
_BYTES_A_THREAD = 64 << 20
# Writing a run sorts a table and gathers it in order: for a while it needs about as much again as the table itself.
_SHARE_FOR_TABLES = 0.4
_LEAST_TABLE_BYTES = 32 << 20

# Called with "count" or "add up", and the progress.
OnJobProgress = Callable[[str, CountProgress], None]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, after everything counted so far was put on disk."""


def count_to(
    directory: Path,
    job: CountJob,
    *,
    memory_bytes: int | None = None,
    n_threads: int = 1,
    force: bool = False,
    on_progress: OnJobProgress | None = None,
) -> CountResult:
    """Count a corpus into DIR/counts.parquet, or continue an interrupted count of the same job.

    Finished runs stay on disk whatever happens, so the same call continues.

    Args:
        directory: the folder for counts.parquet and report.json.
        job: the corpus and the settings.
        memory_bytes: memory of the process that is not passed, as long as single documents are small against it; None
            for 4 GB, or more with over 44 threads.
        n_threads: threads to count with.
        force: start over and replace an earlier count.
        on_progress: called with "count" or "add up" and the progress.

    Returns:
        The table's path and metadata, and what counting took.

    Raises:
        CorpusError: the corpus cannot be read, is empty, or changed since the interrupted run.
        OutputError: the folder holds something else, or the disk is full.
        TargetError: `memory_bytes` is too small.
        Interrupted: Ctrl-C.
    """
    settings = _Settings(
        memory_bytes or _usual_memory(n_threads), n_threads, on_progress or (lambda stage, progress: None)
    )
    run = _Run(JobFolder(directory), job, settings)
    with run.folder.opened(job.identity(run.sources), force=force) as state:
        return run.finish(state)


def _usual_memory(n_threads: int) -> int:
    return max(4 * 10**9, 10**9 + _BYTES_A_THREAD * n_threads)


@dataclass(frozen=True)
class _Settings:
    """What the table does not depend on."""

    memory_bytes: int
    n_threads: int
    on_progress: OnJobProgress = field(repr=False)


def _compile(pattern: SplitPattern) -> None:
    """Compile the kernels, or read them: what that takes of the memory the tables cannot have."""
    part = count_documents(["a text", "another text"], "", pattern)
    merge([part.train, part.held_out])


class _Run:
    """One call of `count_to`: `state` is what is on disk so far."""

    def __init__(self, folder: JobFolder, job: CountJob, settings: _Settings) -> None:
        self.folder = folder
        self.job = job
        self.settings = settings
        at_listing = ReadOptions()
        corpora = list_corpora(job.inputs, dict.fromkeys(job.inputs, at_listing))
        listed = [(name, source) for name, sources in corpora.items() for source in sources]
        self.names, self.sources = zip(*job.shard.of(listed), strict=True)
        self.skipped_at_listing = at_listing.skipped.summary()
        self.first_without_text: FirstRowWithoutText | None = None
        self.started = time.monotonic()
        _compile(job.pattern)
        self.table_bytes = self._table_bytes()
        self.state = JobState({})
        self.seconds_before = 0.0

    def finish(self, state: JobState) -> CountResult:
        """Count the rest, add up and report. The state of the interrupted count is removed last."""
        self.state, self.seconds_before = state, state.seconds
        was_resumed = self.state.position > Position()
        try:
            self._count()
        finally:
            if not self.state.runs:  # there is nothing to continue
                self.folder.remove_scratch()
        if not self.state.runs:
            raise CorpusError(self._nothing_to_count())
        result = self._result(*self._add_up(), was_resumed)
        self.folder.finish(report_of(self.job, result))
        return result

    def _nothing_to_count(self) -> str:
        name, column = " + ".join(self.job.inputs), self.job.options.column
        n_without_text = self.state.tally.n_rows_without_text
        return self._skipped().nothing_to_count(name, column, n_without_text, self.first_without_text)

    def _skipped(self) -> SkippedSummary:
        return self.skipped_at_listing + self.state.skipped

    def _result(self, metadata: CountMetadata, n_pretokens: int, was_resumed: bool) -> CountResult:
        return CountResult(
            path=self.folder.table,
            metadata=metadata,
            n_pretokens=n_pretokens,
            n_runs=len(self.state.runs),
            n_run_bytes=sum((self.folder.scratch / name).stat().st_size for name in self.state.runs),
            skipped=self._skipped(),
            seconds=self._seconds(),
            memory_bytes=self.settings.memory_bytes,
            peak_resident_bytes=peak_resident_bytes(),
            was_resumed=was_resumed,
        )

    def _add_up(self) -> tuple[CountMetadata, int]:
        """Write the table; its metadata and number of pre-tokens."""
        progress = CountProgress(self.state.n_stored_bytes, self.state.tally.n_bytes_read, 0)
        n_rows = 0

        def on_rows(n: int) -> None:
            nonlocal n_rows
            n_rows += n
            self.settings.on_progress("add up", replace(progress, n_pretokens=n_rows))

        runs = [SortedRun(self.folder.scratch / name, digest).rows for name, digest in self.state.runs.items()]
        table = self.folder.scratch / TABLE
        metadata = write_sum(runs, table, self._metadata(), self.job.min_count, on_rows)
        return metadata, n_rows - metadata.left_out.n_pretokens

    def _seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.started

    def _metadata(self) -> CountMetadata:
        corpus = []
        for name in sorted(self.job.inputs):
            sources = [source for other, source in zip(self.names, self.sources, strict=True) if other == name]
            n_stored_bytes = sum(source.n_stored_bytes for source in sources)
            corpus.append({"place": name, "n_files": len(sources), "n_stored_bytes": n_stored_bytes})
        return CountMetadata(self.job.pattern.regex, tuple(corpus), self.state.tally)

    def _count(self) -> None:
        budget, n_threads = self.table_bytes, self.settings.n_threads
        before, options = self.state, replace(self.job.options, skipped=Skipped())
        last_run = time.monotonic()
        with deferred_interrupt() as interrupt, ThreadedCounter(self.job.pattern, options, n_threads) as counter:
            end = before.position
            for block in read_blocks(self.sources, options, end):
                counter.count(block)
                end = block.end
                self.settings.on_progress("count", _sum(before, counter.progress))
                is_due = time.monotonic() - last_run > _SECONDS_BETWEEN_RUNS
                if interrupt.is_set() or is_due or counter.n_bytes_held > budget:
                    counter.wait()
                    # Files from the source of `end` on are met again by a run that continues.
                    self._write_runs(counter, before, end, options.skipped.summary(end.source))
                    last_run = time.monotonic()
                if interrupt.is_set():
                    raise Interrupted
            counter.wait()
            self.settings.on_progress("count", _sum(before, counter.progress))
            self._write_runs(counter, before, Position(len(self.sources)), options.skipped.summary())
            self.first_without_text = options.skipped.first_without_text

    def _table_bytes(self) -> int:
        """Bytes that the threads' tables may take; raises TargetError when the memory is too small."""
        memory_bytes = self.settings.memory_bytes
        free = memory_bytes - resident_bytes() - _BYTES_A_THREAD * self.settings.n_threads
        if free * _SHARE_FOR_TABLES < _LEAST_TABLE_BYTES:
            least = memory_bytes - free + _LEAST_TABLE_BYTES / _SHARE_FOR_TABLES
            raise TargetError(
                f"{memory_bytes / 1e6:,.0f} MB are too few: give `memory_bytes` at least {ceil(least / 1e6)}MB"
            )
        return int(free * _SHARE_FOR_TABLES)

    def _write_runs(self, counter: ThreadedCounter, before: JobState, end: Position, skipped: SkippedSummary) -> None:
        """Put everything counted since the last time on disk, then record it in progress.json."""
        runs = write_runs(counter, self.folder.scratch, len(self.state.runs), self.settings.n_threads)
        self.state = replace(
            self.state,
            position=end,
            runs=self.state.runs | {run.path.name: run.digest for run in runs},
            tally=before.tally + counter.tally,
            n_stored_bytes=before.n_stored_bytes + counter.progress.n_stored_bytes,
            skipped=before.skipped + skipped,
            seconds=self._seconds(),
        )
        self.folder.save(self.state)
        give_back_unused()


def _sum(before: JobState, progress: CountProgress) -> CountProgress:
    """Progress of this run and of the interrupted ones before it."""
    return replace(
        progress,
        n_stored_bytes=before.n_stored_bytes + progress.n_stored_bytes,
        n_bytes_read=before.tally.n_bytes_read + progress.n_bytes_read,
    )
