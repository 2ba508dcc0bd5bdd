"""GPT-2's alphabet: one printable character for each byte, in which byte-level tokenizers write their tokens.

Source: `bytes_to_unicode` of openai/gpt-2 `src/encoder.py`; the same table as tokenizers' ByteLevel.
"""

from __future__ import annotations

_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_SHIFTED = [b for b in range(256) if b not in _PRINTABLE]

BYTE_TO_CHARACTER = {b: chr(b) for b in _PRINTABLE} | {b: chr(256 + k) for k, b in enumerate(_SHIFTED)}
CHARACTER_TO_BYTE = {character: b for b, character in BYTE_TO_CHARACTER.items()}


def to_characters(token: bytes) -> str:
    """The token as byte-level tokenizers write it."""
    return token.decode("latin-1").translate(BYTE_TO_CHARACTER)


def to_bytes(characters: str) -> bytes:
    """The bytes behind such a text; raises KeyError for a character outside the alphabet."""
    return bytes([CHARACTER_TO_BYTE[c] for c in characters])
