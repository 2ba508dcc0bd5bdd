"""Draft vocabularies as files: tensors d2t and t2d for EAGLE-3, d2t in GGUF, or the list of ids that SGLang loads.

llama.cpp's d2t has the target's ids themselves, and EAGLE-3's the difference to the draft's; llama.cpp has no t2d.
Source: ggml-org/llama.cpp `src/models/eagle3.cpp` (an int64 tensor d2t) and `conversion/llama.py` (how it is made).

SGLang reads its list with `torch.load(..., weights_only=True)` and nothing else, so that file is a zip as torch.save
makes it, whose pickle holds whole numbers only. It is written without torch and never unpickled here. The zip holds the
same ids as JSON as well, and the pickle must be byte for byte the one that is written for them.
"""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from vocab.choices import DraftFormat
from vocab.errors import SourceError
from vocab.formats import load_lossless
from vocab.interop.head.torch_file import write_torch
from vocab.interop.serving.draft import DraftVocabulary, check_draft
from vocab.interop.serving.gguf_draft import read_gguf_draft, write_gguf_draft
from vocab.interop.transplants.safetensors_file import Tensor, header_bytes, read_header
from vocab.measured import MeasuredTokenizer
from vocab.reading import parse_json
from vocab.writing import check_file, staged_file, write_bytes

_FOLDER = "hot_token_ids"
_METADATA = "vocab.json"
_MOST_BYTES = 256 << 20


def write_draft(
    draft: DraftVocabulary,
    out: str | Path,
    file_format: DraftFormat,
    *,
    n_rows: int | None = None,
    force: bool = False,
) -> None:
    """Write a draft vocabulary to a file, all or nothing.

    Args:
        draft: the draft vocabulary.
        out: file to write.
        file_format: "eagle3" for tensors d2t and t2d as safetensors, "sglang" for a list of hot token ids, "gguf" for
            the tensor d2t that llama.cpp reads.
        n_rows: rows of t2d: the target's vocab_size where that is padded; None for the ids of the target.
        force: whether to replace the file.

    Raises:
        OutputError: the file exists and `force` is not set, or the disk refuses.
        TargetError: there are fewer rows than ids.
        MissingExtraError: the package gguf, which "gguf" needs, is not installed.
    """
    out = Path(out)
    check_file(out, force=force, make_folders=True)
    if file_format == "gguf":
        write_gguf_draft(out, draft.target_ids, _metadata(draft))
    elif file_format == "eagle3":
        write_bytes(out, _eagle3(draft, n_rows))
    else:
        _write_sglang(draft, out)


def load_draft(path: str | Path, source: MeasuredTokenizer | str | Path) -> DraftVocabulary:
    """Read a draft vocabulary from a file of any of these formats.

    Args:
        path: a file that `write_draft` wrote.
        source: the target vocabulary, or what `vocab.load` takes.

    Raises:
        SourceError: the file is damaged, was not written by `write_draft`, or is of another target.
    """
    path = Path(path)
    vocabulary = load_lossless(source)
    try:
        with path.open("rb") as stream:
            magic = stream.read(4)
        if magic == b"GGUF":
            draft = _draft(*read_gguf_draft(path, _MOST_BYTES), path)
        else:
            draft = _read_sglang(path) if magic[:2] == b"PK" else _read_eagle3(path)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from None
    check_draft(draft, vocabulary, str(path))
    return draft


def _metadata(draft: DraftVocabulary) -> dict[str, Any]:
    return {
        "source": draft.source,
        "source_sha256": draft.source_sha256,
        "tokens_sha256": draft.tokens_sha256,
        "n_target": draft.n_target,
    }


def _draft(target_ids: Any, metadata: Any, path: Path) -> DraftVocabulary:
    try:
        ids = np.asarray(target_ids, dtype=np.int64)
        sha256 = metadata["source_sha256"]
        draft = DraftVocabulary(
            target_ids=ids,
            n_target=int(metadata["n_target"]),
            source=str(metadata["source"]),
            source_sha256=str(sha256) if sha256 else None,
            tokens_sha256=str(metadata["tokens_sha256"]),
        )
        is_right = ids.ndim == 1 and ids.size and (np.diff(ids) > 0).all() and 0 <= ids[0] <= ids[-1] < draft.n_target
    except (KeyError, TypeError, ValueError, OverflowError):
        is_right = False
    if not is_right:
        raise SourceError(f"{path} is not a draft vocabulary with the digest of its source, or a damaged one")
    return draft


def _eagle3(draft: DraftVocabulary, n_rows: int | None) -> bytes:
    d2t, t2d = draft.d2t.astype("<i8"), draft.t2d(n_rows)
    tensors = [
        Tensor("d2t", "I64", d2t.shape, 0, d2t.nbytes),
        Tensor("t2d", "BOOL", t2d.shape, d2t.nbytes, d2t.nbytes + t2d.nbytes),
    ]
    # Values of this metadata are texts by the format's description.
    metadata = {"format": "pt"} | {key: "" if value is None else str(value) for key, value in _metadata(draft).items()}
    return header_bytes(tensors, metadata) + d2t.tobytes() + t2d.tobytes()


def _read_eagle3(path: Path) -> DraftVocabulary:
    file = read_header(path)
    tensors = {tensor.name: tensor for tensor in file.tensors}
    kinds = {name: (tensor.dtype, len(tensor.shape)) for name, tensor in tensors.items()}
    if kinds != {"d2t": ("I64", 1), "t2d": ("BOOL", 1)} or path.stat().st_size > _MOST_BYTES:
        raise SourceError(f"{path} is not a draft vocabulary: it has other tensors than d2t and t2d")
    raw = path.read_bytes()[file.data_start :]
    d2t = np.frombuffer(raw[tensors["d2t"].begin : tensors["d2t"].end], dtype="<i8")
    t2d = np.frombuffer(raw[tensors["t2d"].begin : tensors["t2d"].end], dtype=np.uint8)
    draft = _draft(d2t + np.arange(d2t.size), file.metadata, path)
    if not np.array_equal(np.flatnonzero(t2d), draft.target_ids):
        raise SourceError(f"{path} is damaged: d2t and t2d contradict each other")
    return draft


def _write_sglang(draft: DraftVocabulary, out: Path) -> None:
    ids = draft.target_ids.tolist()
    with staged_file(out) as staged:
        write_torch(staged, ids, {_METADATA: json.dumps(_metadata(draft) | {"ids": ids}).encode()}, _FOLDER)


def _read_sglang(path: Path) -> DraftVocabulary:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [f"{_FOLDER}/{name}" for name in ("data.pkl", _METADATA)]
            if any(archive.getinfo(name).file_size > _MOST_BYTES for name in names):
                raise SourceError(f"{path} is not a draft vocabulary: it is too large")
            pickled, raw = (archive.read(name) for name in names)
        metadata = parse_json(raw)
    except (KeyError, ValueError, zipfile.BadZipFile, NotImplementedError):
        raise SourceError(f"{path} is not a draft vocabulary with the digest of its source, or a damaged one") from None
    draft = _draft(metadata.get("ids") if isinstance(metadata, dict) else None, metadata, path)
    if pickled != pickle.dumps(draft.target_ids.tolist(), protocol=2):
        raise SourceError(f"{path} is damaged: the ids that torch would load differ from those in its JSON")
    return draft
