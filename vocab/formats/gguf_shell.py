"""The smallest model that llama.cpp loads for the sake of its tokenizer: its keys, and one layer of zeros.

Its server refuses a file without weights, and a model without layers ends its process (version of October 2026).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from vocab.formats.gguf_header import MAGIC
from vocab.formats.gguf_tokenizer import GgufTokenizer

_WIDTH = 32
_BLOCK = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
_ALIGNMENT = 32
_F32, _F16 = 0, 1
_CODES = {"u1": 0, "i1": 1, "u2": 2, "i2": 3, "u4": 4, "i4": 5, "f4": 6, "u8": 10, "i8": 11, "f8": 12}


def write_shell(tokenizer: GgufTokenizer, path: Path) -> None:
    """Write a model of zeros with a tokenizer; most of the file is a hole that takes no room on most disks."""
    tensors = list(_tensors(len(tokenizer.tokens)))
    keys = [text_bytes(key) + value_bytes(value) for key, value in _keys(tokenizer).items()]
    head = MAGIC + struct.pack("<IQQ", 3, len(tensors), len(keys)) + b"".join(keys)
    place = 0
    for name, shape in tensors:
        kind, size = (_F32, 4) if len(shape) == 1 else (_F16, 2)
        head += text_bytes(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, place)
        place += aligned(size * prod(shape))
    with path.open("wb") as stream:
        stream.write(head)
        stream.truncate(aligned(len(head)) + place)


def _keys(tokenizer: GgufTokenizer) -> dict[str, Any]:
    sizes = {"block_count": 1, "context_length": 64, "embedding_length": _WIDTH, "feed_forward_length": _WIDTH}
    heads = {"attention.head_count": 1, "attention.head_count_kv": 1, "rope.dimension_count": _WIDTH}
    model = sizes | heads | {"vocab_size": len(tokenizer.tokens), "attention.layer_norm_rms_epsilon": 1e-5}
    kept = {key: value for key, value in tokenizer.keys.items() if key.startswith("tokenizer.ggml.")}
    name = {key: value for key, value in tokenizer.keys.items() if key == "general.name"}
    return {"general.architecture": "llama", **name, **{f"llama.{key}": value for key, value in model.items()}, **kept}


def _tensors(n_tokens: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "token_embd.weight", (_WIDTH, n_tokens)
    yield "output_norm.weight", (_WIDTH,)
    yield from ((f"blk.0.{name}.weight", (_WIDTH,)) for name in ("attn_norm", "ffn_norm"))
    yield from ((f"blk.0.{name}.weight", (_WIDTH, _WIDTH)) for name in _BLOCK)


def aligned(n_bytes: int, alignment: int = _ALIGNMENT) -> int:
    """The next multiple of the alignment."""
    return -(-n_bytes // alignment) * alignment


def text_bytes(text: str) -> bytes:
    """A text as GGUF writes it."""
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def value_bytes(value: Any) -> bytes:
    """A value with its kind: a truth value, number, text, array of numbers or list of texts."""
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value) if 0 <= value < 1 << 32 else struct.pack("<Iq", 11, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if isinstance(value, str):
        return struct.pack("<I", 8) + text_bytes(value)
    if isinstance(value, np.ndarray):
        numbers = value.astype(value.dtype.newbyteorder("<"))
        return struct.pack("<IIQ", 9, _CODES[numbers.dtype.str[1:]], value.size) + numbers.tobytes()
    return struct.pack("<IIQ", 9, 8, len(value)) + _texts(value)


def _texts(texts: Iterable[str]) -> bytes:
    return b"".join(map(text_bytes, texts))
