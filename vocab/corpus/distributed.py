"""Counting on many machines: steps of a datatrove pipeline, for its local, Slurm and Ray executors.

    counting, any number of tasks:   reader, …, CountPretokens(FOLDER)      FOLDER/00000.parquet, one table a task
    adding up, one task:             MergeCounts(FOLDER, FILE, tasks=…)     FILE, the table of the whole corpus

A table appears whole or not at all, and the same documents make the same bytes. So a task that was killed may simply
run again, which datatrove's executors do for every task that is not in `completions` of their logging folder.

The module imports without datatrove; its steps then raise MissingExtraError.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vocab.corpus.blocks import BLOCK_BYTES, Position, TextBlock
from vocab.corpus.count_metadata import CountMetadata
from vocab.corpus.counting import ThreadedCounter
from vocab.corpus.datatrove_folders import Folder, data_folder, folder_and_name, publish, scratch_folder
from vocab.corpus.merging import merge_count_tables, write_sum
from vocab.corpus.read_options import ReadOptions
from vocab.corpus.sorted_runs import SortedRun, write_runs
from vocab.errors import CorpusError, MissingExtraError, TargetError
from vocab.splitting import CL100K_REGEX, SplitPattern

if TYPE_CHECKING:

    class PipelineStep:
        """What is used of datatrove's class, which has no types."""

        def stat_update(self, *labels: str, value: int = 1, unit: str | None = None) -> None: ...
        def track_time(self, unit: str | None = None) -> AbstractContextManager[Any]: ...

else:
    try:
        from datatrove.pipeline.base import PipelineStep
    except ImportError:
        PipelineStep = object


class CountPretokens(PipelineStep):
    """Counts the pre-tokens of the documents that pass through, and hands the documents on unchanged.

    Each task writes one count table, `{rank:05d}.parquet`, after its last document. Nothing is counted twice when a
    task is killed and runs again: it starts over and replaces its own table by the same bytes.

    Args:
        output_folder: where the tables go: a path, an address that fsspec knows (s3://, hf://, …), a pair of that and
            options, or a DataFolder. Use one of its own for every job.
        split_pattern: regular expression that cuts text into pre-tokens.
        corpus: what the tables call their corpus.
        memory_bytes: size of the tables in memory past which they are put on disk as sorted runs. The process takes
            about 400 MB, and at its peak twice this more.
        scratch: local folder for runs and for the table until it is whole, the system's temporary one when None.

    Raises MissingExtraError without datatrove, SourceError for a pattern that is none, TargetError without memory.
    """

    name = "✂ Count pre-tokens"
    type = "📊 - STATS"

    def __init__(
        self,
        output_folder: Folder,
        split_pattern: str = CL100K_REGEX,
        *,
        corpus: str = "datatrove",
        memory_bytes: int = 512 << 20,
        scratch: str | Path | None = None,
    ) -> None:
        _check_datatrove(type(self).__name__)
        super().__init__()
        if memory_bytes < 1:
            raise TargetError(f"{memory_bytes} bytes of memory are too few to count with: leave memory_bytes out")
        self.output_folder = data_folder(output_folder)
        self.pattern = _checked_pattern(split_pattern)
        self.corpus = corpus
        self.memory_bytes = memory_bytes
        self.scratch = scratch

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        """The documents of `data`, counted; raises CorpusError for one without text, OutputError when a disk is full.

        The table is written when the last document was asked for, so what follows must not stop before.
        """
        with scratch_folder(self.scratch, f"vocab-count-{rank:05d}-") as scratch:
            counter = _DocumentCounter(self.pattern, self.memory_bytes, scratch)
            for document in data or ():
                with self.track_time():
                    counter.add(document.text, document.id)
                yield document
            table = scratch / "table.parquet"
            with self.track_time():
                metadata = counter.write(table, _entry(self.corpus, world_size))
                publish(table, self.output_folder, _table_name(rank))
        self.stat_update("text", value=metadata.tally.n_bytes_read, unit="task")
        self.stat_update("runs", value=len(counter.runs), unit="task")


