"""Slow, obvious twins of what the package computes fast: plain Python over bytes, dictionaries and lists.

A vocabulary is a dictionary from token to rank, a corpus a dictionary from pre-token to count. Splitting is
answered by two engines that share no code with the package: Hugging Face tokenizers (Oniguruma) and tiktoken
(fancy-regex).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import tiktoken
import tokenizers
from tokenizers import pre_tokenizers

from vocab.splitting import SplitPattern

METHODS = ("merges", "least-tokens", "longest-prefix")
SINGLE_BYTES = [bytes([b]) for b in range(256)]


# Splitting


def tokenizers_pieces(pattern: SplitPattern, text: str) -> list[str]:
    """Pre-tokens of `text` by Hugging Face tokenizers."""
    splitter = pre_tokenizers.Split(tokenizers.Regex(pattern.portable), "isolated")
    return [piece for piece, _ in splitter.pre_tokenize_str(text)]


def tiktoken_pieces(regex: str, text: str, expected: Sequence[str]) -> list[str]:
    """Pre-tokens of `text` by tiktoken, equal to `expected` only if these are its pre-tokens.

    tiktoken looks a whole pre-token up before it merges, so a vocabulary of all expected pieces shows its
    split. A longer pre-token of its own could still be merged into the expected pieces, were not each two
    neighbours together a token too: then these merge on, and show.
    """
    pieces = [piece.encode() for piece in expected]
    ranks = {byte: rank for rank, byte in enumerate(SINGLE_BYTES)}
    for piece in dict.fromkeys(pieces + [a + b for a, b in pairwise(pieces)]):
        ranks.setdefault(piece, len(ranks))
    encoding = tiktoken.Encoding("split", pat_str=regex, mergeable_ranks=ranks, special_tokens={})
    token_of = {rank: token for token, rank in ranks.items()}
    return [token_of[id_].decode(errors="replace") for id_ in encoding.encode_ordinary(text)]


def count(pattern: SplitPattern, texts: Iterable[str]) -> Counter[bytes]:
    """Pre-tokens of some documents, counted."""
    return Counter(piece.encode() for text in texts for piece in tokenizers_pieces(pattern, text))


# Inference


def ranks_of(tokens: Iterable[bytes]) -> dict[bytes, int]:
    return {token: rank for rank, token in enumerate(tokens)}


def encode_merges(ranks: Mapping[bytes, int], piece: bytes) -> list[bytes]:
    """The whole pre-token if it is a token; else merge the pair of lowest rank, leftmost first, and again."""
    if piece in ranks:
        return [piece]
    parts = [piece[i : i + 1] for i in range(len(piece))]
    while True:
        joined = [a + b for a, b in pairwise(parts)]
        pairs = [(ranks[pair], i) for i, pair in enumerate(joined) if pair in ranks]
        if not pairs:
            return parts
        _, i = min(pairs)
        parts[i : i + 2] = [parts[i] + parts[i + 1]]


def encode_least_tokens(ranks: Mapping[bytes, int], piece: bytes) -> list[bytes]:
    """Fewest tokens; starts are tried left to right, and only a strictly better way replaces a known one."""
    longest = max(map(len, ranks))
    best: list[list[bytes] | None] = [[]] + [None] * len(piece)
    for start in range(len(piece)):
        way = best[start]
        for end in range(start + 1, min(start + longest, len(piece)) + 1):
            so_far = best[end]
            if piece[start:end] in ranks and (so_far is None or len(way) + 1 < len(so_far)):
                best[end] = [*way, piece[start:end]]
    return best[len(piece)]


def encode_longest_prefix(ranks: Mapping[bytes, int], piece: bytes) -> list[bytes]:
    tokens = []
    while piece:
        token = next(piece[:end] for end in range(len(piece), 0, -1) if piece[:end] in ranks)
        tokens.append(token)
        piece = piece[len(token) :]
    return tokens


ENCODERS = {
    "merges": encode_merges,
    "least-tokens": encode_least_tokens,
    "longest-prefix": encode_longest_prefix,
}


def encode(method: str, ranks: Mapping[bytes, int], piece: bytes) -> list[int]:
    return [ranks[token] for token in ENCODERS[method](ranks, piece)]


# Prices


def total_tokens(method: str, ranks: Mapping[bytes, int], counts: Mapping[bytes, int]) -> int:
    """Tokens of a whole corpus."""
    return sum(count * len(ENCODERS[method](ranks, piece)) for piece, count in counts.items())


def price(method: str, ranks: Mapping[bytes, int], counts: Mapping[bytes, int], token: bytes) -> int:
    """Tokens that the corpus needs more when `token` is dropped: everything is encoded twice."""
    without = {other: rank for other, rank in ranks.items() if other != token}
    touched = {piece: count for piece, count in counts.items() if token in piece}
    return total_tokens(method, without, touched) - total_tokens(method, ranks, touched)


def gain(method: str, ranks: Mapping[bytes, int], counts: Mapping[bytes, int], token: bytes, rank: int):
    """Tokens that the corpus saves when the dropped `token` gets back its `rank`."""
    return price(method, {**ranks, token: rank}, counts, token)
