"""WordPiece that is pruned, against Hugging Face tokenizers: ids, the words that are unknown, and files."""

import json

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

import vocab
from vocab.errors import SourceError, TargetError
from vocab.formats import load_lossless
from vocab.interop import verify
from vocab.prune import prune
from vocab.prune.candidates.prior import with_prior

SPECIAL = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@pytest.fixture(scope="module")
def source(tmp_path_factory, real_text):
    """A folder with BERT's tokenizer.json, whose special tokens stand between others, as in real ones."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=3000, special_tokens=SPECIAL, limit_alphabet=150, show_progress=False
    )
    tokenizer.train_from_iterator(real_text.splitlines()[::7], trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 4), ("[CLS]", 3))
    settings = json.loads(tokenizer.to_str())
    settings["added_tokens"] = [one for one in settings["added_tokens"] if one["content"] != "[unused0]"]
    folder = tmp_path_factory.mktemp("bert")
    (folder / "tokenizer.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(scope="module")
def corpus(source, real_text, tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "corpus.jsonl"
    documents = [real_text[k : k + 2000] for k in range(0, 300_000, 2000)] + real_text.splitlines()[-60:]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in documents))
    return vocab.count(path, vocab.load(source).pattern)


@pytest.fixture(scope="module")
def result(source, corpus):
    return prune(vocab.load(source), 1500, corpus=corpus)


def texts_of(real_text, nasty):
    return [*nasty, "[MASK] x [UNK]", "", " ", "word" * 25, "word" * 26, "▁a \U0010ffff", *real_text.splitlines()[::40]]


@pytest.mark.slow
def test_ids_before_and_after_are_those_of_tokenizers(source, result, real_text, nasty, tmp_path):
    result.vocabulary.save(tmp_path / "out")
    for vocabulary, path in ((vocab.load(source), source), (result.vocabulary, tmp_path / "out")):
        theirs = Tokenizer.from_file(str(path / "tokenizer.json"))
        texts = texts_of(real_text, nasty)
        expected = [theirs.encode(text, add_special_tokens=False) for text in texts]
        assert [vocabulary.encode(text, allow_special=True) for text in texts] == [one.ids for one in expected]
        around = theirs.encode("import os").ids
        assert [theirs.id_to_token(around[k]) for k in (0, -1)] == ["[CLS]", "[SEP]"]
        assert vocabulary.decode(vocabulary.encode("import  os")) == "import os"
    assert vocab.load(tmp_path / "out") == result.vocabulary


@pytest.mark.slow
def test_a_word_is_unknown_exactly_where_it_was(source, result, real_text, nasty):
    before, after = vocab.load(source), result.vocabulary
    assert after.n_ids == 1500
    words = [word for text in texts_of(real_text, nasty) for word in text.split()]
    was, is_now = ([unknowns(vocabulary, word) for word in words] for vocabulary in (before, after))
    assert was == is_now
    assert any(was)
    rows = result.report.rows
    assert rows[0].train.unknown_share == rows[1].train.unknown_share > 0


@pytest.mark.slow
def test_tokens_that_no_text_gives_are_no_prior(source, corpus):
    """[unused0] is an ordinary token of a low id, but text is cut at its brackets."""
    vocabulary = vocab.load(source)
    pseudo = with_prior(corpus.train, vocabulary, 1.5).pseudo
    tokens = list(vocabulary.tokens())
    assert pseudo[tokens.index(b" [unused0]")] == 0
    words = [rank for rank, token in enumerate(tokens) if token.startswith(b" ") and token[1:].isalpha()]
    pieces = [rank for rank, token in enumerate(tokens) if token.isalpha()]
    assert len(words) > 500
    assert len(pieces) > 500
    assert (pseudo[words] > 0).all()
    assert (pseudo[pieces] > 0).all()


def unknowns(vocabulary, word: str) -> int:
    return vocabulary.encode(word).count(vocabulary.token_ids[b"[UNK]"])


@pytest.mark.slow
def test_a_result_is_verified_in_each_runtime(result, real_text, tmp_path):
    result.vocabulary.save(tmp_path / "out")
    checked = verify(tmp_path / "out", [real_text[:20_000], "[MASK] of", "word" * 30])
    assert checked.agrees
    assert {check.runtime for check in checked.checks} >= {"tokenizers", "AutoTokenizer"}


@pytest.mark.slow
def test_a_coverage_of_characters_bounds_what_becomes_unknown(source, corpus):
    tokenizer = vocab.load(source)
    small = prune(tokenizer, 1000, corpus=corpus, character_coverage=0.99).vocabulary
    lengths = np.array([len(token.decode().removeprefix(" ")) for token in small.tokens()])
    whole = np.array([len(token.decode().removeprefix(" ")) for token in tokenizer.tokens()])
    assert 0 < np.count_nonzero(lengths == 1) < np.count_nonzero(whole == 1)


def test_methods_that_are_not_for_it_are_refused(source):
    tokenizer = vocab.load(source)
    for method in ("leaf", "optimal", "tokenmonster"):
        with pytest.raises(TargetError, match=f"the method {method} "):
            prune(tokenizer, 1500, method=method)


def test_a_character_without_a_piece_is_named(source, tmp_path):
    settings = json.loads((source / "tokenizer.json").read_bytes())
    del settings["model"]["vocab"]["##e"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(settings))
    with pytest.raises(SourceError, match="none for its character 'e'"):
        load_lossless(tmp_path)
