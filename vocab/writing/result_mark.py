"""The mark of a result: a file that lists the digests of all files that vocab wrote there.

Only what it lists, and what has not changed since, is ever replaced or deleted: names prove nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from vocab.writing.json_files import write_json
from vocab.writing.locks import LOCK
from vocab.writing.staging import is_leftover, place
from vocab.writing.write_errors import write_errors_named

MARK = ".made-by-vocab.json"
# What a marked folder holds: a vocabulary or shards, a transplanted model, a count, or a run of training.
ResultKind = Literal["result", "model", "count", "run"]
_WHOLE_BYTES = 64 << 20  # files up to this size are digested whole
_N_SAMPLES, _SAMPLE_BYTES = 64, 1 << 20  # of larger ones


def file_digest(path: Path) -> str:
    """Digest of a file: of all its bytes, or for one above 64 MiB of its size and 64 pieces of 1 MiB."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        if size <= _WHOLE_BYTES:
            return hashlib.file_digest(stream, "sha256").hexdigest()
        digest = hashlib.sha256(str(size).encode())
        for k in range(_N_SAMPLES):
            stream.seek((size - _SAMPLE_BYTES) * k // (_N_SAMPLES - 1))
            digest.update(stream.read(_SAMPLE_BYTES))
    return f"sampled-{digest.hexdigest()}"


def write_mark(folder: Path, files: Mapping[str, Sequence[str]] | None = None, kind: ResultKind = "result") -> None:
    """Mark the files of a folder as ours.

    Args:
        folder: the folder.
        files: digests that each file may have, by its name; None for all files that are in the folder now.
        kind: what the folder holds.
    """
    if files is None:
        files = {name: [file_digest(path)] for name, path in _files(folder) if name != MARK}
    listed = {name: list(digests) for name, digests in files.items()}
    write_json(folder / MARK, {"made_by": "vocab", "kind": kind, "files": listed}, None)


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Everything in a folder but folders, by its path in it; hidden folders of ours are left out."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            if not is_leftover(path):
                yield from ((f"{path.name}/{name}", below) for name, below in _files(path))
        elif not (path.name == LOCK and path.stat().st_size == 0):
            yield path.name, path


def marked(folder: Path, kind: ResultKind) -> dict[str, list[str]] | None:
    """Digests that the files of a folder may have, by their names; None without a mark of this kind."""
    try:
        mark: Any = json.loads((folder / MARK).read_bytes())
        files, found = mark["files"], mark["kind"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    is_mark = found == kind and isinstance(files, dict) and all(isinstance(one, list) for one in files.values())
    return files if is_mark else None


def foreign_files(folder: Path, besides: Sequence[str] = (), kind: ResultKind = "result") -> list[str]:
    """Sorted paths in a folder of what vocab did not write there as this kind, or of what was changed since.

    Args:
        folder: the folder.
        besides: names of its folders and files that are somebody else's to judge.
        kind: what the folder may hold; all files of another kind are foreign.
    """
    digests = marked(folder, kind)
    known = {*besides, *([] if digests is None else [MARK])}
    return [
        name
        for name, path in _files(folder)
        if name.split("/")[0] not in known and not _is_ours(path, (digests or {}).get(name, []))
    ]


def _is_ours(path: Path, digests: Sequence[str]) -> bool:
    return bool(digests) and path.is_file() and not path.is_symlink() and file_digest(path) in digests


def publish(staged: Mapping[str, Path], folder: Path, kind: ResultKind) -> None:
    """Put finished files into a marked folder, in place of earlier ones of ours; raises OutputError.

    Args:
        staged: finished files on the same file system by the names that they get, in this order.
        folder: the folder. After a kill at any moment its mark knows all of these files that are there.
        kind: what the folder holds.
    """
    with write_errors_named(folder):
        before = marked(folder, kind) or {}
        new = {name: file_digest(path) for name, path in staged.items()}
        write_mark(folder, before | {name: [*before.get(name, []), digest] for name, digest in new.items()}, kind)
        for name, path in staged.items():
            place(path, folder / name)
        write_mark(folder, before | {name: [digest] for name, digest in new.items()}, kind)


def is_empty(folder: Path) -> bool:
    """Whether a folder holds nothing but what runs of ours use."""
    return not any(True for _ in _files(folder)) and all(
        is_leftover(Path(entry.path)) or entry.name == LOCK for entry in os.scandir(folder)
    )
