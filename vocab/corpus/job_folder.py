"""The folder of a count, and what an interrupted count leaves in it.

DIR/counts.parquet          the count table, once everything is counted
DIR/report.json             the report
DIR/.made-by-vocab.json     the digests of these two
DIR/unfinished/             until then: progress.json, and sorted runs, each whole
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vocab.corpus.count_state import JobState
from vocab.errors import CorpusError, OutputError
from vocab.writing import (
    check_foreign,
    check_owner,
    foreign_files,
    is_leftover,
    json_text,
    locked_folder,
    publish,
    write_errors_named,
    write_text,
)

TABLE, REPORT = "counts.parquet", "report.json"
_UNFINISHED = "unfinished"
_RUN = re.compile(r"run-[0-9]{6}-[0-9a-f]{8}\.parquet")


class JobFolder:
    """The folder of a count.

    Attributes:
        path: the folder.
        table: its count table.
        report: its report.json.
        scratch: its subfolder of sorted runs and progress.json.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.table, self.report, self.scratch = path / TABLE, path / REPORT, path / _UNFINISHED
        self._progress = self.scratch / "progress.json"

    @contextmanager
    def opened(self, identity: dict[str, Any], *, force: bool) -> Iterator[JobState]:
        """The state of an interrupted count of this identity, or a new one; the folder is locked in the block.

        A finished count stays until another takes its place.

        Args:
            identity: of the job, as `CountJob.identity`.
            force: whether to begin anew, and to replace an earlier count in the end.

        Raises:
            CorpusError: the interrupted count is of another job, or its state is damaged.
            OutputError: the folder holds a finished count or files of others, is in use, or cannot be written.
        """
        if self.path.exists() and not self.path.is_dir():
            raise OutputError(f"{self.path} is a file: name another folder with `directory`")
        with locked_folder(self.path):
            self._check_ours()
            yield self._state(identity, force=force)

    def _check_ours(self) -> None:
        """Refuse before anything is touched: names prove nothing."""
        foreign = foreign_files(self.path, besides=[_UNFINISHED], kind="count")
        if self.scratch.exists():
            foreign += [f"{_UNFINISHED}/{name}" for name in self._foreign_in_scratch()]
        check_foreign(self.path, foreign)
        check_owner(self.path)

    def _foreign_in_scratch(self) -> list[str]:
        if not self.scratch.is_dir() or self.scratch.is_symlink():
            return [""]
        names = sorted(path.name for path in self.scratch.iterdir() if not is_leftover(path))
        if self._progress.is_file() and not JobState.is_at(self._progress):
            return names
        ours = {self._progress.name, TABLE, REPORT} if self._progress.is_file() else set()
        return [name for name in names if name not in ours and not _RUN.fullmatch(name)]

    def _state(self, identity: dict[str, Any], *, force: bool) -> JobState:
        if force:
            self._clear_scratch()
        elif self._progress.exists():
            state = JobState.load(self._progress)
            if state.runs:
                state.check_same(identity, self.path)
                self._check_runs(state)
                return state
        elif self.table.exists():
            self._clear_scratch()  # a kill may have left runs there
            raise OutputError(
                f"{self.path} holds a finished count already: name another folder with `directory`, or pass `force`"
            )
        return self._begin(identity)

    def _check_runs(self, state: JobState) -> None:
        if missing := [name for name in state.runs if not (self.scratch / name).is_file()]:
            raise CorpusError(f"{self.scratch / missing[0]} is missing: start over with `force`")

    def _begin(self, identity: dict[str, Any]) -> JobState:
        with write_errors_named(self.scratch):
            self.scratch.mkdir(exist_ok=True)
        state = JobState(identity)
        self.save(state)
        return state

    def save(self, state: JobState) -> None:
        """Replace progress.json in one step."""
        state.save(self._progress)

    def finish(self, report: Mapping[str, Any]) -> None:
        """Put the finished table and its report in place of earlier ones, then remove what counting needed."""
        write_text(self.scratch / REPORT, json_text(report))
        publish({name: self.scratch / name for name in (TABLE, REPORT)}, self.path, "count")
        self.remove_scratch()

    def _clear_scratch(self) -> None:
        """Remove what is ours in the scratch folder, and the folder itself where nothing else is in it."""
        for name in (TABLE, REPORT, self._progress.name):  # in this order: without the last only runs are known as ours
            (self.scratch / name).unlink(missing_ok=True)
        for path in [*self.scratch.iterdir()] if self.scratch.is_dir() else []:
            if is_leftover(path):
                shutil.rmtree(path, ignore_errors=True)
            elif _RUN.fullmatch(path.name):
                path.unlink(missing_ok=True)
        with suppress(OSError):
            self.scratch.rmdir()

    def remove_scratch(self) -> None:
        """Remove the runs and progress.json."""
        self._clear_scratch()
