"""SentencePiece's Unigram: the same ids in sentencepiece, tokenizers, transformers and here; bad files."""

import importlib
import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
from helpers import oracles
from helpers.counts import count_documents_of
from helpers.piece_models import as_ids, scores_of
from helpers.texts import plain
from helpers.unigram_models import BYTE_PIECES, TEXT, USER_DEFINED, models, some_texts, trained, vocabulary_of
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

import vocab
from vocab.encoding.unigram import TextEncoder
from vocab.errors import SourceError
from vocab.formats import load_lossless
from vocab.formats.sentencepiece_model import to_proto, to_sentencepiece
from vocab.splitting import SplitPattern
from vocab.vocabulary import Vocabulary


@pytest.fixture(scope="module", params=["plain", "user-defined"])
def model_file(request, real_text, tmp_path_factory) -> Path:
    """Trained on 300 kB of code and some sentences; once with user-defined pieces and without a dummy prefix."""
    more = {"user_defined_symbols": USER_DEFINED, "add_dummy_prefix": False} if request.param != "plain" else {}
    path = tmp_path_factory.mktemp("unigram") / f"{request.param}.model"
    path.write_bytes(trained([real_text[:300_000], real_text[-3000:]], 2000, **more))
    return path


@pytest.fixture(scope="module")
def loaded(model_file) -> Vocabulary:
    return vocab.load(model_file)


# Whole models


@pytest.mark.slow
def test_sentencepiece_has_the_same_ids(loaded, model_file, real_text, nasty):
    peer = sentencepiece.SentencePieceProcessor(model_file=str(model_file))
    assert (loaded.inference, loaded.n_ids) == ("unigram", peer.vocab_size())
    for text in [*some_texts(loaded, real_text, nasty), *loaded.special_tokens]:
        ids = loaded.encode(text)
        assert ids == peer.encode(text), text
        assert loaded.count_tokens(text) == len(ids)
        if "▁" not in text:
            assert loaded.decode(ids) == peer.decode(ids) == text


@pytest.mark.slow
def test_a_written_model_is_read_back_the_same(loaded, model_file, tmp_path):
    loaded.save(tmp_path / "out")
    again = vocab.load(tmp_path / "out/tokenizer.model")
    assert again == loaded == vocab.load(tmp_path / "out")
    assert to_proto(again) == (tmp_path / "out/tokenizer.model").read_bytes()
    peer = sentencepiece.SentencePieceProcessor(model_file=str(model_file))
    ours = loaded.to_sentencepiece()
    for what in ("id_to_piece", "get_score", "is_control", "is_unknown", "is_byte", "is_unused"):
        ask = [getattr(processor, what) for processor in (ours, peer)]
        assert [ask[0](k) for k in range(loaded.n_ids)] == [ask[1](k) for k in range(loaded.n_ids)], what


@pytest.mark.slow
def test_scores_are_part_of_what_is_equal(loaded):
    scores = loaded.scores.copy()
    scores[300] -= 1
    assert replace(loaded, scores=scores) != loaded


