"""Kernels of Unigram over whole texts, in the floating-point sums of the runtimes; see `unigram`."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

import numpy as np

from vocab.compilation.kernels import helper, kernel
from vocab.encoding.character_kernels import width_of
from vocab.encoding.lattice_kernels import child_of, lead, token_of

_UNSEEN, _UNKNOWN = -2, -1
# Sums beyond this begin at 0 again in sentencepiece since 0.2.2 (`kScoreResetThreshold`).
_START_OVER = 100_000.0


@helper
def _offer(best, last, reach, at, score, token, in_single):
    """Take a way to place `at` unless one that is as good is known; returns how far ways reach then."""
    for k in range(reach + 1, at + 1):
        last[k] = _UNSEEN
    score = np.float64(np.float32(score)) if in_single else score
    if last[at] == _UNSEEN or score > best[at]:
        best[at] = score
        last[at] = token
    return max(reach, at)


@helper
def _start_over(best, last, at, reach):
    """Let sums begin at 0 again at place `at`, as sentencepiece does when they are large."""
    offset = best[at]
    for k in range(at, reach + 1):
        if k == at or last[k] != _UNSEEN:
            best[k] = np.float64(np.float32(best[k] - offset))


@helper
def _write_path(text, begin, end, last, lengths, stand_in, ids, n):
    """Put the path from byte `begin` to byte `end` after n ids; returns how many there are then.

    Without a `stand_in` (-1) an unknown character is its bytes, with one a run of them is that.
    """
    first, at = n, end
    while at > begin:
        token = last[at - begin]
        if token != _UNKNOWN:
            ids[n] = token
            n += 1
            at -= lengths[token]
            continue
        start = at - 1
        while text[start] & 0xC0 == 0x80:
            start -= 1
        if stand_in >= 0:
            ids[n] = stand_in
            n += 1
            at = start
            continue
        for k in range(at - 1, start - 1, -1):
            ids[n] = text[k]
            n += 1
        at = start
    for k in range((n - first) // 2):
        ids[first + k], ids[n - 1 - k] = ids[n - 1 - k], ids[first + k]
    return n if stand_in < 0 else _fused(ids, first, n, stand_in)


@helper
def _fused(ids, first, n, stand_in):
    """Leave out each of ids[first:n] that is the stand-in after another; returns how many are left in all."""
    kept = first
    for k in range(first, n):
        if ids[k] != stand_in or kept == 0 or ids[kept - 1] != stand_in:
            ids[kept] = ids[k]
            kept += 1
    return kept


@kernel
def encode_from(text, table, root, lengths, scores, unknown, in_single, stand_in, state, best, last, ids):
    """Encode from where `state` (int64: first byte, ids so far) says; returns whether there was room to the end.

    best[0] is the score so far. Ids go to `ids` (int32, a place a byte); 0 … 255 are bytes. `unknown` is the score of a
    character without a token, `stand_in` what a run of them becomes, or -1.
    """
    begin, n = state[0], state[1]
    at = begin
    reach = 0  # places are counted from `begin`
    while at < text.size:
        if at - begin == reach and reach > 0:
            n = _write_path(text, begin, at, last, lengths, stand_in, ids, n)
            best[0] = best[reach]
            begin, reach = at, 0
            state[0], state[1] = begin, n
        place = at - begin
        if in_single and abs(best[place]) > _START_OVER:
            _start_over(best, last, place, reach)
        so_far = best[place]
        width = min(width_of(text[at]), text.size - at)
        is_known = False
        led = root[text[at]]
        q = at + 1
        while led != 0:
            token = token_of(led)
            if token >= 0:
                if q - begin >= best.size:
                    return False
                reach = _offer(best, last, reach, q - begin, so_far + scores[token], token, in_single)
                is_known = is_known or q == at + width
            node = child_of(led)
            if node == 0 or q == text.size:
                break
            led = lead(table, node, text[q])
            q += 1
        if not is_known:
            if place + width >= best.size:
                return False
            reach = _offer(best, last, reach, place + width, so_far + unknown, _UNKNOWN, in_single)
        at += width
    if at > begin:
        n = _write_path(text, begin, at, last, lengths, stand_in, ids, n)
    state[0], state[1] = at, n
    return True
