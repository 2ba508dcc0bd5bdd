"""Text to UTF-8 as tokenizers take it, and the question whether bytes are text."""

from __future__ import annotations

# Bytes that no text in UTF-8 holds, so that a vocabulary of byte tokens can do without them.
NEVER_IN_UTF8 = bytes((0xC0, 0xC1, *range(0xF5, 0x100)))


def utf8(text: str) -> bytes:
    """UTF-8 of a text; lone surrogates become U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def is_utf8(raw: bytes) -> bool:
    """Whether bytes are valid UTF-8 by themselves."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
