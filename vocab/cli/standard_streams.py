"""Standard output that nobody reads or that a full device refuses, and standard streams that are closed."""

from __future__ import annotations

import io
import os
import sys
from typing import Any


class StandardOutputError(Exception):
    """Standard output cannot be written; `number` is the system's number of the reason.

    It is not an OSError, because Rich and Typer handle those in ways of their own.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output cannot be written: {error.strerror}")
        self.number = error.errno


class _Output(io.FileIO):
    """A file whose failing writes are StandardOutputErrors."""

    def write(self, content: Any, /) -> int:
        try:
            return super().write(content)
        except OSError as error:
            raise StandardOutputError(error) from None


def prepare() -> None:
    """Watch standard output. Closed streams become the null device, so that no file of ours gets their number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - a number, for good
    old = sys.stdout
    encoding, errors = (old.encoding, old.errors) if old else ("utf-8", "strict")
    buffered = io.BufferedWriter(_Output(1, "w", closefd=False))
    sys.stdout = io.TextIOWrapper(buffered, encoding, errors, line_buffering=bool(old and old.isatty()))


def give_up() -> None:
    """Send what is left in buffers to the null device, so that Python's end says nothing more."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
