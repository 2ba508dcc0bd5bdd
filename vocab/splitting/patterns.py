"""Split patterns: what cuts text into pre-tokens, and what is done to text before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from vocab.errors import SourceError
from vocab.markers import MARKER_BYTE
from vocab.splitting import preparation
from vocab.splitting.dialect import has_repeat_of_repeat
from vocab.splitting.known_patterns import (
    CL100K_REGEX,
    GPT2_REGEX,
    KERNELS,
    LINES_REGEX,
    LLAMA3_REGEX,
    O200K_REGEX,
    QWEN2_REGEX,
    SENTENCEPIECE,
    SENTENCEPIECE_PREFIX,
    SPACED_WORDS,
    TEKKEN_REGEX,
    ends_by_regex,
    has_kernel,
)
from vocab.splitting.regex_ends import compiled
from vocab.splitting.steps import COMMENT, SplitSteps

# Characters of steps that a report states in full.
_LONGEST_SHOWN = 2000

__all__ = [
    "CL100K_REGEX",
    "GPT2_REGEX",
    "LINES_REGEX",
    "LLAMA3_REGEX",
    "O200K_REGEX",
    "QWEN2_REGEX",
    "SPACED_WORDS",
    "TEKKEN_REGEX",
    "SplitPattern",
]


@dataclass(frozen=True)
class SplitPattern:
    """A regular expression that cuts text into pre-tokens; no token crosses a pre-token's edge."""

    regex: str

    @classmethod
    def of_steps(cls, steps: SplitSteps) -> SplitPattern:
        """The split of several steps; of one regular expression and nothing else it is that split itself."""
        one = steps.one_regex
        return cls(steps.to_text() if one is None else one)

    @cached_property
    def steps(self) -> SplitSteps | None:
        """The steps of a split that is more than one regular expression; None for any other."""
        return SplitSteps.parse(self.regex) if self.regex.startswith(COMMENT) else None

    @classmethod
    def of_sentencepiece(cls, pieces: Iterable[str], *, dummy_prefix: bool) -> SplitPattern:
        """The finest split that no piece crosses; in `pieces` a space stands for ▁."""
        known = list(pieces)
        comment = SENTENCEPIECE_PREFIX if dummy_prefix else SENTENCEPIECE
        for words in SPACED_WORDS:
            if all(compiled(words).fullmatch(piece) and len(compiled(words).findall(piece)) == 1 for piece in known):
                break
        return cls(comment + words)

    @property
    def is_sentencepiece(self) -> bool:
        """Whether text is prepared as SentencePiece does it before it is cut."""
        return self.regex.startswith((SENTENCEPIECE, SENTENCEPIECE_PREFIX))

    @property
    def has_dummy_prefix(self) -> bool:
        """Whether a space is put before each text."""
        return self.regex.startswith(SENTENCEPIECE_PREFIX)

    def prepared(self, text: bytes) -> bytes:
        """One text as `ends` must have it: itself, but for SentencePiece and for steps that change text."""
        if self.steps:
            return self.steps.prepared(text) if self.steps.changes_text else text
        return preparation.prepared(text, dummy_prefix=self.has_dummy_prefix) if self.is_sentencepiece else text

    def prepared_documents(
        self, text: npt.NDArray[np.uint8], doc_starts: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """Documents as `ends_of_documents` must have them: as `prepared` makes each."""
        if self.steps:
            return self.steps.prepared_documents(text, doc_starts)
        if not self.is_sentencepiece:
            return text, doc_starts
        return preparation.prepared_documents(text, doc_starts, dummy_prefix=self.has_dummy_prefix)

    @property
    def sha256(self) -> str:
        """Digest of the split, equal for two spellings of the same split: counts of one pattern fit no other."""
        text = self.steps.portable_text() if self.steps else self.portable
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def description(self) -> str:
        """How text is split, for people to read."""
        return self.steps.description if self.steps else f"split pattern {self.regex}"

    @property
    def shown(self) -> str:
        """The regular expression, or the description of several steps that are long."""
        return self.description if self.steps and len(self.regex) > _LONGEST_SHOWN else self.regex

    @property
    def portable(self) -> str:
        """The same split for tokenizer.json; raises SourceError when an unknown pattern cannot be said there."""
        if self.regex in KERNELS:
            return KERNELS[self.regex].portable
        if self.steps:
            raise SourceError("the split has several steps, or changes text, which no one regular expression says")
        if has_repeat_of_repeat(self.regex) and not self.is_sentencepiece:
            raise SourceError(
                "the split pattern has a possessive {m,n}+, which Hugging Face tokenizers reads as something else; "
                f"rewrite it without: {self.regex}"
            )
        return self.regex

    @property
    def has_kernel(self) -> bool:
        """Whether compiled splitters know all of this pattern; others run, slower, on the `regex` package."""
        if not self.steps:
            return has_kernel(self.regex)
        return all(step.has_kernel for step in self.steps.steps)

    def ends(self, text: bytes) -> npt.NDArray[np.int64]:
        """Ends in bytes of the pre-tokens of UTF-8 `text`, int64, rising, the last being len(text).

        Text that the pattern does not match stays as pre-tokens of its own, so that nothing is lost.
        """
        raw = np.frombuffer(text, dtype=np.uint8)
        return self.ends_of_documents(raw, np.array([0, raw.size], dtype=np.int64))[0]

    def ends_of_documents(
        self, text: npt.NDArray[np.uint8], doc_starts: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Ends of the pre-tokens of many documents that stand one after another in one buffer.

        Args:
            text: UTF-8, uint8; document d is text[doc_starts[d] : doc_starts[d + 1]].
            doc_starts: int64[n_documents + 1], never falling.

        Returns:
            (ends, firsts): `ends` int64, byte positions in `text`; those of document d are
            ends[firsts[d] : firsts[d + 1]], with `firsts` int64[n_documents + 1]. No pre-token crosses the border of
            two documents, and an empty document has none.
        """
        if not self.steps:
            return ends_by_regex(text, doc_starts, self.regex)
        ends = self.steps.ends(text, doc_starts)
        return ends, np.searchsorted(ends, doc_starts, side="right")

    def split(self, text: str) -> list[str]:
        """The pre-tokens of `text` as strings."""
        raw = self.prepared(text.encode())
        ends = self.ends(raw).tolist()
        pieces = (raw[a:b] for a, b in zip([0, *ends], ends, strict=False))
        return [piece.strip(MARKER_BYTE).decode(errors="replace") for piece in pieces]
