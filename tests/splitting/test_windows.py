"""Split patterns that are run 64 bytes at once: what stands at the border of such a window is cut as anywhere else."""

import random

import pytest
import regex

from vocab.splitting import SplitPattern, patterns

PATTERNS = [patterns.CL100K_REGEX, patterns.LLAMA3_REGEX, patterns.QWEN2_REGEX, patterns.GPT2_REGEX]
# What needs the most bytes after it, or before it, to be known.
AT_BORDERS = [
    "''÷a",
    "'ſa",
    "'lla",
    "'vex",
    "÷",
    "éa",
    "×b",
    " \n \n  a",
    "\n\n  \t9",
    ".\n\n  b",
    "12345",
    " 'S",
    "\t.x",
    "\x85a",
    "中",
]
KINDS = [
    "abXY",
    " ",
    "\t ",
    "\n\r",
    "\n \t",
    "0123456789",
    ".,;'\"(",
    "'",
    "éЯſ×÷",
    "中文",
    "\u3000",
    "'s",
    "'LL",
    "\x0b",
    " it's",
]


@pytest.mark.parametrize("pattern", PATTERNS, ids=["cl100k", "llama3", "qwen2", "gpt2"])
def test_every_place_in_a_window(pattern):
    split, expected = SplitPattern(pattern), regex.compile(pattern)
    for fill in ("a", " a", "\n", "9", ".", "é"):
        for n in range(72):
            for text in AT_BORDERS:
                whole = fill * n + text + "a b" * 40
                assert split.split(whole) == expected.findall(whole)


@pytest.mark.parametrize("pattern", PATTERNS, ids=["cl100k", "llama3", "qwen2", "gpt2"])
def test_runs_of_every_kind(pattern):
    split, expected, rng = SplitPattern(pattern), regex.compile(pattern), random.Random(17)
    for _ in range(1500):
        runs = rng.choices(KINDS, k=60)
        text = "".join("".join(rng.choices(kind, k=rng.choice([1, 1, 2, 3, 9]))) for kind in runs)
        assert split.split(text) == expected.findall(text)
