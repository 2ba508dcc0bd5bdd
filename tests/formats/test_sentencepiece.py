"""SentencePiece's BPE: the same ids in sentencepiece, tokenizers, transformers and here; prices; pruning; bad files."""

import importlib
import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
from helpers import oracles
from helpers.counts import count_documents_of
from helpers.files import mistral_file
from helpers.piece_models import as_ids, check_prices_and_gains, scores_of
from helpers.texts import ODD, drawn_texts, plain
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

import vocab
from vocab.analysis.comparison import compare
from vocab.corpus.counting import count_documents
from vocab.errors import SourceError, TargetError
from vocab.formats import load_lossless
from vocab.formats.sentencepiece_model import to_proto, to_sentencepiece
from vocab.prune import prune
from vocab.splitting import SplitPattern
from vocab.vocabulary import Provenance, Vocabulary

V1 = "tokenizer.model.v1"
V3 = "mistral_instruct_tokenizer_240323.model.v3"
FILES = [
    V1,
    "mistral_instruct_tokenizer_240216.model.v2",
    V3,
    "mistral_instruct_tokenizer_241114.model.v7",
]


@pytest.fixture(scope="module", params=FILES)
def mistral(request) -> Vocabulary:
    return vocab.load(mistral_file(request.param))


@pytest.fixture(scope="module")
def v1() -> Vocabulary:
    return vocab.load(mistral_file(V1))


def some_texts(vocabulary: Vocabulary, real_text: str, nasty: list[str]) -> list[str]:
    return [*nasty, *ODD, *drawn_texts(vocabulary, 1500), real_text[-50_000:]]


# Files that models were released with


@pytest.mark.slow
def test_sentencepiece_has_the_same_ids(mistral, real_text, nasty):
    peer = sentencepiece.SentencePieceProcessor(model_file=str(mistral_file(mistral.name)))
    assert mistral.n_ids == peer.vocab_size() == mistral.max_id + 1
    for text in [*some_texts(mistral, real_text, nasty), *mistral.special_tokens]:
        assert mistral.encode(text) == peer.encode(text), text
        assert mistral.count_tokens(text) == len(peer.encode(text))


@pytest.mark.slow
def test_decoding_gives_the_text_back(mistral, real_text, nasty):
    for text in some_texts(mistral, real_text, nasty):
        if "▁" not in text:
            assert mistral.decode(mistral.encode(text)) == text
            assert mistral.decode_bytes(mistral.encode(text)) == text.encode()


@pytest.mark.slow
def test_a_written_model_is_read_back_the_same(mistral, tmp_path):
    mistral.save(tmp_path / "out")
    assert vocab.load(tmp_path / "out/tokenizer.model") == mistral
    assert to_proto(vocab.load(tmp_path / "out/tokenizer.model")) == (tmp_path / "out/tokenizer.model").read_bytes()
    peer = sentencepiece.SentencePieceProcessor(model_file=str(mistral_file(mistral.name)))
    ours = mistral.to_sentencepiece()
    assert [ours.id_to_piece(k) for k in range(mistral.n_ids)] == [peer.id_to_piece(k) for k in range(mistral.n_ids)]
    assert [ours.get_score(k) for k in range(771, 32_000)] == [peer.get_score(k) for k in range(771, 32_000)]
    kinds = ("is_control", "is_unknown", "is_byte", "is_unused")
    for kind in kinds:
        ask = [getattr(processor, kind) for processor in (ours, peer)]
        assert [ask[0](k) for k in range(mistral.n_ids)] == [ask[1](k) for k in range(mistral.n_ids)]
    roles = [(one.bos_id(), one.eos_id(), one.unk_id(), one.pad_id()) for one in (ours, peer)]
    assert roles[0] == roles[1]
    model = importlib.import_module("sentencepiece.sentencepiece_model_pb2").ModelProto()
    model.ParseFromString(ours.serialized_model_proto())
    spec = model.trainer_spec
    assert (spec.unk_id, spec.bos_id, spec.eos_id, spec.pad_id) == (0, 1, 2, -1)


@pytest.mark.slow
def test_tokenizer_json_has_the_same_ids_and_is_read_back(mistral, real_text, nasty, tmp_path):
    mistral.save(tmp_path / "out")
    peer = Tokenizer.from_file(str(tmp_path / "out/tokenizer.json"))
    again = vocab.load(tmp_path / "out")
    for text in plain(mistral, some_texts(mistral, real_text, nasty)):
        ids = mistral.encode(text)
        assert peer.encode(text, add_special_tokens=False).ids == ids == again.encode(text), text
        if "▁" not in text and "[REF" not in text:
            assert peer.decode(ids, skip_special_tokens=False) == text
    begin = mistral.special_tokens["<s>"]
    assert peer.encode("Hello").ids == [begin, *mistral.encode("Hello")]
    assert (again.special_tokens, again.user_defined) == (mistral.special_tokens, mistral.user_defined)


