"""GGUF headers byte by byte, so that broken ones can be written too."""

import struct

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)


class Raw(bytes):
    """A value that is written as it is, its kind included."""


def text(value: str | bytes, order: str = "<") -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack(order + "Q", len(raw)) + raw


def _value(value, order: str) -> bytes:
    if isinstance(value, Raw):
        return bytes(value)
    if isinstance(value, bool):
        return struct.pack(order + "I?", 7, value)
    if isinstance(value, int):
        return struct.pack(order + "II", 4, value)
    if isinstance(value, float):
        return struct.pack(order + "If", 6, value)
    if isinstance(value, str):
        return struct.pack(order + "I", 8) + text(value, order)
    kind, form = (
        (8, "") if isinstance(value[0], (str, bytes)) else (6, "f") if isinstance(value[0], float) else (5, "i")
    )
    head = struct.pack(order + "IIQ", 9, kind, len(value))
    if kind == 8:
        return head + b"".join(text(item, order) for item in value)
    return head + struct.pack(f"{order}{len(value)}{form}", *value)


def gguf_bytes(keys: dict, *, version: int = 3, order: str = "<", n_keys: int | None = None) -> bytes:
    """A file of a header alone: texts, whole numbers, truth values, and lists of texts, numbers or fractions."""
    head = b"GGUF" + struct.pack(order + "IQQ", version, 0, len(keys) if n_keys is None else n_keys)
    return head + b"".join(text(key, order) + _value(value, order) for key, value in keys.items())
