"""Ctrl-C and SIGTERM during training: they ask to stop after the current step, and end nothing themselves."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def signals_caught(ask_to_stop: Callable[[], None]) -> Iterator[None]:
    """Call a function for each signal within the block; the handlers before are put back after it.

    Outside the main thread, where Python takes no signals, nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: ask_to_stop()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