# Random models


@st.composite
def models(draw) -> Vocabulary:
    """Pieces of which each character is a piece, and scores of which some are equal."""
    pieces = draw(st.lists(st.text("ab é語", min_size=1, max_size=5), max_size=25))
    pattern = SplitPattern.of_sentencepiece(pieces, dummy_prefix=draw(st.booleans()))
    texts = [*dict.fromkeys([" ", *(c for piece in pieces for c in piece), *pieces])]
    scores = draw(st.lists(st.integers(-6, 0), min_size=len(texts), max_size=len(texts)))
    tokens = [bytes([k]) for k in range(256)] + [text.encode() for text in texts]
    special = {"<unk>": 0, "<s>": 1, "</s>": 2}
    vocabulary = Vocabulary.from_tokens(tokens, pattern, special, "scored-merges", Provenance("random"), 3)
    return replace(vocabulary, scores=np.array([0.0] * 256 + scores, np.float32), byte_fallback=True, unknown="<unk>")


TEXT = st.text("ab é語x\n", max_size=30)


@given(vocabulary=models(), texts=st.lists(TEXT, min_size=1, max_size=8))
def test_random_models_equal_the_oracle_and_sentencepiece(vocabulary, texts):
    peer = to_sentencepiece(vocabulary)
    scores, prefix = scores_of(vocabulary), " " if vocabulary.pattern.has_dummy_prefix else ""
    for text in texts:
        ids = vocabulary.encode(text)
        assert ids == peer.encode(text)
        assert ids == as_ids(vocabulary, oracles.encode_scored_merges(scores, text and prefix + text))


@given(vocabulary=models(), seed=st.integers(0, 99))
def test_long_pretokens_equal_sentencepiece(vocabulary, seed):
    """Around and above the length from which merges go through a heap."""
    peer, rng = to_sentencepiece(vocabulary), random.Random(seed)
    for n in (150, 198, 199, 200, 201, 202, 400, 2000):
        text = "".join(rng.choices("abé語x", [6, 6, 2, 2, 1], k=n))
        assert vocabulary.encode(text) == peer.encode(text)


@given(vocabulary=models(), counts=st.dictionaries(TEXT.filter(bool), st.integers(1, 9), min_size=1, max_size=6))
def test_prices_and_gains_are_exact(vocabulary, counts):
    check_prices_and_gains(vocabulary, counts, "scored-merges", oracles.total_scored)


# Splitting and counting

PATTERNS = [SplitPattern.of_sentencepiece(pieces, dummy_prefix=True) for pieces in (["a"], ["\n"], ["a b"])]


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.regex)
@given(text=st.text("ab \n\t\ré▁", max_size=40))
def test_text_is_cut_as_the_regular_expression_says(pattern, text):
    import regex

    prepared = (" " if text else "") + text.replace("▁", " ")
    pieces = pattern.split(text)
    assert pieces == [match.group() for match in regex.finditer(pattern.regex, prepared)]
    assert "".join(pieces) == prepared


@given(documents=st.lists(st.text("ab \né▁", max_size=20), min_size=1, max_size=8).filter(any))
def test_each_document_has_its_prefix(documents):
    counted = count_documents(documents, "c", PATTERNS[0], 1)
    found: Counter[bytes] = Counter()
    for side in (counted.train, counted.held_out):
        found.update(dict(zip(side.pretokens(), side.counts.tolist(), strict=True)))
    assert found == Counter(piece.encode() for document in documents for piece in PATTERNS[0].split(document))


@pytest.mark.slow
def test_no_piece_of_a_real_file_crosses_a_cut(mistral):
    texts = [token.decode() for token in list(mistral.tokens())[256:]]
    assert mistral.pattern.has_kernel
    assert all(
        len(SplitPattern(mistral.pattern.regex.replace(", dummy prefix", "")).split(text)) == 1 for text in texts
    )


# Pruning


@pytest.fixture(scope="module")
def pruned(v1, tmp_path_factory):
    """Mistral's first vocabulary at half its size by the built-in profile, in a folder."""
    result = prune(v1, 16_000)
    folder = tmp_path_factory.mktemp("mistral") / "out"
    result.save(folder)
    return result, folder


