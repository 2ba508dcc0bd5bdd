"""When the search for a bound stops."""

from __future__ import annotations

import time
from dataclasses import dataclass

# Share above the bound at which to stop, and the most steps.
DEFAULT_GAP = 1e-4
MAX_STEPS = 310


@dataclass(frozen=True)
class Limits:
    """When the search for the bound stops.

    Attributes:
        gap: distance between bound and vocabulary, as a share of the bound, at which to stop.
        seconds: time after which to stop, from the start of the pruning; it makes the result depend on the machine.
        max_steps: steps at most.
    """

    gap: float = DEFAULT_GAP
    seconds: float | None = None
    max_steps: int = MAX_STEPS


class Deadline:
    """The moment that is `seconds` from now; None never comes."""

    def __init__(self, seconds: float | None = None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds

    @property
    def is_over(self) -> bool:
        """Whether the moment has come."""
        return self._end is not None and time.monotonic() >= self._end
