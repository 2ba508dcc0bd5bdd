"""Split patterns as Numba state machines: UTF-8 bytes in, ends of pre-tokens out, no regular expression engine.

Each `*_end` function returns where the pre-token that starts at byte i ends, trying the alternatives of its pattern
in the pattern's own order. Text must be valid UTF-8; a truncated character never reads past the end.
"""

from __future__ import annotations

from numba import njit

from vocab.splitting.classes import CASELESS, DIGIT, LETTER, LOWER, NEWLINE, SPACE, UPPER

# Families of patterns: which state machine runs.
GPT2 = 0
CL100K = 1
O200K = 2

_HEAD = UPPER | CASELESS  # [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]
_TAIL = LOWER | CASELESS  # [\p{Ll}\p{Lm}\p{Lo}\p{M}]
_WORD = LETTER | DIGIT


@njit(nogil=True, cache=True, inline="always")
def _char_at(text, i, table):
    """(class bits, width in bytes) of the character that starts at byte i."""
    n = text.size
    b = text[i]
    if b < 0x80:
        return table[b], 1
    if b < 0xE0:
        width, code = 2, b & 0x1F
    elif b < 0xF0:
        width, code = 3, b & 0x0F
    else:
        width, code = 4, b & 0x07
    if i + width > n:
        return 0, n - i
    for k in range(1, width):
        code = (code << 6) | (text[i + k] & 0x3F)
    return table[code], width


@njit(nogil=True, cache=True)
def _run(text, i, table, wanted):
    """End of the longest run from byte i of characters having one of the wanted bits."""
    n = text.size
    while i < n:
        bits, width = _char_at(text, i, table)
        if bits & wanted == 0:
            break
        i += width
    return i


@njit(nogil=True, cache=True)
def _run_without(text, i, table, unwanted):
    """End of the longest run from byte i of characters having none of the unwanted bits."""
    n = text.size
    while i < n:
        bits, width = _char_at(text, i, table)
        if bits & unwanted != 0:
            break
        i += width
    return i


@njit(nogil=True, cache=True)
def _contraction(text, i, ignore_case):
    """End of 's 't 'm 'd 'll 've 're at byte i, or i when there is none; ſ is an s where case is ignored."""
    n = text.size
    if i + 1 >= n or text[i] != 39:
        return i
    case = 0x20 if ignore_case else 0
    a = text[i + 1] | case
    if a == 115 or a == 116 or a == 109 or a == 100:
        return i + 2
    if i + 2 >= n:
        return i
    if ignore_case and text[i + 1] == 0xC5 and text[i + 2] == 0xBF:
        return i + 3
    b = text[i + 2] | case
    if (a == 108 and b == 108) or ((a == 118 or a == 114) and b == 101):
        return i + 3
    return i


@njit(nogil=True, cache=True)
def _digits(text, i, table, most):
    """End of up to `most` digits from byte i."""
    n = text.size
    for _ in range(most):
        if i >= n:
            break
        bits, width = _char_at(text, i, table)
        if bits & DIGIT == 0:
            break
        i += width
    return i


@njit(nogil=True, cache=True)
def _space_end(text, i, table, by_line, whole_at_end):
    r"""End of white space from byte i: \s*[\r\n]+ where by_line, then \s+(?!\S), then \s+ (or one \s)."""
    n = text.size
    j = i
    last = i
    line_end = i
    while j < n:
        bits, width = _char_at(text, j, table)
        if bits & SPACE == 0:
            break
        last = j
        j += width
        if bits & NEWLINE != 0:
            line_end = j
    if j == n and whole_at_end:
        return j
    if by_line and line_end > i:
        return line_end
    if j == n or last == i:
        return j
    return last


@njit(nogil=True, cache=True)
def _gpt2_end(text, i, table):
    end = _contraction(text, i, False)
    if end > i:
        return end
    start = i
    if text[i] == 32 and i + 1 < text.size:
        start = i + 1
    bits, _ = _char_at(text, start, table)
    if bits & LETTER != 0:
        return _run(text, start, table, LETTER)
    if bits & DIGIT != 0:
        return _run(text, start, table, DIGIT)
    if bits & SPACE == 0:
        return _run_without(text, start, table, SPACE | _WORD)
    return _space_end(text, i, table, False, False)


@njit(nogil=True, cache=True)
def _symbols_end(text, i, table, slash):
    r"""End of ` ?[^\s\p{L}\p{N}]+[\r\n]*` from byte i, or i; with `slash` the tail takes / too."""
    n = text.size
    start = i
    if text[i] == 32 and i + 1 < n:
        start = i + 1
    end = _run_without(text, start, table, SPACE | _WORD)
    if end == start:
        return i
    while end < n and (text[end] == 10 or text[end] == 13 or (slash and text[end] == 47)):
        end += 1
    return end


@njit(nogil=True, cache=True)
def _cl100k_end(text, i, table, max_digits, whole_at_end):
    end = _contraction(text, i, True)
    if end > i:
        return end
    bits, width = _char_at(text, i, table)
    if bits & LETTER != 0:
        return _run(text, i + width, table, LETTER)
    if bits & DIGIT != 0:
        return _digits(text, i, table, max_digits)
    if bits & NEWLINE == 0:
        end = _run(text, i + width, table, LETTER)
        if end > i + width:
            return end
    end = _symbols_end(text, i, table, False)
    if end > i:
        return end
    return _space_end(text, i, table, True, whole_at_end)


@njit(nogil=True, cache=True)
def _cased_word_end(text, i, table):
    """End of [upper]*[lower]+ from byte i, or i when it does not match; both classes hold the caseless."""
    n = text.size
    middle = i
    last_caseless = i
    while middle < n:
        bits, width = _char_at(text, middle, table)
        if bits & _HEAD == 0:
            break
        middle += width
        if bits & CASELESS != 0:
            last_caseless = middle
    end = _run(text, middle, table, _TAIL)
    if end > middle:
        return end
    return last_caseless


@njit(nogil=True, cache=True)
def _o200k_word_end(text, i, table):
    bits, width = _char_at(text, i, table)
    prefix = i + width if bits & (NEWLINE | _WORD) == 0 else i
    end = _cased_word_end(text, prefix, table)
    if end > prefix:
        return end
    if prefix > i:
        end = _cased_word_end(text, i, table)
        if end > i:
            return end
    end = _run(text, prefix, table, _HEAD)
    if end > prefix:
        return end
    return _run(text, i, table, _HEAD)


@njit(nogil=True, cache=True)
def _o200k_end(text, i, table, max_digits):
    end = _o200k_word_end(text, i, table)
    if end > i:
        return max(end, _contraction(text, end, True))
    end = _digits(text, i, table, max_digits)
    if end > i:
        return end
    end = _symbols_end(text, i, table, True)
    if end > i:
        return end
    return _space_end(text, i, table, True, False)


@njit(nogil=True, cache=True)
def split_ends(text, table, family, max_digits, whole_at_end, ends):
    """Write the end of each pre-token of `text` (uint8) to `ends` (int64, room for one a byte); returns how many."""
    i = 0
    n_pretokens = 0
    while i < text.size:
        if family == CL100K:
            i = _cl100k_end(text, i, table, max_digits, whole_at_end)
        elif family == O200K:
            i = _o200k_end(text, i, table, max_digits)
        else:
            i = _gpt2_end(text, i, table)
        ends[n_pretokens] = i
        n_pretokens += 1
    return n_pretokens
