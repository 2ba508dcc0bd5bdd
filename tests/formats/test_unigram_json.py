"""Unigram without bytes in a tokenizer.json, as XLM-R, mBART, NLLB and T5 have it: ids, unknown text, pruning."""

import random
from importlib import import_module

import numpy as np
import pytest
from helpers.counts import count_documents_of
from helpers.piece_tokenizers import METASPACES, ids_by_tokenizers, written
from helpers.unigram_models import trained
from tokenizers import Tokenizer

import vocab
from vocab.arrays import end_to_end
from vocab.errors import SourceError, TargetError
from vocab.formats import load_lossless
from vocab.interop.conversion.verify import verify
from vocab.prune import prune

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
WORDS = "the cat sat on a mat and ran, in 2024. L'été où ça va? Łódź — «да» 日本語の文 한국어 ½ x² "
PARTS = [
    "ab",
    " ",
    "  ",
    "\u3000",
    "\t",
    "\n",
    "☃",
    "☃☃",
    "ﬁ",
    "①",
    "ｶﾞ",
    "\u200b",
    "＜s＞",
    "e\u0301",
    "▁",
    *WORDS.split(" "),
]


@pytest.fixture(scope="module")
def model():
    """A model as sentencepiece trains it for XLM-R and T5: nmt_nfkc, no bytes."""
    raw = trained([WORDS * 3, *(" ".join(random.Random(k).choices(WORDS.split(), k=20)) for k in range(300))], 150,
                  byte_fallback=False, normalization_rule_name="nmt_nfkc", remove_extra_whitespaces=True,
                  character_coverage=0.9995)  # fmt: skip
    proto = import_module("sentencepiece.sentencepiece_model_pb2").ModelProto()
    proto.ParseFromString(raw)
    return proto


def like_xlm_r(model, metaspace=METASPACES[2], *, has_normalizer=True) -> dict:
    """The settings that transformers' converter writes: four special tokens first, the mask and languages last."""
    import base64

    pieces = [[text, 0.0] for text in SPECIAL] + [[p.piece, p.score] for p in model.pieces[3:]] + [["<mask>", 0.0]]
    n = len(pieces)
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    added = [{"id": k, "content": text, **plain} for k, text in enumerate(SPECIAL)]
    added += [{"id": n - 1, "content": "<mask>", **plain, "lstrip": True}, {"id": n, "content": "en_XX", **plain}]
    charsmap = base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()
    steps = [
        {"type": "Precompiled", "precompiled_charsmap": charsmap},
        {"type": "Strip", "strip_left": False, "strip_right": True},
        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"},
    ]
    around = [{"SpecialToken": {"id": text, "type_id": 0}} for text in ("<s>", "</s>")]
    single = [around[0], {"Sequence": {"id": "A", "type_id": 0}}, around[1]]
    named = {text: {"id": text, "ids": [k], "tokens": [text]} for k, text in ((0, "<s>"), (2, "</s>"))}
    return {
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": steps} if has_normalizer else None,
        "pre_tokenizer": metaspace,
        "post_processor": {"type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": named},
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": metaspace["prepend_scheme"]},
        "model": {"type": "Unigram", "unk_id": 3, "vocab": pieces, "byte_fallback": False},
    }


def some_texts(seed: int, n: int = 150) -> list[str]:
    rng = random.Random(seed)
    return ["", " ", WORDS * 20, *("".join(rng.choices(PARTS, k=rng.randint(1, 25))) for _ in range(n))]


@pytest.mark.parametrize("has_normalizer", [True, False])
@pytest.mark.parametrize("metaspace", METASPACES, ids=lambda step: f"{step['prepend_scheme']}-{step['split']}")
def test_ids_are_those_of_tokenizers(metaspace, has_normalizer, model, tmp_path):
    path = written(like_xlm_r(model, metaspace, has_normalizer=has_normalizer), tmp_path)
    source, peer = load_lossless(path), Tokenizer.from_file(str(path))
    texts = some_texts(1)
    expected = ids_by_tokenizers(peer, texts)
    assert source.encode_batch(texts) == expected
    assert [source.encode(text) for text in texts] == expected
    assert any(3 in ids for ids in expected)
    assert [source.decode(ids) for ids in expected] == [peer.decode(ids, skip_special_tokens=False) for ids in expected]
    around = [f"a  {text}{special} b" for text, special in zip(texts, [*SPECIAL, "<mask>", "en_XX"] * 30, strict=False)]
    assert [source.encode(text, allow_special=True) for text in around] == ids_by_tokenizers(peer, around)


