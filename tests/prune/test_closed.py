"""Closed vocabularies: what is closed, by a slow oracle, and the ids of runtimes that read nothing but merges."""

import json
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from helpers import oracles
from helpers.gguf_files import gguf_bytes
from helpers.price_books import book_of, check_prices, trie_of
from helpers.strategies import corpora, vocabularies
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

import vocab
from vocab.encoding.closed_merges import is_closed, parts_of_tokens, with_parts
from vocab.errors import TargetError
from vocab.formats import llama_cpp_runtime
from vocab.formats.gguf_tokenizer import CONTROL, NORMAL, GgufTokenizer
from vocab.formats.llama_cpp_runtime import LlamaCppRuntime
from vocab.formats.tokenizer_json import merges_of
from vocab.pretokens.counts import PretokenCounts
from vocab.prune import METHODS, Candidates, prune
from vocab.prune.methods.closing import close, parts_among
from vocab.prune.methods.pricing import PriceBook
from vocab.prune.report import inference_sentences
from vocab.splitting import SplitPattern
from vocab.splitting.byte_alphabet import to_characters
from vocab.splitting.known_patterns import QWEN2_REGEX
from vocab.vocabulary import Vocabulary

TARGET = 3000
PATTERN = SplitPattern(QWEN2_REGEX)
BYTES_FIRST = st.lists(st.sampled_from([b"a", b"b", b"c"]), min_size=2, max_size=6).map(b"".join)


def parts_by_oracle(tokens: list[bytes], kept: set[bytes], token: bytes) -> tuple[bytes, bytes] | None:
    """The two kept tokens of lower rank that merging a token's text without it ends in."""
    ranks = {one: rank for rank, one in enumerate(tokens) if one in kept and one != token}
    parts = oracles.encode_merges(ranks, token)
    if len(token) == 1 or len(parts) != 2 or max(map(tokens.index, parts)) > tokens.index(token):
        return None
    return parts[0], parts[1]


def by_merge_list(merges: list[tuple[bytes, bytes]], piece: bytes) -> list[bytes]:
    """What a runtime makes of a pre-token that reads nothing but a list of merges."""
    places = {pair: k for k, pair in enumerate(merges)}
    parts = [piece[i : i + 1] for i in range(len(piece))]
    while known := [(places[pair], i) for i, pair in enumerate(pairwise(parts)) if pair in places]:
        _, i = min(known)
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
    return parts


@given(tokens=vocabularies())
def test_parts_are_those_of_merging(tokens):
    parts = parts_of_tokens(trie_of(tokens))
    found = [tuple(tokens[k] for k in pair) if pair[0] >= 0 else None for pair in parts.tolist()]
    expected = [parts_by_oracle(tokens, set(tokens), token) for token in tokens]
    assert found == expected
    assert is_closed(trie_of(tokens)) == all(
        pair is not None or len(t) == 1 for t, pair in zip(tokens, expected, strict=True)
    )


@given(longer=st.lists(BYTES_FIRST, unique=True, max_size=25), seed=st.integers(0, 99), n=st.integers(0, 12))
def test_what_is_closed_needs_one_merge_a_token(longer, seed, n):
    """Closing keeps as many tokens, and merging by one pair a token then gives the tokens of merging by ranks."""
    tokens = oracles.SINGLE_BYTES + longer
    pool = Vocabulary.from_tokens(tokens, PATTERN)
    protected = np.arange(len(tokens)) < 256
    kept = protected.copy()
    rng = np.random.default_rng(seed)
    kept[256 + rng.permutation(len(longer))[:n]] = True
    nothing = np.zeros(len(tokens), dtype=np.bool_)
    try:
        closed = close(pool, kept, protected, rng.integers(0, 9, len(tokens)), nothing)
    except TargetError:
        return
    assert np.count_nonzero(closed) == np.count_nonzero(kept)
    chosen = [token for token, is_kept in zip(tokens, closed.tolist(), strict=True) if is_kept]
    pairs = [parts_by_oracle(chosen, set(chosen), token) for token in chosen if len(token) > 1]
    assert None not in pairs
    letters = random.Random(seed)
    for _ in range(20):
        piece = bytes(letters.choices(b"abc", k=9))
        assert by_merge_list(pairs, piece) == oracles.encode_merges(oracles.ranks_of(chosen), piece)


@given(tokens=vocabularies(), seed=st.integers(0, 99))
def test_parts_among_kept_ones_are_those_that_a_token_would_have(tokens, seed):
    is_kept = np.random.default_rng(seed).random(len(tokens)) < 0.6
    is_kept |= np.array([len(token) == 1 for token in tokens])
    kept = {token for token, k in zip(tokens, is_kept.tolist(), strict=True) if k}
    parts = parts_among(Vocabulary.from_tokens(tokens, PATTERN), is_kept)
    found = [tuple(tokens[k] for k in pair) if pair[0] >= 0 else None for pair in parts.tolist()]
    assert found == [parts_by_oracle(tokens, kept, token) for token in tokens]


@given(tokens=vocabularies(most=12), counts=corpora(most=6), seed=st.integers(0, 9))
def test_prices_without_look_up_are_those_of_merging_alone(tokens, counts, seed):
    """A pre-token behind a byte that no token holds is never a token, so there both are the same."""
    apart = {b"\xff" + piece: n for piece, n in counts.items()}
    book = PriceBook(trie_of(tokens), PretokenCounts.from_mapping(counts, "any"), "merges", looks_up=False)
    behind = book_of(tokens, apart, "merges")
    drop = np.flatnonzero([len(token) > 1 and (k + seed) % 3 == 0 for k, token in enumerate(tokens)])
    for one in (book, behind):
        one.change(drop=drop)
    check_prices(behind, tokens, apart, "merges")
    assert book.prices.tolist() == behind.prices.tolist()
    assert book.total_tokens + sum(counts.values()) == behind.total_tokens
    assert book.gains(~book.kept).tolist() == behind.gains(~behind.kept).tolist()


