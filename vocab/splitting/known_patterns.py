"""Regular expressions that are known, and by which kernel each is run; all others run on the `regex` package."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import numpy as np
import numpy.typing as npt

from vocab.arrays import frozen
from vocab.splitting.class_runs import class_run, members, symbol_table
from vocab.splitting.classes import class_table
from vocab.splitting.regex_ends import regex_ends

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
# The last and main one of the three splits of DeepSeek V3's tokenizer.json.
DEEPSEEK_REGEX = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
).replace(r"\r\n", "\r\n")  # the file has the characters themselves
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3_REGEX = rf"{_WORDS}|\p{{N}}{{1,3}}|{_REST}"
QWEN2_REGEX = rf"{_WORDS}|\p{{N}}|{_REST}"
GPT2_OLD_REGEX = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

# SentencePiece cuts no text, but no piece goes on with a space after anything else, nor, in most files, over a line
# feed or a tab. What is done to text first is named in a comment, which regular expressions pass over. Without one the
# first of them also cuts text for WordPiece.
SENTENCEPIECE = "(?#sentencepiece)"
SENTENCEPIECE_PREFIX = "(?#sentencepiece, dummy prefix)"
SPACED_WORDS = (r"[\n\t]| +[^ \n\t]*|[^ \n\t]+", r" +[^ ]*|[^ ]+", r"[\s\S]+")  # finest first

# Units that superwords may fill: a line with the white space after it to its last line end. Leading white space stays
# with the line after it. Neither alternative goes back over a line, however long it is.
LINES_REGEX = r"[^\r\n]++(?:\s*[\r\n])?|\s*[\r\n]"

# `{1,3}+` is possessive to tiktoken but a repeat of a repeat to Oniguruma, and `$` ends a line there: the form for
# tokenizer.json says both without either.
_CL100K_PORTABLE = rf"{_WORDS}|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s+(?![\s\S])|\s*[\r\n]+|\s+(?!\S)|\s+"


@dataclass(frozen=True)
class _Kernel:
    name: str  # of the function
    max_digits: int
    option: bool  # gpt2 and cl100k: white space at the end of a text is one pre-token; o200k: words have contractions
    portable: str  # the same split for engines without possessive quantifiers
    module: str = "split_kernels"
    table: Callable[[], npt.NDArray[np.uint8]] = class_table  # class bits of every code point


KERNELS = {
    CL100K_REGEX: _Kernel("split_cl100k", 3, True, _CL100K_PORTABLE),
    _CL100K_PORTABLE: _Kernel("split_cl100k", 3, True, _CL100K_PORTABLE),
    LLAMA3_REGEX: _Kernel("split_cl100k", 3, False, LLAMA3_REGEX),
    QWEN2_REGEX: _Kernel("split_cl100k", 1, False, QWEN2_REGEX),
    GPT2_REGEX: _Kernel("split_gpt2", 0, True, GPT2_OLD_REGEX),
    GPT2_OLD_REGEX: _Kernel("split_gpt2", 0, True, GPT2_OLD_REGEX),
    O200K_REGEX: _Kernel("split_o200k", 3, True, O200K_REGEX),
    DEEPSEEK_REGEX: _Kernel("split_deepseek", 0, False, DEEPSEEK_REGEX, "deepseek_kernels", symbol_table),
    TEKKEN_REGEX: _Kernel("split_o200k", 1, False, TEKKEN_REGEX),
    LINES_REGEX: _Kernel("split_lines", 0, False, LINES_REGEX, "unit_kernels"),
}
for _comment in ("", SENTENCEPIECE, SENTENCEPIECE_PREFIX):
    for _words, _by_line in zip(SPACED_WORDS, (True, False), strict=False):
        KERNELS[_comment + _words] = _Kernel("split_spaced_words", 0, _by_line, _comment + _words, "run_kernels")


def has_kernel(pattern: str) -> bool:
    """Whether a kernel runs a regular expression."""
    return pattern in KERNELS or class_run(pattern) is not None


def ends_by_regex(
    text: npt.NDArray[np.uint8], doc_starts: npt.NDArray[np.int64], pattern: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Ends of the pre-tokens that a regular expression cuts; the result is that of `SplitPattern.ends_of_documents`."""
    if pattern in KERNELS:
        return _kernel_ends(text, doc_starts, KERNELS[pattern], KERNELS[pattern].table())
    if run := class_run(pattern):
        kernel = _Kernel("split_class_runs", run.longest, False, pattern, "run_kernels")
        return _kernel_ends(text, doc_starts, kernel, members(run.characters))
    ends = regex_ends(text, doc_starts, pattern)
    return ends, np.searchsorted(ends, doc_starts, side="right")


def _kernel_ends(
    text: npt.NDArray[np.uint8], doc_starts: npt.NDArray[np.int64], kernel: _Kernel, table: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    split = getattr(import_module(f"vocab.splitting.{kernel.module}"), kernel.name)
    inputs = (frozen(text), frozen(doc_starts), table, kernel.max_digits, kernel.option)
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
