"""The folder of a count, and what an interrupted count leaves in it.

DIR/counts.parquet          the count table, once everything is counted
DIR/report.json             the report
DIR/unfinished/             until then: progress.json, and sorted runs, each whole
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from vocab.corpus.count_state import JobState
from vocab.errors import OutputError
from vocab.writing import our_names, write_errors_named

_TABLE, _REPORT, _UNFINISHED = "counts.parquet", "report.json", "unfinished"


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
        self.table, self.report, self.scratch = path / _TABLE, path / _REPORT, path / _UNFINISHED
        self._progress = self.scratch / "progress.json"

    def open(self, identity: dict[str, Any], *, force: bool) -> JobState:
        """The state of an interrupted count of this identity, or a new one.

        Args:
            identity: of the job, as `CountJob.identity`.
            force: whether to remove an earlier count first.

        Raises:
            CorpusError: the interrupted count is of another job, or its state is damaged.
            OutputError: the folder holds a finished count or files of others, or cannot be written.
        """
        if force:
            self._remove_earlier()
        our_names(self.path, lambda names: [name for name in names if name not in (_UNFINISHED, _TABLE, _REPORT)])
        if self._progress.exists():
            state = JobState.load(self._progress)
            if state.runs:
                state.check_same(identity, self.path)
                return state
        elif self.table.exists():
            raise OutputError(
                f"{self.path} holds a finished count already: name another folder with `directory`, or pass `force`"
            )
        return self._begin(identity)

    def _begin(self, identity: dict[str, Any]) -> JobState:
        with write_errors_named(self.scratch):
            self.scratch.mkdir(parents=True, exist_ok=True)
        state = JobState(identity)
        self.save(state)
        return state

    def save(self, state: JobState) -> None:
        """Replace progress.json in one step."""
        state.save(self._progress)

    def _remove_earlier(self) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)
        for path in (self.table, self.report):
            path.unlink(missing_ok=True)

    def remove_scratch(self) -> None:
        """Remove the runs and progress.json, and the folder itself where it is empty then."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        with suppress(OSError):  # there is a table in it, or it was there before
            self.path.rmdir()
