"""Kills at random moments: the same command, repeated, gives the result that it gives undisturbed, and leaves no more.

The processes are forked from this one, so that kills fall into the work and not into imports.
"""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trials.bench import TRACEBACK, Bench, digests

MOST_KILLS_IN_A_ROW = 3


@dataclass(frozen=True)
class Work:
    """A command whose result is compared.

    Attributes:
        name: of the command.
        arguments: of the command; its result is `out` in the folder where it runs.
        compared: files of the result that are the same each time.
    """

    name: str
    arguments: tuple[object, ...]
    compared: tuple[str, ...]


def works(bench: Bench) -> list[Work]:
    """The commands that keep state, on small inputs."""
    texts = [bench.write_text(bench.folder / "text" / f"{k}.txt", 2_000_000) for k in range(3)]
    return [Work("count", ("count", "--corpus", texts[0].parent, "--out", "out"), ("counts.parquet",))]


def trials(bench: Bench) -> Iterator[str | None]:
    """Kill each command in turn, up to a few times in a row, and let it end."""
    prepared = [(work, *undisturbed(bench, work)) for work in works(bench)]
    while True:
        for work, expected, seconds in prepared:
            yield from killed(bench, work, expected, seconds)


def undisturbed(bench: Bench, work: Work) -> tuple[dict[str, str], float]:
    """Digests of the result, and the seconds that it takes when nothing needs to be compiled."""
    for _ in range(2):
        where = fresh(bench)
        started = time.monotonic()
        bench.run(*work.arguments, where=where)
        seconds = time.monotonic() - started
    return digests(where / "out", *work.compared), seconds


def fresh(bench: Bench) -> Path:
    where = bench.folder / "run"
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir()
    return where


def killed(bench: Bench, work: Work, expected: dict[str, str], seconds: float) -> Iterator[str | None]:
    where = fresh(bench)
    for _ in range(bench.chance.randint(1, MOST_KILLS_IN_A_ROW)):
        child = bench.start(*work.arguments, where=where)
        time.sleep(bench.chance.uniform(0, 1.1 * seconds))
        child.send(signal.SIGKILL)
        code = child.wait()
        if code != -signal.SIGKILL:
            break
        yield f"{work.name}: {child.said()}" if TRACEBACK in child.said() else None
    yield ended(bench, work, where, expected) if code == -signal.SIGKILL else None


def ended(bench: Bench, work: Work, where: Path, expected: dict[str, str]) -> str | None:
    """Let the command end; what is wrong with its result."""
    child = bench.start(*work.arguments, where=where)
    if child.wait() != 0:
        return f"{work.name} does not go on after a kill: {child.said()[-500:]}"
    if digests(where / "out", *work.compared) != expected:
        return f"{work.name} gives another result after a kill"
    left = sorted(path.name for path in where.iterdir() if path.name != "out" and not path.name.startswith("said-"))
    return f"{work.name} leaves {', '.join(left)} behind" if left else None
