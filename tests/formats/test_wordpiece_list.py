"""`vocab.txt` of BERT: read as BertTokenizer reads it, written so that BertTokenizer gives the ids of the result."""

import json

import pytest
from helpers.counts import count_documents_of
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, BertTokenizer

import vocab
from vocab.errors import SourceError
from vocab.interop import verify
from vocab.prune import prune

SPECIAL = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TEXTS = ["Hello  Wörld, ünkñown 漢字!", "[MASK] is [CLS]x", "", "\u0301a \x00 b", "x" * 101, "Zażółć 5km #tag ##ing"]


@pytest.fixture(scope="module")
def lines(real_text) -> list[str]:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=2000, special_tokens=SPECIAL, limit_alphabet=150, show_progress=False
    )
    tokenizer.train_from_iterator(real_text.splitlines()[::7], trainer)
    return sorted(tokenizer.get_vocab(), key=tokenizer.token_to_id)


def folder_of(place, lines, settings=None, **files):
    place.mkdir(exist_ok=True)
    (place / "vocab.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    files = files | ({} if settings is None else {"tokenizer_config": settings})
    for name, content in files.items():
        (place / f"{name}.json").write_text(json.dumps(content))
    return place


@pytest.mark.parametrize(
    "config",
    [
        {"tokenizer_class": "BertTokenizer"},
        {"tokenizer_class": "BertTokenizerFast", "do_lower_case": False, "tokenize_chinese_chars": False},
        {"tokenizer_class": "DistilBertTokenizer", "do_lower_case": True, "strip_accents": False},
        {
            "tokenizer_class": "BertTokenizer",
            "added_tokens_decoder": {
                "2000": {"content": "<ent>", "special": True, "lstrip": False, "rstrip": True, "normalized": False}
            },
        },
    ],
)
def test_ids_are_those_of_auto_tokenizer(config, lines, tmp_path):
    folder = folder_of(tmp_path / "bert", lines, config, config={"model_type": "bert"})
    loaded, peer = vocab.load(folder), AutoTokenizer.from_pretrained(folder)
    for text in [*TEXTS, "a <ent> b"]:
        assert loaded.encode(text, allow_special=True) == peer(text, add_special_tokens=False).input_ids
    assert dict(loaded.special_tokens) | {"[UNK]": 2} == peer.get_added_vocab()


def test_a_model_names_the_class_and_without_one_it_is_berts(lines, tmp_path):
    folder = folder_of(tmp_path / "by-model", lines, config={"model_type": "electra"})
    alone = folder_of(tmp_path / "alone", lines)
    assert vocab.load(folder).token_ids == vocab.load(alone).token_ids
    peer = BertTokenizer.from_pretrained(alone)
    assert vocab.load(alone).encode(TEXTS[0]) == peer(TEXTS[0], add_special_tokens=False).input_ids


def test_a_line_twice_has_the_last_id_and_line_ends_of_windows_are_none(lines, tmp_path):
    folder = folder_of(tmp_path / "twice", [*lines[:700], lines[650], *lines[700:]])
    text = (folder / "vocab.txt").read_bytes()
    (folder / "vocab.txt").write_bytes(text.replace(b"\n", b"\r\n"))
    loaded, peer = vocab.load(folder), BertTokenizer.from_pretrained(folder)
    assert [loaded.encode(text, allow_special=True) for text in TEXTS] == [
        peer(text, add_special_tokens=False).input_ids for text in TEXTS
    ]
    assert loaded.n_ids == 2000
    assert loaded.max_id == 2000


@pytest.mark.slow
def test_the_list_that_is_written_gives_bert_tokenizer_the_ids_of_the_result(lines, real_text, tmp_path):
    folder = folder_of(tmp_path / "bert", lines, {"tokenizer_class": "BertTokenizer", "do_lower_case": False})
    source = vocab.load(folder)
    result = prune(source, 1200, corpus=count_documents_of(real_text[:200_000].split("\n\n"), source.pattern))
    result.save(tmp_path / "out")
    assert verify(tmp_path / "out", TEXTS).agrees
    pairs = [AutoTokenizer.from_pretrained(place)("a b", "x") for place in (folder, tmp_path / "out")]
    assert pairs[0].token_type_ids == pairs[1].token_type_ids  # the second text is told from the first
    assert {check.runtime for check in verify(folder, TEXTS).checks} == {"vocab", "AutoTokenizer"}
    written = tmp_path / "written"
    written.mkdir()
    (written / "vocab.txt").write_bytes((tmp_path / "out" / "vocab.txt").read_bytes())
    assert vocab.load(folder_of(tmp_path / "again", (written / "vocab.txt").read_text().splitlines())).n_ids == 1200
    peer = BertTokenizer.from_pretrained(written, do_lower_case=False)
    for text in TEXTS:
        assert peer(text, add_special_tokens=False).input_ids == result.vocabulary.encode(text, allow_special=True)


@pytest.mark.parametrize(
    ("change", "config", "says"),
    [
        (lambda lines: lines, {"tokenizer_class": "MPNetTokenizer"}, "its class MPNetTokenizer is not BERT's"),
        (lambda lines: [line for line in lines if not line.startswith("##")], {}, "is not BERT's list of pieces"),
        (lambda lines: [line for line in lines if line != "[CLS]"], {}, None),
    ],
)
def test_what_is_another_list_is_refused(change, config, says, lines, tmp_path):
    folder = folder_of(tmp_path / "other", change(lines), config)
    if says is None:  # as BertTokenizer does, the token that is put around texts is added
        assert vocab.load(folder).special_tokens["[CLS]"] == BertTokenizer.from_pretrained(folder).cls_token_id
        return
    with pytest.raises(SourceError, match=says):
        vocab.load(folder)
