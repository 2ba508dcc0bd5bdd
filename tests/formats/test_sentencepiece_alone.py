"""Models that sentencepiece alone runs: without bytes, or with a normalizer; their ids, pruning, coverage, folders."""

import importlib
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
from helpers.counts import count_documents_of
from helpers.texts import drawn_texts
from helpers.unigram_models import trained
from hypothesis import given
from hypothesis import strategies as st

import vocab
from vocab.errors import SourceError, TargetError
from vocab.formats.sentencepiece_model import to_proto, to_sentencepiece
from vocab.interop.conversion.verify import verify
from vocab.prune import prune
from vocab.splitting.sentencepiece_normalizer import SentencePieceNormalizer, normalizer_settings
from vocab.vocabulary import Vocabulary

TEXT = "the cat sat on a mat and ran, in 2024. L'été où ça va? Łódź — «да» 日本語の文 한국어 ½ x² ﬁne"
WORDS = TEXT.split(" ")
PARTS = [*WORDS, "☃", "☃☃", "\u3000", "\t", "\n", "ﬁ", "①", "ｶﾞ", "\u200b", "e\u0301", "▁", "  ", "<u>", "[A B]", "\0"]
SETTINGS = {
    "nmt_nfkc, no bytes": {"normalization_rule_name": "nmt_nfkc", "remove_extra_whitespaces": True},
    "identity, no bytes": {"normalization_rule_name": "identity"},
    "nfkc, user-defined": {"normalization_rule_name": "nfkc", "user_defined_symbols": ["<u>", "[A▁B]"]},
    "lower case, bytes": {"normalization_rule_name": "nfkc_cf", "byte_fallback": True},
    "BPE": {"normalization_rule_name": "nmt_nfkc", "model_type": "bpe", "remove_extra_whitespaces": True},
    "BPE, user-defined": {"model_type": "bpe", "user_defined_symbols": ["<u>"], "add_dummy_prefix": False},
    "a pad first": {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1, "remove_extra_whitespaces": True},
}


def corpus() -> list[str]:
    """Made-up words among real ones, so that many pieces pay."""
    rng = random.Random(1)
    syllables = [a + b for a in "bdfgklmnprst" for b in "aeiou"]
    made = ["".join(rng.choices(syllables, k=rng.randint(1, 3))) for _ in range(400)]
    weights = [1 / (k + 1) for k in range(400)]
    return [" ".join([*rng.choices(WORDS, k=8), *rng.choices(made, weights, k=25)]) for _ in range(300)]


@pytest.fixture(scope="module", params=SETTINGS)
def path(request, tmp_path_factory) -> Path:
    raw = trained(corpus(), 400, **{"byte_fallback": False, "character_coverage": 0.999} | SETTINGS[request.param])
    path = tmp_path_factory.mktemp("model") / "m.model"
    path.write_bytes(raw)
    return path


def texts_of(vocabulary: Vocabulary) -> list[str]:
    rng = random.Random(2)
    mixed = ["".join(rng.choices(PARTS, k=rng.randint(1, 12))) for _ in range(400)]
    return [*mixed, *drawn_texts(vocabulary, 300), " ".join(corpus()[:50])]


def test_sentencepiece_has_the_same_ids_and_texts(path, nasty):
    source, peer = vocab.load(path), sentencepiece.SentencePieceProcessor(model_file=str(path))
    assert source.n_ids == peer.vocab_size() == source.max_id + 1
    texts = [*nasty, *texts_of(source)]
    for text in texts:
        ids = peer.encode(text)
        assert source.encode(text) == ids, text
        assert source.decode(ids) == peer.decode(ids)
    assert source.encode_batch(texts) == [peer.encode(text) for text in texts]


def test_a_written_model_is_the_source(path):
    source, peer = vocab.load(path), sentencepiece.SentencePieceProcessor(model_file=str(path))
    ours = to_sentencepiece(source)
    every = range(source.n_ids)
    assert [ours.id_to_piece(k) for k in every] == [peer.id_to_piece(k) for k in every]
    for kind in ("is_control", "is_unknown", "is_byte"):
        assert [getattr(ours, kind)(k) for k in every] == [getattr(peer, kind)(k) for k in every]
    for role in ("unk_id", "bos_id", "eos_id", "pad_id"):
        assert getattr(ours, role)() == getattr(peer, role)()
    with pytest.raises(SourceError, match=r"no tokenizer\.json says exactly: use its tokenizer\.model"):
        source.to_tokenizers()


