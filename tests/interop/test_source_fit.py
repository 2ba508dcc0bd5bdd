"""What BPE trained on a text would save against a vocabulary whose tokens come from elsewhere."""

import json
import random
from dataclasses import replace

import numpy as np
import pytest
from helpers.cli import run

from vocab.corpus.counting import CorpusCounts, count_documents
from vocab.interop.scratch.bpe_trainer import train_bpe
from vocab.interop.scratch.source_fit import saved_from_scratch
from vocab.vocabulary import Vocabulary


def made_up(n_words: int) -> str:
    """Words of a language that no tokenizer was trained on, some much more frequent than others."""
    rng = random.Random(7)
    syllables = [a + b for a in "ptkbdgmnlrsvz" for b in "aeiouyäö"]
    words = ["".join(rng.choices(syllables, k=rng.randint(2, 5))) for _ in range(n_words)]
    return " ".join(rng.choices(words, [1 / (k + 1) for k in range(n_words)], k=40 * n_words))


@pytest.fixture(scope="module")
def text():
    return made_up(2000)


@pytest.fixture(scope="module")
def corpus(text, cl100k):
    part = count_documents([text], "made up", cl100k.pattern)
    return CorpusCounts((part,))


@pytest.fixture(scope="module")
def pruned(cl100k):
    return Vocabulary.from_tokens(list(cl100k.tokens())[:2000], cl100k.pattern)


def test_the_share_is_that_of_tokens_that_tiktoken_counts(text, corpus, pruned):
    trained = Vocabulary.from_tokens(train_bpe(corpus.train, 2000).tokens, pruned.pattern)
    theirs, ours = (len(one.to_tiktoken().encode(text)) for one in (trained, pruned))
    assert saved_from_scratch(pruned, corpus) == pytest.approx(1 - theirs / ours, abs=1e-12)
    assert theirs < 0.7 * ours
    assert saved_from_scratch(trained, corpus, 2) == 0


def test_rare_words_are_left_out(corpus, pruned, monkeypatch):
    monkeypatch.setattr("vocab.interop.scratch.source_fit.MOST_PRETOKENS", 1000)
    order = sorted(range(corpus.train.n_pretokens), key=lambda k: (-int(corpus.train.counts[k]), k))
    frequent = {order[k] for k in range(1000)}
    least = min(int(corpus.train.counts[k]) for k in frequent)
    stays = [k in frequent for k in range(corpus.train.n_pretokens)]
    assert all(corpus.train.counts[k] <= least for k, chosen in enumerate(stays) if not chosen)
    few = replace(corpus.parts[0], train=corpus.train.chosen(np.array(stays)))
    assert saved_from_scratch(pruned, corpus) == saved_from_scratch(pruned, CorpusCounts((few,)))


def test_too_little_text_and_pieces_of_characters_have_no_share(cl100k, pruned, corpus):
    little = CorpusCounts((count_documents(["a few words"], "little", cl100k.pattern),))
    assert saved_from_scratch(pruned, little) is None
    assert saved_from_scratch(replace(pruned, inference="unigram", byte_fallback=True), corpus) is None


@pytest.mark.slow
def test_the_command_says_where_the_source_fits_badly(text, cl100k, tmp_path, real_text):
    (tmp_path / "foreign.txt").write_text(text, encoding="utf-8")
    (tmp_path / "code.txt").write_text(real_text[:400_000], encoding="utf-8")
    options = ("--source", "cl100k_base", "--target", 2000, "--method", "frequency")
    done = run("prune", "foreign.txt", *options, "--out", "a", where=tmp_path)
    saved = json.loads((tmp_path / "a/report.json").read_text())["saved_from_scratch"]
    assert f"BPE trained on this text would need {saved:.1%} fewer tokens" in done.stdout
    assert saved > 0.2
    own = run("prune", "foreign.txt", *options, "--out", "b", "--candidates", "corpus", "--inference", "least-tokens",
              where=tmp_path)  # fmt: skip
    assert "BPE trained on this text" not in own.stdout
    fits = run("prune", "code.txt", *options, "--out", "c", where=tmp_path)
    share = json.loads((tmp_path / "c/report.json").read_text())["saved_from_scratch"]
    assert ("BPE trained on this text" in fits.stdout) == (share >= 0.05)
    profile = run("prune", *options[:4], "--method", "rank", "--out", "d", where=tmp_path)
    assert "BPE trained" not in profile.stdout
