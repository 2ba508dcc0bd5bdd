"""Whether tiktoken splits text as a pattern does here, found by running tiktoken on the hard texts."""

from __future__ import annotations

import itertools
from functools import cache

import tiktoken

from vocab.hard_texts import HARD_TEXTS
from vocab.splitting import SplitPattern


@cache
def is_split_by_tiktoken(pattern: SplitPattern) -> bool:
    """Whether tiktoken compiles a regular expression and cuts every hard text by it as the pattern does.

    tiktoken does not show its pieces. Here every piece is a token, and so are two neighbours together: then other
    pieces are other ids, be they shorter or longer.
    """
    pieces = {text: [piece.encode() for piece in pattern.split(text)] for text in HARD_TEXTS}
    tokens = {bytes([byte]) for byte in range(256)}.union(*pieces.values())
    pairs = {a + b for cut in pieces.values() for a, b in itertools.pairwise(cut)} - tokens
    ordered = [*sorted(tokens, key=lambda token: (len(token), token)), *sorted(pairs)]
    ranks = {token: rank for rank, token in enumerate(ordered)}
    try:
        encoding = tiktoken.Encoding("split", pat_str=pattern.regex, mergeable_ranks=ranks, special_tokens={})
        return all(encoding.encode_ordinary(text) == [ranks[piece] for piece in cut] for text, cut in pieces.items())
    except ValueError:  # its regular expressions have not all that Python's have
        return False
