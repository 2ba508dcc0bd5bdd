"""Problems of the lower bound: a random corpus with tokens, and the objective of some tokens and counts."""

import random

import numpy as np

from helpers.oracles import SINGLE_BYTES
from helpers.price_books import PATTERN, trie_of
from vocab.pretokens.counts import PretokenCounts
from vocab.prune.bound.objective import Objective


def a_corpus(seed: int) -> tuple[list[bytes], dict[bytes, int]]:
    rng = random.Random(seed)
    tokens = sorted({bytes(rng.choices(b"abcd ", k=rng.randint(2, 6))) for _ in range(400)}) + SINGLE_BYTES
    counts = {bytes(rng.choices(b"abcd ", k=rng.randint(1, 20))): int(rng.paretovariate(0.8)) for _ in range(1500)}
    return tokens, counts


def objective_of(tokens, counts, n_others, always=(), n_threads=1) -> Objective:
    protected = np.array([len(token) == 1 or token in always for token in tokens])
    table = PretokenCounts.from_mapping(counts, PATTERN)
    return Objective.build(trie_of(tokens), table, protected, int(protected.sum()) + n_others, n_threads)