def test_a_pruned_model_runs_alike_and_keeps_its_first_ids(path, tmp_path, nasty):
    source = vocab.load(path)
    counts = count_documents_of(corpus(), source.pattern)
    target = source.n_ids - 40
    result = prune(source, target, corpus=counts)
    assert result.save(tmp_path / "out")[0].name == "tokenizer.model"
    small = vocab.load(tmp_path / "out")
    assert small == result.vocabulary
    assert to_proto(small) == (tmp_path / "out/tokenizer.model").read_bytes()
    verification = verify(tmp_path / "out", [*nasty, *texts_of(source)])
    assert verification.agrees
    assert [check.runtime for check in verification.checks] == ["vocab", "sentencepiece"]
    firsts = {text: k for text, k in source.special_tokens.items() if k < 3}
    assert {text: small.special_tokens[text] for text in firsts} == firsts
    peer = to_sentencepiece(small)
    assert peer.unk_id() == to_sentencepiece(source).unk_id()


def test_counts_are_those_of_sentencepiece(path):
    source, peer = vocab.load(path), sentencepiece.SentencePieceProcessor(model_file=str(path))
    documents = corpus()
    counts = count_documents_of(documents, source.pattern)
    row = prune(source, source.n_ids - 20, corpus=counts).report.rows[0]
    ids = [peer.encode(text) for text in documents]
    assert row.train.n_tokens + row.held_out.n_tokens == sum(map(len, ids))
    if not source.byte_fallback:
        unknown = sum(k == peer.unk_id() for text in ids for k in text)
        assert row.train.n_unknown + row.held_out.n_unknown == unknown


@pytest.fixture(scope="module")
def xlm_r(tmp_path_factory) -> Path:
    """A folder as XLM-R's was published: a model whose ids transformers shifts by one."""
    folder = tmp_path_factory.mktemp("xlmr") / "xlm-r"
    folder.mkdir()
    raw = trained(corpus(), 400, byte_fallback=False, **SETTINGS["nmt_nfkc, no bytes"])
    (folder / "sentencepiece.bpe.model").write_bytes(raw)
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "XLMRobertaTokenizer"}')
    return folder


def test_a_folder_is_read_as_transformers_numbers_it(xlm_r, tmp_path):
    from transformers import AutoTokenizer

    auto = AutoTokenizer.from_pretrained(xlm_r, local_files_only=True)
    source = vocab.load(xlm_r)
    peer = sentencepiece.SentencePieceProcessor(model_file=str(xlm_r / "sentencepiece.bpe.model"))
    assert source.special_tokens["<mask>"] == len(auto) - 1 == source.max_id
    assert source.encode("the cat") == [k + 1 for k in peer.encode("the cat")]
    for text in texts_of(source):
        assert source.encode(text, allow_special=True) == auto(text, add_special_tokens=False)["input_ids"]
    result = prune(source, source.n_ids - 50, corpus=count_documents_of(corpus(), source.pattern))
    result.save(tmp_path / "out")
    verification = verify(tmp_path / "out", texts_of(source))
    assert verification.agrees
    assert {"tokenizers", "AutoTokenizer"} < {check.runtime for check in verification.checks}


# Coverage of characters


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Vocabulary:
    path = tmp_path_factory.mktemp("plain") / "m.model"
    path.write_bytes(trained([*corpus(), *"àèìòù"], 400, byte_fallback=False, character_coverage=1.0))
    return vocab.load(path)


@pytest.mark.parametrize("share", [0.5, 0.9, 1.0])
def test_coverage_keeps_the_fewest_characters_that_make_up_a_share(plain, share):
    documents = ["".join(random.Random(k).choices("abc", [80, 15, 5], k=400)) for k in range(40)]
    counts = count_documents_of(documents, plain.pattern)
    text = "".join(" " + document for document in documents)
    expected = {0.5: " a", 0.9: " ab", 1.0: " abc"}[share]
    target = len(expected) + 1 + len(plain.special_tokens)
    small = prune(plain, target, corpus=counts, character_coverage=share, method="frequency")
    kept = {token.decode() for token in list(small.vocabulary.tokens())[1:]}
    known = {c for c in text if c in kept}
    lost = sum(c not in known for c in text) / len(text)
    assert lost <= 1 - share + 0.01  # a tenth of the documents is held out, and not chosen by
    assert known == set(expected)
    row = small.report.result
    assert row.train.unknown_share == pytest.approx(lost, abs=0.01)
    assert small.report.as_json()["rows"][1]["train"]["unknown_share"] == row.train.unknown_share
    assert small.report.rows[0].train.n_unknown == 0


