"""What kinds of trials share: a folder, chance, text, and the command in processes of its own."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import random
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

TRACEBACK = "Traceback (most recent call last)"


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


class Child:
    """A command of vocab in a forked process, which has this one's modules already and so starts at once."""

    def __init__(self, folder: Path, arguments: list[str]) -> None:
        self.folder, self.arguments = folder, arguments
        self.log = folder / f"said-{time.monotonic_ns()}.txt"
        self.started = time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            self._run()

    def _run(self) -> None:
        """Never returns: the child ends here."""
        code = 70
        try:
            descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            os.chdir(self.folder)
            sys.argv = ["vocab", *self.arguments]
            from vocab.cli.app import main

            try:
                main()
                code = 0
            except SystemExit as end:
                code = int(end.code or 0)
            sys.stdout.flush()
        except BaseException:  # noqa: BLE001 - whatever it is, it is what the trial is about
            traceback.print_exc()
        finally:
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


@dataclass(frozen=True)
class Bench:
    """Where trials take place.

    Attributes:
        folder: an empty folder of the kind's own.
        chance: draws everything that is drawn.
    """

    folder: Path
    chance: random.Random

    def start(self, *arguments: object, where: Path | None = None) -> Child:
        """Start `vocab ARGUMENTS` in a folder."""
        return Child(where or self.folder, [str(one) for one in arguments])

    def run(self, *arguments: object, where: Path | None = None) -> Child:
        """Run `vocab ARGUMENTS`, which must succeed."""
        child = self.start(*arguments, where=where)
        if code := child.wait():
            raise RuntimeError(f"vocab {' '.join(child.arguments)} ended with {code}: {child.said()[-2000:]}")
        return child

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


def digests(folder: Path, *names: str) -> dict[str, str]:
    """Digests of files in a folder by their names: of all, or of those named."""
    paths = [folder / name for name in names] if names else sorted(p for p in folder.rglob("*") if p.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.is_file()
    }


def released(package: str, ending: str) -> Path:
    """A file that a model was released with, in a package that carries it."""
    files = importlib.metadata.files(package) or []
    return Path(str(next(file for file in files if str(file).endswith(ending)).locate()))
