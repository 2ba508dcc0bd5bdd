"""The file of golden ids: JSON of plain ASCII with one text a line, so that a review shows which texts changed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vocab.errors import SourceError
from vocab.reading import read_json
from vocab.writing import check_digest, check_file, with_digest, write_text

ENDING = ".vocab-lock.json"
_MAX_BYTES, _MAX_TEXTS, _MAX_CHARACTERS, _MAX_RUNTIMES = 64 << 20, 10_000, 100_000, 20

# Ids of a text, or the kind of error with which the runtime refuses it.
Answer = tuple[int, ...] | str


@dataclass(frozen=True)
class LockedRuntime:
    """A runtime in a file of golden ids.

    Attributes:
        package: the distribution that it is installed by.
        versions: versions of that distribution and of those that it encodes with, by name.
        answers: its answer to each text, in the order of the texts.
    """

    package: str
    versions: Mapping[str, str]
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class GoldenIds:
    """What each runtime gave for texts.

    Attributes:
        folder: the folder or GGUF file, as it is found from the folder of this file of golden ids.
        files: sha256 of the tokenizer's files by name.
        texts: the texts, in the order in which they were encoded.
        runtimes: by name.
    """

    folder: str
    files: Mapping[str, str]
    texts: tuple[str, ...]
    runtimes: Mapping[str, LockedRuntime]

    @property
    def n_ids(self) -> int:
        """Number of ids of all runtimes and texts."""
        answers = (answer for runtime in self.runtimes.values() for answer in runtime.answers)
        return sum(len(answer) for answer in answers if not isinstance(answer, str))


def default_path(directory: Path) -> Path:
    """Where golden ids of a folder or file are kept: beside it."""
    whole = directory.absolute()
    return whole.with_name(whole.name + ENDING)


def relative(directory: Path, lock: Path) -> str:
    """A folder as it is found from a lock's folder; its whole path where there is no other, as between drives."""
    try:
        return Path(os.path.relpath(directory.absolute(), lock.absolute().parent)).as_posix()
    except ValueError:
        return directory.absolute().as_posix()


def write_golden(golden: GoldenIds, path: Path, *, force: bool) -> None:
    """Write golden ids in one step; raises OutputError."""
    check_file(path, force=force, make_folders=True)
    content = with_digest(
        {
            "vocab_lock": 1,
            "folder": golden.folder,
            "files": dict(golden.files),
            "runtimes": {
                name: {"package": runtime.package, "versions": dict(runtime.versions)}
                for name, runtime in golden.runtimes.items()
            },
            "texts": [{"text": text, "answers": _grouped(golden, k)} for k, text in enumerate(golden.texts)],
        }
    )
    write_text(path, "{\n" + ",\n".join(f'"{key}": {_value(value)}' for key, value in content.items()) + "\n}\n")


def _value(value: Any) -> str:
    if isinstance(value, list):
        return "[\n" + ",\n".join(json.dumps(row) for row in value) + "\n]"
    return json.dumps(value)


def _grouped(golden: GoldenIds, text: int) -> list[dict[str, Any]]:
    """Each answer to a text once, with the runtimes that gave it."""
    groups: dict[Answer, list[str]] = {}
    for name, runtime in golden.runtimes.items():
        groups.setdefault(runtime.answers[text], []).append(name)
    return [
        {"by": names, "refused": answer} if isinstance(answer, str) else {"by": names, "ids": list(answer)}
        for answer, names in groups.items()
    ]


def read_golden(path: Path) -> GoldenIds:
    """Read golden ids; raises SourceError for a file that is missing, too large, damaged or another."""
    try:
        n_bytes = path.stat().st_size
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}; vocab lock writes it") from None
    if n_bytes > _MAX_BYTES:
        raise SourceError(f"{path} has {n_bytes:,} bytes, more than the {_MAX_BYTES:,} that a lock may have")
    content = read_json(path)
    if content.get("vocab_lock") != 1:
        raise SourceError(f"{path} is not a file of vocab lock, or one of a later version")
    content = check_digest(content, path)
    try:
        return _golden(content)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise SourceError(f"{path} is damaged: it does not have an answer of each runtime to each text") from None


def _golden(content: Mapping[str, Any]) -> GoldenIds:
    rows, named = content["texts"], content["runtimes"]
    texts = tuple(row["text"] for row in rows)
    if len(texts) > _MAX_TEXTS or len(named) > _MAX_RUNTIMES or any(len(text) > _MAX_CHARACTERS for text in texts):
        raise ValueError
    answers: dict[str, list[Answer]] = {name: [] for name in named}
    for row in rows:
        given = {name: _answer(group) for group in row["answers"] for name in group["by"]}
        for name, known in answers.items():
            known.append(given[name])
    runtimes = {
        str(name): LockedRuntime(
            str(one["package"]), {str(k): str(v) for k, v in one["versions"].items()}, tuple(answers[name])
        )
        for name, one in named.items()
    }
    files = {str(name): str(digest) for name, digest in content["files"].items()}
    return GoldenIds(str(content["folder"]), files, tuple(map(str, texts)), runtimes)


def _answer(group: Mapping[str, Any]) -> Answer:
    return str(group["refused"]) if "refused" in group else tuple(int(k) for k in group["ids"])
