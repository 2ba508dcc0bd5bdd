"""Kernels of n-gram models: counting, sums by context, and probabilities.

The n-grams of a length k are in a table with open addresses: a key is the slot of the first k - 1 tokens in the table
of k - 1, times a factor above every token, plus the last token. So each n-gram is found from its beginning with one
look-up, and a slot is its number.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

import numpy as np

from vocab.compilation.kernels import helper, kernel

_EMPTY = -1


@helper
def _slot(keys, key):
    """The slot of a key, or the empty one where it would go, as -1 - slot."""
    mask = np.uint64(keys.size - 1)
    at = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    at = (at ^ (at >> np.uint64(29))) & mask
    while True:
        held = keys[at]
        if held == key:
            return np.int64(at)
        if held == _EMPTY:
            return -1 - np.int64(at)
        at = (at + np.uint64(1)) & mask


@helper
def _key(token, k, context, factor):
    """The key of a token after a context of `k` tokens, given its slot."""
    return np.int64(token) if k == 0 else context * factor + token


@kernel
def count_ngrams(tokens, start, factor, keys, counts, before, is_new):
    """Count the n-grams of all lengths up to the order.

    tokens:          int32[n], each document after a `start`.
    keys:            int64[order, n_slots] of -1, a power of two of slots, above the number of n-grams of a length.
    counts:          int32[order, n_slots] of 0. Afterwards, of the longest n-grams and of those at the start of a
                     document, how often they occur; of others, how many different tokens stand before them. 0 for
                     `start` itself.
    before, is_new:  int64[order] and bool[order] to work in.
    """
    order, n_before = keys.shape[0], 0
    for token in tokens:
        longest = 1 if token == start else min(n_before + 1, order)
        for k in range(longest - 1, -1, -1):
            key = _key(token, k, before[k - 1], factor)
            slot = _slot(keys[k], key)
            is_new[k] = slot < 0
            if slot < 0:
                slot = -1 - slot
                keys[k, slot] = key
            before[k] = slot
        n_before = longest
        if token == start:
            continue
        counts[longest - 1, before[longest - 1]] += 1
        for k in range(longest - 1):
            if is_new[k + 1]:
                counts[k, before[k]] += 1


@kernel
def count_counts(counts, n_of):
    """Of each length, how many n-grams have the counts 1 to 4: int64[order, 4] of 0."""
    for k in range(counts.shape[0]):
        for count in counts[k]:
            if 0 < count <= 4:
                n_of[k, count - 1] += 1


@kernel
def sum_contexts(keys, counts, factor, sums):
    """Of each context, the sum of its followers' counts, and how many have the counts 1, 2, and 3 or more.

    sums:  int32[order, n_slots, 4] of 0. Row k is of contexts of k tokens; the one of none is in slot 0.
    """
    for k in range(counts.shape[0]):
        for slot in range(counts.shape[1]):
            count = counts[k, slot]
            if count > 0:
                context = 0 if k == 0 else keys[k, slot] // factor
                sums[k, context, 0] += count
                sums[k, context, min(count, 3)] += 1


@kernel
def add_bits(tokens, documents, start, factor, keys, counts, sums, discounts, n_words, before, bits):
    """Add what each token costs, in bits, to its document.

    tokens:     int32[n], each document after a `start`.
    documents:  int32[n], the document of each token.
    discounts:  float64[order, 4]: what is taken off a count of 0 (nothing), 1, 2, and 3 or more.
    n_words:    tokens among which one follows: the vocabulary and the end of a document.
    before:     int64[order + 1] to work in. before[k] is the slot of the last k tokens, -1 where none is.
    bits:       float64[n_documents] of 0.
    """
    order, n_before = keys.shape[0], 0
    before[0] = 0
    for i in range(tokens.size):
        token = tokens[i]
        longest = 1 if token == start else min(n_before + 1, order)
        probability = 1.0 / n_words
        for k in range(longest):
            # From short to long, each from the context that one token less has left; so contexts are read first.
            total = sums[k, before[k], 0] if before[k] >= 0 else 0
            if total > 0:
                probability = _refined(probability, token, k, factor, keys, counts, sums, discounts, before[k])
        if token != start:
            bits[documents[i]] -= np.log2(probability)
        for k in range(longest, 0, -1):
            slot = -1 if before[k - 1] < 0 else _slot(keys[k - 1], _key(token, k - 1, before[k - 1], factor))
            before[k] = max(slot, -1)
        n_before = longest


@helper
def _refined(probability, token, k, factor, keys, counts, sums, discounts, context):
    """The probability of a token after a context of `k` tokens, from that after the last k - 1 of them."""
    slot = _slot(keys[k], _key(token, k, context, factor))
    count = counts[k, slot] if slot >= 0 else 0
    rest = 0.0
    for j in range(1, 4):
        rest += discounts[k, j] * sums[k, context, j]
    return (count - discounts[k, min(count, 3)] + rest * probability) / sums[k, context, 0]
