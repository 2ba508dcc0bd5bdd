"""Price books of lists of tokens, and their prices beside those of an oracle."""

from itertools import accumulate

import numpy as np

from helpers import oracles
from vocab.encoding.lattice import TokenTrie
from vocab.pretokens.counts import PretokenCounts
from vocab.prune.methods.pricing import PriceBook

PATTERN = "digest of a pattern"


def trie_of(tokens: list[bytes]) -> TokenTrie:
    starts = np.array([0, *accumulate(map(len, tokens))], dtype=np.int64)
    return TokenTrie.build(np.frombuffer(b"".join(tokens), dtype=np.uint8), starts)


def book_of(tokens, counts: dict[bytes, int], method: str, n_threads: int = 1) -> PriceBook:
    return PriceBook(trie_of(tokens), PretokenCounts.from_mapping(counts, PATTERN), method, n_threads)


def kept_ranks(book: PriceBook, tokens: list[bytes]) -> dict[bytes, int]:
    return {tokens[k]: k for k in np.flatnonzero(book.kept).tolist()}


def check_prices(book: PriceBook, tokens: list[bytes], counts: dict[bytes, int], method: str) -> None:
    """The total, and the price of each token: nothing for single bytes and dropped ones."""
    ranks = kept_ranks(book, tokens)
    priced = {token for token in ranks if len(token) > 1}
    expected = [oracles.price(method, ranks, counts, token) if token in priced else 0 for token in tokens]
    assert book.total_tokens == oracles.total_tokens(method, ranks, counts)
    assert book.prices.tolist() == expected
    assert book.n_kept == len(ranks)
