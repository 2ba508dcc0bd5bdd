"""JSON that is not lines: an array of any length, one object, or values one after another, in bounded memory."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterator
from typing import Any

from vocab.corpus.binary_content import HEAD_BYTES
from vocab.corpus.blocks import BLOCK_BYTES
from vocab.corpus.json_lines import JSON_DECODER
from vocab.corpus.text_documents import check_length
from vocab.errors import CorpusError
from vocab.reading import TooDeepError

_SPACE = " \t\r\n\ufeff"
# The longest word of JSON that may be cut in two: -Infinity, or an escape such as \ud83d with one after it.
_LONGEST_WORD = 16
_LINES_LOOKED_AT = 5


def is_json_lines(head: bytes, *, has_lines_name: bool) -> bool:
    """Whether a JSON file holds one value a line, going by how it begins.

    Args:
        head: its beginning.
        has_lines_name: whether its name says so: then only an array says otherwise.
    """
    lines = [line.rstrip() for line in head.removeprefix(codecs.BOM_UTF8).split(b"\n") if line.strip()]
    if not lines:
        return True
    if lines[0].lstrip().startswith(b"["):
        return len(lines) > 1 and lines[1].startswith(b"[") and all(map(_is_json, lines[:2]))
    if has_lines_name:
        return True
    if len(lines) == 1:
        return len(head) >= HEAD_BYTES or _is_json(lines[0])
    return any(line.startswith(b"{") and _is_json(line) for line in lines[:_LINES_LOOKED_AT])


def looks_like_json_lines(head: bytes) -> bool:
    """Whether the first line of a text is a JSON object with a key."""
    first = head.removeprefix(codecs.BOM_UTF8).lstrip()
    return first.startswith(b'{"') and _is_json(first.partition(b"\n")[0])


def _is_json(line: bytes) -> bool:
    try:
        JSON_DECODER.decode(line.decode(errors="replace"))
    except (ValueError, RecursionError):
        return False
    return True


def json_values(read: Callable[[int], bytes], name: str) -> Iterator[tuple[int, Any]]:
    """Values one after another, those of arrays one by one, with their numbers from 1.

    Args:
        read: returns up to that many more bytes, none at the end.
        name: of the file, for errors.

    Raises:
        CorpusError: a value is not JSON, or longer than 1 GiB.
    """
    yield from enumerate(_Values(read, name), 1)


class _Values:
    """A parser that holds one value and what was read ahead."""

    def __init__(self, read: Callable[[int], bytes], name: str) -> None:
        self._read = read
        self._name = name
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._text = ""
        self._at = 0
        self._has_ended = False
        self._n_values = 0

    def __iter__(self) -> Iterator[Any]:
        while first := self._next_character():
            if first == "[":
                self._at += 1
                yield from self._elements()
            else:
                yield self._value()

    def _elements(self) -> Iterator[Any]:
        if self._next_character() == "]":
            self._at += 1
            return
        while True:
            yield self._value()
            after = self._next_character()
            self._at += 1
            if after == "]":
                return
            if after != ",":
                what = (
                    f"by {after!r} where a comma or ] is expected"
                    if after
                    else "by the end of the file: it is cut short"
                )
                raise CorpusError(f"{self._name} item {self._n_values:,} is followed {what}")

    def _next_character(self) -> str:
        """The next character that is no white space, not taken; empty at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if self._has_ended:
                return ""
            self._read_more(0)

    def _value(self) -> Any:
        self._n_values += 1
        self._next_character()
        while True:
            try:
                value, end = JSON_DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._has_ended or not self._may_be_cut(error):
                    raise CorpusError(self._not_json(error.msg, error.pos - self._at)) from None
            except RecursionError:
                raise CorpusError(f"{self._name} item {self._n_values:,} {TooDeepError()}: mend it") from None
            else:
                if end < len(self._text) or self._has_ended or self._text[end - 1] in '"]}':
                    self._at = end
                    return value
            # Twice as much each time, so that a long value is not parsed again and again.
            self._read_more(len(self._text) - self._at)

    def _may_be_cut(self, error: json.JSONDecodeError) -> bool:
        return error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - _LONGEST_WORD

    def _not_json(self, message: str, n_characters: int) -> str:
        return (
            f"{self._name} item {self._n_values:,} is not JSON ({message} after {n_characters:,} characters): mend it"
        )

    def _read_more(self, n_bytes: int) -> None:
        data = self._read(max(BLOCK_BYTES, n_bytes))
        self._has_ended = not data
        self._text = self._text[self._at :] + self._decoder.decode(data, final=self._has_ended)
        self._at = 0
        check_length(len(self._text), f"an item of {self._name}")
