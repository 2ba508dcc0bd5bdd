"""Unigram pruned by its own scores: prices, methods, scores fitted by EM, and the same ids in every runtime."""

import json
import math

import numpy as np
import pytest
import sentencepiece
from helpers import oracles
from helpers.cli import run
from helpers.counts import count_documents_of
from helpers.piece_models import check_prices_and_gains, scores_of
from helpers.texts import plain
from helpers.unigram_models import TEXT, models, some_texts, trained
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

import vocab
from vocab.encoding.lattice import Lattice
from vocab.errors import TargetError
from vocab.pretokens.counts import PretokenCounts
from vocab.prune import prune
from vocab.prune.methods.refit import _expected, refit, rounded
from vocab.vocabulary import Vocabulary

COUNTS = st.dictionaries(TEXT.filter(bool), st.integers(1, 9), min_size=1, max_size=6)


def table_of(vocabulary: Vocabulary, counts: dict[str, int]) -> PretokenCounts:
    return PretokenCounts.from_mapping({text.encode(): n for text, n in counts.items()}, vocabulary.pattern.sha256)


@given(vocabulary=models(), counts=COUNTS)
def test_prices_and_gains_are_exact(vocabulary, counts):
    check_prices_and_gains(vocabulary, counts, "unigram", oracles.total_unigram)


# Scores by expectation-maximization


@pytest.mark.slow
@given(
    vocabulary=models(),
    counts=st.dictionaries(st.text("ab é語x", min_size=1, max_size=8), st.integers(1, 9), min_size=1),
)
def test_expected_uses_are_those_of_all_ways(vocabulary, counts):
    table = table_of(vocabulary, counts)
    logs = np.zeros(vocabulary.n_tokens)
    logs[256:] = vocabulary.scores[256:]
    lattice = Lattice.build(vocabulary.encoder.trie, table.blob, table.starts)
    uses, likelihood = _expected(lattice, logs, table.counts.astype(np.int64), 2)
    expected, log_all = oracles.expected_uses(scores_of(vocabulary), counts)
    assert likelihood == pytest.approx(log_all)
    found = {token.decode(): n for token, n in zip(list(vocabulary.tokens())[256:], uses[256:].tolist(), strict=True)}
    assert found == pytest.approx({token: expected[token] for token in found})


@given(vocabulary=models(), counts=COUNTS)
def test_each_round_makes_the_counts_likelier(vocabulary, counts):
    table = table_of(vocabulary, {text * 50: n for text, n in counts.items()})
    found = refit(vocabulary, table)
    rises = np.diff(found.likelihoods[1:])  # the first scores are no probabilities
    assert (rises >= -1e-6 - 1e-3 * vocabulary.n_tokens).all()  # but for the uses that every piece has at least
    scores = found.vocabulary.scores
    assert np.array_equal(scores, rounded(scores))
    for rank in range(256, vocabulary.n_tokens):
        text = vocabulary[rank + 3].decode()
        assert oracles.encode_unigram(scores_of(found.vocabulary), text) == [text]


def test_fitted_scores_are_the_same_on_any_number_of_threads(source, corpus):
    fitted = [refit(source, corpus.train, n_threads=n).vocabulary.scores for n in (1, 2, 5)]
    assert np.array_equal(fitted[0], fitted[1])
    assert np.array_equal(fitted[0], fitted[2])
    assert math.log(np.exp(fitted[0][256:].astype(np.float64)).sum()) == pytest.approx(0, abs=0.05)


def test_rounded_scores_are_near():
    scores = np.float32(-20) * np.random.default_rng(1).random(1000, dtype=np.float32)
    assert np.abs(rounded(scores) - scores)[256:].max() <= 1 / 256
    assert np.array_equal(rounded(scores) * 128, np.rint(rounded(scores) * 128))


@pytest.mark.slow
def test_a_pruned_tokenizer_json_is_what_is_written(source, corpus, tmp_path):
    """Texts that spell a byte piece are that byte in the source and spelt by pieces in the result."""
    source.save(tmp_path / "whole")
    path = tmp_path / "whole/tokenizer.json"
    settings = json.loads(path.read_text())
    for row in settings["model"]["vocab"][:259]:
        row[1] = 0.0
    path.write_text(json.dumps(settings))
    whole = vocab.load(path)
    whole.save(tmp_path / "again")
    assert json.loads((tmp_path / "again/tokenizer.json").read_text())["model"] == settings["model"]
    assert len(whole.encode("<0x41>")) == 2
    for refitted in (False, True):
        small = prune(whole, 1200, corpus=corpus, refit=refitted).vocabulary
        small.save(tmp_path / f"small-{refitted}")
        peer = Tokenizer.from_file(str(tmp_path / f"small-{refitted}/tokenizer.json"))
        for text in ("<0x41>", "x <0xE2>", "é <0x4>"):
            assert (
                small.encode(text)
                == peer.encode(text, add_special_tokens=False).ids
                == vocab.load(tmp_path / f"small-{refitted}").encode(text)
            )
        assert len(small.encode("<0x41>")) > 3


# Pruning


