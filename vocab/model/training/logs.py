"""The log of a run: one JSON object a line, and the same figures for TensorBoard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vocab.reading import parse_json
from vocab.writing import write_text

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LOG = "log.jsonl"
_KINDS_FOR_TENSORBOARD = ("step", "eval")


class RunLog:
    """Writes `log.jsonl` in a folder.

    Args:
        directory: folder of the run.
        n_lines: lines of an earlier log to keep, those that the checkpoint knew; 0 begins anew.
        board: whether to write for TensorBoard too, if it is installed.
    """

    def __init__(self, directory: Path, *, n_lines: int = 0, board: bool = True) -> None:
        self.path = directory / LOG
        kept = read_lines(directory)[:n_lines] if n_lines else []
        self.n_lines = len(kept)
        write_text(self.path, "".join(line + "\n" for line in kept))
        self._stream = self.path.open("a", encoding="utf-8")
        self._board = _board(directory / "tensorboard") if board else None

    def write(self, kind: str, **figures: Any) -> None:
        """Add a line, on disk when this returns."""
        self._stream.write(json.dumps({"kind": kind, **figures}) + "\n")
        self._stream.flush()
        self.n_lines += 1
        if self._board is not None and kind in _KINDS_FOR_TENSORBOARD:
            for name, value in figures.items():
                if name != "step" and isinstance(value, (int, float)):
                    self._board.add_scalar(f"{kind}/{name}", value, figures["step"])

    def close(self) -> None:
        """Close the files."""
        self._stream.close()
        if self._board is not None:
            self._board.close()


def _board(directory: Path) -> SummaryWriter | None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:  # optional: the JSON lines hold the same
        return None
    return SummaryWriter(str(directory))


def read_lines(directory: Path) -> list[str]:
    """The whole lines of a log, none when there is no log."""
    path = directory / LOG
    if not path.exists():
        return []
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def read_log(directory: Path, kind: str | None = None) -> list[dict[str, Any]]:
    """Records of a log: those of one kind ("step", "eval", "rollback"), or all."""
    rows = [parse_json(line) for line in read_lines(directory)]
    return [row for row in rows if kind in (None, row["kind"])]
