"""A whole GGUF model as bytes: each key with its value as it is written, and where each tensor's data lies.

Source: ggml-org/ggml `docs/gguf.md`. Each row of a tensor is packed by itself, in blocks along the row, so that rows
can be copied whatever the type.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from vocab.errors import SourceError
from vocab.formats.gguf_header import Reader

_ALIGNMENT = "general.alignment"
_MAX_TENSORS, _MAX_DIMENSIONS = 1 << 17, 4
# Elements of a block and its bytes, by type. Source: ggml-org/llama.cpp `gguf-py/gguf/constants.py`.
BLOCKS = {
    0: (1, 4),
    1: (1, 2),
    24: (1, 1),
    25: (1, 2),
    26: (1, 4),
    27: (1, 8),
    28: (1, 8),
    30: (1, 2),
    2: (32, 18),
    3: (32, 20),
    6: (32, 22),
    7: (32, 24),
    8: (32, 34),
    9: (32, 40),
    10: (256, 84),
    11: (256, 110),
    12: (256, 144),
    13: (256, 176),
    14: (256, 210),
    15: (256, 292),
    16: (256, 66),
    17: (256, 74),
    18: (256, 98),
    19: (256, 50),
    20: (32, 18),
    21: (256, 110),
    22: (256, 82),
    23: (256, 136),
    29: (256, 56),
    34: (256, 54),
    35: (256, 66),
    39: (32, 17),
}


@dataclass(frozen=True)
class GgufTensor:
    """A tensor of a file.

    Attributes:
        name: its name.
        shape: sizes, that of a row first.
        kind: number of its type.
        begin: its first byte, from the beginning of the data.
        row_bytes: bytes of a row.
    """

    name: str
    shape: tuple[int, ...]
    kind: int
    begin: int
    row_bytes: int

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return prod(self.shape[1:])

    @property
    def n_bytes(self) -> int:
        """Bytes of its data."""
        return self.n_rows * self.row_bytes


@dataclass(frozen=True)
class GgufLayout:
    """What a file consists of.

    Attributes:
        path: the file.
        values: each key with the bytes of its kind and value, in the order of the file.
        tensors: in the order of the file.
        alignment: each tensor's data begins at a multiple of so many bytes.
        data_start: the first byte of the data.
    """

    path: Path
    values: Mapping[str, bytes]
    tensors: tuple[GgufTensor, ...]
    alignment: int
    data_start: int


def read_layout(path: Path) -> GgufLayout:
    """Read it; raises SourceError for a damaged file, one cut short, or types of tensors that are not known."""
    with path.open("rb") as stream:
        reader = Reader.of(stream, path)
        n_tensors, values = reader.raw_values()
        if reader.order != "<":
            raise SourceError(f"{path} was written for machines of the other byte order, which is not transplanted")
        if n_tensors > _MAX_TENSORS:
            raise SourceError(f"{path} is damaged: it has {n_tensors:,} tensors")
        alignment = _alignment(values, path)
        tensors = tuple(_tensor(reader, path) for _ in range(n_tensors))
        data_start = -(-stream.tell() // alignment) * alignment
    _check_places(tensors, alignment, path.stat().st_size - data_start, path)
    return GgufLayout(path, values, tensors, alignment, data_start)


def _alignment(values: Mapping[str, bytes], path: Path) -> int:
    raw = values.get(_ALIGNMENT, struct.pack("<II", 4, 32))
    kind, number = struct.unpack("<II", raw) if len(raw) == 8 else (0, 0)
    if kind != 4 or number < 8 or number > 1 << 20 or number & (number - 1):
        raise SourceError(f"{path} is damaged: {_ALIGNMENT} is not a power of two")
    return int(number)


def _tensor(reader: Reader, path: Path) -> GgufTensor:
    name, n_dimensions = reader.text("a tensor's name"), reader.number("u4")
    if not 1 <= n_dimensions <= _MAX_DIMENSIONS:
        raise SourceError(f"{path} is damaged: {name!r} has {n_dimensions:,} dimensions")
    shape = tuple(reader.number("u8") for _ in range(n_dimensions))
    kind, begin = reader.number("u4"), reader.number("u8")
    if kind not in BLOCKS:
        raise SourceError(f"{path} has the tensor {name!r} of the type {kind}, which is not known")
    elements, n_bytes = BLOCKS[kind]
    if not all(0 < n < 1 << 40 for n in shape) or shape[0] % elements:
        raise SourceError(f"{path} is damaged: {name!r} has the shape {list(shape)}")
    return GgufTensor(name, shape, kind, begin, shape[0] // elements * n_bytes)


def _check_places(tensors: tuple[GgufTensor, ...], alignment: int, n_data: int, path: Path) -> None:
    names, end = set(), 0
    for tensor in sorted(tensors, key=lambda one: one.begin):
        if tensor.name in names or tensor.begin % alignment or tensor.begin < end:
            raise SourceError(f"{path} is damaged: the data of {tensor.name!r} is not in a place of its own")
        names.add(tensor.name)
        end = tensor.begin + tensor.n_bytes
    if end > n_data:
        raise SourceError(f"{path} is cut short: its tensors end at {end:,} bytes of data, and there are {n_data:,}")