@pytest.mark.slow
def test_tokenizer_json_has_the_same_ids(loaded, real_text, nasty, tmp_path, monkeypatch):
    """It adds scores up in float64, so what is read from it does too, and rounding tells no two ways apart alike."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from transformers import AutoTokenizer

    loaded.save(tmp_path / "out")
    peer = Tokenizer.from_file(str(tmp_path / "out/tokenizer.json"))
    auto = AutoTokenizer.from_pretrained(tmp_path / "out", local_files_only=True)
    again = vocab.load(tmp_path / "out")
    assert (again.special_tokens, again.user_defined) == (loaded.special_tokens, loaded.user_defined)
    n_different = 0
    texts = plain(loaded, some_texts(loaded, real_text, nasty))
    theirs = [found.ids for found in peer.encode_batch_fast(texts, add_special_tokens=False)]
    assert theirs == auto(texts, add_special_tokens=False)["input_ids"]
    for text, expected in zip(texts, theirs, strict=True):
        ids = again.encode(text)
        assert ids == expected
        assert again.decode(ids) == loaded.decode(ids)
        if "▁" not in text:
            assert peer.decode(ids, skip_special_tokens=False) == text
        n_different += ids != loaded.encode(text)
    assert n_different < len(texts) / 50


@pytest.mark.slow
def test_byte_pieces_that_texts_spell_are_what_they_are_to_tokenizers(loaded, tmp_path):
    """As most converted files have them, with a score of 0."""
    loaded.save(tmp_path / "out")
    path = tmp_path / "out/tokenizer.json"
    settings = json.loads(path.read_text())
    for row in settings["model"]["vocab"]:
        row[1] = 0.0 if row[0].startswith("<0x") else row[1]
    path.write_text(json.dumps(settings))
    peer, again = Tokenizer.from_file(str(path)), vocab.load(path)
    byte = again.first_id + 0x41
    for text in (*BYTE_PIECES, "語<0x41> é"):
        assert again.encode(text) == peer.encode(text, add_special_tokens=False).ids
    assert byte in again.encode("<0x41>")
    assert byte not in loaded.encode("<0x41>")


@pytest.mark.slow
def test_counts_by_pretoken_are_those_of_whole_texts_but_for_rounding(loaded, real_text):
    texts = [text for text in real_text[:1_000_000].split("\n\n") if text and not loaded.has_special(text)]
    counted = count_documents_of(texts, loaded.pattern)
    n_tokens = 0
    for side in (counted.train, counted.held_out):
        _, sizes = loaded.encoder.encode_pretokens(side.blob, side.starts, 2)
        n_tokens += int((side.counts.astype(np.int64) * sizes).sum())
    assert n_tokens == pytest.approx(sum(map(loaded.count_tokens, texts)), rel=1e-5)


# Random models


@given(vocabulary=models(), texts=st.lists(TEXT, min_size=1, max_size=8))
def test_random_models_equal_the_oracle_and_every_runtime(vocabulary, texts):
    peer, other = to_sentencepiece(vocabulary), vocabulary.to_tokenizers()
    scores, prefix = scores_of(vocabulary), " " if vocabulary.pattern.has_dummy_prefix else ""
    for text in texts:
        ids = vocabulary.encode(text)
        assert ids == peer.encode(text)
        assert ids == other.encode(text, add_special_tokens=False).ids
        assert ids == as_ids(vocabulary, oracles.encode_unigram(scores, text and prefix + text))


@given(vocabulary=models(), texts=st.lists(TEXT.filter(bool), min_size=1, max_size=8, unique=True))
def test_pretokens_equal_the_oracle(vocabulary, texts):
    scores, raw = scores_of(vocabulary), [text.encode() for text in texts]
    starts = np.concatenate([[0], np.cumsum([len(text) for text in raw])]).astype(np.int64)
    ids, sizes = vocabulary.encoder.encode_pretokens(np.frombuffer(b"".join(raw), np.uint8), starts, 2)
    for text, first, n in zip(texts, starts.tolist(), sizes.tolist(), strict=False):
        assert (ids[first : first + n] + 3).tolist() == as_ids(vocabulary, oracles.encode_unigram(scores, text))


@given(pieces=st.lists(st.text("ab é語", min_size=2, max_size=5), max_size=25), seed=st.integers(0, 2**32))
def test_scores_of_any_kind_are_rounded_as_sentencepiece_does(pieces, seed):
    rng = random.Random(seed)
    texts = [*dict.fromkeys([" ", *"abé語", *pieces])]
    largest = rng.choice([1e-3, 1.0, 20.0, 3e4])
    scores = [np.float32(-largest * rng.random()) for _ in texts]
    vocabulary = vocabulary_of(texts, scores, SplitPattern.of_sentencepiece(pieces, dummy_prefix=True))
    peer = to_sentencepiece(vocabulary)
    for n in (5, 50, 500, 5000):
        text = "".join(rng.choices("abé語x", [6, 6, 2, 2, 1], k=n))
        assert vocabulary.encode(text) == peer.encode(text)


def test_a_text_without_a_place_to_cut_it_gets_more_room(monkeypatch):
    vocabulary = vocabulary_of(
        [" ", "a", "aa"], [-1.0, -2.0, -3.0], SplitPattern.of_sentencepiece([], dummy_prefix=True)
    )
    assert vocabulary.encode("a" * 300_001)[-3:] == to_sentencepiece(vocabulary).encode("a" * 300_001)[-3:]
    monkeypatch.setattr("vocab.encoding.unigram._ROOM", 8)
    peer = to_sentencepiece(vocabulary)
    for n in range(40):
        for text in ("a" * n, "éa" * n, "a語a" * n + "x"):
            assert vocabulary.encode(text) == peer.encode(text)


def test_bytes_end_a_text_cut_in_a_character():
    """No str holds one, but bytes may; nothing is read beyond them."""
    scores = vocabulary_of([" "], [-1.0], SplitPattern.of_sentencepiece([], dummy_prefix=False))._unigram_scores
    tokens = [bytes([k]) for k in range(256)] + [b" "]
    encoder = TextEncoder(np.frombuffer(b"".join(tokens), np.uint8), np.arange(258), scores)
    assert encoder.encode(b" \xe8\xaa").tolist() == [256, 0xE8, 0xAA]


# Bad files


def changed(model_file: Path, tmp_path: Path, change) -> Path:
    model = importlib.import_module("sentencepiece.sentencepiece_model_pb2").ModelProto()
    model.ParseFromString(model_file.read_bytes())
    change(model)
    path = tmp_path / "x.model"
    path.write_bytes(model.SerializeToString())
    return path


FAULTS = {
    "no number": (lambda m: setattr(m.pieces[900], "score", float("nan")), "NaN or Inf|a score that is not a number"),
    "unused": (lambda m: setattr(m.pieces[900], "type", 5), "unused pieces"),
    "no character": (
        lambda m: setattr(next(piece for piece in m.pieces if piece.piece == "e"), "piece", "☃"),
        "but none for its character 'e'",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_models_that_cannot_be_kept_exact_are_refused(fault, model_file, tmp_path):
    change, message = FAULTS[fault]
    with pytest.raises(SourceError, match=message) as error:
        load_lossless(changed(model_file, tmp_path, change))
    assert "\n" not in str(error.value)


JSON_FAULTS = {
    "Metaspace": (
        lambda s: s.update(
            normalizer=None,
            pre_tokenizer={"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        ),
        "only where it begins without a space",
    ),
    "lower case": (
        lambda s: s["normalizer"]["normalizers"].insert(0, {"type": "Lowercase"}),
        "in a way that|as spaces",
    ),
    "a low special score": (lambda s: s["model"]["vocab"][1].__setitem__(1, -1e9), "a special token of lower score"),
    "unknown is a piece": (lambda s: s["model"].update(unk_id=900), "has no unknown token"),
    "no unknown": (lambda s: s["model"].update(unk_id=None), "has no unknown token"),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", JSON_FAULTS)
def test_tokenizer_json_that_sentencepiece_would_not_equal_is_refused(fault, loaded, tmp_path):
    change, message = JSON_FAULTS[fault]
    loaded.save(tmp_path / "out")
    path = tmp_path / "out/tokenizer.json"
    settings = json.loads(path.read_text())
    change(settings)
    path.write_text(json.dumps(settings))
    with pytest.raises(SourceError, match=message) as error:
        load_lossless(path)
    assert "\n" not in str(error.value)
