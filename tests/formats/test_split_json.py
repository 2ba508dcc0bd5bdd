"""A pre_tokenizer's Split and its inverted kinds."""

import pytest

from vocab.errors import SourceError
from vocab.formats.split_json import _split_step


def step(behavior: str, *, invert: bool) -> dict:
    return {"type": "Split", "pattern": {"Regex": r"\p{L}+|\s+"}, "behavior": behavior, "invert": invert}


@pytest.mark.parametrize("behavior", ["Isolated", "Contiguous"])
def test_inverted_splits_that_keep_every_piece_are_read(behavior):
    assert _split_step(step(behavior, invert=True), False) == _split_step(step(behavior, invert=False), False)


def test_an_inverted_split_that_removes_keeps_what_is_matched():
    assert _split_step(step("Removed", invert=True), False) == _split_step(step("Isolated", invert=False), False)


@pytest.mark.parametrize("behavior", ["MergedWithNext", "MergedWithPrevious"])
def test_other_inverted_splits_are_refused(behavior):
    with pytest.raises(SourceError, match=f"an inverted Split of behavior {behavior}"):
        _split_step(step(behavior, invert=True), False)
    assert _split_step(step(behavior, invert=False), False).behavior != "isolated"


def test_a_text_that_is_no_expression_is_taken_as_it_is():
    split = {"type": "Split", "pattern": {"String": "a.b c"}, "behavior": "Isolated", "invert": False}
    assert _split_step(split, False).regex == r"a\.b c"
