"""Kills at random moments: the same command, repeated, gives the result that it gives undisturbed, and leaves no more.

The processes are forked from this one, so that kills fall into the work and not into imports. Most are `kill -9`; some
are Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

from trials.bench import STOPPED, TRACEBACK, Bench
from trials.works import Prepared, prepared

MOST_KILLS_IN_A_ROW = 3
SIGNALS = [*[signal.SIGKILL] * 8, signal.SIGINT, signal.SIGTERM]


def trials(bench: Bench) -> Iterator[str | None]:
    """Kill each command in turn, up to a few times in a row, and let it end."""
    everything = prepared(bench)
    where = bench.folder / "run"
    while True:
        for one in everything:
            one.fresh(where)
            yield from killed(bench, one, where)


def killed(bench: Bench, one: Prepared, where: Path) -> Iterator[str | None]:
    """A trial for each kill: the last says what is wrong with the result in the end."""
    for left in reversed(range(bench.chance.randint(1, MOST_KILLS_IN_A_ROW))):
        done, fault = kill(bench, one, where)
        if done or fault or not left:
            yield fault or (None if done else ended(bench, one, where))
            return
        yield None


def kill(bench: Bench, one: Prepared, where: Path) -> tuple[bool, str | None]:
    """Start the command and kill it; whether it ended before that, and what is wrong."""
    child = bench.start(one.work.call, where)
    time.sleep(bench.chance.uniform(0, 1.1 * one.seconds))
    number = bench.chance.choice(SIGNALS)
    child.send(number)
    code = child.wait()
    if TRACEBACK in child.said():
        return False, f"{one.work.name} after {number.name}: {child.complaint()}"
    if code == 0 or one.is_refused_as_done(code, child.said()):
        return True, one.result_fault(where)
    if code not in (-number, STOPPED):
        return False, f"{one.work.name} ends with {code} after {number.name}: {child.complaint()}"
    return False, one.state_fault(where)


def ended(bench: Bench, one: Prepared, where: Path) -> str | None:
    """Let the command end; what is wrong with its result."""
    child = bench.start(one.work.call, where)
    code = child.wait()
    if code and not one.is_refused_as_done(code, child.said()):
        return f"{one.work.name} does not go on after a kill: {child.complaint()}"
    return one.result_fault(where)
