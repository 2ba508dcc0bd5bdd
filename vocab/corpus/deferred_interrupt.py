"""Ctrl-C and SIGTERM that wait for a safe moment."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def deferred_interrupt() -> Iterator[threading.Event]:
    """Within the block a first Ctrl-C or SIGTERM only sets the event. A second one interrupts at once.

    Outside the main thread nothing changes.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    numbers = [one for one in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(one) is not signal.SIG_IGN]
    earlier = {number: signal.getsignal(number) for number in numbers}

    def on_interrupt(*_: object) -> None:
        asked.set()
        restore()

    def restore() -> None:
        for number, handler in earlier.items():
            signal.signal(number, handler)

    for number in numbers:
        signal.signal(number, on_interrupt)
    try:
        yield asked
    finally:
        restore()
