"""Files of a corpus as the bytes that they hold, unpacked while they are read."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

from vocab.corpus.binary_content import HEAD_BYTES
from vocab.corpus.file_kinds import packing_of
from vocab.corpus.files import read_errors_named
from vocab.errors import CorpusError

_UTF8_MARK = b"\xef\xbb\xbf"
# The largest window that Arrow's reader of zstd takes, and the largest that there is.
_ARROW_WINDOW_BYTES = 1 << 27
_MAX_WINDOW_BYTES = 1 << 31
_MAX_HEADER_BYTES = 18
_PACKED_PART_BYTES = 8 << 10


class TextStream:
    """A stream of UTF-8 text read from its beginning to its end, without a byte order mark.

    Attributes:
        head: its first 64 KiB as they are, or all of it when it is shorter.
        n_bytes_read: bytes read so far.
    """

    def __init__(self, stream: IO[bytes], name: Path | str) -> None:
        self.name = name
        self.n_bytes_read = 0
        self._stream = stream
        self.head = b""
        self.head = self._read(HEAD_BYTES)
        self._pending = self.head.removeprefix(_UTF8_MARK)

    def read(self, n_bytes: int) -> bytes:
        """Up to `n_bytes` more bytes, fewer only at the end; raises CorpusError that says after how many bytes."""
        if self._pending:
            first, self._pending = self._pending[:n_bytes], self._pending[n_bytes:]
            data = first + self._read(n_bytes - len(first)) if len(first) < n_bytes else first
        else:
            data = self._read(n_bytes)
        self.n_bytes_read += len(data)
        return data

    def _read(self, n_bytes: int) -> bytes:
        with read_errors_named(self.name, f" after {self.n_bytes_read:,} bytes of text"):
            return self._stream.read(n_bytes)


class PipedText(TextStream):
    """A stream that may keep its reader waiting: `TextStream` over standard input.

    One read at a time goes to the system. A buffered read makes several, and between those Python looks for no signal:
    Ctrl-C there would wait for more text.
    """

    def _read(self, n_bytes: int) -> bytes:
        parts, n_read = [], 0
        with read_errors_named(self.name, f" after {self.n_bytes_read:,} bytes of text"):
            while n_read < n_bytes and (part := self._stream.read1(n_bytes - n_read)):  # type: ignore[attr-defined]
                parts.append(part)
                n_read += len(part)
        return b"".join(parts)


class UnpackedFile(TextStream):
    """A file as `TextStream`, unpacked when its name says .gz, .zst, .bz2 or .xz."""

    def __init__(self, path: Path) -> None:
        with read_errors_named(path):
            self._raw, stream = _opened(path)
        try:
            super().__init__(stream, path)
        except CorpusError:
            stream.close()
            raise

    def __enter__(self) -> UnpackedFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    @property
    def n_stored_bytes_read(self) -> int:
        """How far into the file on disk reading has come, read-ahead included."""
        return int(self._raw.tell())


def _opened(path: Path) -> tuple[IO[bytes] | pa.NativeFile, IO[bytes]]:
    """The file on disk and the stream of what it holds."""
    packing = packing_of(path)
    if packing == ".zst" and not _has_long_window(path):
        # Arrow's reader, unlike others, says so when the last frame is cut short.
        file = pa.OSFile(os.fspath(path))
        return file, io.BufferedReader(pa.CompressedInputStream(file, "zstd"), HEAD_BYTES)
    raw = path.open("rb")
    if packing == ".zst":
        return raw, cast(IO[bytes], io.BufferedReader(_LongWindowZstd(raw), HEAD_BYTES))
    if packing == ".gz":
        return raw, cast(IO[bytes], gzip.open(raw))
    if packing == ".bz2":
        return raw, cast(IO[bytes], bz2.open(raw))
    if packing:
        return raw, cast(IO[bytes], lzma.open(raw))
    return raw, raw


def _has_long_window(path: Path) -> bool:
    """Whether a zstd file needs a larger window than Arrow's reader takes, as from zstd --long=31."""
    import zstandard

    with path.open("rb") as file:
        header = file.read(_MAX_HEADER_BYTES)
    try:
        return zstandard.get_frame_parameters(header).window_size > _ARROW_WINDOW_BYTES
    except zstandard.ZstdError:
        return False  # Arrow's reader says what is wrong


class _LongWindowZstd(io.RawIOBase):
    """Frames of zstd with windows of up to 2 GiB, unpacked; a last frame that is cut short is an error."""

    def __init__(self, raw: IO[bytes]) -> None:
        import zstandard

        self._error = zstandard.ZstdError
        self._raw = raw
        self._frames = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)
        self._frame = self._frames.decompressobj()
        self._is_within_frame = False
        self._packed = b""
        self._unpacked = memoryview(b"")

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._raw.close()
        super().close()

    def readinto(self, target: Any) -> int:
        view = memoryview(target)
        while not self._unpacked and self._has_more():
            self._unpack()
        n = min(len(view), len(self._unpacked))
        view[:n], self._unpacked = self._unpacked[:n], self._unpacked[n:]
        return n

    def _has_more(self) -> bool:
        self._packed = self._packed or self._raw.read(_PACKED_PART_BYTES)
        if not self._packed and self._is_within_frame:
            raise EOFError("its last frame is cut short")
        return bool(self._packed)

    def _unpack(self) -> None:
        try:
            self._unpacked = memoryview(self._frame.decompress(self._packed))
        except self._error as error:
            raise OSError(f"zstd: {error}") from None
        self._is_within_frame = not self._frame.eof
        self._packed = self._frame.unused_data if self._frame.eof else b""
        if self._frame.eof:
            self._frame = self._frames.decompressobj()
