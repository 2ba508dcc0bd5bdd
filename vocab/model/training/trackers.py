"""Trackers of runs: TensorBoard, Weights & Biases and Trackio get the figures that the log has.

None of them uses the network unless its own environment variables say so: Weights & Biases writes files that `wandb
sync` sends, and Trackio its database, which `trackio show` opens.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Protocol, get_args

from vocab.choices import TrackerName
from vocab.environment import missing_package
from vocab.errors import TrainingError

TENSORBOARD, WANDB = "tensorboard", "wandb"  # their folders in that of a run
_PROJECT = "vocab"


class Tracker(Protocol):
    """Takes figures of a run."""

    def log(self, figures: Mapping[str, float], step: int) -> None:
        """Add figures of a step by name; steps rise."""
        ...

    def close(self) -> None:
        """Put everything on disk."""
        ...


def check_trackers(names: Sequence[TrackerName]) -> None:
    """Raise TrainingError for a tracker that does not exist, or whose package is not installed."""
    for name in names:
        if name not in get_args(TrackerName):
            raise TrainingError(f"`track` must be {', '.join(get_args(TrackerName))}, not {name!r}")
        if absent := missing_package(name, f"pip install {name}"):
            raise TrainingError(f"tracking by {name} needs its package; {absent}")


def open_trackers(names: Sequence[TrackerName] | None, directory: Path, settings: Mapping[str, Any]) -> list[Tracker]:
    """Open trackers for a run, or go on with those of an interrupted one.

    Args:
        names: which; None for TensorBoard if it is installed.
        directory: folder of the run, whose name is the run's.
        settings: of the run, for its page.

    Raises:
        TrainingError: as `check_trackers` does.
    """
    if names is None:
        return [] if missing_package(TENSORBOARD, "") else [_TensorBoard(directory, settings)]
    check_trackers(names)
    kinds: dict[TrackerName, type[_TensorBoard | _Wandb | _Trackio]] = {
        "tensorboard": _TensorBoard,
        "wandb": _Wandb,
        "trackio": _Trackio,
    }
    return [kinds[name](directory, settings) for name in names]


class _TensorBoard:
    def __init__(self, directory: Path, settings: Mapping[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(directory / TENSORBOARD))

    def log(self, figures: Mapping[str, float], step: int) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _Wandb:
    def __init__(self, directory: Path, settings: Mapping[str, Any]) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # which would use the network, offline too
        import wandb

        self._run = wandb.init(
            project=_PROJECT,
            name=directory.name,
            dir=str(directory),
            config=dict(settings),
            mode=os.environ.get("WANDB_MODE", "offline"),
            settings=wandb.Settings(silent=True, console="off", disable_git=True),
        )

    def log(self, figures: Mapping[str, float], step: int) -> None:
        self._run.log(dict(figures), step=step)

    def close(self) -> None:
        self._run.finish()


class _Trackio:
    def __init__(self, directory: Path, settings: Mapping[str, Any]) -> None:
        import trackio

        with redirect_stdout(io.StringIO()):
            self._run = trackio.init(
                project=_PROJECT,
                name=directory.name,
                config=dict(settings),
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )

    def log(self, figures: Mapping[str, float], step: int) -> None:
        self._run.log(dict(figures), step=step)

    def close(self) -> None:
        with redirect_stdout(io.StringIO()):
            self._run.finish()
