"""`SplitStep`: one step of a split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from vocab.errors import SourceError
from vocab.splitting.known_patterns import has_kernel
from vocab.splitting.regex_ends import Behavior


@dataclass(frozen=True)
class SplitStep:
    """One step: a regular expression, and what becomes of its matches.

    Attributes:
        regex: the regular expression.
        behavior: "isolated" makes each match a piece; the others join it to the text before or after it.
        on_bytes: whether the step sees text in GPT-2's alphabet, one character a byte.
    """

    regex: str
    behavior: Behavior = "isolated"
    on_bytes: bool = False

    def __post_init__(self) -> None:
        if self.behavior not in get_args(Behavior):
            raise SourceError(f"a split cannot be {self.behavior!r}")

    @property
    def has_kernel(self) -> bool:
        """Whether a compiled splitter runs this step."""
        return self.behavior == "isolated" and not self.on_bytes and has_kernel(self.regex)
