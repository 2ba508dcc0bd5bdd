"""Ctrl-C and SIGTERM from the first moment on, and never lost.

Python raises KeyboardInterrupt wherever the program happens to be. Inside an import or a destructor that exception may
be caught or ignored. So the handler looks at where the program is, and tries again until it is elsewhere.
"""

from __future__ import annotations

import signal
from types import FrameType

_AGAIN_SECONDS = 0.02
_IMPORTS = "<frozen importlib._bootstrap>"


def install() -> None:
    """Handle both signals, unless they are ignored, as under nohup. Call this before anything slow is imported."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, interrupt)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, or wait for a moment in which nothing swallows it."""
    has_timer = hasattr(signal, "setitimer")
    if has_timer and _is_swallowing(frame):
        # Again and again: a signal just before a blocking call does not end that call, and the next one does.
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS, _AGAIN_SECONDS)
        return
    if has_timer:
        signal.setitimer(signal.ITIMER_REAL, 0)
    raise KeyboardInterrupt


def _is_swallowing(frame: FrameType | None) -> bool:
    """Whether an exception raised here may be caught or ignored on its way."""
    while frame is not None:
        code = frame.f_code
        if code.co_filename == _IMPORTS or code.co_name == "__del__" or code.co_filename.endswith("weakref.py"):
            return True
        frame = frame.f_back
    return False
