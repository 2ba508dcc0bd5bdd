"""N-gram models equal a slow twin written from the definition, and their probabilities add up to 1."""

import math
import random
from collections import Counter, defaultdict

import numpy as np
import pytest

from vocab.errors import StudyError
from vocab.experiments.ngram.kneser_ney import NgramModel, discounts

START, END = "start", "end"


class SlowModel:
    """The same with dictionaries of tuples."""

    def __init__(self, documents, n_tokens, order):
        self.order, self.n_words = order, n_tokens + 1
        raw, lefts = Counter(), defaultdict(set)
        for document in documents:
            text = [START, *document, END]
            for i in range(1, len(text)):
                for k in range(1, order + 1):
                    if i - k + 1 >= 0:
                        gram = tuple(text[i - k + 1 : i + 1])
                        raw[gram] += 1
                        if i - k >= 0:
                            lefts[gram].add(text[i - k])
        is_raw = {gram: len(gram) == order or gram[0] == START for gram in raw}
        self.counts = {gram: n if is_raw[gram] else len(lefts[gram]) for gram, n in raw.items() if gram != (START,)}
        self.followers = defaultdict(list)
        for gram, count in self.counts.items():
            self.followers[gram[:-1]].append(count)
        of = [Counter(c for g, c in self.counts.items() if len(g) == k) for k in range(1, order + 1)]
        self.discounts = [discounts([n[c] for c in (1, 2, 3, 4)]) for n in of]

    def probability(self, token, context):
        p = 1 / self.n_words
        for k in range(min(len(context) + 1, self.order)):
            shorter = tuple(context[len(context) - k :])
            counts = self.followers.get(shorter)
            if counts:
                d = self.discounts[k]
                count = self.counts.get((*shorter, token), 0)
                p = (count - d[min(count, 3)] + sum(d[min(c, 3)] for c in counts) * p) / sum(counts)
        return p

    def bits(self, document):
        text = [START, *document, END]
        return -sum(math.log2(self.probability(text[i], text[:i])) for i in range(1, len(text)))


def documents_of(rng, n, n_tokens):
    return [[min(int(rng.expovariate(0.6)), n_tokens - 1) for _ in range(rng.randint(0, 12))] for _ in range(n)]


def flat(documents):
    starts = np.concatenate([[0], np.cumsum([len(d) for d in documents])]).astype(np.int64)
    return np.array([t for d in documents for t in d], dtype=np.int32), starts


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("n", [1, 3, 80])
def test_bits_equal_those_of_a_slow_twin(order, n):
    rng = random.Random(order * 100 + n)
    train, held_out = documents_of(rng, n, 8), documents_of(rng, 20, 8)
    found = NgramModel(*flat(train), 8, 8, order).bits(*flat(held_out))
    slow = SlowModel(train, 8, order)
    assert found == pytest.approx([slow.bits(d) for d in held_out], rel=1e-9)


@pytest.mark.parametrize("order", [2, 5])
def test_probabilities_of_what_may_follow_add_up_to_one(order):
    rng = random.Random(order)
    slow = SlowModel(documents_of(rng, 60, 6), 6, order)
    for context in documents_of(rng, 20, 6):
        assert sum(slow.probability(w, [START, *context]) for w in [*range(6), END]) == pytest.approx(1)


def test_discounts_are_those_of_chen_and_goodman():
    # Of 40, 10, 6 and 4 n-grams: ratio 40 / 60.
    assert discounts([40, 10, 6, 4]) == pytest.approx(
        [0, 1 - 2 * 2 / 3 / 4, 2 - 3 * 2 / 3 * 0.6, 3 - 4 * 2 / 3 * 4 / 6]
    )
    assert discounts([5, 0, 0, 0]) == [0, 0.5, 1, 1.5]


def test_no_document_is_refused():
    with pytest.raises(StudyError, match="at least one document"):
        NgramModel(np.zeros(0, dtype=np.int32), np.zeros(1, dtype=np.int64), 4, 4, 3)
