"""What tests of SentencePiece's models share: pieces by their scores, ids of parts, and prices beside an oracle."""

import random
from collections.abc import Callable, Mapping

import numpy as np

from vocab.choices import InferenceMethod
from vocab.pretokens.counts import PretokenCounts
from vocab.prune.methods.pricing import PriceBook
from vocab.vocabulary import Vocabulary


def scores_of(vocabulary: Vocabulary) -> dict[str, float]:
    """Scores of the pieces that are not bytes."""
    texts = [token.decode() for token in list(vocabulary.tokens())[256:]]
    return dict(zip(texts, vocabulary.scores[256:].tolist(), strict=True))


def as_ids(vocabulary: Vocabulary, parts: list[str | int]) -> list[int]:
    """Ids of pieces by text and of bytes by value."""
    ids = {token.decode(): k for k, token in list(enumerate(vocabulary.tokens(), 3))[256:]}
    return [3 + part if isinstance(part, int) else ids[part] for part in parts]


def check_prices_and_gains(
    vocabulary: Vocabulary,
    counts: dict[str, int],
    inference: InferenceMethod,
    total: Callable[[Mapping[str, float], Mapping[str, int]], int],
) -> None:
    """Drop some pieces one after another; prices and gains must be what `total` tokens of an oracle say."""
    scores = scores_of(vocabulary)
    table = PretokenCounts.from_mapping({text.encode(): n for text, n in counts.items()}, vocabulary.pattern.sha256)
    book = PriceBook(vocabulary.encoder.trie, table, inference, 2)
    assert book.total_tokens == total(scores, counts)
    order = [k for k in range(256, vocabulary.n_tokens) if vocabulary.lengths[k] > 1]
    random.Random(5).shuffle(order)
    kept = dict(scores)
    for rank in order[:6]:
        for other in order:
            text = vocabulary[other + 3].decode()
            without = {piece: score for piece, score in kept.items() if piece != text}
            expected = total(without, counts) - book.total_tokens if text in kept else 0
            assert book.prices[other] == expected
        kept.pop(vocabulary[rank + 3].decode())
        book.change(drop=np.array([rank]))
        assert book.total_tokens == total(kept, counts)
        gains = book.gains(~book.kept)
        for other in np.flatnonzero(~book.kept).tolist():
            text = vocabulary[other + 3].decode()
            more = total({**kept, text: scores[text]}, counts)
            assert gains[other] == book.total_tokens - more
