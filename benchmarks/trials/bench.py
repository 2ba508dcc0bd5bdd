"""What kinds of trials share: a folder, chance, text, and the command in processes of its own."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import random
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

TRACEBACK = "Traceback (most recent call last)"
STOPPED = 130  # exit code after Ctrl-C or SIGTERM


@dataclass
class Tally:
    """Trials of one kind.

    Attributes:
        name: the kind.
        n_trials: trials done.
        lost: a sentence for each trial in which something was lost, wrong, accepted or a traceback.
        seconds: wall-clock time.
    """

    name: str
    n_trials: int = 0
    lost: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, outcome: str | None) -> None:
        """Count a trial."""
        self.n_trials += 1
        if outcome:
            self.lost.append(outcome)


Call = Callable[[], None]


def command(*arguments: object) -> Call:
    """A call of `vocab ARGUMENTS`, for a process of its own: it sets handlers of signals and ends by SystemExit."""

    def call() -> None:
        from vocab.cli.entry import main

        sys.argv = ["vocab", *map(str, arguments)]
        main()

    return call


class Child:
    """A call in a forked process, which has this one's modules already and so starts at once.

    Args:
        call: what is done there, such as `command(…)`.
        folder: the folder that it works in.
        log: file for all that it prints.
        prepare: is called before it, for limits.
    """

    def __init__(self, call: Call, folder: Path, log: Path, prepare: Call | None = None) -> None:
        self.log = log
        log.unlink(missing_ok=True)
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._run(call, folder, prepare)

    def _run(self, call: Call, folder: Path, prepare: Call | None) -> None:
        """Never returns: the child ends here."""
        code = 70
        try:
            descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            os.chdir(folder)
            if prepare:
                prepare()
            call()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        except KeyboardInterrupt:  # a signal before the call had its handler
            code = STOPPED
        except BaseException:  # noqa: BLE001 - whatever it is, it is what the trial is about
            traceback.print_exc()
        finally:
            with suppress(KeyboardInterrupt):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def send(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Wait for the end; the exit code, or the signal as a negative number."""
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)

    def said(self) -> str:
        """All that it printed."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def complaint(self) -> str:
        """The end of what it printed, on one line."""
        return " | ".join(self.said().strip().splitlines())[-600:]


@dataclass(frozen=True)
class Bench:
    """Where trials take place.

    Attributes:
        folder: an empty folder of the kind's own.
        chance: draws everything that is drawn.
        commands: names of the commands that are tried; none for all.
    """

    folder: Path
    chance: random.Random
    commands: frozenset[str] = frozenset()

    def start(self, call: Call, where: Path, name: str = "said.txt", prepare: Call | None = None) -> Child:
        """Start a call in a folder; what it prints goes to a file beside that folder."""
        return Child(call, where, self.folder / name, prepare)

    def run(self, call: Call, where: Path) -> None:
        """Run a call, which must succeed."""
        child = self.start(call, where)
        if code := child.wait():
            raise RuntimeError(f"a command ended with {code}: {child.complaint()}")

    def write_text(self, path: Path, n_bytes: int) -> Path:
        """A text of random words that rise in number with its size."""
        path.parent.mkdir(parents=True, exist_ok=True)
        letters = "etaoinshrdlucmfwyp"
        words = ["".join(self.chance.choices(letters, k=self.chance.randint(2, 9))) for _ in range(n_bytes // 40)]
        text, size = [], 0
        while size < n_bytes:
            line = " ".join(self.chance.choices(words, k=12)) + "\n"
            text.append(line)
            size += len(line)
        path.write_text("".join(text), encoding="utf-8")
        return path


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing that this process prints is seen."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(number) for number in (1, 2)]
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        for number in (1, 2):
            os.dup2(nothing, number)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, one in zip((1, 2), kept, strict=True):
            os.dup2(one, number)
            os.close(one)
        os.close(nothing)


def digests(path: Path) -> dict[str, str]:
    """Digests of all files in a folder by their paths in it; of a file, under the name ""; of nothing, none."""
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    return {
        "" if one == path else str(one.relative_to(path)): hashlib.sha256(one.read_bytes()).hexdigest() for one in files
    }


def released(package: str, ending: str) -> Path:
    """A file that a model was released with, in a package that carries it."""
    files = importlib.metadata.files(package) or []
    return Path(str(next(file for file in files if str(file).endswith(ending)).locate()))
