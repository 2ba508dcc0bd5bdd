"""The log of a run: one JSON object a line, and the same figures for trackers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vocab.errors import TrainingError
from vocab.model.training.trackers import Tracker
from vocab.reading import parse_json
from vocab.writing import write_errors_named, write_text

LOG = "log.jsonl"
_KINDS_FOR_TRACKERS = ("step", "eval")


class RunLog:
    """Writes `log.jsonl` in a folder.

    Args:
        directory: folder of the run.
        n_lines: lines of an earlier log to keep, those that the checkpoint knew; 0 begins anew.
        digest: digest of these lines, as `digest` gave it; none to take them as they are.
        trackers: get the figures of steps and evaluations too; they are closed with the log.

    Raises:
        TrainingError: the lines are not those of the digest.
        OutputError: the log cannot be written.
    """

    def __init__(
        self, directory: Path, *, n_lines: int = 0, digest: str = "", trackers: Sequence[Tracker] = ()
    ) -> None:
        self.path, self._trackers = directory / LOG, trackers
        kept = "".join(line + "\n" for line in read_lines(directory)[:n_lines]) if n_lines else ""
        self.n_lines = n_lines
        self._digest = hashlib.sha256(kept.encode())
        if kept.count("\n") < n_lines or digest not in ("", self.digest):
            raise TrainingError(
                f"{self.path} lacks lines of the steps that are done, or they are damaged: put it back as it was, or "
                "start over with `force`"
            )
        write_text(self.path, kept)
        with write_errors_named(directory):
            self._stream = self.path.open("a", encoding="utf-8")

    @property
    def digest(self) -> str:
        """SHA-256 of the lines so far."""
        return self._digest.hexdigest()

    def write(self, kind: str, **figures: Any) -> None:
        """Add a line, on disk when this returns; raises OutputError."""
        line = json.dumps({"kind": kind, **figures}) + "\n"
        with write_errors_named(self.path):
            self._stream.write(line)
            self._stream.flush()
        self._digest.update(line.encode())
        self.n_lines += 1
        if kind not in _KINDS_FOR_TRACKERS:
            return
        numbers = {f"{kind}/{k}": v for k, v in figures.items() if k != "step" and isinstance(v, (int, float))}
        for tracker in self._trackers:
            tracker.log(numbers, figures["step"])

    def close(self) -> None:
        """Close the files; raises OutputError."""
        with write_errors_named(self.path):
            self._stream.close()
            for tracker in self._trackers:
                tracker.close()


def read_lines(directory: Path) -> list[str]:
    """The whole lines of a log, none when there is no log."""
    path = directory / LOG
    if not path.exists():
        return []
    return path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]


def read_log(directory: Path, kind: str | None = None) -> list[dict[str, Any]]:
    """Records of a log: those of one kind ("step", "eval", "rollback"), or all."""
    rows = [parse_json(line) for line in read_lines(directory)]
    return [row for row in rows if kind in (None, row["kind"])]
