"""Inference methods against slow twins, against tiktoken id by id, and against Hugging Face's Unigram."""

import random
from itertools import accumulate, pairwise

import numpy as np
import pytest
import tiktoken
import tokenizers
from helpers import oracles
from helpers.oracles import METHODS, SINGLE_BYTES
from helpers.strategies import pieces, vocabularies
from helpers.texts import random_tokens
from hypothesis import given
from hypothesis import strategies as st

from vocab.choices import CHARACTER_METHODS
from vocab.encoding import lattice as lattice_module
from vocab.encoding.encoder import Encoder
from vocab.encoding.inference import INFERENCE_METHODS
from vocab.encoding.lattice import Lattice, TokenTrie
from vocab.errors import SourceError
from vocab.splitting import CL100K_REGEX, SplitPattern
from vocab.splitting.byte_alphabet import to_characters
from vocab.splitting.classes import N_CODE_POINTS
from vocab.utf8 import NEVER_IN_UTF8
from vocab.vocabulary import Vocabulary

ANYTHING = SplitPattern(r"[\s\S]+")


def flat(items: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    starts = np.array([0, *accumulate(map(len, items))], dtype=np.int64)
    return np.frombuffer(b"".join(items), dtype=np.uint8), starts


def encode_pretokens(encoder: Encoder, items: list[bytes], n_threads: int = 1) -> list[list[int]]:
    blob, starts = flat(items)
    ids, sizes = encoder.encode_pretokens(blob, starts, n_threads)
    return [ids[a : a + n].tolist() for a, n in zip(starts, sizes, strict=False)]


def encoder_of(tokens: list[bytes], method: str, **options) -> Encoder:
    return Encoder(*flat(tokens), ANYTHING, method, **options)


def with_method(vocabulary: Vocabulary, method: str) -> Vocabulary:
    special_tokens = vocabulary.special_tokens
    return Vocabulary.from_tokens(vocabulary.tokens(), vocabulary.pattern, special_tokens, inference=method)


@pytest.fixture(scope="module", params=METHODS)
def by_method(request, cl100k) -> Vocabulary:
    """cl100k_base under each method."""
    return with_method(cl100k, request.param)


def test_the_oracles_cover_every_method():
    assert set(METHODS) == set(INFERENCE_METHODS) - CHARACTER_METHODS == set(oracles.ENCODERS)


@pytest.mark.parametrize("method", METHODS)
@given(tokens=vocabularies(), texts=st.lists(pieces(1, 30), min_size=1, max_size=10))
def test_short_pretokens(method, tokens, texts):
    ranks = oracles.ranks_of(tokens)
    expected = [oracles.encode(method, ranks, text) for text in texts]
    assert encode_pretokens(encoder_of(tokens, method), texts) == expected


@pytest.mark.parametrize("method", METHODS)
def test_long_pretokens(method, small):
    """Around and above the length from which merges go through a heap."""
    rng = random.Random(7)
    for tokens in small:
        ranks = oracles.ranks_of(tokens)
        lengths = [199, 200, 201, 202, rng.randint(203, 500)]
        texts = [bytes(rng.choices(b"abc ", [4, 4, 1, 1], k=n)) for n in lengths]
        texts.append(b"a" * rng.randint(201, 400))
        expected = [oracles.encode(method, ranks, text) for text in texts]
        assert encode_pretokens(encoder_of(tokens, method), texts) == expected


@given(tokens=vocabularies(), text=st.text("abc \u00e9", min_size=1, max_size=300))
def test_merges_equal_tiktoken_on_random_vocabularies(tokens, text):
    peer = tiktoken.Encoding(
        "random", pat_str=ANYTHING.regex, mergeable_ranks=oracles.ranks_of(tokens), special_tokens={}
    )
    assert encoder_of(tokens, "merges").encode(text.encode()).tolist() == peer.encode_ordinary(text)


def test_very_long_merges_equal_tiktoken(small):
    rng = random.Random(8)
    for tokens in small:
        peer = tiktoken.Encoding(
            "random", pat_str=ANYTHING.regex, mergeable_ranks=oracles.ranks_of(tokens), special_tokens={}
        )
        text = "".join(rng.choices("abc ", [4, 4, 1, 1], k=20_000))
        assert encoder_of(tokens, "merges").encode(text.encode()).tolist() == peer.encode_ordinary(text)


def test_whole_pretoken_is_looked_up_before_merging():
    """`abc` cannot be merged from its bytes: it is found only because a whole pre-token is looked up."""
    encoder = encoder_of([*SINGLE_BYTES, b"abc"], "merges")
    assert encode_pretokens(encoder, [b"abc", b"abca"]) == [[256], [97, 98, 99, 97]]


def test_merges_follow_rank_and_then_place():
    encoder = encoder_of([*SINGLE_BYTES, b"bc", b"ab", b"aa"], "merges")
    assert encode_pretokens(encoder, [b"abc", b"aaa", b"abab"]) == [[97, 256], [258, 97], [257, 257]]


def test_least_tokens_prefers_the_longest_last_token():
    encoder = encoder_of([*SINGLE_BYTES, b"ab", b"bc", b"abcd", b"cde", b"de"], "least-tokens")
    assert encode_pretokens(encoder, [b"abc", b"abcde"]) == [[97, 257], [256, 259]]


def test_longest_prefix_is_greedy():
    encoder = encoder_of([*SINGLE_BYTES, b"abc", b"ab", b"cde"], "longest-prefix")
    assert encode_pretokens(encoder, [b"abcde"]) == [[256, 100, 101]]


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_threads_do_not_change_tokens(method, small):
    rng = random.Random(9)
    texts = [bytes(rng.choices(b"abc ", k=rng.randint(1, 300))) for _ in range(200)]
    for tokens in small[:5]:
        encoder = encoder_of(tokens, method)
        expected = encode_pretokens(encoder, texts)
        for n_threads in (2, 3, 7, 500):
            assert encode_pretokens(encoder, texts, n_threads) == expected


@pytest.mark.parametrize("room_per_byte", [0, 1, 4])
def test_lattice_holds_every_place_of_every_token_shortest_first(small, monkeypatch, room_per_byte):
    monkeypatch.setattr(lattice_module, "_ROOM_PER_BYTE", room_per_byte)  # where it is too little, a walk follows
    rng = random.Random(10)
    texts = [bytes(rng.choices(b"abc ", k=rng.randint(1, 20))) for _ in range(50)]
    blob, starts = flat(texts)
    for tokens in small:
        ranks = oracles.ranks_of(tokens)
        lattice = Lattice.build(TokenTrie.build(*flat(tokens)), blob, starts, n_threads=2)
        expected = [
            [ranks[text[i:end]] for end in range(i + 1, len(text) + 1) if text[i:end] in ranks]
            for text in texts
            for i in range(len(text))
        ]
        edges = lattice.edge_starts.tolist()
        held = [lattice.edge_tokens[a:b].tolist() for a, b in pairwise(edges)]
        assert held == expected
        assert lattice.edge_lengths.tolist() == [len(tokens[token]) for token in lattice.edge_tokens.tolist()]
        assert (lattice.n_pretokens, lattice.n_edges) == (50, sum(map(len, expected)))


@pytest.mark.slow
def test_merges_equal_tiktoken_on_real_text(cl100k, tiktoken_cl100k, real_text):
    assert cl100k.encode(real_text) == tiktoken_cl100k.encode_ordinary(real_text)


@pytest.mark.slow
def test_merges_equal_tiktoken_on_text_drawn_from_the_vocabulary(cl100k, tiktoken_cl100k):
    rng = random.Random(12)
    tokens = list(cl100k.tokens())
    for _ in range(10_000):
        drawn = b"".join(rng.choices(tokens, k=rng.randint(1, 12))).decode(errors="replace")
        assert cl100k.encode(drawn) == tiktoken_cl100k.encode_ordinary(drawn)


def test_merges_equal_tiktoken_on_nasty_texts(cl100k, tiktoken_cl100k, nasty):
    for text in nasty:
        assert cl100k.encode(text) == tiktoken_cl100k.encode_ordinary(text)


SURROGATES = ["\ud800", "a\udfffb", "\ud83d\ude00", "\ud800\ud800", "\ude00\ud83d", "x" * 300 + "\udc00"]


@pytest.mark.parametrize("text", SURROGATES, ids=ascii)
def test_surrogates_become_what_tiktoken_makes_of_them(cl100k, tiktoken_cl100k, text):
    assert cl100k.encode(text) == tiktoken_cl100k.encode_ordinary(text)
    assert cl100k.count_tokens(text) == len(tiktoken_cl100k.encode_ordinary(text))


@pytest.mark.slow
@pytest.mark.parametrize("character", ["a", " ", "\n", "中"])
def test_a_million_equal_characters(cl100k, tiktoken_cl100k, character):
    text = character * 1_000_000
    assert cl100k.encode(text) == tiktoken_cl100k.encode_ordinary(text)


@pytest.mark.slow
@pytest.mark.parametrize("character", ["a", " ", "中"])
def test_many_equal_characters_by_every_method(by_method, character):
    raw = (character * 200_000).encode()
    ids = by_method.encode(raw.decode())
    assert by_method.decode_bytes(ids) == raw
    longest = max(len(token) for token in by_method.tokens() if token in raw[:400])
    assert len(ids) >= -(-len(raw) // longest)


@pytest.mark.slow
@pytest.mark.parametrize("separator", ["", " ", "a", "\n", "'s"])
def test_every_code_point(cl100k, tiktoken_cl100k, separator):
    """All of them joined; those of the first two planes with something between."""
    last = 0x20000 if separator else N_CODE_POINTS
    text = separator.join(chr(c) for c in range(last) if not 0xD800 <= c < 0xE000)
    assert cl100k.encode(text) == tiktoken_cl100k.encode_ordinary(text)


@given(text=st.text(max_size=200))
def test_any_text_equals_tiktoken(cl100k, tiktoken_cl100k, text):
    assert cl100k.encode(text) == tiktoken_cl100k.encode_ordinary(text)


def test_decoding_gives_the_bytes_back(by_method, real_text, nasty):
    for text in [*nasty, real_text[-300_000:]]:
        ids = by_method.encode(text)
        assert by_method.decode_bytes(ids) == text.encode()
        assert by_method.decode(ids) == text
        assert by_method.count_tokens(text) == len(ids)


@pytest.mark.slow
def test_every_method_spells_real_pretokens_as_its_oracle_does(by_method, nasty):
    ranks = by_method.token_ids
    texts = [piece.encode() for text in nasty for piece in by_method.pattern.split(text)]
    texts = sorted({text for text in texts if len(text) <= 400})
    expected = [oracles.encode(by_method.inference, ranks, text) for text in texts]
    assert encode_pretokens(by_method.encoder, texts) == expected


def test_least_tokens_never_needs_more(cl100k, real_text):
    text = real_text[-500_000:]
    n = {method: with_method(cl100k, method).count_tokens(text) for method in METHODS}
    assert n["least-tokens"] < min(n["merges"], n["longest-prefix"])


def test_least_tokens_equal_unigram_with_equal_scores(cl100k, real_text, nasty):
    """Hugging Face's Unigram with one score for all tokens is a shortest path with the same rule for ties."""
    vocabulary = with_method(cl100k, "least-tokens")
    model = tokenizers.models.Unigram([(to_characters(token), -1.0) for token in cl100k.tokens()])
    peer = tokenizers.Tokenizer(model)
    peer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Split(tokenizers.Regex(vocabulary.pattern.portable), "isolated"),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    for text in [*nasty, real_text[-400_000:]]:
        assert vocabulary.encode(text) == peer.encode(text, add_special_tokens=False).ids


def test_empty_text_has_no_tokens(by_method):
    assert by_method.encode("") == []
    assert by_method.decode([]) == ""
    assert by_method.count_tokens("") == 0


def test_no_pretokens_have_no_tokens():
    ids, sizes = encoder_of(SINGLE_BYTES, "merges").encode_pretokens(*flat([]))
    assert (ids.size, sizes.size) == (0, 0)


def spelt(tokens: list[bytes], pretokens: list[bytes], method: str, **options) -> list[list[bytes]]:
    """The tokens of each pre-token."""
    ids, sizes = encoder_of(tokens, method, **options).encode_pretokens(*flat(pretokens))
    firsts = flat(pretokens)[1].tolist()
    return [[tokens[k] for k in ids[a : a + n]] for a, n in zip(firsts, sizes.tolist(), strict=False)]


@pytest.mark.parametrize("method", ["merges", "least-tokens", "longest-prefix"])
def test_bytes_that_utf8_never_holds_need_no_token(method):
    known = [byte for byte in SINGLE_BYTES if byte[0] not in NEVER_IN_UTF8]
    pretokens = [b"the cats", "é\U0010ffff".encode(), b"", b"cat"]
    longer = [b"at", b"cat", b"th"]
    assert encoder_of([*known, *longer], method).lacking == NEVER_IN_UTF8
    without = spelt([*known, *longer], pretokens, method)
    assert without == spelt([*SINGLE_BYTES, *longer], pretokens, method)
    assert [b"".join(row) for row in without] == pretokens


def test_bytes_without_a_token_are_left_out_where_the_runtime_leaves_them_out():
    pretokens = [b"a\0b", b"\0", b"xyz", b"x\0yz", b"c\0\0ab"]
    found = spelt([*SINGLE_BYTES[1:], b"ab", b"xyz"], pretokens, "merges", leaves_out=True)
    assert found == [[b"ab"], [], [b"xyz"], [b"x", b"y", b"z"], [b"c", b"ab"]]  # a rest is not looked up whole


def test_missing_bytes_and_repeated_or_empty_tokens_are_refused():
    with pytest.raises(ValueError, match="lacks 1 of the 243 bytes of UTF-8, first 7"):
        encoder_of([*SINGLE_BYTES[:7], *SINGLE_BYTES[8:255], b"\x07a"], "merges")
    with pytest.raises(ValueError, match=r"b'a\\xff' holds the byte 255, which is no token by itself"):
        encoder_of([*SINGLE_BYTES[:255], b"a\xff"], "merges")
    with pytest.raises(ValueError, match="ungreedy needs all 256 single bytes, and the vocabulary lacks 1"):
        encoder_of(SINGLE_BYTES[:255], "ungreedy")
    with pytest.raises(ValueError, match="b'ab' appears twice"):
        encoder_of([*SINGLE_BYTES, b"ab", b"cd", b"ab"], "merges")
    with pytest.raises(ValueError, match="256 is empty"):
        encoder_of([*SINGLE_BYTES, b""], "merges")
    with pytest.raises(SourceError, match="cannot encode every text"):
        Vocabulary.from_tokens([b"a"], SplitPattern(CL100K_REGEX)).encode("a")


def test_trie_of_many_random_tokens_finds_them_all():
    rng = random.Random(13)
    tokens = random_tokens(rng, bytes(range(256)), 20_000, 12)
    assert encode_pretokens(encoder_of(tokens, "merges"), tokens) == [[k] for k in range(len(tokens))]
