"""Vocabularies without tokens for some single bytes, through encoding, pruning, certificates and files."""

import json
from pathlib import Path

import pytest
from helpers.byte_level import byte_level_bpe, stored
from tokenizers import Tokenizer

import vocab
from vocab.corpus.counting import CorpusCounts, count_documents
from vocab.errors import SourceError, TargetError
from vocab.formats.tiktoken_file import obstacle
from vocab.interop import verify
from vocab.prune import prune
from vocab.prune.check_certificate import check
from vocab.splitting.byte_alphabet import BYTE_TO_CHARACTER
from vocab.utf8 import NEVER_IN_UTF8

TEXT = "the cat sat on the mat, 12345 na\u00efve \u65e5\u672c\u8a9e \U0010ffff\n"
ODD = "th\x03e \x03 cat\x03"


def without(lacking: bytes, folder: Path) -> vocab.Vocabulary:
    """A tokenizer whose vocabulary has no token for these bytes, loaded from its file."""
    path = stored(byte_level_bpe(1500), folder)
    file = path if path.is_file() else path / "tokenizer.json"
    settings = json.loads(file.read_text())
    gone = {BYTE_TO_CHARACTER[b] for b in lacking}
    model = settings["model"]
    kept = [piece for piece in sorted(model["vocab"], key=model["vocab"].get) if not gone & set(piece)]
    model["vocab"] = {piece: k for k, piece in enumerate(kept)}
    model["merges"] = [pair for pair in model["merges"] if not gone & set("".join(pair))]
    file.write_text(json.dumps(settings))
    return vocab.load(file)


@pytest.fixture(params=["never in UTF-8", "of text"])
def source(request, tmp_path) -> vocab.Vocabulary:
    return without(NEVER_IN_UTF8 + (b"" if request.param.startswith("never") else b"\x03"), tmp_path)


@pytest.fixture
def counts(source) -> CorpusCounts:
    return CorpusCounts((count_documents([TEXT * 300, ODD], "text", source.pattern),))


def test_what_is_pruned_is_certified_and_runs_in_every_runtime(source, counts, tmp_path):
    result = prune(source, 600, corpus=counts, certify=True)
    result.save(tmp_path / "out")
    assert check(str(tmp_path / "out/certificate.zip"))["n_always_kept"] == 256 - len(source.encoder.lacking)
    verification = verify(tmp_path / "out", [TEXT, ODD, "\x03"])
    assert verification.agrees, verification.checks
    has_lost = b"\x03" in source.encoder.lacking
    assert [check.runtime for check in verification.checks].count("tiktoken") == (not has_lost)
    assert verification.vocabulary.restored(ODD) == (ODD.replace("\x03", "") if has_lost else ODD)


def test_encoding_is_that_of_tokenizers(source, tmp_path):
    runtime = Tokenizer.from_file(str(next(tmp_path.rglob("tokenizer.json"))))
    for text in (TEXT, ODD, "\x03", "a\x03\x03b"):
        assert source.encode(text) == runtime.encode(text, add_special_tokens=False).ids


def test_bytes_of_text_are_named(tmp_path):
    source = without(b"\x03", tmp_path)
    counts = CorpusCounts((count_documents([TEXT * 300, ODD], "text", source.pattern),))
    report = prune(source, 600, corpus=counts).report
    assert "has no token for 1 byte value that text may hold" in report.corpus["notes"][0]
    assert "fails on bytes without a token" in (obstacle(source) or "")
    assert report.no_tiktoken == obstacle(source)
    with pytest.raises(TargetError, match="under merges only"):
        prune(source, 600, corpus=counts, inference="least-tokens")
    with pytest.raises(TargetError, match="ungreedy needs all 256 single bytes"):
        prune(source, 600, corpus=counts, inference="ungreedy")


def test_a_tiktoken_source_needs_the_bytes_of_text(tmp_path):
    source = without(b"\x03", tmp_path)
    ranks = vocab.Vocabulary.from_tokens(source.tokens(), source.pattern)
    with pytest.raises(SourceError, match="lacks 1 of the 243 bytes of UTF-8, first 3"):
        ranks.encode("the")
