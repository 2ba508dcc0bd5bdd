"""Progress as lines, for output that nobody watches live: a pipe, a batch system, CI."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, Task

# Seconds to the first line, and from each to the next. The environment may name others; 0 is for no lines.
INTERVAL, INTERVAL_VARIABLE = 15.0, "VOCAB_PROGRESS_SECONDS"


def chosen_interval() -> float:
    """Seconds between lines, as the environment says."""
    try:
        return max(0.0, float(os.environ[INTERVAL_VARIABLE]))
    except (KeyError, ValueError):
        return INTERVAL


@contextmanager
def lines_of(bar: Progress, say: Callable[[str], None], interval: float) -> Iterator[None]:
    """While this is open, say every `interval` seconds how far the bar's last unfinished task is; 0 for never."""
    if not interval:
        yield
        return
    is_over = threading.Event()

    def report() -> None:
        while not is_over.wait(interval):
            unfinished = [task for task in bar.tasks if not task.finished]
            if unfinished:
                say(line_of(unfinished[-1]))

    thread = threading.Thread(target=report, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def line_of(task: Task) -> str:
    """How far a task is, in one line: its share done, its rate, and its time so far and left."""
    parts = []
    if task.total:
        parts.append(f"{task.completed / task.total:.0%}")
    if rate := " ".join(str(task.fields.get("rate", "")).split()):
        parts.append(rate)
    parts.append(f"{clock(task.elapsed or 0)} so far")
    if task.total and task.time_remaining is not None:
        parts.append(f"{clock(task.time_remaining)} left")
    return f"vocab: {task.description}: {', '.join(parts)}"


def clock(seconds: float) -> str:
    """Seconds as hours, minutes and seconds."""
    whole = int(seconds)
    return f"{whole // 3600}:{time.strftime('%M:%S', time.gmtime(whole))}"
