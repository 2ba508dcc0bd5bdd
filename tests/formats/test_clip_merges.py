"""CLIP's list of merges, measured: the ids of its own code, and lines that are wrong."""

import json
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
import regex
from helpers.cli import run
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

import vocab
from vocab.errors import SourceError
from vocab.formats import load_lossless
from vocab.splitting.byte_alphabet import BYTE_TO_CHARACTER, to_characters

NAME = "bpe_simple_vocab_16e6.txt"
WORDS = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
TEXTS = [
    "A diagram of the   Quick\tbrown FOX's 12 jumps!!",
    "",
    " ",
    "é世界 ÄÖ\n",
    "a photo of a cat .",
    "don't... I'll",
    "\x00☃☃",
]


@pytest.fixture(scope="module")
def path(tmp_path_factory, real_text) -> Path:
    """A list as CLIP has it, of merges that tokenizers trains on real text."""
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel(False)]
    )
    trainer = trainers.BpeTrainer(vocab_size=1500, end_of_word_suffix="</w>", show_progress=False)
    tokenizer.train_from_iterator([real_text[:100_000].lower()], trainer)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    path = tmp_path_factory.mktemp("clip") / NAME
    path.write_text(f'"{NAME}#version: 0.2\n' + "".join(f"{a} {b}\n" for a, b in merges), encoding="utf-8")
    return path


def encoded(path: Path, text: str) -> list[int]:
    """`SimpleTokenizer.encode` of openai/CLIP, without the repair of broken encodings and of HTML."""
    merges = [tuple(line.split()) for line in path.read_text("utf-8").splitlines()[1:]]
    letters = [*BYTE_TO_CHARACTER.values()]
    pieces = [*letters, *(c + "</w>" for c in letters), *map("".join, merges)]
    ids, ranks = {piece: k for k, piece in enumerate(pieces)}, {pair: k for k, pair in enumerate(merges)}

    @cache
    def bpe(word: str) -> tuple[str, ...]:
        parts = [*word[:-1], word[-1] + "</w>"]
        while pairs := [(ranks[pair], k) for k, pair in enumerate(pairwise(parts)) if pair in ranks]:
            _, k = min(pairs)
            parts[k : k + 2] = [parts[k] + parts[k + 1]]
        return tuple(parts)

    words = WORDS.findall(" ".join(text.split()).lower())
    return [ids[piece] for word in words for piece in bpe(to_characters(word.encode()))]


def test_ids_are_those_of_clip(path, real_text):
    clip = vocab.load(path)
    n_merges = len(path.read_text("utf-8").splitlines()) - 1
    assert clip.n_ids == 512 + n_merges + 2
    assert clip.special_tokens == {"<|startoftext|>": 512 + n_merges, "<|endoftext|>": 513 + n_merges}
    for text in [*TEXTS, *real_text[:4000].split("\n")]:
        assert clip.encode(text) == encoded(path, text), text


def test_the_obstacle_says_why_it_is_not_pruned(path):
    with pytest.raises(SourceError, match="whose words end in </w> and lose letter case"):
        load_lossless(path)


@pytest.mark.slow
def test_it_is_measured(path, tmp_path):
    (tmp_path / "text.txt").write_text("A photo of a cat, and of a dog.\n" * 50, encoding="utf-8")
    done = run("eval", path, "cl100k_base", "--corpus", "text.txt", where=tmp_path)
    assert done.returncode == 0, done.stderr
    assert run("inspect", path, where=tmp_path).returncode == 0


@pytest.mark.parametrize("line", ["one", "a b c", " b", "qqq zzz"])
def test_a_line_that_is_no_merge_is_refused(line, tmp_path):
    (tmp_path / NAME).write_text(f'"{NAME}#version: 0.2\ni n\n{line}\n', encoding="utf-8")
    with pytest.raises(SourceError, match="damaged"):
        vocab.load(tmp_path / NAME)