def test_runs_of_unknown_characters_are_one_token(model, tmp_path):
    source = load_lossless(written(like_xlm_r(model), tmp_path))
    blob, starts = end_to_end(["☃☃ a☃".encode(), b" the", " ☃a☃".encode()])
    sizes, unknown = source.count_pretokens(blob, starts)
    assert unknown.tolist() == [2, 0, 2]
    assert sizes.dtype == unknown.dtype == np.int32
    assert source.encode("☃ ☃☃").count(3) == 2
    assert source.unknown == "<unk>"
    assert source.has_special("a <unk>")
    assert not source.has_special("a <u nk>")


@pytest.mark.parametrize("metaspace", METASPACES[2:4], ids=["cut", "whole"])
def test_a_pruned_tokenizer_makes_no_more_text_unknown(metaspace, model, tmp_path):
    source = load_lossless(written(like_xlm_r(model, metaspace), tmp_path / "in"))
    texts = [text for text in some_texts(2, 400) if "＜" not in text]  # <s> is no token where text is counted
    corpus = count_documents_of(texts, source.pattern)
    result = prune(source, source.n_ids - 10, corpus=corpus, n_threads=1)
    result.save(tmp_path / "out")
    small = load_lossless(tmp_path / "out")
    peer = small.to_tokenizers()
    assert (small.n_ids, small.max_id) == (source.n_ids - 10, source.n_ids - 11)
    assert {text: small.added_ids[text] for text in SPECIAL} == {text: k for k, text in enumerate(SPECIAL)}
    assert list(small.special_tokens)[-2:] == ["<mask>", "en_XX"]
    ids = small.encode_batch(texts)
    assert ids == ids_by_tokenizers(peer, texts) == result.vocabulary.encode_batch(texts)
    assert [k.count(3) for k in ids] == [k.count(3) for k in source.encode_batch(texts)]
    old, new = source.tokens_by_id, small.tokens_by_id
    assert all(old[a] == new[b] for a, b in result.id_map.items() if a in old)
    row = next(row for row in result.report.rows if row.name == "distill")
    assert row.train.n_tokens + row.held_out.n_tokens == sum(map(len, ids))
    checks = verify(tmp_path / "out", texts[:60])
    assert checks.agrees, [(check.runtime, check.failure, check.first_different) for check in checks.checks]


def test_single_characters_are_kept(model, tmp_path):
    source = load_lossless(written(like_xlm_r(model), tmp_path))
    n = sum(len(token.decode()) == 1 for token in source.tokens())
    least = n + 1 + len(source.special_tokens)
    assert prune(source, least, method="rank", corpus=count_documents_of(some_texts(3), source.pattern)).vocabulary
    with pytest.raises(TargetError, match=f"the least is {least}"):
        prune(source, least - 1, method="rank")


REFUSED = {
    "a character": (lambda s: s["model"]["vocab"].append(["☃☃", -9.0]), "none for its character"),
    "bytes": (lambda s: s["model"].update(byte_fallback=True), "uses Metaspace"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_cannot_be_kept_exact_is_measured_only(fault, model, tmp_path):
    change, message = REFUSED[fault]
    settings = like_xlm_r(model)
    change(settings)
    path = written(settings, tmp_path)
    with pytest.raises(SourceError, match=message):
        load_lossless(path)
    assert (
        vocab.load(path).encode("the cat")
        == Tokenizer.from_file(str(path)).encode("the cat", add_special_tokens=False).ids
    )


def test_long_normalizers_are_shown_by_their_digest(model, tmp_path):
    source = load_lossless(written(like_xlm_r(model), tmp_path))
    assert len(source.pattern.regex) > 100_000
    assert len(source.split_description) < 700
    assert "sha256" in source.pattern.shown