@pytest.fixture(scope="module")
def source(cl100k) -> Vocabulary:
    return Vocabulary.from_tokens(list(cl100k.tokens())[:20_000], cl100k.pattern)


@pytest.fixture(scope="module")
def corpus(source, tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(Path(oracles.__file__).read_text("utf-8") * 2, encoding="utf-8")
    return vocab.count([str(path)], source.pattern)


@pytest.fixture(scope="module")
def closed(source, corpus):
    return prune(source, TARGET, corpus=corpus, closed=True)


def test_runtimes_give_the_same_ids_by_merges_alone(closed, nasty, real_text, tmp_path):
    assert closed.report.closed
    closed.save(tmp_path / "out")
    model = json.loads((tmp_path / "out" / "tokenizer.json").read_text("utf-8"))["model"]
    assert model["ignore_merges"] is False
    assert len(model["merges"]) == closed.vocabulary.n_tokens - 256
    peer = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    encoding = closed.vocabulary.to_tiktoken()
    for text in [*nasty, real_text[:50_000]]:
        ids = closed.vocabulary.encode(text)
        assert encoding.encode_ordinary(text) == ids == peer.encode(text, add_special_tokens=False).ids
    assert vocab.load(tmp_path / "out").tokens_by_id == closed.vocabulary.tokens_by_id


@pytest.mark.slow
@pytest.mark.skipif(not llama_cpp_runtime.is_installed(), reason="xllamacpp is not installed")
def test_llama_cpp_gives_the_same_ids(cl100k, corpus, nasty, tmp_path):
    """By the kind of GPT-2, which looks up no whole words; a choice that is not closed differs there."""
    source = Vocabulary.from_tokens(list(cl100k.tokens())[:20_000], PATTERN)
    counts = vocab.count([__file__], PATTERN)
    for is_closed_too in (True, False):
        small = prune(source, TARGET, corpus=counts, closed=is_closed_too, special=["<|end|>"]).vocabulary
        keys = {
            "general.architecture": "llama",
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": "qwen2",
            "tokenizer.ggml.tokens": [*map(to_characters, small.tokens()), "<|end|>"],
            "tokenizer.ggml.token_type": [NORMAL] * small.n_tokens + [CONTROL],
            "tokenizer.ggml.merges": [f"{left} {right}" for left, right in merges_of(small)[0]],
            "tokenizer.ggml.bos_token_id": small.n_tokens,
            "tokenizer.ggml.eos_token_id": small.n_tokens,
        }
        path = tmp_path / "small.gguf"
        path.write_bytes(gguf_bytes(keys))
        words = [token.decode(errors="ignore") for token in small.tokens()]
        texts = [text for text in [*nasty, *words] if "<|" not in text]
        same = list(LlamaCppRuntime(GgufTokenizer.read(path)).encode_all(texts)) == small.encode_batch(texts)
        assert same == is_closed_too


@pytest.mark.parametrize("method", [m for m in METHODS if m not in ("tokenmonster", "optimal")])
def test_every_method_can_close(method, source, corpus):
    result = prune(source, TARGET, corpus=corpus, method=method, closed=True)
    assert result.report.closed
    assert result.vocabulary.n_ids == TARGET


def test_a_closed_choice_costs_little(source, corpus, closed):
    free = prune(source, TARGET, corpus=corpus)
    assert not free.report.closed
    assert closed.report.result.train.n_tokens <= 1.01 * free.report.result.train.n_tokens
    assert "Closed" in " ".join(inference_sentences(closed.report))


def test_other_orders_and_other_candidates_can_be_closed(source, corpus):
    wanted = Candidates(others=["corpus"])
    result = prune(source, 2000, corpus=corpus, ranks="reorder", candidates=wanted, closed=True)
    assert result.report.closed


def test_what_a_token_to_keep_is_merged_from_stays(source, corpus):
    token = max(source.tokens(), key=len)
    result = prune(source, 1000, corpus=corpus, keep=[token], closed=True)
    assert result.report.closed
    parts = parts_of_tokens(source.encoder.trie)
    chosen = np.zeros(source.n_tokens, dtype=np.bool_)
    chosen[source.token_ids[token]] = True
    tree = [source[k] for k in np.flatnonzero(with_parts(chosen, parts)).tolist()]
    assert set(tree) <= set(result.vocabulary.tokens())


def test_a_token_to_keep_that_no_merge_makes_is_refused(source, corpus):
    tokens = [*oracles.SINGLE_BYTES, b"ab", b"abcd", b"cd", b"xyz"]
    source = Vocabulary.from_tokens(tokens, source.pattern)
    with pytest.raises(TargetError, match="no merge of two kept tokens of lower rank"):
        prune(source, 258, corpus=corpus, keep=[b"xyz"], closed=True)
    with pytest.raises(TargetError, match="are closed under merges"):
        prune(source, 259, corpus=corpus, closed=True)


def test_only_merges_are_closed(source, corpus):
    with pytest.raises(TargetError, match="`closed` is for merges"):
        prune(source, TARGET, corpus=corpus, inference="least-tokens", closed=True)
