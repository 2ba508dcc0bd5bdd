"""Files as torch.save writes them, without torch: a zip with a pickle of whole numbers, texts and tensors.

They are only written, never read. The pickle names two functions, `torch._utils._rebuild_tensor_v2` and
`collections.OrderedDict`, so that `torch.load(…, weights_only=True)` takes it.

Source: pytorch/pytorch `torch/serialization.py` (`_save`) and `torch/_utils.py` (`_rebuild_tensor_v2`).
"""

from __future__ import annotations

import math
import pickle
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_STORAGES = {"I64": "LongStorage", "I32": "IntStorage", "I8": "CharStorage"}
_REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
_NO_HOOKS = b"ccollections\nOrderedDict\n)R"


@dataclass(frozen=True)
class TorchTensor:
    """A tensor to write.

    Attributes:
        dtype: as in safetensors: I64, I32 or I8.
        shape: its shape.
        blocks: gives its bytes in C order, little-endian, block by block.
    """

    dtype: str
    shape: tuple[int, ...]
    blocks: Callable[[], Iterable[bytes]]


def write_torch(path: Path, value: Any, more: Mapping[str, bytes] | None = None, folder: str = "archive") -> None:
    """Write a number, text, list of these, tensor, or dictionary of all of them.

    Args:
        path: the file.
        value: what torch.load gives back.
        more: further entries of the zip, which torch does not read.
        folder: the folder in the zip.
    """
    tensors: list[TorchTensor] = []
    raw = b"\x80\x02" + _pickled(value, tensors) + b"."
    entries: dict[str, Iterable[bytes]] = {"data.pkl": [raw], "byteorder": [b"little"]}
    entries |= {name: [content] for name, content in (more or {}).items()}
    entries |= {f"data/{k}": tensor.blocks() for k, tensor in enumerate(tensors)}
    entries["version"] = [b"3\n"]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, blocks in entries.items():
            # A fixed time: the same content, the same file.
            with archive.open(zipfile.ZipInfo(f"{folder}/{name}"), "w", force_zip64=name.startswith("data/")) as entry:
                for block in blocks:
                    entry.write(block)


def _pickled(value: Any, tensors: list[TorchTensor]) -> bytes:
    """Opcodes that make a value."""
    if isinstance(value, TorchTensor):
        tensors.append(value)
        return _tensor(value, len(tensors) - 1)
    if isinstance(value, dict):
        entries = b"".join(_plain(key) + _pickled(one, tensors) for key, one in value.items())
        return b"}(" + entries + b"u"
    return _plain(value)


def _plain(value: Any) -> bytes:
    return pickle.dumps(value, protocol=2)[2:-1]


def _tensor(tensor: TorchTensor, number: int) -> bytes:
    n = math.prod(tensor.shape)
    strides = tuple(math.prod(tensor.shape[k + 1 :]) for k in range(len(tensor.shape)))
    storage = b"(" + _plain("storage") + f"ctorch\n{_STORAGES[tensor.dtype]}\n".encode()
    storage += _plain(str(number)) + _plain("cpu") + _plain(n) + b"tQ"
    return _REBUILD + b"(" + storage + b"K\x00" + _plain(tensor.shape) + _plain(strides) + b"\x89" + _NO_HOOKS + b"tR"
