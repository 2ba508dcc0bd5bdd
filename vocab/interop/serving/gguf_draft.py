"""The tensor d2t of an EAGLE-3 draft model in GGUF: the target's id of each draft id, int64, without weights.

Source: ggml-org/llama.cpp `src/models/eagle3.cpp` and `conversion/llama.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vocab.errors import SourceError
from vocab.formats.gguf_header import read_header
from vocab.interop.serving.gguf_package import gguf_package
from vocab.writing import staged_file

_ARCHITECTURE, _TENSOR, _PREFIX = "eagle3", "d2t", "vocab.draft."


def write_gguf_draft(out: Path, target_ids: npt.NDArray[np.int64], metadata: Mapping[str, Any]) -> None:
    """Write the tensor, with what it belongs to as texts; raises MissingExtraError and OutputError."""
    library = gguf_package("a draft vocabulary in GGUF")
    with staged_file(out) as staged:
        writer = library.GGUFWriter(staged, _ARCHITECTURE)
        for key, value in metadata.items():
            writer.add_string(_PREFIX + key, "" if value is None else str(value))
        writer.add_tensor(_TENSOR, np.ascontiguousarray(target_ids), raw_dtype=library.GGMLQuantizationType.I64)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def read_gguf_draft(path: Path, most_bytes: int) -> tuple[npt.NDArray[np.int64], dict[str, Any]]:
    """The target's ids and what they belong to; raises SourceError for other files."""
    library = gguf_package("a draft vocabulary in GGUF")
    keys = read_header(path, lambda key: key.startswith(_PREFIX))
    if path.stat().st_size > most_bytes:
        raise SourceError(f"{path} is not a draft vocabulary: it is too large")
    try:
        tensors = library.GGUFReader(path).tensors
    except (ValueError, KeyError, IndexError, OverflowError, TypeError):
        raise SourceError(f"{path} is damaged: its tensors cannot be read") from None
    if [(one.name, one.tensor_type.name, len(one.shape)) for one in tensors] != [(_TENSOR, "I64", 1)]:
        raise SourceError(f"{path} is not a draft vocabulary: it has other tensors than {_TENSOR}")
    return np.array(tensors[0].data, dtype=np.int64), {key.removeprefix(_PREFIX): keys[key] for key in keys}
