"""`RunContext`: what all runs of one study share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vocab.experiments.rows import RowFile
from vocab.progress import OnProgress


@dataclass(frozen=True)
class RunContext:
    """Where runs take place and where their rows go.

    Attributes:
        rows: the file that gets a row for each run or cycle.
        device: "cpu" or "cuda".
        origin: commit, versions, machine and settings, which every row carries.
        on_progress: is called with (stage, done, total).
    """

    rows: RowFile
    device: str
    origin: Mapping[str, Any]
    on_progress: OnProgress
