"""Superwords as further candidates: runs of whole pre-tokens inside one unit of text, a line."""

from __future__ import annotations

from dataclasses import dataclass

from vocab.choices import BARRIERS, Barrier
from vocab.errors import TargetError
from vocab.splitting import LINES_REGEX, SplitPattern
from vocab.vocabulary import Vocabulary

UNITS = SplitPattern(LINES_REGEX)
_MOST_WORDS = 64


@dataclass(frozen=True)
class Superwords:
    """Which superwords may be chosen.

    Attributes:
        max_words: pre-tokens of a superword at most, from 2 on.
        max_bytes: its bytes at most.
        min_documents: documents of the training text that hold it at least, each counted once.
        barriers: what no superword may hold: "digits", "punctuation" (and other symbols), "line-ends".
    """

    max_words: int = 4
    max_bytes: int = 32
    min_documents: int = 2
    barriers: tuple[Barrier, ...] = ()

    def __post_init__(self) -> None:
        if not 2 <= self.max_words <= _MOST_WORDS:
            raise TargetError(f"`superword_words` must be from 2 to {_MOST_WORDS}, not {self.max_words}")
        if self.min_documents < 1:
            raise TargetError(f"`superword_documents` must be at least 1, not {self.min_documents}")
        if unknown := [barrier for barrier in self.barriers if barrier not in BARRIERS]:
            raise TargetError(f"no barrier is called {unknown[0]!r}; there are {', '.join(BARRIERS)}")


def why_no_superwords(source: Vocabulary) -> str | None:
    """The reason why text of this source has no superwords, as a sentence; None where it may."""
    if source.pattern.is_sentencepiece or source.pattern.steps:
        return (
            f"superwords need a byte-level source whose text is split by one regular expression and nothing else, "
            f"which {source.name} is not"
        )
    if source.encoder.lacking:
        return f"superwords need a token for each byte, and {source.name} lacks {len(source.encoder.lacking)}"
    return None
