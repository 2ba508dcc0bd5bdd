"""Split patterns of cl100k_base, relatives and GPT-2 on 64 bytes at once: where pre-tokens begin, as bits of a word.

A window begins where a pre-token does. Bit k of a word is byte k of the window; `x << 1` are the bytes after those of
x. The window ends before the first character that is neither ASCII nor one of the letters below. What begins in it
depends on no byte past it, so that every pre-token but the last is known. No branch asks what a single character is.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

import numpy as np

from vocab.compilation.byte_masks import ascii_masks, equal_mask, within_mask
from vocab.compilation.kernels import helper, inlined
from vocab.compilation.words import load8, n_high_zeros, n_low_zeros

N_WINDOW = 64
_ONE = np.uint64(1)
_TWO = np.uint64(2)
_THREE = np.uint64(3)
_NONE = np.uint64(0)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_NOT_LAST = np.uint64(0x7FFFFFFFFFFFFFFF)
_HIGH = np.uint64(0x8080808080808080)


@inlined
def begins_in_ascii(text, i):
    """Whether a window is worth a try: whether the eight bytes from byte i are ASCII."""
    return load8(text, i) & _HIGH == _NONE


@inlined
def _lowest(word):
    return word & (~word + _ONE)


@helper
def _letters_of_two_bytes(text, i, others):
    """Bytes of the letters U+00C0 to U+017F and U+0400 to U+047F among bytes that are not ASCII."""
    leads = within_mask(text, i, 0xC3, 3) | within_mask(text, i, 0xD0, 2)
    # × and ÷ are no letters, and ſ is an s after an apostrophe.
    signs = (equal_mask(text, i, 0x97) | equal_mask(text, i, 0xB7)) & equal_mask(text, i, 0xC3) << _ONE
    signs |= equal_mask(text, i, 0xBF) & equal_mask(text, i, 0xC5) << _ONE
    leads &= ~(signs >> _ONE) & _NOT_LAST  # the byte after the last is not known
    return (leads | leads << _ONE) & others


@helper
def _contractions(text, i, candidates, case):
    """Of 's 't 'm 'd 'll 've 're at these apostrophes: the bytes after them, and the letters that go with them.

    Each apostrophe has a letter after it; `case` is 0x20 where case is ignored. Letters count where it is not known.
    """
    ends = letters = _NONE
    while candidates != _NONE:
        k = n_low_zeros(candidates)
        candidates &= candidates - _ONE
        bit = _ONE << np.uint64(k)
        a = text[i + k + 1] | case
        if a == 115 or a == 116 or a == 109 or a == 100:
            ends |= bit << _TWO
            letters |= bit << _ONE
        elif k + 2 >= N_WINDOW:
            letters |= bit << _ONE
        else:
            b = text[i + k + 2] | case
            if (a == 108 and b == 108) or ((a == 118 or a == 114) and b == 101):
                ends |= bit << _THREE
                letters |= bit << _ONE
    return ends, letters


@inlined
def _digit_groups(digits, first_digits):
    """Where groups of three digits begin in runs of digits."""
    starts = group = first_digits
    whole = digits & digits << _ONE & digits << _TWO
    while group != _NONE:
        group = group << _THREE & whole
        starts |= group
    return starts


@inlined
def _after_last_line_end(spaces, line_ends, inside):
    """White space that follows the last line end of its run: where it begins, if the run ends in the window."""
    begins = line_ends << _ONE & spaces
    # Not what reaches the end of the window.
    begins &= _ALL >> np.uint64(n_high_zeros(inside & ~spaces | _ONE))
    goes_on = (spaces + begins) & line_ends
    while goes_on != _NONE:  # a line of white space alone
        end = _lowest(goes_on)
        goes_on ^= end
        before = begins & (end - _ONE)
        begins ^= _ONE << np.uint64(63 - n_high_zeros(before))
    return begins


@inlined
def cl100k_starts(text, i, max_digits):
    """Where pre-tokens begin in the window at byte i, but for the one at byte i."""
    letters, digits, white, line_ends, others = ascii_masks(text, i)
    if others != _NONE:
        more = _letters_of_two_bytes(text, i, others)
        letters |= more
        others &= ~more
    inside = _lowest(others) - _ONE  # all 64 where there is no other
    letters, digits, white, line_ends = letters & inside, digits & inside, white & inside, line_ends & inside
    symbols = inside & ~(letters | digits | white)
    blanks = equal_mask(text, i, 0x20) & inside
    spaces = white & ~line_ends
    # Line ends after symbols belong to them.
    free_line_ends = line_ends & (line_ends + (symbols << _ONE & line_ends))
    free_white = spaces | free_line_ends
    symbol_starts = symbols & ~((symbols | blanks) << _ONE)
    starts = symbol_starts | letters & ~((letters | spaces | symbol_starts) << _ONE)
    starts |= _digit_groups(digits, digits & ~(digits << _ONE)) if max_digits > 1 else digits
    starts |= free_white & ~(free_white << _ONE)
    starts |= spaces & (inside & ~white) >> _ONE  # the last white space before something else
    starts |= _after_last_line_end(spaces, free_line_ends, inside)
    apostrophes = symbol_starts & letters >> _ONE & equal_mask(text, i, 0x27)
    if apostrophes != _NONE:
        ends, _ = _contractions(text, i, apostrophes, 0x20)
        starts |= ends & inside
    return starts & ~_ONE


@inlined
def gpt2_starts(text, i):
    """Where pre-tokens of GPT-2's pattern begin in the window at byte i, but for the one at byte i."""
    letters, digits, white, _, others = ascii_masks(text, i)
    inside = _lowest(others) - _ONE
    letters, digits, white = letters & inside, digits & inside, white & inside
    symbols = inside & ~(letters | digits | white)
    blanks = equal_mask(text, i, 0x20) << _ONE
    symbol_starts = symbols & ~(symbols << _ONE | blanks)
    starts = symbol_starts | (letters & ~(letters << _ONE) | digits & ~(digits << _ONE)) & ~blanks
    starts |= white & (~(white << _ONE) | (inside & ~white) >> _ONE)
    apostrophes = symbol_starts & letters >> _ONE & equal_mask(text, i, 0x27)
    if apostrophes != _NONE:
        ends, withins = _contractions(text, i, apostrophes, 0)
        starts = starts & ~withins | ends & inside
    return starts & ~_ONE
