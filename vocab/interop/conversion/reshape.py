"""A vocabulary reshaped for a format: other ids, another inference method, bytes or pieces.

The results encode some texts differently from the source, or number its tokens differently. `text_differences`
measures how much.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from vocab.arrays import end_to_end
from vocab.choices import CHARACTER_METHODS, InferenceMethod
from vocab.formats.frame import KEY as FRAME
from vocab.splitting import SplitPattern
from vocab.splitting.preparation import MARK
from vocab.vocabulary import Vocabulary

_SINGLE_BYTES = [bytes([b]) for b in range(256)]
_UNKNOWN = "<unk>"


def unused_ids(vocabulary: Vocabulary) -> list[int]:
    """Ids below the highest that no token has, rising."""
    ordinary = vocabulary.rank_ids.tolist()
    return sorted(set(range(vocabulary.max_id + 1)) - set(ordinary) - set(vocabulary.special_tokens.values()))


def with_holes_named(vocabulary: Vocabulary) -> Vocabulary:
    """Every id as it is, and a special token <|unused_ID|> for each that no token has."""
    named = {f"<|unused_{k}|>": k for k in unused_ids(vocabulary)}
    return replace(vocabulary, special_tokens={**named, **vocabulary.special_tokens}) if named else vocabulary


def numbered(vocabulary: Vocabulary, *, special_first: bool) -> Vocabulary:
    """The same tokens with ids without holes, special tokens in their order before or after the ordinary ones."""
    special, first_id = _in_id_order(vocabulary.special_tokens), 0
    if special_first:
        first_id = len(special)
    start = 0 if special_first else vocabulary.n_tokens
    ids = {text: k for k, text in enumerate(special, start)}
    return replace(vocabulary, special_tokens=ids, first_id=first_id, ids=None)


def without_frame(vocabulary: Vocabulary) -> Vocabulary:
    """The same tokens with one regular expression as their split, and nothing done to text before it.

    Added tokens that are text become special ones. The regular expression is that of all steps, first ones first.
    """
    steps, pattern = vocabulary.pattern.steps, vocabulary.pattern
    if steps:
        pattern = SplitPattern("|".join(step.regex.removeprefix("(?V1)") for step in steps.steps) or r"[\s\S]+")
    extras = {key: value for key, value in vocabulary.provenance.extras.items() if key != FRAME}
    provenance = replace(vocabulary.provenance, extras=extras)
    user_defined = vocabulary.user_defined if vocabulary.inference in CHARACTER_METHODS else frozenset()
    plain = replace(vocabulary, pattern=pattern, provenance=provenance, user_defined=user_defined)
    return replace(plain, added_texts=(), pair_order=None)


def with_bytes_first(vocabulary: Vocabulary) -> Vocabulary:
    """The 256 single bytes in order, then the others in theirs: merging is the same, since nothing makes a byte."""
    others = [token for token in vocabulary.tokens() if len(token) > 1]
    return _with_tokens(vocabulary, [*_SINGLE_BYTES, *others])


def as_byte_level(vocabulary: Vocabulary, method: InferenceMethod) -> Vocabulary:
    """The same tokens for a method that goes from bytes, special tokens after the others where it was SentencePiece's.

    SentencePiece's pieces follow the bytes: characters with the beginnings of their bytes, so that they can be merged,
    then longer pieces by score. No space is put before a text then, and none of the words that pieces keep to is
    crossed.
    """
    if vocabulary.inference not in CHARACTER_METHODS:
        return replace(vocabulary, inference=method)
    order = vocabulary.merge_order.tolist()
    pieces = [(order[k], k, token) for k, token in enumerate(vocabulary.tokens()) if k >= 256]
    longer = [token for _, _, token in sorted(pieces) if len(token.decode()) > 1]
    characters = [token for _, _, token in pieces if len(token.decode()) == 1]
    begun = [character[:k] for character in characters for k in range(2, len(character) + 1)]
    pattern = vocabulary.pattern
    pattern = SplitPattern(pattern.regex.partition(")")[2]) if pattern.is_sentencepiece else pattern
    plain = replace(vocabulary, scores=None, byte_fallback=False, user_defined=frozenset(), unknown=None)
    plain = replace(plain, inference=method, pattern=pattern, special_tokens={}, first_id=0, ids=None)
    reshaped = _with_tokens(plain, [*_SINGLE_BYTES, *begun, *longer])
    return numbered(_with_special(reshaped, vocabulary.special_tokens), special_first=False)


def as_scored_pieces(vocabulary: Vocabulary) -> Vocabulary:
    """Pieces of SentencePiece's BPE from tokens of bytes, special tokens and <unk> before them.

    Tokens that are no text, or hold ▁ or a NUL, are left out; characters of the others that are no tokens come in,
    last. The order of merges is that of ranks. There is no split pattern, so tokens may cross the places where it cut.
    """
    tokens = list(vocabulary.tokens())[256 if vocabulary.byte_fallback else 0 :]
    texts = [token.decode() for token in tokens if _can_be_piece(token)]
    missing = [c for c in dict.fromkeys([" ", *(c for text in texts for c in text)]) if c not in set(texts)]
    pieces = [*texts, *missing]
    special = _in_id_order(vocabulary.special_tokens)
    special = special if _UNKNOWN in special else [_UNKNOWN, *special]
    plain = replace(vocabulary, special_tokens={}, first_id=0, ids=None, inference="scored-merges", unknown=_UNKNOWN)
    plain = replace(plain, pattern=SplitPattern.of_sentencepiece(pieces, dummy_prefix=False), byte_fallback=True)
    reshaped = _with_tokens(plain, [*_SINGLE_BYTES, *(text.encode() for text in pieces)], unique=False)
    scores = np.concatenate([np.zeros(256), -np.arange(len(pieces))]).astype(np.float32)
    ids = {text: k for k, text in enumerate(special)}
    return replace(reshaped, special_tokens=ids, first_id=len(special), scores=scores)


def _can_be_piece(token: bytes) -> bool:
    try:
        return MARK not in token.decode() and b"\0" not in token
    except UnicodeDecodeError:
        return False


def _in_id_order(special: Mapping[str, int]) -> list[str]:
    return sorted(special, key=special.__getitem__)


def _with_special(vocabulary: Vocabulary, special: Mapping[str, int]) -> Vocabulary:
    texts = _in_id_order(special)
    return replace(vocabulary, special_tokens={text: k for k, text in enumerate(texts, vocabulary.n_tokens)})


def _with_tokens(vocabulary: Vocabulary, tokens: Iterable[bytes], *, unique: bool = True) -> Vocabulary:
    """Other ordinary tokens; by default each once, in its first place."""
    kept = list(dict.fromkeys(tokens) if unique else tokens)
    blob, starts = end_to_end(kept)
    return replace(vocabulary, blob=blob, starts=starts)
