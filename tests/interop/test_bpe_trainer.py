"""BPE from counts: the merges of Hugging Face's trainer, with counts that do not overflow."""

import numpy as np
import pytest
from helpers.bpe_training import SlowTrainer, by_tokenizers, last_of_each
from hypothesis import given
from hypothesis import strategies as st

from vocab.corpus.counting import count_documents
from vocab.errors import CorpusError
from vocab.interop.scratch.bpe_trainer import train_bpe
from vocab.pretokens.counts import PretokenCounts, merge
from vocab.splitting import CL100K_REGEX, SplitPattern

PATTERN = SplitPattern(CL100K_REGEX)
RUNS = ["a" * 37 + "b" * 19 + "ab" * 23, "=" * 99 + "\n", "\n" * 41 + " " * 57 + "x", "aab" * 40, "語" * 17] * 3


def counts_of(texts):
    part = count_documents(texts, "texts", PATTERN)
    return merge([part.train, part.held_out])


def slow(counts, n_tokens):
    trainer = SlowTrainer(counts)
    trainer.train(n_tokens)
    return trainer.tokens, trainer.merges


def fast(counts, n_tokens):
    trained = train_bpe(PretokenCounts.from_mapping(counts, "none"), n_tokens)
    return trained.tokens, [tuple(merge) for merge in trained.merges.tolist()]


words = st.dictionaries(st.text("abc", min_size=1, max_size=12).map(str.encode), st.integers(1, 9), max_size=12)


@given(words, st.sampled_from([1, 2**31, 2**40]), st.integers(256, 340))
def test_merges_are_those_of_the_slow_trainer(counts, factor, n_tokens):
    """Few letters make tokens that two pairs spell, and equal counts; the factor makes counts of pairs above 2³¹."""
    many = {word: count * factor for word, count in counts.items()}
    assert fast(many, n_tokens) == slow(many, n_tokens)


@pytest.mark.parametrize("n_tokens", [257, 300, 1000, 4000])
def test_real_text_gives_the_merges_of_tokenizers(n_tokens, real_text):
    texts = [real_text[k : k + 4000] for k in range(0, 300_000, 4000)]
    trained = train_bpe(counts_of(texts), n_tokens)
    tokens, merges = by_tokenizers(PATTERN, texts, n_tokens)
    assert trained.tokens == tokens
    assert last_of_each(map(tuple, trained.merges.tolist())) == merges


@pytest.mark.slow
def test_a_large_vocabulary_of_real_text_gives_the_merges_of_tokenizers(real_text):
    trained = train_bpe(counts_of([real_text]), 30_000)
    tokens, merges = by_tokenizers(PATTERN, [real_text], 30_000)
    assert trained.tokens == tokens
    assert last_of_each(map(tuple, trained.merges.tolist())) == merges


@pytest.mark.parametrize("text", RUNS[:5])
def test_runs_give_the_tokens_of_tokenizers_until_no_pair_is_left(text):
    trained = train_bpe(counts_of([text]), 2000)
    assert (trained.tokens, last_of_each(map(tuple, trained.merges.tolist()))) == by_tokenizers(PATTERN, [text], 2000)


def test_counts_above_32_bits_are_not_mistaken():
    """As int32 the count of "ab" is negative and that of "cd" is 0, so that "ef" would be merged first."""
    counts = {b"ab": 2**31, b"cd": 2**32, b"ef": 5}
    tokens, _ = fast(counts, 259)
    assert tokens[256:] == [b"cd", b"ab", b"ef"]


def test_words_that_do_not_occur_are_left_out():
    assert fast({b"ab": 0, b"cd": 2}, 300) == fast({b"cd": 2}, 300)


def test_one_word_of_a_megabyte_is_trained_on():
    tokens, merges = fast({b"a" * 1_000_000: 1}, 300)
    assert tokens[256:][:3] == [b"aa", b"aaaa", b"a" * 8]
    assert b"a" * 1_000_000 in tokens
    assert len(merges) == len(tokens) - 256


def test_no_pair_gives_the_bytes_alone():
    assert fast({b"a": 4}, 300) == slow({}, 300)
    assert len(fast({}, 256)[0]) == 256


def test_fewer_tokens_than_bytes_are_refused():
    with pytest.raises(ValueError, match="the single bytes alone are 256"):
        train_bpe(PretokenCounts.from_mapping({b"ab": 1}, "none"), 255)


def test_more_text_than_int64_holds_is_refused():
    counts = PretokenCounts.from_mapping({b"ab": 2**62}, "none")
    with pytest.raises(CorpusError, match="more than 4,611,686,018,427,387,904 bytes of text"):
        train_bpe(counts, 300)


def test_progress_is_told():
    told = []
    counts = counts_of(["".join(f" {a}{b}{c}" for a in "abcdef" for b in "ghijk" for c in "lmnop")])
    train_bpe(counts, 400, lambda *stage: told.append(stage))
    assert told[-1][0] == "merge pairs"
    assert np.all(np.diff([done for _, done, _ in told]) > 0)
