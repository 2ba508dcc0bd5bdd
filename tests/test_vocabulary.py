"""`Vocabulary`: its arrays, its equality, special tokens and decoding."""

import dataclasses

import numpy as np
import pytest
from helpers.oracles import SINGLE_BYTES
from helpers.strategies import vocabularies
from hypothesis import given
from hypothesis import strategies as st

from vocab.errors import SourceError
from vocab.splitting import CL100K_REGEX, GPT2_REGEX, SplitPattern
from vocab.vocabulary import Provenance, Vocabulary

PATTERN = SplitPattern(CL100K_REGEX)
TOKENS = [*SINGLE_BYTES, b"he", b"ll", b" w", b"ld"]


def vocabulary(tokens=TOKENS, special_tokens=None, **settings) -> Vocabulary:
    return Vocabulary.from_tokens(tokens, settings.pop("pattern", PATTERN), special_tokens, **settings)


@given(tokens=vocabularies())
def test_tokens_are_kept(tokens):
    held = vocabulary(tokens)
    assert list(held.tokens()) == tokens
    assert [held[k] for k in range(held.n_tokens)] == tokens
    assert held.token_ids == {token: k for k, token in enumerate(tokens)}
    assert held.lengths.tolist() == [len(token) for token in tokens]
    assert (held.n_tokens, held.n_ids, held.max_id) == (len(tokens), len(tokens), len(tokens) - 1)


def test_special_tokens_count_as_ids_and_may_leave_holes(cl100k):
    assert (cl100k.n_tokens, cl100k.n_ids, cl100k.max_id) == (100_256, 100_261, 100_276)


@pytest.mark.parametrize("id_", [-1, 260, 10**9])
def test_unknown_ids_have_no_bytes(id_):
    held = vocabulary()
    with pytest.raises(IndexError, match=str(id_)):
        held[id_]
    with pytest.raises(IndexError, match=str(id_)):
        held.decode_bytes([0, id_])


def test_it_is_frozen():
    held = vocabulary()
    with pytest.raises(dataclasses.FrozenInstanceError):
        held.inference = "least-tokens"
    with pytest.raises(ValueError, match="read-only"):
        held.blob[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        held.starts[0] = 1


def test_equality_is_by_content():
    special = {"<|end|>": 260}
    held = vocabulary(special_tokens=special)
    assert held == vocabulary(special_tokens=dict(special), provenance=Provenance("elsewhere", "abc"))
    assert held == vocabulary(special_tokens=special, pattern=SplitPattern(PATTERN.portable))
    assert held != vocabulary()
    assert held != vocabulary(special_tokens={"<|end|>": 261})
    assert held != vocabulary(special_tokens=special, inference="least-tokens")
    assert held != vocabulary(special_tokens=special, pattern=SplitPattern(GPT2_REGEX))
    assert held != vocabulary([*TOKENS[:-1], b"lx"], special)
    assert held != vocabulary([*TOKENS[:-2], b" wo", b"l"], special)
    assert held != TOKENS


def test_special_tokens_that_collide_are_refused():
    with pytest.raises(SourceError, match="'<s>' has id 5"):
        vocabulary(special_tokens={"<s>": 5})
    with pytest.raises(SourceError, match="share one id"):
        vocabulary(special_tokens={"<s>": 260, "</s>": 260})


def test_special_tokens_in_text_are_ids_only_when_allowed():
    held = vocabulary(special_tokens={"<|a|>": 260, "<|a|><|b|>": 265, "(.*)": 261})
    assert held.encode("hello<|a|>", allow_special=True) == [256, 257, 111, 260]
    assert held.encode("<|a|><|b|><|a|>", allow_special=True) == [265, 260]
    assert held.encode("(.*)", allow_special=True) == [261]
    assert held.encode("hello<|a|>") == [256, 257, 111, *b"<|a|>"]
    assert held.decode([256, 257, 111, 265, 258, 259]) == "hello<|a|><|b|> wld"


@given(
    parts=st.lists(
        st.sampled_from(["<|endoftext|>", "<|fim_prefix|>", "<|fim", "|>", "hello", " ", "中", "\ud800"]),
        max_size=12,
    )
)
def test_special_tokens_equal_tiktoken(cl100k, tiktoken_cl100k, parts):
    text = "".join(parts)
    assert cl100k.encode(text, allow_special=True) == tiktoken_cl100k.encode(text, allowed_special="all")
    assert cl100k.encode(text) == tiktoken_cl100k.encode(text, disallowed_special=())


def test_decoding_broken_characters():
    held = vocabulary()
    assert held.decode_bytes([0xE4, 0xB8]) == b"\xe4\xb8"
    assert held.decode([0xE4, 0xB8, 97]) == "\ufffda"
    assert held.decode(np.array([256, 257])) == "hell"


def test_no_tokens_at_all():
    empty = vocabulary([])
    assert (empty.n_tokens, empty.n_ids, empty.max_id, list(empty.tokens())) == (0, 0, -1, [])
    with pytest.raises(SourceError, match="lacks 243 of the 243 bytes of UTF-8"):
        empty.encode("a")


def test_it_says_what_it_is(cl100k):
    assert repr(cl100k) == "<Vocabulary unnamed: 100,261 ids, inference merges>"


def test_to_tiktoken_gives_the_same_ids(cl100k, nasty):
    peer = cl100k.to_tiktoken()
    text = "\n".join(nasty)
    assert peer.encode_ordinary(text) == cl100k.encode(text)
    assert peer.encode("<|endoftext|>", allowed_special="all") == [100257]


def test_to_tiktoken_needs_merges():
    with pytest.raises(SourceError, match="least-tokens"):
        vocabulary(inference="least-tokens").to_tiktoken()
