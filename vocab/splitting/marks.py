"""Spaces that tokenizers writes as ▁, by its normalizers or by Metaspace. In prepared text each ▁ is a space.

Source: huggingface/tokenizers `pre_tokenizers/metaspace.rs`. A ▁ is put before each stretch of text between added
tokens ("always"), before the one that begins a text ("first"), or not at all ("never"), and nowhere before another ▁.
Old files also cut text at white space first, which is left out then ("words"). BERT has no ▁: its words come with
spaces as `spaced_words` puts them, and a ▁ is any other character ("spaced").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import regex

from vocab.splitting.known_patterns import SPACED_WORDS
from vocab.splitting.preparation import MARK
from vocab.splitting.regex_ends import compiled
from vocab.splitting.split_step import SplitStep

Mark = Literal["", "never", "first", "always", "words", "spaced"]
MARKS: tuple[Mark, ...] = ("", "never", "first", "always", "words", "spaced")

# The split of Metaspace: before each ▁.
AT_MARKS = SplitStep(" ", "merged_with_next")
# Pieces that go over the border of words for which there is a split of its own.
_MOST_ODD = 64
_WHITE_SPACE = regex.compile(r"\p{White_Space}+")


def with_spaces(text: str, mark: Mark, *, is_first: bool) -> str:
    """A normalized stretch of text with a space for each ▁, and one before it where the mark says so."""
    if mark == "spaced":
        return text
    if mark == "words":
        return "".join(with_spaces(word, "always", is_first=True) for word in _WHITE_SPACE.split(text) if word)
    spaced = text.replace(MARK, " ")
    is_put = mark == "always" or (mark == "first" and is_first)
    return " " + spaced if is_put and not spaced.startswith(" ") else spaced


def uncrossed(pieces: Sequence[str], *, at_lines: bool = True) -> SplitStep:
    """A split that no piece crosses, as fine as there is one; in `pieces` a space stands for ▁.

    Where few pieces go over the border of words, words are not cut there. Without `at_lines` text is cut at spaces
    alone: a run of unknown characters may go over the end of a line.
    """
    for words in SPACED_WORDS[0 if at_lines else 1 : -1]:
        known = compiled(words)
        odd = [piece for piece in pieces if len(known.findall(piece)) > 1]
        if not odd:
            return SplitStep(words)
        if len(odd) <= _MOST_ODD:
            return SplitStep(
                _joined(words, sorted({(piece[:k], piece[k:]) for piece in odd for k in _cuts(known, piece)}))
            )
    return SplitStep(SPACED_WORDS[-1])


def _cuts(words: regex.Pattern[str], piece: str) -> list[int]:
    return [match.end() for match in words.finditer(piece)][:-1]


def _joined(words: str, cuts: Sequence[tuple[str, str]]) -> str:
    """The split of words, but for borders between these texts."""
    escaped = [tuple(regex.escape(side, special_only=True, literal_spaces=True) for side in cut) for cut in cuts]
    places = "|".join(f"(?<={left})(?={right})" for left, right in escaped)
    return f"(?:{words})(?:(?:{places})(?:{words}))*"
