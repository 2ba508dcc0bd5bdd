"""Safetensors files as bytes: the header is read and checked, tensors are ranges of bytes in the file.

Source: the format's description in huggingface/safetensors (README, "Format"): eight bytes with the header's length,
little-endian; the header, a JSON object of dtype, shape and data_offsets a tensor; then the data without holes.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vocab.errors import SourceError
from vocab.reading import parse_json

PREFIX_BYTES = 8
_MOST_HEADER_BYTES = 100_000_000  # as in the safetensors library
_METADATA = "__metadata__"
_MOST_DIMENSIONS = 64  # more than any tensor of torch has
_LARGEST = (1 << 63) - 1
# Bits of one element, by dtype.
BITS = {
    **dict.fromkeys(("C64", "F64", "I64", "U64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("BF16", "F16", "I16", "U16"), 16),
    **dict.fromkeys(("BOOL", "I8", "U8", "F8_E4M3", "F8_E4M3FNUZ", "F8_E5M2", "F8_E5M2FNUZ", "F8_E8M0"), 8),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
}


@dataclass(frozen=True)
class Tensor:
    """A tensor in a file: `begin` and `end` are bytes from the end of the header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def n_bytes(self) -> int:
        """Bytes of its data."""
        return self.end - self.begin


@dataclass(frozen=True)
class SafetensorsFile:
    """The header of a file: tensors in the order of their data, `data_start` the bytes before the first."""

    path: Path
    metadata: Mapping[str, str] | None
    tensors: tuple[Tensor, ...]
    data_start: int


def read_header(path: Path) -> SafetensorsFile:
    """The header of a safetensors file.

    Raises SourceError when the file is of another kind or cut short, and when the header claims what the file does not
    hold: a length beyond the file, a name twice, unknown dtypes, sizes that shapes do not give, data that overlaps,
    leaves holes or ends elsewhere than the file.
    """
    try:
        n_file = path.stat().st_size
        with path.open("rb") as stream:
            prefix = stream.read(PREFIX_BYTES)
            n_header = struct.unpack("<Q", prefix)[0] if len(prefix) == PREFIX_BYTES else 0
            if not 2 <= n_header <= min(_MOST_HEADER_BYTES, n_file - PREFIX_BYTES):
                raise SourceError(
                    f"{path} is not a safetensors file, or one cut short: its header would have {n_header:,} bytes"
                )
            raw = stream.read(n_header)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from None
    header = _parsed(raw, path)
    metadata = header.pop(_METADATA, None)
    if metadata is not None and not isinstance(metadata, dict):
        raise SourceError(f"{path} has a header whose metadata is not a JSON object")
    tensors = sorted((_tensor(name, entry, path) for name, entry in header.items()), key=lambda t: (t.begin, t.end))
    _check_places(tensors, n_file - PREFIX_BYTES - n_header, path)
    return SafetensorsFile(path, metadata, tuple(tensors), PREFIX_BYTES + n_header)


def _parsed(raw: bytes, path: Path) -> dict[str, Any]:
    try:
        header = parse_json(raw, allow_repeats=False)
    except ValueError as error:
        raise SourceError(f"{path} is not a safetensors file: its header cannot be read ({error})") from None
    if not isinstance(header, dict):
        raise SourceError(f"{path} is not a safetensors file: its header is not a JSON object")
    return header


def _tensor(name: str, entry: Any, path: Path) -> Tensor:
    try:
        dtype, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        if type(dtype) is not str or len(shape) > _MOST_DIMENSIONS:
            raise ValueError
        if not all(type(n) is int and 0 <= n <= _LARGEST for n in (*shape, begin, end)):
            raise ValueError
    except (TypeError, KeyError, ValueError):
        raise SourceError(f"{path} has a header whose entry for {name!r} is not that of a tensor") from None
    if dtype not in BITS:
        raise SourceError(f"{path} has the tensor {name!r} of the dtype {dtype!r}, which is not known")
    if (end - begin) * 8 != math.prod(shape) * BITS[dtype]:
        raise SourceError(
            f"{path} has a header that lies: {name!r} of shape {list(shape)} and dtype {dtype} cannot take "
            f"{end - begin:,} bytes"
        )
    return Tensor(name, dtype, shape, begin, end)


def _check_places(tensors: Sequence[Tensor], n_data: int, path: Path) -> None:
    end = 0
    for tensor in tensors:
        if tensor.begin != end:
            what = "overlaps the data before it" if tensor.begin < end else "leaves a hole before it"
            raise SourceError(f"{path} has a header that lies: the data of {tensor.name!r} {what}")
        end = tensor.end
    if end != n_data:
        raise SourceError(
            f"{path} has a header that lies, or is cut short: its tensors end at {end:,} bytes of data, and "
            f"there are {n_data:,}"
        )


def header_bytes(tensors: Sequence[Tensor], metadata: Mapping[str, str] | None) -> bytes:
    """Length and header for a new file, spaces at its end so that data begins at a multiple of 8 bytes."""
    content: dict[str, Any] = {} if metadata is None else {_METADATA: dict(metadata)}
    for tensor in tensors:
        offsets = [tensor.begin, tensor.end]
        content[tensor.name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": offsets}
    raw = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    raw += b" " * (-len(raw) % 8)
    return struct.pack("<Q", len(raw)) + raw
