"""Inference methods as kernels over a lattice, and the prices that follow from them.

Names as in Uzan et al. 2024, "Greed is All You Need", but for `ungreedy`, TokenMonster's name for its own. A token's id
is its merge rank. Tokens can be switched off (`alive`), which is how selection asks what a vocabulary would do without
one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from vocab.arrays import frozen
from vocab.encoding import tokenmonster_flags as shapes
from vocab.encoding.lattice import Edges

MERGES = 0  # byte-pair merges by rank, with tiktoken's look-up of the whole pre-token first
LEAST_TOKENS = 1  # shortest path; of equal ones, that whose last token is longest, and so on leftwards
LONGEST_PREFIX = 2  # greedy from the left
UNGREEDY = 3  # TokenMonster's: the longest token or one of two shorter ones, by what can follow it
SCORED_MERGES = 4  # SentencePiece's BPE: merges of characters by `order`, bytes for characters without a token
UNIGRAM = 5  # SentencePiece's other: the path of highest score, bytes for characters without a token

# Without reference counts of arrays (_nrt): the caller holds all of them, and counting took half of the time. Neither
# such a kernel nor any that it calls can allocate an array.
_KERNEL: dict[str, Any] = {"nogil": True, "cache": True, "_nrt": False}

# Above this many bytes merges go through a heap: O(n log n) instead of O(n²) for one huge pre-token.
_HEAP_BYTES = 200
_NONE = np.int32(2**31 - 1)
_UNSEEN, _UNKNOWN = np.int32(-2), np.int32(-1)


class Scratch(NamedTuple):
    """What one encoding writes, int32 and int64 with room for the bytes of the pre-token and 2 more.

    `path` holds the tokens; `tree`, with room for 6 times as many, every token of 2 bytes or more that came up on the
    way to them, some more than once; the others are the method's own.
    """

    path: npt.NDArray[np.int32]
    tree: npt.NDArray[np.int32]
    a: npt.NDArray[np.int32]
    b: npt.NDArray[np.int32]
    c: npt.NDArray[np.int32]
    d: npt.NDArray[np.int32]
    heap: npt.NDArray[np.int64]
    best: npt.NDArray[np.int64]


class Ledger(NamedTuple):
    """What each pre-token contributed to the prices, so that it can be taken back.

    The entries of pre-token w are at starts[w] … starts[w] + tree_sizes[w].
    """

    starts: npt.NDArray[np.int64]
    tree_tokens: npt.NDArray[np.int32]
    tree_prices: npt.NDArray[np.int32]
    tree_sizes: npt.NDArray[np.int32]
    sizes: npt.NDArray[np.int32]  # tokens of each pre-token
    signatures: npt.NDArray[np.uint64]  # every token its prices rest on, folded into 64 bits


def new_ledger(method: int, starts: npt.NDArray[np.int64]) -> Ledger:
    """An empty ledger for pre-tokens (starts int64[n + 1]) under a method.

    Memory: 8 bytes an entry, of which there may be one for each byte, or under ungreedy three: the longest token there
    and its two alternatives.
    """
    begins = starts * (3 if method == UNGREEDY else 1)
    n_entries, n_pretokens = int(begins[-1]), starts.size - 1
    return Ledger(
        starts=frozen(begins),
        tree_tokens=np.empty(n_entries, dtype=np.int32),
        tree_prices=np.empty(n_entries, dtype=np.int32),
        tree_sizes=np.zeros(n_pretokens, dtype=np.int32),
        sizes=np.zeros(n_pretokens, dtype=np.int32),
        signatures=np.zeros(n_pretokens, dtype=np.uint64),
    )


@njit(**_KERNEL)
def _edges(lattice):
    """What merging reads: calls for each merge that carried the whole lattice made dropping tokens a sixth slower."""
    return Edges(lattice.edge_starts, lattice.edge_tokens, lattice.edge_lengths)


@njit(**_KERNEL)
def _find(edges, alive, position, length):
    """The live token of `length` bytes at `position`, or _NONE."""
    for e in range(edges.edge_starts[position], edges.edge_starts[position + 1]):
        here = edges.edge_lengths[e]
        if here >= length:
            token = edges.edge_tokens[e]
            return token if here == length and alive[token] else _NONE
    return _NONE


@njit(nogil=True, cache=True)
def _scratch(starts, a, b):
    room = 2
    for w in range(a, b):
        room = max(room, starts[w + 1] - starts[w] + 2)
    return Scratch(
        np.empty(room, dtype=np.int32),
        np.empty(6 * room, dtype=np.int32),
        np.empty(room, dtype=np.int32),
        np.empty(room, dtype=np.int32),
        np.empty(room, dtype=np.int32),
        np.empty(room, dtype=np.int32),
        np.empty(3 * room if room > _HEAP_BYTES else 0, dtype=np.int64),
        np.empty(room, dtype=np.int64),
    )


@njit(**_KERNEL)
def _start_merging(edges, alive, first, n_bytes, scratch):
    """One part a byte, and the rank of each pair of neighbours."""
    path, starts, ranks = scratch.path, scratch.a, scratch.b
    for i in range(n_bytes):
        starts[i] = i
        path[i] = edges.edge_tokens[edges.edge_starts[first + i]]
        ranks[i] = _find(edges, alive, first + i, 2) if i + 1 < n_bytes else _NONE
    starts[n_bytes] = n_bytes


@njit(**_KERNEL)
def _best_pair(ranks, n):
    best = 0
    for i in range(1, n - 1):
        if ranks[i] < ranks[best]:
            best = i
    return best


@njit(**_KERNEL)
def _merge_pair(edges, alive, first, best, n, scratch):
    """Merge parts best and best + 1 of n into the token that their rank names; returns n - 1."""
    path, starts, ranks = scratch.path, scratch.a, scratch.b
    path[best] = ranks[best]
    n -= 1
    for i in range(best + 1, n):
        starts[i] = starts[i + 1]
        path[i] = path[i + 1]
        ranks[i] = ranks[i + 1]
    starts[n] = starts[n + 1]
    ranks[n - 1] = _NONE
    for i in range(max(best - 1, 0), min(best + 1, n - 1)):
        ranks[i] = _find(edges, alive, first + starts[i], starts[i + 2] - starts[i])
    return n


@njit(**_KERNEL)
def _merge_on(edges, alive, first, n, n_tree, scratch):
    """Merge n parts to the end by scanning all pairs each time: fastest for the short pre-tokens of real text."""
    while n > 1:
        best = _best_pair(scratch.b, n)
        token = scratch.b[best]
        if token == _NONE:
            break
        scratch.tree[n_tree] = token
        n_tree += 1
        n = _merge_pair(edges, alive, first, best, n, scratch)
    return n, n_tree


@njit(**_KERNEL)
def _push(heap, n, key):
    child = n
    while child > 0:
        parent = (child - 1) >> 1
        if heap[parent] <= key:
            break
        heap[child] = heap[parent]
        child = parent
    heap[child] = key
    return n + 1


@njit(**_KERNEL)
def _pop(heap, n):
    """Remove the smallest key, which heap[0] holds; returns the new size."""
    n -= 1
    key = heap[n]
    parent = 0
    while True:
        child = 2 * parent + 1
        if child >= n:
            break
        if child + 1 < n and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= key:
            break
        heap[parent] = heap[child]
        parent = child
    heap[parent] = key
    return n


@njit(**_KERNEL)
def _merge_long(edges, alive, first, n_bytes, scratch):
    """The same merges through a heap of rank << 32 | position; entries gone stale are skipped when popped.

    Parts are linked by their first bytes: `after` leads to the next part, `before` to the previous one.
    """
    path, tree, after, ranks = scratch.path, scratch.tree, scratch.a, scratch.b
    before, heap = scratch.c, scratch.heap
    n_heap = 0
    for i in range(n_bytes):
        after[i] = i + 1
        before[i + 1] = i
        path[i] = edges.edge_tokens[edges.edge_starts[first + i]]
        ranks[i] = _NONE
        if i + 1 < n_bytes:
            ranks[i] = _find(edges, alive, first + i, 2)
            if ranks[i] != _NONE:
                n_heap = _push(heap, n_heap, (np.int64(ranks[i]) << 32) | i)
    n_tree = 0
    while n_heap > 0:
        key = heap[0]
        n_heap = _pop(heap, n_heap)
        at = np.int32(key & 0xFFFFFFFF)
        token = np.int32(key >> 32)
        if ranks[at] != token:
            continue
        gone = after[at]
        path[at] = token
        path[gone] = -1
        ranks[gone] = _NONE
        after[at] = after[gone]
        before[after[at]] = at
        tree[n_tree] = token
        n_tree += 1
        for j in (at, before[at] if at > 0 else at):
            ranks[j] = _NONE
            if after[j] < n_bytes:
                ranks[j] = _find(edges, alive, first + j, after[after[j]] - j)
                if ranks[j] != _NONE:
                    n_heap = _push(heap, n_heap, (np.int64(ranks[j]) << 32) | j)
    n = 0
    for i in range(n_bytes):
        if path[i] >= 0:
            path[n] = path[i]
            n += 1
    return n, n_tree


@njit(**_KERNEL)
def _width(lead):
    """Bytes of the character that begins with this byte; 1 where none does."""
    if lead < 0xC0:
        return 1
    if lead < 0xE0:
        return 2
    return 3 if lead < 0xF0 else 4


@njit(**_KERNEL)
def _start_characters(lattice, alive, first, n_bytes, scratch):
    """One part a character, or a byte where the character has no live token; returns how many.

    scratch.b[i] is the token that parts i and i + 1 make together, or _NONE. A byte's part makes none with any other,
    because every token but a byte's is whole characters.
    """
    path, starts, pairs = scratch.path, scratch.a, scratch.b
    n = i = 0
    while i < n_bytes:
        width = min(_width(lattice.blob[first + i]), n_bytes - i)
        token = _find(_edges(lattice), alive, first + i, width)
        if token != _NONE:
            starts[n] = i
            path[n] = token
            n += 1
        else:
            for k in range(i, i + width):
                starts[n] = k
                path[n] = lattice.byte_tokens[lattice.blob[first + k]]
                n += 1
        i += width
    starts[n] = n_bytes
    for k in range(n - 1):
        pairs[k] = _find(_edges(lattice), alive, first + starts[k], starts[k + 2] - starts[k])
    pairs[n - 1] = _NONE
    return n


@njit(**_KERNEL)
def _note_characters(lattice, n, scratch):
    """Put the tokens of 2 bytes or more among n parts into scratch.tree; returns how many."""
    n_tree = 0
    for k in range(n):
        if lattice.lengths[scratch.path[k]] > 1:
            scratch.tree[n_tree] = scratch.path[k]
            n_tree += 1
    return n_tree


@njit(**_KERNEL)
def _best_scored_pair(lattice, pairs, n):
    """The pair of n parts whose token has the least order, further left of equal ones; -1 where no pair makes one."""
    best = -1
    least = _NONE
    for i in range(n - 1):
        if pairs[i] != _NONE and lattice.order[pairs[i]] < least:
            best = i
            least = lattice.order[pairs[i]]
    return best


@njit(**_KERNEL)
def _merge_scored_on(lattice, alive, first, n, n_tree, scratch):
    """As `_merge_on`, by `order`."""
    while n > 1:
        best = _best_scored_pair(lattice, scratch.b, n)
        if best < 0:
            break
        scratch.tree[n_tree] = scratch.b[best]
        n_tree += 1
        n = _merge_pair(_edges(lattice), alive, first, best, n, scratch)
    return n, n_tree


@njit(**_KERNEL)
def _merge_scored_long(lattice, alive, first, n_bytes, n, n_tree, scratch):
    """The same through a heap of order << 32 | position, as `_merge_long`: parts are linked by their first bytes."""
    path, tree, after, pairs = scratch.path, scratch.tree, scratch.a, scratch.b
    before, heap = scratch.c, scratch.heap
    # From the last part to the first, so that what is numbered by part is read before its place is written by byte.
    end = n_bytes
    for k in range(n - 1, -1, -1):
        start, token, pair = after[k], path[k], pairs[k]
        for i in range(start, end):
            path[i] = -1
            pairs[i] = _NONE
        path[start] = token
        pairs[start] = pair
        after[start] = end
        before[end] = start
        end = start
    n_heap = 0
    i = 0
    while i < n_bytes:
        if pairs[i] != _NONE:
            n_heap = _push(heap, n_heap, (np.int64(lattice.order[pairs[i]]) << 32) | i)
        i = after[i]
    while n_heap > 0:
        key = heap[0]
        n_heap = _pop(heap, n_heap)
        at = np.int32(key & 0xFFFFFFFF)
        token = pairs[at]
        if token == _NONE or lattice.order[token] != np.int32(key >> 32):
            continue
        gone = after[at]
        path[at] = token
        path[gone] = -1
        pairs[gone] = _NONE
        after[at] = after[gone]
        before[after[at]] = at
        tree[n_tree] = token
        n_tree += 1
        for j in (at, before[at] if at > 0 else at):
            pairs[j] = _NONE
            if after[j] < n_bytes:
                pairs[j] = _find(_edges(lattice), alive, first + j, after[after[j]] - j)
                if pairs[j] != _NONE:
                    n_heap = _push(heap, n_heap, (np.int64(lattice.order[pairs[j]]) << 32) | j)
    n = 0
    for i in range(n_bytes):
        if path[i] >= 0:
            path[n] = path[i]
            n += 1
    return n, n_tree


@njit(**_KERNEL)
def _scored_merges(lattice, alive, first, n_bytes, scratch):
    """SentencePiece's BPE (google/sentencepiece `bpe_model.cc`), whole pre-tokens not looked up.

    There a character without a piece can still be merged into one; here and in Hugging Face tokenizers it is bytes at
    once. Both are the same wherever each character of every piece is a piece too, which readers and writers check.
    """
    n = _start_characters(lattice, alive, first, n_bytes, scratch)
    n_tree = _note_characters(lattice, n, scratch)
    if n_bytes <= _HEAP_BYTES:
        return _merge_scored_on(lattice, alive, first, n, n_tree, scratch)
    return _merge_scored_long(lattice, alive, first, n_bytes, n, n_tree, scratch)


@njit(**_KERNEL)
def _find_unknown(lattice, alive, first, n_bytes, scratch):
    """Write to scratch.b[i] how many characters before byte i have no live token; returns how many tokens others have.

    Those of 2 bytes or more go to scratch.tree. Only places where characters begin are written, and the end.
    """
    n_tree = n_unknown = i = 0
    while i < n_bytes:
        width = min(_width(lattice.blob[first + i]), n_bytes - i)
        scratch.b[i] = n_unknown
        token = _find(_edges(lattice), alive, first + i, width)
        if token == _NONE:
            n_unknown += 1
        elif width > 1:
            scratch.tree[n_tree] = token
            n_tree += 1
        i += width
    scratch.b[n_bytes] = n_unknown
    return n_tree


@njit(**_KERNEL)
def _unigram(lattice, alive, first, n_bytes, scratch):
    """The path of highest summed score; only a strictly better way replaces one found from an earlier start.

    A character without a live token is bytes, and no token goes over it. sentencepiece would take one that does, but
    wherever each character of every piece is a piece too, which readers and writers check, there is none. Sums are
    whole numbers, so that they come to the same in whatever pieces a text is cut; `unigram` adds up as runtimes do.
    """
    best, last, unknown = scratch.best, scratch.a, scratch.b
    n_tree = _find_unknown(lattice, alive, first, n_bytes, scratch)
    for i in range(1, n_bytes + 1):
        last[i] = _UNSEEN
    best[0] = 0
    i = 0
    while i < n_bytes:
        width = min(_width(lattice.blob[first + i]), n_bytes - i)
        if unknown[i + width] > unknown[i]:
            best[i + width] = best[i]
            last[i + width] = _UNKNOWN
            i += width
            continue
        for e in range(lattice.edge_starts[first + i], lattice.edge_starts[first + i + 1]):
            token = lattice.edge_tokens[e]
            end = i + lattice.edge_lengths[e]
            if not alive[token] or unknown[end] > unknown[i]:
                continue
            score = best[i] + lattice.units[token]
            if last[end] == _UNSEEN or score > best[end]:
                best[end] = score
                last[end] = token
        i += width
    return _unigram_path(lattice, first, n_bytes, n_tree, scratch)


@njit(**_KERNEL)
def _unigram_path(lattice, first, n_bytes, n_tree, scratch):
    """Follow scratch.a back from the end; the tokens go to scratch.path, and after n_tree ones to scratch.tree."""
    path, last = scratch.path, scratch.a
    n, end = 0, n_bytes
    while end > 0:
        token = last[end]
        if token != _UNKNOWN:
            path[n] = token
            n += 1
            end -= lattice.lengths[token]
            if lattice.lengths[token] > 1:
                scratch.tree[n_tree] = token
                n_tree += 1
            continue
        start = end - 1
        while last[start] == _UNSEEN and start > 0:
            start -= 1
        for k in range(end - 1, start - 1, -1):
            path[n] = lattice.byte_tokens[lattice.blob[first + k]]
            n += 1
        end = start
    for k in range(n // 2):
        path[k], path[n - 1 - k] = path[n - 1 - k], path[k]
    return n, n_tree


@njit(**_KERNEL)
def _least_tokens(lattice, alive, first, n_bytes, scratch):
    """Dynamic programme over bytes; only a strictly better way replaces one found from an earlier start."""
    best, last = scratch.a, scratch.b
    for i in range(1, n_bytes + 1):
        best[i] = _NONE
    best[0] = 0
    for i in range(n_bytes):
        cost = best[i] + 1
        for e in range(lattice.edge_starts[first + i], lattice.edge_starts[first + i + 1]):
            end = i + lattice.edge_lengths[e]
            if cost < best[end] and alive[lattice.edge_tokens[e]]:
                best[end] = cost
                last[end] = lattice.edge_tokens[e]
    n = best[n_bytes]
    end = n_bytes
    for k in range(n - 1, -1, -1):
        scratch.path[k] = last[end]
        end -= lattice.lengths[last[end]]
    return n


@njit(**_KERNEL)
def _longest_prefix(lattice, alive, first, n_bytes, scratch):
    n = 0
    i = 0
    while i < n_bytes:
        e = lattice.edge_starts[first + i + 1] - 1
        while not alive[lattice.edge_tokens[e]]:
            e -= 1
        scratch.path[n] = lattice.edge_tokens[e]
        i += lattice.lengths[scratch.path[n]]
        n += 1
    return n


@njit(**_KERNEL)
def _longest(lattice, alive, position):
    """The longest live token at `position` that TokenMonster would have imported."""
    flags = lattice.shapes.flags
    e = lattice.edge_starts[position + 1] - 1
    while not alive[lattice.edge_tokens[e]] or flags[lattice.edge_tokens[e]] & shapes.IS_TOO_LONG:
        e -= 1
    return lattice.edge_tokens[e]


@njit(**_KERNEL)
def _alternatives(lattice, alive, position, token):
    """The two best live tokens to put in the place of the longest one, or _NONE: by where they cut it, then longest."""
    cuts = lattice.shapes.cuts
    begin = lattice.shapes.starts[token]
    one, two = _NONE, _NONE
    best = second = 0
    for e in range(lattice.edge_starts[position], lattice.edge_starts[position + 1]):
        shorter = lattice.edge_tokens[e]
        length = lattice.lengths[shorter]
        if length >= lattice.lengths[token]:
            break
        priority = cuts[begin + length] if alive[shorter] else 0
        if priority == 0:
            continue
        if priority >= best:
            two, second = one, best
            one, best = shorter, priority
        elif priority >= second:
            two, second = shorter, priority
    return one, two


@njit(**_KERNEL)
def _score(lattice, token, following, end, stop):
    """TokenMonster's score of two tokens in a row; the second ends at byte `end` of a text that ends at `stop`.

    One for each byte, each uniform token, each word begun but for the first of a token, and a space before and after
    the second; 100 for each word; less 103 where they meet within a word and 3 where the second ends within one.
    """
    flags = lattice.shapes.flags
    a, b = flags[token], flags[following]
    after = flags[lattice.edge_tokens[lattice.edge_starts[end]]] if end < stop else 0
    words_a, words_b = a >> shapes.WORDS_SHIFT, b >> shapes.WORDS_SHIFT
    score = lattice.lengths[token] + lattice.lengths[following]
    score += 1 if a & shapes.IS_UNIFORM else 0
    score += 1 if b & shapes.IS_UNIFORM else 0
    score += max(words_a - 1, 0) + max(words_b - 1, 0)
    score += 1 if b & shapes.BEGINS_WITH_SPACE else 0
    score += 1 if after & shapes.FIRST_IS_SPACE else 0
    score += 100 * (words_a + words_b)
    score += 100 if after & (shapes.FIRST_IS_SPACE | shapes.FIRST_IS_OTHER) else 0
    score -= 103 if a & shapes.ENDS_WITH_LETTER and b & shapes.BEGINS_WITH_LETTER else 0
    score -= 3 if b & shapes.ENDS_WITH_LETTER and after & shapes.FIRST_IS_LETTER else 0
    return score


@njit(**_KERNEL)
def _note(lattice, token, n_tree, scratch):
    """Add a token that came up to scratch.tree; returns how many it holds then."""
    if lattice.lengths[token] == 1:
        return n_tree
    scratch.tree[n_tree] = token
    return n_tree + 1


@njit(**_KERNEL)
def _ungreedy(lattice, alive, first, n_bytes, scratch):
    """TokenMonster's look-ahead, as it would cut a text that is this pre-token alone.

    Source: `tokenize` of alasdairforsythe/tokenmonster `go/tokenmonster.go` (ea8fd60) with capcode 0. At each place
    there are three branches: the longest token, and the two shorter ones that cut it at the best places (`shapes`),
    each with the longest token that can follow. The best `_score` wins, of equal ones the first; 100 are taken off a
    shorter token whose branch does not reach the end of the longest one, and 10,000 where it just reaches it. The
    longest token is taken unasked when it is one whole word with a space after it, or ends the text. What
    follows the winner is then the longest token of the next place.

    Left out are the three further branches, which need the forward delete token of capcode; what comes after the
    pre-token, which to TokenMonster is a text of its own; and kinds of bytes by majority of the vocabulary's tokens
    (a fixed table stands for them). All that comes up is put in scratch.tree, because without it the way may change.
    """
    flags, lengths = lattice.shapes.flags, lattice.lengths
    stop = first + n_bytes
    position = first
    token = _longest(lattice, alive, first)
    n, n_tree = 0, _note(lattice, token, 0, scratch)
    while True:
        end = position + lengths[token]
        if end == stop:
            scratch.path[n] = token
            return n + 1, n_tree
        chosen, following = token, _longest(lattice, alive, end)
        n_tree = _note(lattice, following, n_tree, scratch)
        after = flags[lattice.edge_tokens[lattice.edge_starts[end]]]
        if not (flags[token] & shapes.IS_PLAIN_WORD and after & shapes.FIRST_IS_SPACE):
            best = _score(lattice, token, following, end + lengths[following], stop)
            for shorter in _alternatives(lattice, alive, position, token):
                if shorter == _NONE:
                    break
                cut = position + lengths[shorter]
                other = _longest(lattice, alive, cut)
                reach = cut + lengths[other]
                n_tree = _note(lattice, shorter, n_tree, scratch)
                n_tree = _note(lattice, other, n_tree, scratch)
                score = _score(lattice, shorter, other, reach, stop)
                score -= 10_000 if reach == end else 100 if reach < end else 0
                if score > best:
                    best, chosen, following = score, shorter, other
        scratch.path[n] = chosen
        n += 1
        position += lengths[chosen]
        token = following


@njit(**_KERNEL)
def _encode(method, lattice, alive, w, scratch):
    """Encode pre-token w; returns how many tokens are in scratch.path and in scratch.tree.

    All single bytes must be alive.
    """
    edges = _edges(lattice)
    first = lattice.starts[w]
    n_bytes = lattice.starts[w + 1] - first
    if method == MERGES:
        whole = _find(edges, alive, first, n_bytes) if w < lattice.n_whole else _NONE
        if whole != _NONE:
            scratch.path[0] = whole
            scratch.tree[0] = whole
            return 1, 1 if n_bytes > 1 else 0
        if n_bytes <= _HEAP_BYTES:
            _start_merging(edges, alive, first, n_bytes, scratch)
            return _merge_on(edges, alive, first, n_bytes, 0, scratch)
        return _merge_long(edges, alive, first, n_bytes, scratch)
    if method == SCORED_MERGES:
        return _scored_merges(lattice, alive, first, n_bytes, scratch)
    if method == UNIGRAM:
        return _unigram(lattice, alive, first, n_bytes, scratch)
    if method == UNGREEDY:
        return _ungreedy(lattice, alive, first, n_bytes, scratch)
    if method == LEAST_TOKENS:
        n = _least_tokens(lattice, alive, first, n_bytes, scratch)
    else:
        n = _longest_prefix(lattice, alive, first, n_bytes, scratch)
    n_tree = 0
    for k in range(n):
        token = scratch.path[k]
        if lattice.lengths[token] > 1:
            scratch.tree[n_tree] = token
            n_tree += 1
    return n, n_tree


@njit(nogil=True, cache=True)
def encode_all(method, lattice, alive, a, b, ids, sizes):
    """Encode pre-tokens a … b: the tokens of w to ids[starts[w]:] (int32, a place a byte), how many to sizes[w]."""
    _encode_each(method, lattice, alive, a, b, ids, sizes, _scratch(lattice.starts, a, b))


@njit(**_KERNEL)
def _encode_each(method, lattice, alive, a, b, ids, sizes, scratch):
    for w in range(a, b):
        n, _ = _encode(method, lattice, alive, w, scratch)
        sizes[w] = n
        first = lattice.starts[w]
        for k in range(n):
            ids[first + k] = scratch.path[k]


@njit(**_KERNEL)
def _bit(token):
    return np.uint64(1) << np.uint64(token & 63)


@njit(**_KERNEL)
def _is_entered(ledger, first, n_priced, token):
    for k in range(first, first + n_priced):
        if ledger.tree_tokens[k] == token:
            return True
    return False


@njit(**_KERNEL)
def _enter(ledger, first, n_priced, token, price):
    """Add a token to the ledger of a pre-token, unless it is there; returns how many it holds then."""
    if _is_entered(ledger, first, n_priced, token):
        return n_priced
    ledger.tree_tokens[first + n_priced] = token
    ledger.tree_prices[first + n_priced] = price
    return n_priced + 1


@njit(**_KERNEL)
def _price_by_trial(method, lattice, alive, w, scratch, other, ledger):
    """Price each token of scratch.tree by encoding pre-token w once more without it: right for any method."""
    n, n_tree = _encode(method, lattice, alive, w, scratch)
    first = ledger.starts[w]
    signature = np.uint64(0)
    n_priced = 0
    for k in range(n_tree):
        token = scratch.tree[k]
        if _is_entered(ledger, first, n_priced, token):
            continue
        signature |= _bit(token)
        alive[token] = False
        without, n_other = _encode(method, lattice, alive, w, other)
        alive[token] = True
        for j in range(n_other):
            signature |= _bit(other.tree[j])
        n_priced = _enter(ledger, first, n_priced, token, without - n)
    ledger.tree_sizes[w] = n_priced
    ledger.signatures[w] = signature
    return n


@njit(**_KERNEL)
def _price_merges(lattice, alive, w, scratch, other, ledger):
    """The same for merges, quicker: without a token, all goes as before until the token would first be merged.

    Returns -1, having done nothing, where that does not apply.
    """
    edges = _edges(lattice)
    first = lattice.starts[w]
    n_bytes = lattice.starts[w + 1] - first
    is_token = w < lattice.n_whole and _find(edges, alive, first, n_bytes) != _NONE
    if is_token or n_bytes > _HEAP_BYTES:
        return -1
    _start_merging(edges, alive, first, n_bytes, scratch)
    begin = ledger.starts[w]
    signature = np.uint64(0)
    n = n_bytes
    n_priced = 0
    while n > 1:
        best = _best_pair(scratch.b, n)
        token = scratch.b[best]
        if token == _NONE:
            break
        signature |= _bit(token)
        n_before = n_priced
        n_priced = _enter(ledger, begin, n_priced, token, 0)
        if n_priced > n_before:
            for i in range(n):
                other.path[i] = scratch.path[i]
                other.a[i] = scratch.a[i]
                other.b[i] = scratch.b[i] if scratch.b[i] != token else _NONE
            other.a[n] = n_bytes
            alive[token] = False
            without, n_other = _merge_on(edges, alive, first, n, 0, other)
            alive[token] = True
            for j in range(n_other):
                signature |= _bit(other.tree[j])
            ledger.tree_prices[begin + n_before] = without
        n = _merge_pair(edges, alive, first, best, n, scratch)
    for k in range(begin, begin + n_priced):
        ledger.tree_prices[k] -= n
    ledger.tree_sizes[w] = n_priced
    ledger.signatures[w] = signature
    return n


@njit(**_KERNEL)
def _price_scored_merges(lattice, alive, w, scratch, other, ledger):
    """The same for scored merges: characters by trial, and from there as `_price_merges`."""
    first = lattice.starts[w]
    n_bytes = lattice.starts[w + 1] - first
    if n_bytes > _HEAP_BYTES:
        return -1
    n = _start_characters(lattice, alive, first, n_bytes, scratch)
    begin = ledger.starts[w]
    signature = np.uint64(0)
    n_priced = step = 0
    n_characters = n
    while True:  # first the characters one after the other, then, when step is n_characters, the merges
        best = -1
        if step < n_characters:
            token = scratch.path[step]
        else:
            best = _best_scored_pair(lattice, scratch.b, n)
            if best < 0:
                break
            token = scratch.b[best]
        if lattice.lengths[token] > 1:
            signature |= _bit(token)
            n_before = n_priced
            n_priced = _enter(ledger, begin, n_priced, token, 0)
            if n_priced > n_before:
                alive[token] = False
                if step < n_characters:
                    n_other = _start_characters(lattice, alive, first, n_bytes, other)
                else:
                    n_other = n
                    for i in range(n):
                        other.path[i] = scratch.path[i]
                        other.a[i] = scratch.a[i]
                        other.b[i] = scratch.b[i] if scratch.b[i] != token else _NONE
                    other.a[n] = n_bytes
                without, n_tree = _merge_scored_on(lattice, alive, first, n_other, 0, other)
                alive[token] = True
                for j in range(n_tree):
                    signature |= _bit(other.tree[j])
                ledger.tree_prices[begin + n_before] = without
        if step >= n_characters:
            n = _merge_pair(_edges(lattice), alive, first, best, n, scratch)
        else:
            step += 1
    for k in range(begin, begin + n_priced):
        ledger.tree_prices[k] -= n
    ledger.tree_sizes[w] = n_priced
    ledger.signatures[w] = signature
    return n


@njit(**_KERNEL)
def _tokens_to_end(lattice, alive, first, n_bytes, least, token_at):
    """Fewest tokens from each byte to the end of the pre-token, and the first token of such a way."""
    least[n_bytes] = 0
    for i in range(n_bytes - 1, -1, -1):
        least[i] = _NONE
        for e in range(lattice.edge_starts[first + i], lattice.edge_starts[first + i + 1]):
            cost = least[i + lattice.edge_lengths[e]] + 1
            if cost < least[i] and alive[lattice.edge_tokens[e]]:
                least[i] = cost
                token_at[i] = lattice.edge_tokens[e]


@njit(**_KERNEL)
def _detours(lattice, alive, first, n_bytes, n, path_bits, scratch, other):
    """For each token on the path, the cheapest way that avoids its place; returns whether a token is in two places.

    Every way covers the first byte of path token k with exactly one edge, so the best way without that place is the
    least of (tokens before the edge) + 1 + (tokens after it) over the other edges that cover that byte.
    scratch.c[k] is its cost; it goes through token scratch.d[k] at byte other.tree[k]. other.path[k] is where path
    token k begins.
    """
    before, after = scratch.a, other.a
    begins, cost, through, at = other.path, scratch.c, scratch.d, other.tree
    i = 0
    for k in range(n):
        begins[k] = i
        cost[k] = _NONE
        i += lattice.lengths[scratch.path[k]]
    repeats = False
    from_k = 0
    for i in range(n_bytes):
        while from_k < n and begins[from_k] < i:
            from_k += 1
        for e in range(lattice.edge_starts[first + i], lattice.edge_starts[first + i + 1]):
            token = lattice.edge_tokens[e]
            if not alive[token]:
                continue
            end = i + lattice.edge_lengths[e]
            way = before[i] + 1 + after[end]
            if path_bits & _bit(token) != 0 and lattice.lengths[token] > 1:
                for k in range(n):
                    repeats = repeats or (scratch.path[k] == token and begins[k] != i)
            for k in range(from_k, n):
                if begins[k] >= end:
                    break
                if way < cost[k] and not (begins[k] == i and scratch.path[k] == token):
                    cost[k] = way
                    through[k] = token
                    at[k] = i
    return repeats


@njit(**_KERNEL)
def _price_least_tokens(lattice, alive, w, scratch, other, ledger):
    """The same for least-tokens from two passes over the lattice, one in each direction."""
    first = lattice.starts[w]
    n_bytes = lattice.starts[w + 1] - first
    n = _least_tokens(lattice, alive, first, n_bytes, scratch)
    _tokens_to_end(lattice, alive, first, n_bytes, other.a, other.b)
    signature = np.uint64(0)
    for k in range(n):
        signature |= _bit(scratch.path[k])
    if _detours(lattice, alive, first, n_bytes, n, signature, scratch, other):
        return _price_by_trial(LEAST_TOKENS, lattice, alive, w, scratch, other, ledger)
    n_priced = 0
    for k in range(n):
        if lattice.lengths[scratch.path[k]] == 1:
            continue
        n_priced = _enter(ledger, ledger.starts[w], n_priced, scratch.path[k], scratch.c[k] - n)
        signature |= _bit(scratch.d[k])
        i = other.tree[k]
        end = i + lattice.lengths[scratch.d[k]]
        while i > 0:
            signature |= _bit(scratch.b[i])
            i -= lattice.lengths[scratch.b[i]]
        while end < n_bytes:
            signature |= _bit(other.b[end])
            end += lattice.lengths[other.b[end]]
    ledger.tree_sizes[w] = n_priced
    ledger.signatures[w] = signature
    return n


@njit(nogil=True, cache=True)
def price_pretokens(method, lattice, alive, counts, pending, a, b, ledger, prices):
    """Price again every pre-token a … b marked in `pending`, and clear its mark; returns the change in tokens.

    The price of a token in a pre-token is how many more tokens the pre-token needs without it (`alive` is put back
    as it was). What the pre-token gave to `prices` last time is taken back first. Its signature gathers every token
    that the encodings with and without used: as long as none of them is dropped, its prices stand.
    """
    scratch, other = _scratch(lattice.starts, a, b), _scratch(lattice.starts, a, b)
    return _price_each(method, lattice, alive, counts, pending, a, b, ledger, prices, scratch, other)


@njit(**_KERNEL)
def _price_each(method, lattice, alive, counts, pending, a, b, ledger, prices, scratch, other):
    change = np.int64(0)
    for w in range(a, b):
        if not pending[w]:
            continue
        pending[w] = False
        first = ledger.starts[w]
        for k in range(first, first + ledger.tree_sizes[w]):
            prices[ledger.tree_tokens[k]] -= counts[w] * ledger.tree_prices[k]
        if method == MERGES or method == SCORED_MERGES:
            if method == MERGES:
                n = _price_merges(lattice, alive, w, scratch, other, ledger)
            else:
                n = _price_scored_merges(lattice, alive, w, scratch, other, ledger)
            if n < 0:
                n = _price_by_trial(method, lattice, alive, w, scratch, other, ledger)
        elif method == LEAST_TOKENS:
            n = _price_least_tokens(lattice, alive, w, scratch, other, ledger)
        else:
            n = _price_by_trial(method, lattice, alive, w, scratch, other, ledger)
        change += counts[w] * (n - ledger.sizes[w])
        ledger.sizes[w] = n
        for k in range(first, first + ledger.tree_sizes[w]):
            prices[ledger.tree_tokens[k]] += counts[w] * ledger.tree_prices[k]
    return change


@njit(**_KERNEL)
def mark_affected(lattice, dropped, revived, signatures, a, b, pending):
    """Mark the pre-tokens whose prices a change of the vocabulary may touch (dropped, revived: bool a token)."""
    for w in range(a, b):
        signature = signatures[w]
        for e in range(lattice.edge_starts[lattice.starts[w]], lattice.edge_starts[lattice.starts[w + 1]]):
            token = lattice.edge_tokens[e]
            if revived[token] or (dropped[token] and signature & _bit(token) != 0):
                pending[w] = True
                break


@njit(**_KERNEL)
def _gains_least_tokens(lattice, alive, counts, sizes, candidates, a, b, gains, seen, once, scratch, other, trial):
    """The same for least-tokens: a token in one place saves what the best way through that place does.

    Only where it is in several places of a pre-token, that is encoded again. `seen` (the last pre-token that held each
    token, -1 at first) and `once` (what its first place saves, -1 when all are accounted for) are room to work in.
    """
    before, after = scratch.a, other.a
    for w in range(a, b):
        if sizes[w] == 1:
            continue
        first = lattice.starts[w]
        n_bytes = lattice.starts[w + 1] - first
        _least_tokens(lattice, alive, first, n_bytes, scratch)
        _tokens_to_end(lattice, alive, first, n_bytes, after, other.b)
        for i in range(n_bytes):
            for e in range(lattice.edge_starts[first + i], lattice.edge_starts[first + i + 1]):
                token = lattice.edge_tokens[e]
                if not candidates[token]:
                    continue
                if seen[token] != w:
                    seen[token] = w
                    once[token] = max(0, sizes[w] - (before[i] + 1 + after[i + lattice.edge_lengths[e]]))
                    gains[token] += counts[w] * once[token]
                elif once[token] >= 0:
                    alive[token] = True
                    n = _least_tokens(lattice, alive, first, n_bytes, trial)
                    alive[token] = False
                    gains[token] += counts[w] * (sizes[w] - n - once[token])
                    once[token] = -1


@njit(nogil=True, cache=True)
def revival_gains(method, lattice, alive, counts, sizes, candidates, a, b, gains):
    """Add to `gains` (int64) the tokens saved by switching each candidate (bool a token, not alive) on alone."""
    scratch = _scratch(lattice.starts, a, b)
    seen = np.full(alive.size, -1, dtype=np.int64)
    if method == LEAST_TOKENS:
        once = np.zeros(alive.size, dtype=np.int32)
        other, trial = _scratch(lattice.starts, a, b), _scratch(lattice.starts, a, b)
        _gains_least_tokens(lattice, alive, counts, sizes, candidates, a, b, gains, seen, once, scratch, other, trial)
        return
    for w in range(a, b):
        # One token cannot be fewer; but a revived one can break up a segment, which is never looked up whole.
        goes_by_score = method == SCORED_MERGES or method == UNIGRAM
        if sizes[w] == 1 and not goes_by_score and (method != MERGES or w < lattice.n_whole):
            continue
        for e in range(lattice.edge_starts[lattice.starts[w]], lattice.edge_starts[lattice.starts[w + 1]]):
            token = lattice.edge_tokens[e]
            if not candidates[token] or seen[token] == w:
                continue
            seen[token] = w
            alive[token] = True
            n, _ = _encode(method, lattice, alive, w, scratch)
            alive[token] = False
            gains[token] += counts[w] * (sizes[w] - n)


@njit(nogil=True, cache=True)
def spell_tokens(method, lattice, alive, ids, sizes):
    """Encode each token with itself switched off, where pre-token w of the lattice is token w, as `encode_all` does.

    Under merges the last merge is undone, so a token that merges alone produce is spelt by its two parents.
    """
    scratch = _scratch(lattice.starts, 0, sizes.size)
    for w in range(sizes.size):
        alive[w] = lattice.lengths[w] == 1
        n, _ = _encode(method, lattice, alive, w, scratch)
        alive[w] = True
        sizes[w] = n
        first = lattice.starts[w]
        for k in range(n):
            ids[first + k] = scratch.path[k]


@njit(**_KERNEL)
def count_uses(starts, ids, sizes, counts, uses):
    """Add to `uses` (int64 a token) how often each token occurs, from what `encode_all` wrote and the counts."""
    for w in range(sizes.size):
        for k in range(starts[w], starts[w] + sizes[w]):
            uses[ids[k]] += counts[w]


@njit(nogil=True, cache=True)
def tally(method, lattice, alive, counts, a, b, uses):
    """Encode pre-tokens a … b whose count is not 0: adds to `uses` (int64 a token), returns how many tokens in all."""
    scratch = _scratch(lattice.starts, a, b)
    total = np.int64(0)
    for w in range(a, b):
        if counts[w] == 0:
            continue
        n, _ = _encode(method, lattice, alive, w, scratch)
        total += counts[w] * n
        for k in range(n):
            uses[scratch.path[k]] += counts[w]
    return total
