"""Split patterns: the regular expressions that cut text into pre-tokens, and which of them have a kernel."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from vocab.arrays import frozen
from vocab.errors import SourceError
from vocab.markers import MARKER_BYTE
from vocab.splitting import preparation
from vocab.splitting.regex_ends import compiled, regex_ends
from vocab.splitting.steps import COMMENT, SplitSteps

_BYTES_A_PRETOKEN = 3  # fewer than in most text: room for ends is made by it, and made larger when it is not enough

# tiktoken 0.14, tiktoken_ext/openai_public.py.
CL100K_REGEX = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)
GPT2_REGEX = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
O200K_REGEX = "|".join(
    [
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)
# mistral-common 1.9.1, data/tekken_240911.json: o200k without contractions, and each digit by itself.
TEKKEN_REGEX = "|".join(
    [
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
        r"\p{N}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3_REGEX = rf"{_WORDS}|\p{{N}}{{1,3}}|{_REST}"
QWEN2_REGEX = rf"{_WORDS}|\p{{N}}|{_REST}"
GPT2_OLD_REGEX = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

# SentencePiece cuts no text, but no piece goes on with a space after anything else, nor, in most files, over a line
# feed or a tab. What is done to text first is named in a comment, which regular expressions pass over. Without one the
# first of them also cuts text for WordPiece.
_SENTENCEPIECE = "(?#sentencepiece)"
_SENTENCEPIECE_PREFIX = "(?#sentencepiece, dummy prefix)"
SPACED_WORDS = (r"[\n\t]| +[^ \n\t]*|[^ \n\t]+", r" +[^ ]*|[^ ]+", r"[\s\S]+")  # finest first

# `{1,3}+` is possessive to tiktoken but a repeat of a repeat to Oniguruma, and `$` ends a line there: the form for
# tokenizer.json says both without either.
_CL100K_PORTABLE = rf"{_WORDS}|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s+(?![\s\S])|\s*[\r\n]+|\s+(?!\S)|\s+"


@dataclass(frozen=True)
class _Kernel:
    name: str  # of the function in splitting/kernels.py
    max_digits: int
    option: bool  # gpt2 and cl100k: white space at the end of a text is one pre-token; o200k: words have contractions
    portable: str  # the same split for engines without possessive quantifiers


_KERNELS = {
    CL100K_REGEX: _Kernel("split_cl100k", 3, True, _CL100K_PORTABLE),
    _CL100K_PORTABLE: _Kernel("split_cl100k", 3, True, _CL100K_PORTABLE),
    LLAMA3_REGEX: _Kernel("split_cl100k", 3, False, LLAMA3_REGEX),
    QWEN2_REGEX: _Kernel("split_cl100k", 1, False, QWEN2_REGEX),
    GPT2_REGEX: _Kernel("split_gpt2", 0, True, GPT2_OLD_REGEX),
    GPT2_OLD_REGEX: _Kernel("split_gpt2", 0, True, GPT2_OLD_REGEX),
    O200K_REGEX: _Kernel("split_o200k", 3, True, O200K_REGEX),
    TEKKEN_REGEX: _Kernel("split_o200k", 1, False, TEKKEN_REGEX),
}
for _comment in ("", _SENTENCEPIECE, _SENTENCEPIECE_PREFIX):
    for _words, _by_line in zip(SPACED_WORDS, (True, False), strict=False):
        _KERNELS[_comment + _words] = _Kernel("split_spaced_words", 0, _by_line, _comment + _words)


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
        comment = _SENTENCEPIECE_PREFIX if dummy_prefix else _SENTENCEPIECE
        for words in SPACED_WORDS:
            if all(compiled(words).fullmatch(piece) and len(compiled(words).findall(piece)) == 1 for piece in known):
                break
        return cls(comment + words)

    @property
    def is_sentencepiece(self) -> bool:
        """Whether text is prepared as SentencePiece does it before it is cut."""
        return self.regex.startswith((_SENTENCEPIECE, _SENTENCEPIECE_PREFIX))

    @property
    def has_dummy_prefix(self) -> bool:
        """Whether a space is put before each text."""
        return self.regex.startswith(_SENTENCEPIECE_PREFIX)

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
    def portable(self) -> str:
        """The same split for tokenizer.json; raises SourceError when an unknown pattern cannot be said there."""
        if self.regex in _KERNELS:
            return _KERNELS[self.regex].portable
        if self.steps:
            raise SourceError("the split has several steps, or changes text, which no one regular expression says")
        if "}+" in self.regex and not self.is_sentencepiece:
            raise SourceError(
                "the split pattern has a possessive {m,n}+, which Hugging Face tokenizers reads as something else; "
                f"rewrite it without: {self.regex}"
            )
        return self.regex

    @property
    def has_kernel(self) -> bool:
        """Whether a compiled splitter knows this pattern; others run, slower, on the `regex` package."""
        return self.regex in _KERNELS

    def ends(self, text: bytes) -> npt.NDArray[np.int64]:
        """Ends in bytes of the pre-tokens of UTF-8 `text`, int64, rising, the last being len(text).

        Text that the pattern does not match stays as pre-tokens of its own, so that nothing is lost.
        """
        if self.regex in _KERNELS:
            raw = np.frombuffer(text, dtype=np.uint8)
            return _kernel_ends(raw, np.array([0, raw.size], dtype=np.int64), _KERNELS[self.regex])[0]
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
        if self.regex in _KERNELS:
            return _kernel_ends(text, doc_starts, _KERNELS[self.regex])
        ends = self.steps.ends(text, doc_starts) if self.steps else regex_ends(text, doc_starts, self.regex)
        return ends, np.searchsorted(ends, doc_starts, side="right")

    def split(self, text: str) -> list[str]:
        """The pre-tokens of `text` as strings."""
        raw = self.prepared(text.encode())
        ends = self.ends(raw).tolist()
        pieces = (raw[a:b] for a, b in zip([0, *ends], ends, strict=False))
        return [piece.strip(MARKER_BYTE).decode(errors="replace") for piece in pieces]


def _kernel_ends(
    text: npt.NDArray[np.uint8], doc_starts: npt.NDArray[np.int64], kernel: _Kernel
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    from vocab.splitting import split_kernels as kernels
    from vocab.splitting.classes import class_table

    split = getattr(kernels, kernel.name)
    inputs = (frozen(text), frozen(doc_starts), class_table(), kernel.max_digits, kernel.option)
    firsts = np.zeros(doc_starts.size, dtype=np.int64)
    ends = np.empty(int(doc_starts[-1] - doc_starts[0]) // _BYTES_A_PRETOKEN + 64, dtype=np.int64)
    document, n = 0, 0
    while True:
        document, n = split(*inputs, ends, firsts, document, n)
        if document == doc_starts.size - 1:
            return ends[:n], firsts
        longer = np.empty(2 * ends.size, dtype=np.int64)
        longer[:n] = ends[:n]
        ends = longer
