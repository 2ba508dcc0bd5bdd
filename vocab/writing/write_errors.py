"""What goes wrong while something is written, as one sentence."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vocab.errors import OutputError


@contextmanager
def write_errors_named(path: Path) -> Iterator[None]:
    """Turn what goes wrong while `path` is written into an OutputError of one sentence that names it."""
    try:
        yield
    except _write_errors() as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else first_line(error)
        raise OutputError(f"{path} cannot be written: {reason}") from None


def _write_errors() -> tuple[type[Exception], ...]:
    """The errors of writing: OSError, and those of Arrow and safetensors where they are in use."""
    own = (("pyarrow", "ArrowException"), ("safetensors", "SafetensorError"))
    return (OSError, *(getattr(sys.modules[module], name) for module, name in own if module in sys.modules))


def first_line(error: Exception) -> str:
    """The first line of an error's message, or the error's name when it has no message."""
    return (str(error) or type(error).__name__).splitlines()[0]
