"""Plain text cut into documents: blocks of whole lines, whole files, or the text between blank lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from vocab.choices import DocumentUnit
from vocab.errors import CorpusError

# A document of a text file is this long or a little more and ends after a line, unless asked for otherwise.
TEXT_BLOCK_BYTES = 64 << 10
# A line without end is cut here where documents are blocks of text, so that they stay small.
_MAX_TEXT_BLOCK_BYTES = 1 << 20
# The longest line or file that is held in memory as one document.
MAX_DOCUMENT_BYTES = 1 << 30
_BLANK_LINES = re.compile(rb"\n(?:[ \t\r]*\n)+")


def text_documents(read: Callable[[int], bytes], name: str, unit: DocumentUnit) -> Iterator[bytes]:
    """Documents of plain text; together they are the whole text.

    Args:
        read: returns up to that many more bytes, none at the end.
        name: of the file, for errors.
        unit: what one document is.

    Raises:
        CorpusError: a document is longer than 1 GiB.
    """
    parts = iter(lambda: read(TEXT_BLOCK_BYTES), b"")
    if unit == "file":
        return _whole_file(parts, name)
    if unit == "blank-line":
        return _blank_line_documents(parts, name)
    return _text_blocks(parts)


def check_length(n_bytes: int, what: str) -> None:
    """Raise CorpusError when `what` is too long to be one document."""
    if n_bytes > MAX_DOCUMENT_BYTES:
        raise CorpusError(f"{what} has more than {MAX_DOCUMENT_BYTES:,} bytes: cut it into several documents")


def _text_blocks(parts: Iterator[bytes]) -> Iterator[bytes]:
    block = b""
    for part in parts:
        block += part
        if len(block) < TEXT_BLOCK_BYTES:
            continue
        cut = block.rfind(b"\n") + 1
        if cut == 0 and len(block) >= _MAX_TEXT_BLOCK_BYTES:
            cut = _character_edge(block)
        if cut:
            yield block[:cut]
            block = block[cut:]
    if block:
        yield block


def _character_edge(block: bytes) -> int:
    """The last offset at which no UTF-8 character is cut."""
    cut = len(block) - 1
    while cut > len(block) - 4 and block[cut] & 0xC0 == 0x80:
        cut -= 1
    return cut


def _whole_file(parts: Iterator[bytes], name: str) -> Iterator[bytes]:
    document = bytearray()
    for part in parts:
        document += part
        if len(document) > MAX_DOCUMENT_BYTES:
            what = f"{name} has more than {MAX_DOCUMENT_BYTES:,} bytes, too many for one document"
            raise CorpusError(f"{what}: leave `documents` at block")
    if document:
        yield bytes(document)


def _blank_line_documents(parts: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Runs of lines with the blank lines after them, so that no text is lost.

    Time is linear in the text: where no blank line is found, only what follows the last line feed is looked at again,
    and not before as much again has been read.
    """
    rest, first_to_search, enough = bytearray(), 0, 0
    for part in parts:
        rest += part
        check_length(len(rest), f"a document of {name}")
        if len(rest) < enough:
            continue
        first, last = 0, first_to_search + len(rest[first_to_search:].rstrip(b" \t\r"))
        for blank in _BLANK_LINES.finditer(rest, first_to_search):
            if blank.end() < last:  # at the very end more blank lines may follow
                yield bytes(rest[first : blank.end()])
                first = blank.end()
        del rest[:first]
        first_to_search = max(0, first_to_search - first)
        first_to_search += _open_blank_lines(rest[first_to_search:])
        enough = len(rest) + (len(rest) - first_to_search)
    yield from _last_documents(rest, first_to_search)


def _open_blank_lines(text: bytearray) -> int:
    """Where blank lines begin that may go on after the end, or the last line feed; the end where there is none."""
    if (last := text.rfind(b"\n")) < 0:
        return len(text)
    if text[last + 1 :].strip(b" \t\r"):
        return last
    return len(text[: last + 1].rstrip(b" \t\r\n"))


def _last_documents(rest: bytearray, first_to_search: int) -> Iterator[bytes]:
    first = 0
    for blank in _BLANK_LINES.finditer(rest, first_to_search):
        if blank.end() < len(rest):
            yield bytes(rest[first : blank.end()])
            first = blank.end()
    if first < len(rest):
        yield bytes(rest[first:])
