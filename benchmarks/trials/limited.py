"""A call in a forked process of bounded time and memory."""

from __future__ import annotations

import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trials.bench import TRACEBACK

SECONDS = 30
MEMORY_BYTES = 3 << 30  # beyond what the process has when it is forked


@dataclass(frozen=True)
class Ended:
    """The exit code of a call, a signal as a negative number, and what it printed as errors."""

    code: int
    said: str

    @property
    def fault(self) -> str | None:
        """What is wrong, unless it did what it should or refused in one sentence with exit code 2."""
        if TRACEBACK in self.said or "panicked at" in self.said:
            return f"a traceback: {self.said.strip().splitlines()[-1][:300]}"
        if self.code not in (0, 2):
            return f"ended with {self.code}: {self.said[-300:]}"
        lines = self.said.splitlines()
        return f"no one sentence: {self.said[-300:]!r}" if self.code == 2 and len(lines) != 1 else None


def limited(call: Callable[[], None], log: Path) -> Ended:
    """Run a call; it ends with exit code 0 when it returns, 2 with a VocabError, 1 with any other error."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _run(call, log)
    _, status = os.waitpid(pid, 0)
    return Ended(os.waitstatus_to_exitcode(status), log.read_text(encoding="utf-8", errors="replace"))


def _run(call: Callable[[], None], log: Path) -> None:
    """Never returns: the child ends here."""
    from vocab.errors import VocabError

    code = 1
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(descriptor, 2)
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY_BYTES,) * 2)
        signal.alarm(SECONDS)
        call()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except VocabError as error:
        code = 2
        print(error, file=sys.stderr)
    except BaseException:  # noqa: BLE001 - whatever it is, it is what the trial is about
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