class MergeCounts(PipelineStep):
    """Adds up the tables of CountPretokens: a stage of its own, of one task, after the counting stage.

    Args:
        input_folder: where CountPretokens wrote its tables.
        output_file: the table of the sum, a path or an address, alone or with options as for a folder.
        tasks: how many tasks counted; the sum is refused unless there is a table of each of them and no other.
        min_count: leave out pre-tokens that occur fewer times than this in all.
        scratch: local folder with room for the sum, and for all tables unless they lie on a local disk.

    Raises MissingExtraError without datatrove.
    """

    name = "➕ Merge counts"
    type = "📊 - STATS"

    def __init__(
        self,
        input_folder: Folder,
        output_file: Folder,
        *,
        tasks: int,
        min_count: int = 1,
        scratch: str | Path | None = None,
    ) -> None:
        _check_datatrove(type(self).__name__)
        super().__init__()
        self.input_folder = data_folder(input_folder)
        self.output_folder, self.output_name = folder_and_name(output_file)
        self.tasks = tasks
        self.min_count = min_count
        self.scratch = scratch

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        """Write the sum; documents of `data`, if there are any, are handed on.

        Raises CorpusError when tables are missing, were counted in different ways, or hold nothing.
        """
        if world_size != 1:
            raise TargetError(f"MergeCounts is work for one task and not {world_size}: give its executor tasks=1")
        yield from data or ()
        with self.track_time("task"), scratch_folder(self.scratch, "vocab-merge-") as scratch:
            total = scratch / "sum.parquet"
            metadata = merge_count_tables(self._tables(scratch), total, min_count=self.min_count)
            self._check_metadata(metadata)
            publish(total, self.output_folder, self.output_name)
        self.stat_update("text", value=metadata.tally.n_bytes_read, unit="task")

    def _tables(self, scratch: Path) -> list[Path]:
        """Every task's table, on a local disk."""
        folder = self.input_folder
        folder.invalidate_cache()  # a listing from before the tables were written may be kept
        names = [_table_name(rank) for rank in range(self.tasks)]
        self._check_names(names, folder.list_files(recursive=False, glob_pattern="*.parquet"))
        if folder.is_local():
            return [Path(path) for path in folder.resolve_paths(names)]
        for name in names:
            folder.get_file(name, str(scratch / name))
        return [scratch / name for name in names]

    def _check_names(self, expected: Sequence[str], found: Sequence[str]) -> None:
        if missing := sorted(set(expected) - set(found)):
            raise CorpusError(
                f"{self.input_folder.path} lacks the count tables of {len(missing)} of {self.tasks} tasks "
                f"({_some(missing)}): run the counting stage again, which does the tasks that are not finished"
            )
        if foreign := sorted(set(found) - set(expected)):
            raise CorpusError(
                f"{self.input_folder.path} holds tables of other tasks than {self.tasks} ({_some(foreign)}): "
                "count into a folder that holds nothing else"
            )

    def _check_metadata(self, metadata: CountMetadata) -> None:
        # Tasks of 8 and tasks of 16 are different shares of the corpus, though their tables have the same names.
        if len(metadata.corpus) != 1 or metadata.corpus[0] != _entry_of_all(metadata.corpus[0], self.tasks):
            raise CorpusError(
                f"{self.input_folder.path} holds tables of different jobs ({metadata.name}): start over with an empty "
                "folder and another logging_dir"
            )
        if metadata.tally.n_bytes_read == 0:
            raise CorpusError(
                f"the tables in {self.input_folder.path} hold nothing: is text_key of the reader the column of text?"
            )


class _DocumentCounter:
    """Documents to one sorted table in bounded memory: tables that grow past it become sorted runs on disk."""

    def __init__(self, pattern: SplitPattern, memory_bytes: int, scratch: Path) -> None:
        self.runs: list[SortedRun] = []
        self._pattern = pattern
        self._memory_bytes = memory_bytes
        self._scratch = scratch
        self._counter = ThreadedCounter(pattern, ReadOptions(), n_threads=1)
        self._texts: list[bytes] = []
        self._names: list[str] = []
        self._n_bytes = 0

    def add(self, text: object, name: str) -> None:
        """Count a document, now or with the next ones; `name` is for errors."""
        if not isinstance(text, str):
            raise CorpusError(f"document {name} holds {type(text).__name__} and not text: give the reader a text_key")
        self._texts.append(text.encode(errors="surrogatepass"))
        self._names.append(f"document {name}")
        self._n_bytes += len(self._texts[-1])
        if self._n_bytes >= min(BLOCK_BYTES, self._memory_bytes):
            self._count()

    def _count(self) -> None:
        self._counter.count(TextBlock(Position(), self._n_bytes, self._texts, self._names))
        self._texts, self._names, self._n_bytes = [], [], 0
        if self._counter.n_bytes_held > self._memory_bytes:
            self._spill()

    def _spill(self) -> None:
        self.runs += write_runs(self._counter, self._scratch, len(self.runs))

    def write(self, path: Path, entry: dict[str, Any]) -> CountMetadata:
        """Write the table of everything added."""
        self._count()
        self._spill()
        metadata = CountMetadata(self._pattern.regex, (entry,), self._counter.tally)
        return write_sum([run.rows for run in self.runs], path, metadata)


def _check_datatrove(what: str) -> None:
    if PipelineStep is object:
        raise MissingExtraError(what, "datatrove", "distributed")


def _checked_pattern(text: str) -> SplitPattern:
    """Refuse a wrong pattern before a thousand tasks start; raises SourceError."""
    pattern = SplitPattern(text)
    CountMetadata(text).to_json()
    if not pattern.has_kernel:
        pattern.ends(b"")
    return pattern


def _entry(corpus: str, world_size: int) -> dict[str, Any]:
    """What a task's table says of its corpus; numbers are added up when tables are."""
    return {"place": f"{corpus} (tasks: {world_size})", "n_tasks": 1}


def _entry_of_all(entry: dict[str, Any], tasks: int) -> dict[str, Any]:
    corpus = str(entry["place"]).removesuffix(f" (tasks: {tasks})")
    return {**_entry(corpus, tasks), "n_tasks": tasks}


def _table_name(rank: int) -> str:
    return f"{rank:05d}.parquet"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