@pytest.fixture(scope="module")
def source(real_text, tmp_path_factory) -> Vocabulary:
    path = tmp_path_factory.mktemp("unigram") / "code.model"
    path.write_bytes(trained([real_text[:300_000], real_text[-3000:]], 2000))
    return vocab.load(path)


@pytest.fixture(scope="module")
def corpus(source, real_text):
    return count_documents_of([*real_text[:600_000].split("\n\n"), real_text[-3000:]], source.pattern)


@pytest.fixture(scope="module", params=["source", "refitted"])
def pruned(request, source, corpus, tmp_path_factory):
    result = prune(source, 1200, corpus=corpus, refit=request.param == "refitted", special=["<new>"])
    assert result.report.scores == request.param
    folder = tmp_path_factory.mktemp("pruned") / "out"
    result.save(folder)
    return result, folder


@pytest.mark.slow
def test_pruned_models_have_the_same_ids_everywhere(pruned, real_text, nasty, monkeypatch):
    """Their scores leave nothing to rounding, not even in the longest text."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from transformers import AutoTokenizer

    result, folder = pruned
    small = result.vocabulary
    peer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    auto = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    again = vocab.load(folder)
    assert small.n_ids == processor.vocab_size() == peer.get_vocab_size() == len(auto) == 1200
    assert again == small == vocab.load(folder / "tokenizer.model")
    texts = [text for text in plain(small, some_texts(small, real_text, nasty)) if "<0x" not in text]
    theirs = [found.ids for found in peer.encode_batch_fast(texts, add_special_tokens=False)]
    assert theirs == auto(texts, add_special_tokens=False)["input_ids"] == processor.encode(texts)
    for text, ids in zip(texts, theirs, strict=True):
        assert small.encode(text) == ids == again.encode(text)
        if "▁" not in text:
            assert small.decode(ids) == processor.decode(ids) == text


def test_counted_tokens_are_those_of_whole_texts(pruned, corpus, real_text):
    small = pruned[0].vocabulary
    texts = [*real_text[:600_000].split("\n\n"), real_text[-3000:]]
    row = pruned[0].report.result
    assert row.train.n_tokens + row.held_out.n_tokens == sum(map(small.count_tokens, texts))


def test_bytes_and_characters_are_kept_and_nothing_is_orphaned(pruned):
    result, folder = pruned
    small = result.vocabulary
    processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    assert [processor.is_byte(k) for k in range(3, 259)] == [True] * 256
    texts = [token.decode() for token in list(small.tokens())[256:]]
    assert " " in texts
    assert {c for text in texts for c in text} <= set(texts)
    produced = {k for text in texts for k in (*processor.encode("\n" + text), *processor.encode(text + "a"))}
    assert set(range(259, 259 + len(texts))) <= produced
    assert result.report.n_unreachable == 0


def test_distilling_beats_every_baseline(pruned):
    rows = {row.name: row for row in pruned[0].report.rows}
    ours = rows.pop("distill")
    assert set(rows) == {"code", "rank", "frequency"}
    assert rows.pop("code").inference == ours.inference == "unigram"
    if pruned[0].report.scores == "source":
        assert all(ours.train.n_tokens < row.train.n_tokens for row in rows.values())


def test_scores_of_kept_pieces_are_the_sources(source, corpus):
    result = prune(source, 1500, corpus=corpus, method="rank")
    small = result.vocabulary
    kept = result.kept_ids - source.first_id
    assert np.array_equal(small.scores[256:], rounded(source.scores)[kept][256:])
    dropped = np.setdiff1d(np.arange(256, source.n_tokens), kept)
    is_single = source.lengths == 1
    worst_kept = np.sort(small.scores[256:][~is_single[kept[256:]]])
    assert np.median(worst_kept) > np.median(source.scores[dropped])
    assert result.report.n_unreachable == 0


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"inference": "scored-merges"}, "which runs unigram, not scored-merges"),
        ({"method": "optimal"}, "is not for a source from SentencePiece"),
        ({"method": "leaf"}, "the method leaf goes by merges"),
    ],
)
def test_what_unigram_cannot_do_is_refused(source, corpus, option, message):
    with pytest.raises(TargetError, match=message):
        prune(source, 1200, corpus=corpus, **option)


def test_only_unigram_can_be_refitted(cl100k):
    with pytest.raises(TargetError, match="`refit` fits the scores of unigram, which merges does not have"):
        prune(cl100k, 1000, refit=True)


@pytest.mark.slow
def test_the_command_prunes_and_says_whose_scores(source, tmp_path):
    source.save(tmp_path / "code")
    (tmp_path / "text.txt").write_text("def f(x):\n    return x + 1\n" * 3000)
    arguments = ["prune", "--source", "code/tokenizer.model", "--target", "800", "--corpus", "text.txt", "--refit"]
    done = run(*arguments, "--out", "small", where=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Scores were fitted to the corpus, in steps of 1/128" in " ".join(done.stdout.split())
    assert vocab.load(tmp_path / "small/tokenizer.model").n_ids == 800
    assert vocab.load(tmp_path / "small").inference == "unigram"
