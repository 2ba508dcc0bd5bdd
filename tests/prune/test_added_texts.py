"""Added tokens that are text, through counting, pruning, certificates and shards."""

import numpy as np
import pytest
from helpers.byte_level import byte_level_bpe, stored
from helpers.cli import run
from tokenizers import normalizers

import vocab
from vocab.corpus.counting import CorpusCounts, count_documents
from vocab.prune import prune
from vocab.prune.candidates.pool import Candidates
from vocab.prune.check_certificate import check

TEXT = "<think> hello </think> world\n    indented  text 12345 na\u00efve e\u0301 \u65e5\u672c\u8a9e\n"


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> vocab.Vocabulary:
    tokenizer = byte_level_bpe(2000)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_tokens(["<think>", "</think>", "    "])
    folder = tmp_path_factory.mktemp("source")
    stored(tokenizer, folder)
    return vocab.load(folder)


@pytest.fixture(scope="module")
def counts(source) -> CorpusCounts:
    return CorpusCounts((count_documents([TEXT * 300], "text", source.pattern),))


def test_added_tokens_are_counted_once_each(source, counts):
    train = counts.train.without_added()
    assert train.n_added == 900
    assert train.n_added_bytes == 300 * len("<think></think>    ")
    assert train.n_bytes == counts.train.n_bytes == len(source.restored(TEXT * 300).encode())
    assert counts.without_added().train.n_added == 900
    sizes, _ = source.count_pretokens(counts.train.blob, counts.train.starts)
    assert int((sizes * counts.train.counts.astype(np.int64)).sum()) == len(source.encode(TEXT * 300))


@pytest.mark.parametrize("method", ["distill", "optimal"])
def test_very_little_text_is_certified(source, counts, method, tmp_path):
    """With so little text, most tokens of the source get no pseudo-count."""
    options = {"candidates": Candidates(others=("corpus",)), "certify": True, "method": method}
    result = prune(source, 500, corpus=counts, **options)
    result.save(tmp_path / "out")
    assert result.report.rows[1].train.n_tokens == len(result.vocabulary.encode(TEXT * 300))
    assert check(str(tmp_path / "out/certificate.zip"))


def test_added_text_has_its_bytes_in_shards(source):
    from vocab.model.data.shards import token_bytes

    sizes = token_bytes(source)
    for text in (TEXT, "<think></think>"):
        assert sizes[source.encode(text)].sum() == len(source.restored(text).encode())
    assert sizes[source.special_tokens["<|endoftext|>"]] == 0


def test_counts_show_them_by_name(source, counts, tmp_path):
    (tmp_path / "t.txt").write_text(TEXT * 300, encoding="utf-8")
    source.save(tmp_path / "source")
    counted = run("count", "--source", "source", "--corpus", "t.txt", "--out", "c", where=tmp_path)
    assert counted.returncode == 0, counted.stderr
    shown = run("counts", "info", "c", "--top", "30", where=tmp_path).stdout
    assert "'<think>' (added token)" in shown
    assert "3 added tokens taken out" in " ".join(shown.split())
