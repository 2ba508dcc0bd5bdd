"""Two runs at once of one command with one `--out`: one does the work, the other is refused, the result is right."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

from trials.bench import TRACEBACK, Bench, Child
from trials.works import Prepared, prepared


def trials(bench: Bench) -> Iterator[str | None]:
    """Start each command in turn twice, in some trials where a killed run left its state."""
    everything = prepared(bench)
    where = bench.folder / "run"
    while True:
        for one in everything:
            one.fresh(where)
            if bench.chance.random() < 0.3:
                child = bench.start(one.work.call, where)
                time.sleep(bench.chance.uniform(0, one.seconds))
                child.send(signal.SIGKILL)
                child.wait()
            yield pair(bench, one, where)


def pair(bench: Bench, one: Prepared, where: Path) -> str | None:
    """Two runs at once, the second up to the time of one later; what is wrong."""
    children = [bench.start(one.work.call, where, "first.txt")]
    time.sleep(bench.chance.choice([0, bench.chance.uniform(0, one.seconds)]))
    children.append(bench.start(one.work.call, where, "second.txt"))
    codes = [child.wait() for child in children]
    is_done = [one.is_refused_as_done(code, child.said()) for code, child in zip(codes, children, strict=True)]
    for code, child, done in zip(codes, children, is_done, strict=True):
        if not done and (fault := _fault(code, child)):
            return f"{one.work.name}: {fault}"
    return (
        one.result_fault(where)
        if 0 in codes or any(is_done)
        else f"{one.work.name}: both runs are refused: {children[0].complaint()}"
    )


def _fault(code: int, child: Child) -> str | None:
    if TRACEBACK in child.said() or code not in (0, 2):
        return f"ends with {code}: {child.complaint()}"
    if code == 2 and "another run" not in child.said():
        return f"is refused for another reason: {child.complaint()}"
    return None