@pytest.mark.slow
def test_pruned_models_have_the_same_ids_everywhere(pruned, real_text, nasty, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from transformers import AutoTokenizer

    result, folder = pruned
    small = result.vocabulary
    peer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    auto = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    again = vocab.load(folder)
    assert small.n_ids == processor.vocab_size() == peer.get_vocab_size() == len(auto) == 16_000
    for text in plain(small, some_texts(small, real_text, nasty)):
        ids = small.encode(text)
        assert ids == processor.encode(text) == peer.encode(text, add_special_tokens=False).ids == again.encode(text)
        assert ids == auto(text, add_special_tokens=False)["input_ids"]
        if "▁" not in text:
            assert small.decode(ids) == processor.decode(ids) == text
    assert vocab.load(folder / "tokenizer.model") == small


@pytest.mark.slow
def test_bytes_and_the_space_are_kept_and_nothing_is_orphaned(pruned):
    """Each kept piece comes out of sentencepiece itself, after a line feed, or it is a byte or a single character."""
    result, folder = pruned
    small = result.vocabulary
    processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    assert [processor.is_byte(k) for k in range(3, 259)] == [True] * 256
    texts = [token.decode() for token in list(small.tokens())[256:]]
    assert " " in texts
    assert {c for text in texts for c in text} <= set(texts)
    for k, text in enumerate(texts, 259):
        assert k in processor.encode("\n" + text), text
    assert result.report.n_unreachable == 0


@pytest.mark.slow
def test_pruned_models_beat_every_baseline(pruned):
    rows = {row.name: row for row in pruned[0].report.rows}
    ours = rows.pop("distill")
    rows.pop(V1)
    assert set(rows) == {"rank", "frequency", "leaf"}
    assert all(ours.train.n_tokens < row.train.n_tokens for row in rows.values())


@pytest.mark.slow
@pytest.mark.parametrize(("method", "target"), [("rank", 4000), ("leaf", 9000)])
def test_every_method_keeps_the_characters_of_its_pieces(v1, method, target):
    """The first ranks leave most single characters out, so that their words can be neither merged nor kept."""
    result = prune(v1, target, method=method)
    small = result.vocabulary
    texts = [token.decode() for token in list(small.tokens())[256:]]
    assert {c for text in texts for c in text} <= set(texts)
    assert (small.n_ids, result.report.n_unreachable) == (target, 0)
    processor = small.to_sentencepiece()
    for text in ODD:
        assert small.encode(text) == processor.encode(text)


@pytest.mark.slow
def test_characters_of_a_piece_to_keep_are_kept(v1):
    kept = "ський".encode()
    assert kept in v1.token_ids
    small = prune(v1, 2000, method="rank", keep=[kept]).vocabulary
    assert all(c.encode() in small.token_ids for c in "ський")


@pytest.mark.slow
def test_the_id_map_leads_to_the_same_pieces(pruned):
    result, _ = pruned
    pieces = [to_sentencepiece(side).id_to_piece for side in (result.source, result.vocabulary)]
    assert len(result.id_map) == 16_000
    assert all(pieces[0](old) == pieces[1](new) for old, new in result.id_map.items())


@pytest.mark.slow
def test_control_and_user_defined_pieces_are_kept(tmp_path):
    source = vocab.load(mistral_file(V3))
    result = prune(source, 8000, method="frequency", special=["<new>"])
    result.save(tmp_path / "out")
    small = vocab.load(tmp_path / "out/tokenizer.model")
    assert (small, small.n_ids, small.max_id) == (result.vocabulary, 8000, 7999)
    assert small.user_defined == source.user_defined
    assert small.special_tokens == dict(source.special_tokens) | {"<new>": 7999}
    processor = to_sentencepiece(small)
    for text in ("x[REFERENCE_DOC_1]y", "[REFERENCE_DOC_1] y", "a [REFERENCE_DOC_1][REFERENCE_DOC_12]"):
        assert small.encode(text) == processor.encode(text)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"inference": "least-tokens"}, "which runs scored-merges, not least-tokens"),
        ({"method": "optimal"}, "is not for a source from SentencePiece"),
    ],
)
def test_what_sentencepiece_cannot_run_is_refused(v1, option, message):
    with pytest.raises(TargetError, match=message):
        prune(v1, 16_000, **option)


def test_scored_merges_need_a_source_from_sentencepiece(cl100k):
    with pytest.raises(TargetError, match="needs a source from SentencePiece"):
        prune(cl100k, 1000, inference="scored-merges")
    with pytest.raises(SourceError, match="does not come from SentencePiece"):
        to_proto(cl100k)


@pytest.mark.parametrize("lacking", ["scores", "unknown"])
def test_what_lacks_scores_or_an_unknown_token_is_no_sentencepiece_model(v1, lacking):
    with pytest.raises(SourceError, match="does not come from SentencePiece"):
        to_proto(replace(v1, **{lacking: None}))


def test_eval_compares_with_other_tokenizers(v1, cl100k):
    texts = ["some text  with spaces\n\tand lines, 語 too. ▁"] * 9 + ["x"] * 30
    measured = compare([v1, cl100k], lambda pattern: count_documents_of(texts, pattern))
    assert sum(side.n_tokens for side in (measured[0].train, measured[0].held_out)) == sum(
        v1.count_tokens(text) for text in texts
    )


# Bad files


