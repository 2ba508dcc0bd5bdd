"""The text of a row that is a Python value, by the name of a column or a path into nested values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_TEXT = "text"  # the name of the text in a part of a message


@dataclass(frozen=True)
class NoText:
    """A row whose text is null or missing: whether it has the column, and what it has."""

    has_column: bool
    held: str


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be read or holds something else than text: what is said after its place, and what to do."""

    problem: str
    hint: str = "mend it, or set `on_error` to skip"


RowText = str | NoText | BadRow


def text_of_row(row: Any, column: str) -> RowText:
    """The text of a row.

    Args:
        row: a dict; a string is the text itself.
        column: a key of the row, or keys with dots between them that lead into nested dicts and through lists. Where
            a list makes them several texts, they are joined by line ends.
    """
    if isinstance(row, str):
        return row
    if row is None:
        return NoText(has_column=False, held="null")
    if not isinstance(row, dict):
        return BadRow(f"holds {kind_of(row)} where an object with columns is expected")
    if isinstance(text := row.get(column), str):
        return text
    values = list(_values(row, column.split(".")))
    texts = [value for value in values if value is not None]
    if wrong := [value for value in texts if not isinstance(value, str)]:
        return _not_a_text(column, wrong[0])
    if not texts:
        return NoText(bool(values), ", ".join(map(str, row)) or "nothing")
    return "\n".join(texts)


def bad_json(message: str, n_characters: int) -> BadRow:
    """A row that is not JSON, given the parser's message and how far it came."""
    return BadRow(f"is not JSON ({message} after {n_characters:,} characters)")


def utf8_of(text: str) -> bytes:
    """A text as bytes. Only where it holds lone surrogates are these not valid UTF-8.

    Invalid bytes that were read as surrogates (surrogateescape) become those bytes again.
    """
    for errors in ("strict", "surrogateescape"):
        try:
            return text.encode(errors=errors)
        except UnicodeEncodeError:
            continue
    return text.encode(errors="surrogatepass")


def _values(value: Any, keys: Sequence[str]) -> Iterator[Any]:
    """The values that the keys lead to: none where a key is missing, null where the way ends in null or no element."""
    if not keys and isinstance(value, list):
        for element in value or [None]:
            yield from _values(_text_of_part(element), keys)
    elif not keys or value is None or _is_plain_content(value, keys):
        yield value
    elif isinstance(value, list):
        for element in value:
            yield from _values(element, keys)
    elif isinstance(value, dict):
        for n in range(len(keys), 0, -1):
            if (key := ".".join(keys[:n])) in value:
                yield from _values(value[key], keys[n:])
                return


def _is_plain_content(value: Any, keys: Sequence[str]) -> bool:
    """Whether the way leads into parts of a message, and this message has a text in their place."""
    return isinstance(value, str) and list(keys) == [_TEXT]


def _text_of_part(element: Any) -> Any:
    """The text of a part of a message, null for a picture or sound; anything else as it is."""
    if not isinstance(element, dict) or "type" not in element:
        return element
    return element.get(_TEXT)


def _not_a_text(column: str, value: Any) -> BadRow:
    hint = "name another with `column`, or set `on_error` to skip"
    return BadRow(f"has {kind_of(value)} and no text in column {column!r}", hint)


def kind_of(value: Any) -> str:
    """What a value of JSON is, in words."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, bool):
        return "true or false"
    return "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else "a number"
