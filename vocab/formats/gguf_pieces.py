"""SentencePiece's BPE in a GGUF file (`tokenizer.ggml.model` is llama): pieces with scores, and byte fallback.

Source: ggml-org/llama.cpp `src/llama-vocab.cpp` (`llm_tokenizer_spm_session`, `load`).
"""

from __future__ import annotations

import re

import numpy as np

from vocab.arrays import end_to_end
from vocab.errors import SourceError
from vocab.formats.gguf_tokenizer import BYTE, CONTROL, NORMAL, UNKNOWN, UNUSED, USER_DEFINED, GgufTokenizer
from vocab.formats.sentencepiece_json import check_characters
from vocab.splitting import SplitPattern
from vocab.splitting.preparation import MARK, byte_piece
from vocab.vocabulary import Vocabulary

_FILLER = re.compile(r"\[PAD-?\d+\]|<dummy\d+>|\[EMPTY_\d+\]")


def read_pieces(tokenizer: GgufTokenizer) -> Vocabulary:
    """A vocabulary of pieces; raises SourceError, saying what is in the way."""
    path = tokenizer.path
    scores = tokenizer.get("scores", np.ndarray)
    if scores is None or scores.size < len(tokenizer.tokens):
        raise SourceError(f"{path} has no score for each of its pieces")
    ordinary = [k for k, kind in enumerate(tokenizer.kinds) if kind in (NORMAL, BYTE, UNUSED)]
    ordinary = [k for k in ordinary if not (tokenizer.kinds[k] == UNUSED and _FILLER.fullmatch(tokenizer.tokens[k]))]
    ordinary = _bytes_first(tokenizer, ordinary)
    texts = [tokenizer.tokens[k].replace(MARK, " ") for k in ordinary[256:]]
    if odd := next((tokenizer.tokens[k] for k in ordinary[256:] if " " in tokenizer.tokens[k]), None):
        raise SourceError(f"{path} has a piece with a plain space, {odd!r}, which no text produces")
    check_characters(texts, path)
    values = scores[ordinary].astype(np.float32)
    values[:256] = 0
    if not np.isfinite(values).all():
        raise SourceError(f"{path} has a piece whose score is not a number")
    blob, starts = end_to_end([bytes([k]) for k in range(256)] + [text.encode() for text in texts])
    has_prefix = tokenizer.get("add_space_prefix", bool, True)
    return Vocabulary(
        blob=blob,
        starts=starts,
        special_tokens=tokenizer.special,
        pattern=SplitPattern.of_sentencepiece(texts, dummy_prefix=has_prefix),
        inference="scored-merges",
        provenance=tokenizer.provenance(),
        first_id=min(ordinary),
        scores=values,
        byte_fallback=True,
        user_defined=frozenset(t for t, k in tokenizer.special.items() if tokenizer.kinds[k] == USER_DEFINED),
        unknown=_unknown(tokenizer),
        ids=None if ordinary == list(range(ordinary[0], ordinary[0] + len(ordinary))) else np.array(ordinary),
    )


def _bytes_first(tokenizer: GgufTokenizer, ordinary: list[int]) -> list[int]:
    """Ids of ordinary pieces, those of the 256 bytes first and in their order; Baichuan has others before them."""
    ids = {tokenizer.tokens[k]: k for k in ordinary}
    pieces = [byte_piece(k) for k in range(256)]
    if lacking := [piece for piece in pieces if piece not in ids]:
        raise SourceError(f"{tokenizer.path} has no byte piece {lacking[0]}: it is not read yet")
    if any(kind not in (NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE) for kind in tokenizer.kinds):
        raise SourceError(f"{tokenizer.path} has a piece of a kind that does not exist")
    known = set(pieces)
    return [*(ids[piece] for piece in pieces), *(k for k in ordinary if tokenizer.tokens[k] not in known)]


def _unknown(tokenizer: GgufTokenizer) -> str | None:
    """The unknown piece: the one of that role, else the first of that kind."""
    unknown = [k for k, kind in enumerate(tokenizer.kinds) if kind == UNKNOWN]
    named = tokenizer.roles.get("unk_token")
    return named or (tokenizer.tokens[unknown[0]] if unknown else None)
