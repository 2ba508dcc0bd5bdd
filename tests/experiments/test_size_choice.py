"""`vocab size`: its range, the size that suits hardware, and what rows say."""

import json
import re

import pytest
from helpers.cli import run

from vocab.experiments.size_choice import _by_rows, suited
from vocab.vocabulary import Vocabulary


@pytest.mark.parametrize(
    ("first", "best", "last", "size"),
    [(30_000, 31_000, 40_000, 32_768), (33_000, 40_000, 47_000, 40_960), (5, 5, 5, 5), (700, 900, 1500, 1024)],
)
def test_the_size_of_the_highest_power_of_two_suits(first, best, last, size):
    assert suited(first, best, last) == size


def test_rows_that_come_with_vocab_count_for_their_shape_and_device_alone():
    found = _by_rows("micro", "cpu")
    assert found.first <= found.best <= found.last
    assert "vocabulary-cpu" in found.trust
    assert _by_rows("micro", "cuda") is None
    assert _by_rows("gpt2-124m-class", "cpu") is None


@pytest.mark.slow
def test_a_range_is_printed_with_its_reasons(tmp_path, cl100k, real_text):
    Vocabulary.from_tokens(list(cl100k.tokens())[:4000], cl100k.pattern).save(tmp_path / "source")
    (tmp_path / "text.txt").write_text(real_text[:300_000], encoding="utf-8")
    done = run("size", "text.txt", "--source", "source", where=tmp_path)
    said = re.fullmatch(
        r"From ([\d,]+) to ([\d,]+) ids; a good size for hardware is ([\d,]+)\.", done.stdout.splitlines()[0]
    )
    first, last, suggested = (int(number.replace(",", "")) for number in said.groups())
    assert first <= suggested <= last <= 4000
    assert "No losses of gpt2-124m-class on cpu come with vocab" in done.stdout
    found = json.loads(
        run("size", "text.txt", "--source", "source", "--preset", "micro", "--json", "--quiet", where=tmp_path).stdout
    )
    compute, measured = found["reasons"]
    assert (found["first"], found["last"]) == (compute["first"], measured["last"])
    assert found["suggested"] is None
    assert any("disagree" in note for note in found["notes"])
