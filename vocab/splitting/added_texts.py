"""Added tokens that are text: where they stand, found as Hugging Face tokenizers finds them.

Source: huggingface/tokenizers `added_vocabulary.rs` (`find_matches`): leftmost first and then longest; a token may ask
for white space beside it, which it takes, or for no letter or digit beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import regex

# Rust's `\s` and `\w`.
_SPACES = frozenset(
    "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
)
# From so many texts on, of at most so many characters, their regular expression is a tree: each character is a level.
_MANY, _DEEPEST = 16, 100
WORD_CHARACTER = r"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d]"
_WORD = regex.compile(WORD_CHARACTER)


class AddedText(NamedTuple):
    """An added token that is recognised in text.

    Attributes:
        text: its text.
        is_normalized: whether it is looked for in normalized text.
        strips_left: whether it takes white space before it.
        strips_right: whether it takes white space after it.
        is_word: whether letters and digits beside it keep it from being recognised.
    """

    text: str
    is_normalized: bool = False
    strips_left: bool = False
    strips_right: bool = False
    is_word: bool = False


class Found(NamedTuple):
    """A stretch of text: from `begin` to `end`, an added token or, with None, other text."""

    begin: int
    end: int
    added: AddedText | None


@dataclass(frozen=True)
class AddedTextFinder:
    """Finds added tokens in text.

    Attributes:
        added: the tokens by the text that is looked for.
        any_of_them: any of these texts, longer ones first.
    """

    added: dict[str, AddedText]
    any_of_them: re.Pattern[str]

    @classmethod
    def of(cls, by_text: dict[str, AddedText]) -> AddedTextFinder:
        """A finder of these tokens by the texts that are looked for."""
        return cls(by_text, re.compile(any_of(by_text)))

    def stretches(self, text: str) -> Iterator[Found]:
        """The whole text as stretches, of which none is empty."""
        done = 0
        for match in self.any_of_them.finditer(text) if self.added else ():
            added = self.added[match.group()]
            begin, end = match.span()
            if added.is_word and (_WORD.match(text[max(0, begin - 1) : begin]) or _WORD.match(text, end)):
                continue
            begin = max(begin, done)
            while added.strips_left and begin > done and text[begin - 1] in _SPACES:
                begin -= 1
            while added.strips_right and end < len(text) and text[end] in _SPACES:
                end += 1
            if begin > done:
                yield Found(done, begin, None)
            yield Found(begin, end, added)
            done = end
        if done < len(text):
            yield Found(done, len(text), None)


def any_of(texts: Sequence[str] | dict[str, AddedText]) -> str:
    """A regular expression of the longest of these texts.

    Texts share their beginnings, so that thousands of them are looked for at once.
    """
    if len(texts) < _MANY or max(map(len, texts)) > _DEEPEST:
        return "|".join(map(re.escape, sorted(texts, key=len, reverse=True)))
    return _tree(sorted(texts))


def _tree(texts: Sequence[str]) -> str:
    """The same of texts in order that begin with the same characters, these left out."""
    groups = [(first, [text[1:] for text in rest]) for first, rest in groupby((t for t in texts if t), lambda t: t[0])]
    joined = "|".join(re.escape(first) + (_tree(rest) if rest != [""] else "") for first, rest in groups)
    if "" in texts:
        return f"(?:{joined})?" if joined else ""
    return joined if len(groups) == 1 else f"(?:{joined})"
