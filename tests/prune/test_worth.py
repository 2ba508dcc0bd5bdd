"""Uses and prices of tokens, against encoding the text again without each."""

from collections import Counter

import pytest

from vocab.corpus.counting import CorpusCounts, count_documents, is_held_out
from vocab.hard_texts import SCRIPTS
from vocab.prune import token_worth
from vocab.vocabulary import Vocabulary


@pytest.mark.parametrize("inference", ["merges", "least-tokens"])
def test_worth_is_what_encoding_again_says(cl100k, inference):
    vocabulary = Vocabulary.from_tokens(list(cl100k.tokens())[:400], cl100k.pattern, inference=inference)
    texts = [f"{SCRIPTS['latin']} the cat and the other hat {k}" for k in range(9)]
    trained = [text for text in texts if not is_held_out(text.encode())]
    part = count_documents(texts, "texts", vocabulary.pattern)
    worth = token_worth(vocabulary, CorpusCounts((part,)))
    uses = Counter(id_ for text in trained for id_ in vocabulary.encode(text))
    assert worth.uses.tolist() == [uses[rank] for rank in range(400)]
    for dropped in [rank for rank in uses if rank >= 256]:
        tokens = [token for rank, token in enumerate(vocabulary.tokens()) if rank != dropped]
        fewer = Vocabulary.from_tokens(tokens, vocabulary.pattern, inference=inference)
        assert worth.prices[dropped] == sum(fewer.count_tokens(text) for text in trained) - uses.total()
    assert any(price > 0 for price in worth.prices)
