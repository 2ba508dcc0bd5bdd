"""Progress of long work: what it calls, and the time that each of its stages takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Called with a stage's name, how much of it is done, and how much there is.
OnProgress = Callable[[str, int, int], None]


def silent(stage: str, done: int, total: int) -> None:
    """An `OnProgress` that shows nothing."""


class Stopwatch:
    """Seconds by stage, and word of each stage's beginning and end to `on_progress`.

    Attributes:
        seconds: wall-clock seconds of each stage so far, by name; a stage that runs twice adds up.
    """

    def __init__(self, on_progress: OnProgress | None = None) -> None:
        self.seconds: dict[str, float] = {}
        self.on_progress = on_progress or silent

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a block as the stage `name`."""
        self.on_progress(name, 0, 1)
        started = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started
        self.on_progress(name, 1, 1)