def test_coverage_is_refused_where_it_means_nothing(plain, cl100k):
    with pytest.raises(TargetError, match="`character_coverage` needs an unknown token"):
        prune(cl100k, 1000, character_coverage=0.99)
    with pytest.raises(TargetError, match=r"is a share from 0 to 1, not 99"):
        prune(plain, 100, character_coverage=99)
    counts = count_documents_of(corpus(), plain.pattern)
    with pytest.raises(TargetError, match=r"too small for `character_coverage` 1: it needs"):
        prune(plain, 10, corpus=counts, character_coverage=1.0)


# The normalizer and the kernels


@given(text=st.text("ab ▁é\n\u3000ﬁ", max_size=20))
def test_a_stretch_within_a_text_keeps_its_spaces(text):
    model = importlib.import_module("sentencepiece.sentencepiece_model_pb2").ModelProto()
    model.ParseFromString(_nmt_nfkc())
    spec = model.normalizer_spec.SerializeToString()
    normalizer = SentencePieceNormalizer(normalizer_settings("nmt_nfkc", spec, []))
    whole = normalizer.normalized("x" + text + "x")
    assert whole == "▁x" + normalizer.normalized_within(text) + "x"


_RAW: list[bytes] = []


def _nmt_nfkc() -> bytes:
    if not _RAW:
        _RAW.append(trained(corpus()[:50], 200, byte_fallback=False, **SETTINGS["nmt_nfkc, no bytes"]))
    return _RAW[0]


@given(texts=st.lists(st.text("ab é語x\n", max_size=30), min_size=1, max_size=6), seed=st.integers(0, 50))
def test_random_merges_without_bytes_equal_sentencepiece(texts, seed):
    rng = random.Random(seed)
    longer = {rng.choice(["", " "]) + "".join(rng.choices("ab", k=rng.randint(2, 4))) for _ in range(8)}
    pieces = [" ", "a", "b", *sorted(longer)]
    source = _bpe_model()
    tokens = ["<unk>", *pieces]
    blob, starts = _flat([token.encode() for token in tokens])
    scores = np.array([0.0, *(-float(rng.randint(0, 6)) for _ in pieces)], dtype=np.float32)
    special = {"<s>": len(tokens), "</s>": len(tokens) + 1}
    vocabulary = replace(source, blob=blob, starts=starts, scores=scores, special_tokens=special, ids=None, first_id=0)
    peer = to_sentencepiece(vocabulary)
    for text in [*texts, "abx" * 100]:
        assert vocabulary.encode(text) == peer.encode(text)


_BPE: list[Vocabulary] = []


def _bpe_model() -> Vocabulary:
    if not _BPE:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "m.model"
            path.write_bytes(trained(corpus(), 200, byte_fallback=False, model_type="bpe"))
            _BPE.append(vocab.load(path))
    return _BPE[0]


def _flat(tokens: list[bytes]):
    return np.frombuffer(b"".join(tokens), dtype=np.uint8), np.cumsum([0, *map(len, tokens)])


# Fields as protobuf has them: number and kind in a byte, then their content.
ODD_PIECES = {
    "not UTF-8": (b"\x0a\x02\xff\xfe\x15\x00\x00\x80\xbf", "a piece that is not UTF-8"),
    "a score of NaN": (b"\x0a\x03akk\x15\x00\x00\xc0\x7f", "score is NaN"),
    "no text": (b"\x15\x00\x00\x80\xbf", "piece must not be empty"),
    "a number of eleven bytes": (b"\x0a\x02zq\x18" + b"\xff" * 10 + b"\x01", "not a SentencePiece model"),
    "twice": (b"\x0a\x01a", "already defined"),
}


@pytest.fixture(scope="module")
def sound() -> bytes:
    return trained(corpus(), 400)


@pytest.mark.parametrize("odd", ODD_PIECES)
def test_odd_pieces_are_refused_or_measured_for_the_true_reason(odd, sound, tmp_path):
    body, reason = ODD_PIECES[odd]
    (tmp_path / "odd.model").write_bytes(sound + b"\x0a" + bytes([len(body)]) + body)
    try:
        found = vocab.load(tmp_path / "odd.model").obstacle
    except SourceError as error:
        found = str(error)
    assert reason in found