def changed(tmp_path: Path, change) -> Path:
    model = importlib.import_module("sentencepiece.sentencepiece_model_pb2").ModelProto()
    model.ParseFromString(mistral_file(V1).read_bytes())
    change(model)
    path = tmp_path / "x.model"
    path.write_bytes(model.SerializeToString())
    return path


def without(*texts):
    def change(model):
        kept = [piece for piece in model.pieces if piece.piece not in texts]
        del model.pieces[:]
        model.pieces.extend(kept)

    return change


FAULTS = {
    "words": (lambda m: setattr(m.trainer_spec, "model_type", 3), "neither BPE nor Unigram"),
    "no bytes": (lambda m: setattr(m.trainer_spec, "byte_fallback", False), "refuses"),
    "spaces kept": (lambda m: setattr(m.normalizer_spec, "escape_whitespaces", False), "does not write spaces as ▁"),
    "suffix": (lambda m: setattr(m.trainer_spec, "treat_whitespace_as_suffix", True), "behind words"),
    "unused": (lambda m: setattr(m.pieces[5000], "type", 5), "unused pieces"),
    "repeats": (lambda m: setattr(m.pieces[5000], "piece", m.pieces[5001].piece), "refuses"),
    "no settings": (lambda m: m.ClearField("trainer_spec"), "cut short"),
    "no character": (without("é"), "but none for its character 'é'"),
    "no space": (
        lambda m: setattr(next(p for p in m.pieces if p.piece == "▁"), "piece", "☃☃"),
        "none for its character",
    ),
    "plain space": (lambda m: setattr(m.pieces[5000], "piece", "a b"), "a plain space"),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_models_that_cannot_be_kept_exact_are_refused(fault, tmp_path):
    change, message = FAULTS[fault]
    with pytest.raises(SourceError, match=message) as error:
        load_lossless(changed(tmp_path, change))
    assert "\n" not in str(error.value)
    assert "x.model" in str(error.value)


@pytest.mark.slow
def test_a_model_cut_short_anywhere_is_refused(tmp_path):
    raw = mistral_file(V1).read_bytes()
    path = tmp_path / "cut.model"
    for n in [*range(20, len(raw), 37_717), len(raw) - 1]:
        path.write_bytes(raw[:n])
        with pytest.raises(SourceError, match=r"cut\.model"):
            vocab.load(path)


@pytest.fixture(scope="module")
def v1_json(v1, tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("v1") / "out"
    v1.save(folder)
    return (folder / "tokenizer.json").read_text()


def edited_json(v1_json, tmp_path, change) -> Path:
    settings = json.loads(v1_json)
    change(settings)
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(settings))
    return path


def swap(settings):
    merges = settings["model"]["merges"]
    results = ["".join(pair) for pair in merges]
    k = next(
        k
        for k, (a, b, c) in enumerate(zip(results, results[1:], results[2:], strict=False))
        if a == c != b or a == b != c
    )
    merges[k + 1], merges[k + 2] = merges[k + 2], merges[k + 1]


JSON_FAULTS = {
    "no normalizer": (lambda s: s.update(normalizer=None), "does not write spaces as ▁"),
    "whole words": (lambda s: s["model"].update(ignore_merges=True), "looks whole words up"),
}
JSON_OTHER = {
    "a merge left out": lambda s: s["model"]["merges"].pop(100),
    "merges in turn": swap,
    "Metaspace": lambda s: s.update(
        normalizer=None,
        pre_tokenizer={"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False},
    ),
    "lower case": lambda s: s["normalizer"]["normalizers"].insert(0, {"type": "Lowercase"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", JSON_OTHER)
def test_what_sentencepiece_would_not_equal_has_the_ids_of_tokenizers(change, v1, v1_json, real_text, nasty, tmp_path):
    path = edited_json(v1_json, tmp_path, JSON_OTHER[change])
    read, peer = load_lossless(path), Tokenizer.from_file(str(path))
    for text in plain(v1, [*nasty, *ODD, real_text[-100_000:]]):
        assert read.encode(text) == peer.encode(text, add_special_tokens=False).ids, text


@pytest.mark.slow
@pytest.mark.parametrize("fault", JSON_FAULTS)
def test_tokenizer_json_that_sentencepiece_would_not_equal_is_refused(fault, v1_json, tmp_path):
    change, message = JSON_FAULTS[fault]
    with pytest.raises(SourceError, match=message) as error:
        load_lossless(edited_json(v1_json, tmp_path, change))
    assert "\n" not in str(error.value)


def test_neighbouring_ranks_are_merged_by_score_alone(v1):
    """▁▁ and ▁▁▁▁ have one score in Mistral's files: of equal ones the leftmost goes first."""
    order = v1.merge_order
    assert [v1[k + 3] for k in np.flatnonzero(order == order.max())][:2] == [b"  ", b"    "]
