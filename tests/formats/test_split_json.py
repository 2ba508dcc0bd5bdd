"""A pre_tokenizer's Split and its inverted kinds."""

import pytest
from helpers.byte_level import byte_level_bpe, stored
from helpers.counts import count_documents_of

from vocab.errors import SourceError
from vocab.formats import load
from vocab.formats.split_json import _split_step
from vocab.formats.tiktoken_file import obstacle
from vocab.formats.tiktoken_split import is_split_by_tiktoken
from vocab.hard_texts import HARD_TEXTS
from vocab.prune import prune
from vocab.splitting import SplitPattern


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


# Patterns without a compiled splitter: of letters and classes, possessive, of Oniguruma's own escapes.
@pytest.mark.parametrize(
    "pattern",
    [
        r"[一-龥]+|\p{L}+|\s+|.",
        r"\p{L}++|\p{N}{1,3}+|\s+|.",
        r"[\p{L}&&[^\p{Han}]]+|\p{Han}+|\s+|.",
        r"[\x{4E00}-\x{9FA5}]+|\p{L}+|\s+|.",
        r"(?>\p{L}+)|\s+(?!\S)|\s|.",
    ],
)
def test_other_patterns_are_pruned_and_written(pattern, tmp_path):
    source = load(stored(byte_level_bpe(400, pattern), tmp_path / "source"))
    texts = [*HARD_TEXTS, "漢字 abc 12345678"]
    small = prune(source, 330, method="rank", corpus=count_documents_of(texts, source.pattern)).vocabulary
    peer = small.to_tokenizers()
    for text in texts:
        assert small.encode(text) == peer.encode(text).ids
    if obstacle(small) is None:
        rank_runtime = small.to_tiktoken()
        for text in texts:
            assert small.encode(text) == rank_runtime.encode_ordinary(text)


@pytest.mark.parametrize(("pattern", "runs"), [(r"\p{L}+|\s+|.|\n", True), (r"\X", False), (r"a\K.|\s+|.", False)])
def test_tiktoken_gets_only_splits_that_it_runs_alike(pattern, runs):
    assert is_split_by_tiktoken(SplitPattern(pattern)) is runs


def test_only_a_repeat_of_a_repeat_is_refused_for_tokenizers():
    assert SplitPattern(r"\p{L}+|\x{41}+|.").portable == r"\p{L}+|\x{41}+|."
    with pytest.raises(SourceError, match="possessive"):
        _ = SplitPattern(r"\p{N}{1,3}+|.").portable
