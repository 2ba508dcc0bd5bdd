"""Can each token of a vocabulary come out of its encoder at all? A witness text is the only proof accepted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt

from vocab.choices import CHARACTER_METHODS
from vocab.encoding.characters import characters_of
from vocab.utf8 import is_utf8
from vocab.vocabulary import Vocabulary

# Texts tried for one token before it counts as unreachable.
_MAX_TRIES = 3000
# Bytes that end or begin a character, tried around tokens that hold a part of one.
_CONTINUATIONS = [bytes([b]) for b in range(0x80, 0xC0)]


def unreachable(vocabulary: Vocabulary, candidates: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Those of the candidate ranks for which no witness text is found, int64, rising.

    A witness is a valid UTF-8 text whose encoding holds the token: the token itself, or, where it holds a part of a
    character, the token with that character made whole.
    """
    if vocabulary.n_stand_ins == 1:  # the first comes out of what no token spells
        candidates = candidates[candidates > 0]
    ids = vocabulary.rank_ids.tolist()
    whole = [k for k in candidates.tolist() if is_utf8(vocabulary[ids[k]])]
    alone = vocabulary.encode_batch([vocabulary[ids[k]].decode() for k in whole])
    produced = {k for k, encoded in zip(whole, alone, strict=True) if ids[k] in encoded}
    left = [k for k in candidates.tolist() if k not in produced and not _has_witness(vocabulary, k)]
    return np.array(left, dtype=np.int64)


def spellable(source: Vocabulary, kept_mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Tokens whose every character is a kept token (bool[n_tokens]), where merges go from characters; else all."""
    spelt = np.ones(source.n_tokens, dtype=np.bool_)
    if source.inference not in CHARACTER_METHODS:
        return spelt
    n = source.n_stand_ins
    texts = [token.decode() for token in islice(source.tokens(), n, None)]
    kept = [text for text, is_kept in zip(texts, kept_mask[n:].tolist(), strict=True) if is_kept]
    spelling = {text: characters_of(text, source.inference) for text in texts}
    characters = {text for text in kept if len(spelling[text]) == 1}
    spelt[n:] = [len(spelling[text]) == 1 or characters.issuperset(spelling[text]) for text in texts]
    return spelt


def _has_witness(vocabulary: Vocabulary, rank: int) -> bool:
    encode = vocabulary.encoder.encode
    token = vocabulary[int(vocabulary.rank_ids[rank])]
    texts = _words_with(vocabulary, token) if vocabulary.inference == "wordpiece" else _texts_around(token)
    return any(rank in encode(text) for text in islice(texts, _MAX_TRIES))


def _words_with(vocabulary: Vocabulary, token: bytes) -> Iterator[bytes]:
    """Words in which a piece of WordPiece goes on after one character."""
    return (known[1:] + token for known in vocabulary.tokens() if known[:1] == b" " and len(known.decode()) == 2)


def _texts_around(token: bytes) -> Iterator[bytes]:
    """Valid UTF-8 texts that hold the token, most likely witness first."""
    for head in _heads(token):
        for tail in _tails(head + token):
            text = head + token + tail
            if is_utf8(text):
                yield text
                yield b"a" + text
                yield text + b"a"
                yield b"\n" + text  # after it SentencePiece continues without a space


def _heads(token: bytes) -> Iterator[bytes]:
    """Bytes that may precede a token that begins with continuation bytes."""
    if token[0] & 0xC0 != 0x80:
        yield b""
        return
    for lead in range(0xC2, 0xF5):
        yield bytes([lead])
        if lead >= 0xE0:
            yield from (bytes([lead, b]) for b in (0x80, 0x90, 0xA0, 0xB0, 0x9F, 0xBF, 0x8F))
        if lead >= 0xF0:
            yield from (bytes([lead, b, c]) for b in (0x9F, 0x90, 0xA0, 0x80) for c in range(0x80, 0xC0, 8))


def _tails(text: bytes) -> Iterator[bytes]:
    """Bytes that may make a cut-off last character whole."""
    start = len(text) - 1
    while start > 0 and text[start] & 0xC0 == 0x80:
        start -= 1
    lead = text[start]
    width = 1 if lead < 0xC0 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    missing = width - (len(text) - start)
    if missing <= 0:
        yield b""
        return
    for last in _CONTINUATIONS:
        yield last * missing
