"""The main split of DeepSeek V3: the kernel against the `regex` package, in every context."""

import random

import numpy as np
import pytest

from vocab.splitting.class_runs import symbol_table
from vocab.splitting.known_patterns import DEEPSEEK_REGEX, ends_by_regex
from vocab.splitting.regex_ends import regex_ends
from vocab.splitting.split_step import SplitStep

KINDS = [
    "abXY",
    " ",
    "\t ",
    "\n\r",
    " \n",
    "019",
    "..,'$^",
    "\u0301\u0300",
    "éЯ",
    "中文",
    "\u3000\x85",
    "\x00\u200d\ue000",
    "👩",
    "\x1c",
]
CONTEXTS = ["{}", "a{}b ", ".{}. ", " {}1{}\n", "\u0301{}\u0301\n{} ", "\n{} {}\n"]


def assert_same(text: str) -> None:
    raw = np.frombuffer(text.encode(), dtype=np.uint8)
    borders = np.array([0, raw.size], dtype=np.int64)
    ends = ends_by_regex(raw, borders, DEEPSEEK_REGEX)[0]
    assert ends.tolist() == regex_ends(raw, borders, DEEPSEEK_REGEX).tolist()


def test_it_has_a_kernel():
    assert SplitStep(DEEPSEEK_REGEX).has_kernel


def test_code_points_at_the_edges_of_classes():
    first = np.flatnonzero(np.diff(symbol_table(), prepend=255))
    points = {*first.tolist(), *(first - 1).clip(min=0).tolist()}
    characters = [chr(point) for point in sorted(points) if not 0xD800 <= point < 0xE000]
    for context in CONTEXTS:
        assert_same("".join(context.replace("{}", character) for character in characters))


@pytest.mark.slow
def test_every_code_point():
    characters = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    assert_same("".join(f"a{character}b .{character}" for character in characters))


def test_runs_of_every_kind():
    rng = random.Random(23)
    for _ in range(3000):
        runs = rng.choices(KINDS, k=12)
        assert_same("".join("".join(rng.choices(kind, k=rng.choice([1, 1, 2, 3, 9]))) for kind in runs))
