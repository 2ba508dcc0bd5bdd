"""Regular expressions of split patterns in the words of JavaScript.

Every class becomes the ranges of its characters, because a browser has a Unicode of its own. JavaScript has neither
possessive repeats nor atomic groups: both become a look-ahead whose match is taken by a reference to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from vocab.analysis.token_page.code_points import Mask, ranges_of, set_by_kernels, set_by_regex
from vocab.splitting.classes import class_table
from vocab.splitting.dialect import class_end, escape_end
from vocab.splitting.known_patterns import KERNELS

_OPENING = re.compile(r"\(\?(?:[:=!>]|<[=!])")
_CASE = re.compile(r"\(\?(-?)i:")
_NAMED = re.compile(r"\(\?P?<\w+>")
_OTHER_GROUP = re.compile(r"\(\?[^)]{0,9}")
_COMMENT = re.compile(r"\(\?#[^)]*\)")
_REPEAT = re.compile(r"([*+?]|\{\d*,?\d*\})([?+]?)")
_SYNTAX = frozenset("^$\\.*+?()[]{}|/")
_CLASS_ESCAPES = "pPdDsSwWhxuUrntfva"
_EDGES = {r"\A": r"(?<![\s\S])", r"\z": r"(?![\s\S])", r"\Z": r"(?![\s\S])", "$": r"(?=\n?(?![\s\S]))", "^": "^"}

Parts = list[str | int]


class CannotTranslateError(ValueError):
    """What a page cannot run; its text says what that is."""


class ClassTable:
    """Sets of characters that the regular expressions of a page share, each once."""

    def __init__(self) -> None:
        self.ranges: list[list[int]] = []
        self._places: dict[bytes, int] = {}

    def place_of(self, mask: Mask) -> int:
        """The number of a set (bool[0x110000])."""
        if mask.tobytes() not in self._places:
            self._places[mask.tobytes()] = len(self.ranges)
            self.ranges.append(ranges_of(mask))
        return self._places[mask.tobytes()]


def javascript_regex(pattern: str, classes: ClassTable) -> list[Any]:
    """A regular expression of the `regex` package for JavaScript.

    Args:
        pattern: the regular expression, as `SplitStep` has it.
        classes: takes the sets of characters.

    Returns:
        Source text, and between it the numbers of sets in `classes`.

    Raises:
        CannotTranslateError: it has a part that JavaScript has no word for.
    """
    kernel = KERNELS.get(pattern)
    by_kernels = kernel is not None and kernel.table is class_table
    translation = _Translation(_plain(kernel.portable if kernel else pattern), classes, by_kernels=by_kernels)
    try:
        parts = translation.alternatives(ignores_case=False)
    except RecursionError:
        raise CannotTranslateError("a split pattern with too many brackets in each other") from None
    if translation.at < len(translation.pattern):
        raise CannotTranslateError("a split pattern with a bracket that nothing opens")
    return _joined(parts)


def _plain(pattern: str) -> str:
    return _COMMENT.sub("", pattern)


def _joined(parts: Parts) -> Parts:
    """The parts with texts that follow one another as one."""
    joined: Parts = []
    for part in parts:
        if joined and isinstance(part, str) and isinstance(joined[-1], str):
            joined[-1] += part
        else:
            joined.append(part)
    return joined


class _Translation:
    """One pattern, read from its beginning to its end."""

    def __init__(self, pattern: str, classes: ClassTable, *, by_kernels: bool) -> None:
        self.sets_version_1 = pattern.startswith("(?V1)")
        self.pattern = pattern.removeprefix("(?V1)")
        self.at = 0
        self._classes = classes
        self._set_of: Callable[..., Mask] = set_by_kernels if by_kernels else set_by_regex
        self._n_atomic = 0
        self._n_behind = 0

    def alternatives(self, *, ignores_case: bool) -> Parts:
        """What stands up to the end, or to a closing bracket."""
        parts: Parts = []
        while self.at < len(self.pattern) and self.pattern[self.at] != ")":
            if self.pattern[self.at] == "|":
                self.at += 1
                parts.append("|")
            else:
                parts += self._repeated(self._atom(ignores_case))
        return parts

    def _repeated(self, atom: Parts) -> Parts:
        """An atom with the repeat that stands after it."""
        while repeat := _REPEAT.match(self.pattern, self.at):
            self.at = repeat.end()
            atom = self._atomic([*atom, repeat[1]]) if repeat[2] == "+" else [*atom, repeat[0]]
            if self.at < len(self.pattern) and _REPEAT.match(self.pattern, self.at):
                atom = ["(?:", *atom, ")"]
        return atom

    def _atomic(self, parts: Parts) -> Parts:
        if self._n_behind:
            raise CannotTranslateError("a split pattern with a possessive repeat that looks behind")
        self._n_atomic += 1
        name = f"a{self._n_atomic}"
        return [f"(?:(?=(?<{name}>", *parts, f"))\\k<{name}>)"]

    def _atom(self, ignores_case: bool) -> Parts:
        first = self.pattern[self.at]
        if first == "(":
            return self._group(ignores_case)
        if first in "^$":
            self.at += 1
            return [_EDGES[first]]
        if first == "\\":
            return self._escape(ignores_case)
        if first == "[":
            begin, self.at = self.at, class_end(self.pattern, self.at)
            return self._set(self.pattern[begin : self.at], ignores_case)
        self.at += 1
        if first == "." or (ignores_case and first.isalpha()):
            return self._set(first, ignores_case)
        return [_literal(first)]

    def _escape(self, ignores_case: bool) -> Parts:
        begin, self.at = self.at, escape_end(self.pattern, self.at)
        if self.pattern[begin + 1 : begin + 2] in ("x", "u") and self.pattern[begin + 2 : begin + 3] != "{":
            self.at += 2 if self.pattern[begin + 1] == "x" else 4
        escape = self.pattern[begin : self.at]
        if escape in _EDGES:
            return [_EDGES[escape]]
        if escape[1:2] and escape[1] in _CLASS_ESCAPES:
            return self._set(escape, ignores_case)
        if escape[1:].isalnum() or len(escape) < 2:
            raise CannotTranslateError(f"a split pattern with {escape}")
        return [_literal(escape[1])]

    def _set(self, atom: str, ignores_case: bool) -> Parts:
        version = "(?V1)" if self.sets_version_1 else ""
        return [self._classes.place_of(self._set_of(version + atom, ignores_case=ignores_case))]

    def _group(self, ignores_case: bool) -> Parts:
        opening, ignores_case = self._opening(ignores_case)
        is_behind = opening in ("(?<=", "(?<!")
        self._n_behind += is_behind
        inner = self.alternatives(ignores_case=ignores_case)
        self._n_behind -= is_behind
        if self.at >= len(self.pattern):
            raise CannotTranslateError("a split pattern with a bracket that nothing closes")
        self.at += 1
        return self._atomic(inner) if opening == "(?>" else [opening, *inner, ")"]

    def _opening(self, ignores_case: bool) -> tuple[str, bool]:
        """How a group begins in JavaScript, and whether case is ignored within."""
        if case := _CASE.match(self.pattern, self.at):
            self.at = case.end()
            return "(?:", not case[1]
        if known := _OPENING.match(self.pattern, self.at):
            self.at = known.end()
            return known[0], ignores_case
        if named := _NAMED.match(self.pattern, self.at):
            self.at = named.end()
            return "(?:", ignores_case
        if other := _OTHER_GROUP.match(self.pattern, self.at):
            raise CannotTranslateError(f"a split pattern with {other[0]}")
        self.at += 1
        return "(?:", ignores_case


def _literal(character: str) -> str:
    return "\\" + character if character in _SYNTAX else character
