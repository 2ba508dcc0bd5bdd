"""`token_worth`: what each token of a vocabulary is used for in a corpus, and what it would cost to drop it."""

from __future__ import annotations

import numpy as np

from vocab.analysis.evaluation import Evaluator
from vocab.analysis.token_page.token_worth import TokenWorth
from vocab.corpus.counting import CorpusCounts
from vocab.encoding.encoder import LOOKS_AHEAD
from vocab.prune.methods.pricing import PriceBook
from vocab.threads import n_cores
from vocab.vocabulary import Vocabulary


def token_worth(vocabulary: Vocabulary, corpus: CorpusCounts, n_threads: int | None = None) -> TokenWorth:
    """Uses and prices of the tokens of a vocabulary in the training text of a corpus.

    Args:
        vocabulary: the vocabulary; none of its tokens is dropped.
        corpus: text counted by its split pattern.
        n_threads: threads to use; None for one a core.

    Returns:
        How often each token is used, and how many more tokens the text would be without it alone.

    Raises:
        SourceError: the vocabulary cannot encode every text.
    """
    n_threads, inference, trie = n_threads or n_cores(), vocabulary.inference, vocabulary.encoder.trie
    counted = corpus.without_added()
    evaluator = Evaluator(trie, counted, n_threads, keep_whole=inference in LOOKS_AHEAD)
    uses = evaluator.evaluate(np.ones(vocabulary.n_tokens, dtype=np.bool_), inference).uses
    return TokenWorth(uses, PriceBook(trie, counted.train, inference, n_threads).prices)
