"""`measured`: objects of tiktoken, tokenizers, transformers, sentencepiece, and classes of one's own."""

import json
import subprocess
import sys

import numpy as np
import pytest
import sentencepiece
from helpers.files import mistral_file
from helpers.texts import NASTY
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

import vocab
from vocab.analysis import compare, diff, inspect
from vocab.corpus import DocumentCorpus
from vocab.errors import SourceError
from vocab.formats import RuntimeTokenizer, load_lossless, measured
from vocab.hard_texts import SCRIPTS

TEXTS = [*NASTY, *SCRIPTS.values(), "", " "]


class Characters:
    """A tokenizer of one's own: code points, all above 255 unknown."""

    def encode(self, text: str) -> list[int]:
        return [min(ord(character), 256) for character in text]

    def decode(self, ids: list[int]) -> str:
        return "".join("?" if k > 255 else chr(k) for k in ids)

    def __len__(self) -> int:
        return 257


def test_a_class_of_ones_own():
    plain = measured(Characters())
    assert (plain.name, plain.inference, plain.n_ids, plain.max_id) == ("Characters", "Characters", 257, 256)
    assert plain.encode_batch(TEXTS) == [Characters().encode(text.replace("\ud800", "\ufffd")) for text in TEXTS]
    assert plain.encode("\ud800") == [256]
    assert plain.encode("ab", allow_special=True) == [97, 98]
    assert plain.decode([97, 256]) == "a?"
    pieces = {k: chr(k).encode() for k in range(256)}
    full = measured(Characters(), "mine", tokens=pieces, special_tokens={"<unk>": 256}, unknown="<unk>")
    assert (full.name, full.n_ids, full.n_tokens, full.max_id) == ("mine", 257, 256, 256)
    assert inspect(full).n_single_bytes == 128
    assert diff(full, full).n_shared == 256
    assert diff(full, full).same_pattern is None
    texts = ["aé", "中文", "x"]
    row = compare([full], vocab.count, corpus=DocumentCorpus.of_texts(texts))[0]
    assert row.train.n_tokens + row.held_out.n_tokens == 5
    assert row.train.n_unknown + row.held_out.n_unknown == 2
    assert full != plain
    assert full == full
    assert measured(full) is full


class Encoded:
    ids = (1, 2)


@pytest.mark.parametrize("value", [[1, 2], (1, 2), np.array([1, 2]), [np.int32(1), np.uint16(2)], Encoded()])
def test_ids_of_several_kinds_are_taken(value):
    class Constant:
        def encode(self, _text: str):
            return value

    assert measured(Constant()).encode("x") == [1, 2]
    assert measured(Constant()).count_tokens("x") == 2


@pytest.mark.parametrize("value", [["a"], 3, None, [[1]], [1.5], "ab"])
def test_what_are_no_ids_is_refused(value):
    class Constant:
        def encode(self, _text: str):
            return value

    with pytest.raises(SourceError, match="not a list of whole numbers"):
        measured(Constant()).encode("x")


def test_what_an_object_does_not_give_is_named():
    class Least:
        def encode(self, text: str) -> list[int]:
            return list(text.encode())

    least = measured(Least())
    asked = {
        "give `n_ids`": lambda: least.n_ids,
        "give `tokens`": lambda: inspect(least),
        "give `tokens` ": lambda: diff(least, least),
        "has no method `decode`": lambda: least.decode([1]),
        "is a Python object, which only it can run": lambda: load_lossless(least),
        "has no method `encode`": lambda: measured(3),
        "is not in its `special_tokens`": lambda: measured(Least(), unknown="<unk>"),
    }
    for message, ask in asked.items():
        with pytest.raises(SourceError, match=message.strip()):
            ask()
    assert measured(Least(), n_ids=256).n_ids == 256


def test_errors_of_the_object_itself_come_through():
    class Broken:
        def encode(self, text: str) -> list[int]:
            raise ZeroDivisionError(text)

    with pytest.raises(ZeroDivisionError):
        measured(Broken()).encode("x")


def test_tiktoken(cl100k):
    encoding = cl100k.to_tiktoken()
    tokenizer = measured(encoding)
    assert (tokenizer.name, tokenizer.n_ids, tokenizer.max_id) == (cl100k.name, cl100k.n_ids, cl100k.max_id)
    assert tokenizer.encode_batch(TEXTS) == encoding.encode_ordinary_batch(TEXTS)
    assert tokenizer.encode("<|endoftext|>", allow_special=True) == [100257]
    assert tokenizer.encode("<|endoftext|>") == encoding.encode_ordinary("<|endoftext|>")
    assert tokenizer.decode(tokenizer.encode("Straße 中")) == "Straße 中"
    found = diff(tokenizer, cl100k)
    assert (found.n_shared, found.n_moved, found.special_only_first) == (cl100k.n_tokens, 0, [])


def test_tokenizers(tmp_path):
    theirs = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1, "b c": 2}, unk_token="[UNK]"))
    theirs.normalizer, theirs.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.WhitespaceSplit()
    theirs.add_special_tokens(["[X]"])
    theirs.enable_truncation(1)
    tokenizer = measured(theirs, "words")
    assert isinstance(tokenizer, RuntimeTokenizer)
    assert tokenizer.encode("A a [X] b c") == [1, 1, 0, 0, 0]
    assert tokenizer.encode("a [X]", allow_special=True) == [1, 3]
    assert theirs.truncation is not None
    assert list(tmp_path.iterdir()) == []


def test_sentencepiece():
    processor = sentencepiece.SentencePieceProcessor(str(mistral_file("tokenizer.model.v1")), add_bos=True)
    tokenizer = measured(processor, "mistral")
    plain = sentencepiece.SentencePieceProcessor(str(mistral_file("tokenizer.model.v1")))
    assert tokenizer.encode_batch(TEXTS) == plain.encode(TEXTS)
    source = vocab.load(mistral_file("tokenizer.model.v1"))
    assert tokenizer.token_ids == source.token_ids
    assert tokenizer.special_tokens == source.special_tokens
    assert tokenizer.unknown == "<unk>"
    assert tokenizer.decode(tokenizer.encode("Straße 中")) == "Straße 中"


@pytest.mark.slow
def test_transformers(cl100k, tmp_path):
    import transformers

    small = vocab.Vocabulary.from_tokens(list(cl100k.tokens())[:2000], cl100k.pattern, {"<|end|>": 2000})
    small.save(tmp_path / "small")
    fast = transformers.AutoTokenizer.from_pretrained(tmp_path / "small")
    tokenizer = measured(fast, "fast")
    assert tokenizer.encode_batch(TEXTS) == small.encode_batch(TEXTS)
    assert tokenizer.token_ids == small.token_ids
    slow = measured(transformers.ByT5Tokenizer())
    text = "hé</s>"
    assert slow.encode(text) == [byte + 3 for byte in text.encode()]
    assert slow.encode(text, allow_special=True)[-1] == slow.special_tokens["</s>"] == 1
    assert slow.decode(slow.encode("hé")) == "hé"
    assert slow.unknown == "<unk>"


def test_nothing_is_imported_for_it():
    names = ["torch", "transformers", "tiktoken", "sentencepiece"]
    code = f"import json, sys, vocab.formats.python_tokenizers; print([m for m in {names} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.replace("'", '"')) == []
