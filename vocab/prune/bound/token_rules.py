"""What SentencePiece's inference methods go by, as candidates.txt of a certificate has it behind a kept token.

Under unigram it is the score as a whole number. Under scored-merges it is the place in the order of merging: one for
the token, or `n:place` for each merge of its first n bytes with the rest.
"""

from __future__ import annotations

from itertools import islice

import numpy as np

from vocab.encoding.merging_kernels import NONE
from vocab.prune.check_certificate import RULED_METHODS
from vocab.vocabulary import Vocabulary


def token_rules(vocabulary: Vocabulary) -> dict[bytes, str]:
    """The rule of each token that has one, by its bytes; none where ranks or longest tokens say all."""
    if vocabulary.inference not in RULED_METHODS:
        return {}
    if vocabulary.pair_order is not None:
        return _pair_rules(vocabulary)
    trie = vocabulary.encoder.trie
    values = trie.units if vocabulary.inference == "unigram" else trie.order
    rules = zip(vocabulary.tokens(), map(str, values.tolist()), strict=True)
    return dict(islice(rules, vocabulary.n_stand_ins, None))


def _pair_rules(vocabulary: Vocabulary) -> dict[bytes, str]:
    order = vocabulary.pair_order
    assert order is not None
    places = np.flatnonzero(order != NONE)
    ranks = np.searchsorted(vocabulary.starts, places, side="right") - 1
    tokens = list(vocabulary.tokens())
    rules: dict[bytes, list[str]] = {}
    for rank, n_left, place in zip(
        ranks.tolist(), (places - vocabulary.starts[ranks]).tolist(), order[places].tolist(), strict=True
    ):
        rules.setdefault(tokens[rank], []).append(f"{n_left}:{place}")
    return {token: ",".join(pairs) for token, pairs in rules.items()}
