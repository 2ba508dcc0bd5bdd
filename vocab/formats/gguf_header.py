"""The header of a GGUF file: its keys and values, read without any of its tensors.

Source: ggml-org/ggml `docs/gguf.md` (the layout of versions 2 and 3). The package gguf is not used for reading: it maps
the whole file, weights too, and takes tens of seconds for the tokens of a large vocabulary. Nothing that the file says
is trusted: each count is checked against the bytes that are left before anything is read or reserved.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from vocab.errors import SourceError

MAGIC = b"GGUF"

# The largest vocabularies there are have some 20 MB and half a million merges.
_MAX_BYTES = 1 << 28
_MAX_ITEMS = 1 << 22
_MAX_KEY_BYTES = (1 << 16) - 1
_STRING, _ARRAY = 8, 9
_NUMBERS = {0: "u1", 1: "i1", 2: "u2", 3: "i2", 4: "u4", 5: "i4", 6: "f4", 7: "?", 10: "u8", 11: "i8", 12: "f8"}
_NAMES = {**_NUMBERS, _STRING: "string", _ARRAY: "array"}


def read_header(path: Path, wanted: Callable[[str], bool]) -> dict[str, Any]:
    """Values of the keys that are wanted; the others are passed over.

    Numbers and truth values are Python's, texts are `str`, arrays of texts lists, and arrays of numbers NumPy's.

    Args:
        path: the file.
        wanted: whether the value of a key is read.

    Raises:
        SourceError: the header is damaged, cut short or larger than any, a key is there twice, or a text is not UTF-8.
    """
    with path.open("rb") as stream:
        return Reader.of(stream, path).values(wanted)


@dataclass
class Reader:
    """An open file, and how many of its bytes may still be read."""

    stream: BinaryIO
    path: Path
    n_left: int  # bytes that may still be read
    order: str = "<"

    @classmethod
    def of(cls, stream: BinaryIO, path: Path) -> Reader:
        """A reader of an open file, from its beginning."""
        return cls(stream, path, min(path.stat().st_size, _MAX_BYTES))

    def raw_values(self) -> tuple[int, dict[str, bytes]]:
        """The number of tensors, and for each key the bytes of its kind and value; what follows are the tensors."""
        n_tensors, n_keys = self._begin()
        found: dict[str, bytes] = {}
        for _ in range(n_keys):
            key = self._key(found)
            start = self.stream.tell()
            self._value(key, is_wanted=False)
            end = self.stream.tell()
            self.stream.seek(start)
            found[key] = self.stream.read(end - start)
        return n_tensors, found

    def values(self, wanted: Callable[[str], bool]) -> dict[str, Any]:
        """Values of the keys that are wanted."""
        _, n_keys = self._begin()
        seen: set[str] = set()
        found = {}
        for _ in range(n_keys):
            key = self._key(seen)
            seen.add(key)
            value = self._value(key, is_wanted=wanted(key))
            if wanted(key):
                found[key] = value
        return found

    def _key(self, seen: Container[str]) -> str:
        key = self.text("a key", _MAX_KEY_BYTES)
        if not key.isprintable():
            raise SourceError(f"{self.path} is damaged: it has the key {key[:80]!r}")
        if key in seen:
            raise SourceError(f"{self.path} is damaged: it has the key {key!r} twice")
        return key

    def _begin(self) -> tuple[int, int]:
        """Read magic, version and counts; the numbers of tensors and keys."""
        if self._bytes(4) != MAGIC:
            raise SourceError(f"{self.path} is not a GGUF file: it does not begin with GGUF")
        version = self.number("u4")
        if version & 0xFFFF == 0 and version:  # written by a machine of the other byte order
            self.order, version = ">", int.from_bytes(version.to_bytes(4, "little"), "big")
        if version not in (2, 3):
            raise SourceError(f"{self.path} is GGUF of version {version}, and only versions 2 and 3 are read")
        return self.number("u8"), self.number("u8")

    def _value(self, key: str, *, is_wanted: bool) -> Any:
        kind = self._kind(key)
        if kind == _STRING:
            return self.text(key) if is_wanted else self._pass_over(self.number("u8"))
        if kind != _ARRAY:
            return self.number(_NUMBERS[kind])
        item, n_items = self._kind(key), self.number("u8")
        if item == _ARRAY:
            raise SourceError(f"{self.path} is damaged: {key} is an array of arrays")
        if item == _STRING:
            return self._texts(key, n_items, is_wanted=is_wanted)
        size = np.dtype(_NUMBERS[item]).itemsize
        if not is_wanted:
            return self._pass_over(n_items * size)
        self._check_count(key, n_items)
        return np.frombuffer(self._bytes(n_items * size), dtype=self.order + _NUMBERS[item])

    def _kind(self, key: str) -> int:
        kind: int = self.number("u4")
        if kind not in _NAMES:
            raise SourceError(f"{self.path} is damaged: {key} is of the kind {kind}, which does not exist")
        return kind

    def _texts(self, key: str, n_items: int, *, is_wanted: bool) -> list[str] | None:
        self._check_count(key, n_items)
        if is_wanted:
            return [self.text(f"item {k} of {key}") for k in range(n_items)]
        for _ in range(n_items):
            self._pass_over(self.number("u8"))
        return None

    def _check_count(self, key: str, n_items: int) -> None:
        if n_items > _MAX_ITEMS:
            raise SourceError(f"{self.path} says that {key} has {n_items:,} items, more than any vocabulary")

    def text(self, what: str, most: int = _MAX_BYTES) -> str:
        """The next text; raises SourceError that says what it is."""
        n_bytes = self.number("u8")
        if n_bytes > most:
            raise SourceError(f"{self.path} is damaged: {what} has {n_bytes:,} bytes")
        try:
            return self._bytes(n_bytes).decode()
        except UnicodeDecodeError:
            raise SourceError(f"{self.path} is damaged: {what} is not UTF-8") from None

    def number(self, kind: str) -> Any:
        """The next number, of a kind as in NumPy."""
        size = int(kind[1]) if kind != "?" else 1
        raw = self._bytes(size)
        if kind[0] == "f":
            return struct.unpack(self.order + {4: "f", 8: "d"}[size], raw)[0]
        value = int.from_bytes(raw, "little" if self.order == "<" else "big", signed=kind[0] == "i")
        return bool(value) if kind == "?" else value

    def _bytes(self, n_bytes: int) -> bytes:
        self._take(n_bytes)
        raw = self.stream.read(n_bytes)
        if len(raw) < n_bytes:
            raise SourceError(f"{self.path} ends within its header: it is cut short")
        return raw

    def _pass_over(self, n_bytes: int) -> None:
        self._take(n_bytes)
        self.stream.seek(n_bytes, 1)

    def _take(self, n_bytes: int) -> None:
        if n_bytes > self.n_left:
            raise SourceError(f"{self.path} ends within its header: it is cut short, or larger than any vocabulary")
        self.n_left -= n_bytes
