"""Text to UTF-8 as tokenizers take it, and the question whether bytes are text."""

from __future__ import annotations


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
