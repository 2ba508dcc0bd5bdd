"""Uses of tokens, by hand."""

import numpy as np

from vocab.analysis.evaluation import Evaluator
from vocab.corpus.counting import CorpusCounts, CorpusPart
from vocab.pretokens.counts import PretokenCounts
from vocab.splitting import CL100K_REGEX, SplitPattern
from vocab.vocabulary import Vocabulary


def test_uses_count_training_text_and_a_token_is_used_where_any_text_needs_it():
    tokens = [bytes([byte]) for byte in range(256)] + [b"th", b"the", b" end", b"never"]
    vocabulary = Vocabulary.from_tokens(tokens, SplitPattern(CL100K_REGEX))
    train, held_out = (
        PretokenCounts.from_mapping(counts, vocabulary.pattern.sha256)
        for counts in ({b"the": 3, b"thx": 2}, {b" end": 7})
    )
    corpus = CorpusCounts((CorpusPart("text", train, held_out),))
    done = Evaluator(vocabulary.encoder.trie, corpus).evaluate(np.ones(len(tokens), dtype=np.bool_), "least-tokens")
    uses = {tokens[k]: n for k, n in enumerate(done.uses.tolist()) if n}
    assert uses == {b"the": 3, b"th": 2, b"x": 2}
    assert {tokens[k] for k in np.flatnonzero(done.is_used)} == {b"the", b"th", b"x", b" end"}
