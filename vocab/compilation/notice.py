"""The one line that a person sees when kernels are compiled."""

from __future__ import annotations

from collections.abc import Callable

NOTICE = "compiling kernels (once; later runs reuse them) ..."
_notify: Callable[[str], None] | None = None


def when_compiling(notify: Callable[[str], None]) -> None:
    """Call `notify` with one line when the first kernel of this process is really compiled, not read from a file."""
    global _notify
    _notify = notify


def note_compiling() -> None:
    """Give the notice to whoever asked for it, once."""
    global _notify
    notify, _notify = _notify, None
    if notify is not None:
        notify(NOTICE)
