"""JSON in files: written in one step, read with one sentence for what is wrong, digests of its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vocab.errors import SourceError
from vocab.writing.staged_files import write_text

DIGEST = "sha256"


def json_text(content: Any, indent: int | None = 2, *, ensure_ascii: bool = False) -> str:
    """JSON with a line end, as in our files."""
    return json.dumps(content, indent=indent, ensure_ascii=ensure_ascii) + "\n"


def write_json(path: Path, content: Any, indent: int | None = 2, *, ensure_ascii: bool = False) -> None:
    """Replace a JSON file in one step; raises OutputError."""
    write_text(path, json_text(content, indent, ensure_ascii=ensure_ascii))


def write_json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Replace a file of one JSON object a line in one step; raises OutputError."""
    write_text(path, "".join(json_text(row, None, ensure_ascii=True) for row in rows))


def with_digest(content: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with the digest of all its other entries, under "sha256"."""
    plain = {key: value for key, value in content.items() if key != DIGEST}
    text = json.dumps(plain, sort_keys=True, ensure_ascii=True)
    return {**plain, DIGEST: hashlib.sha256(text.encode()).hexdigest()}


def check_digest(content: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The entries without their digest; raises SourceError when there is none or it is another."""
    if with_digest(json.loads(json.dumps(content))) != content:
        raise SourceError(f"{path} is damaged: its content has another digest than it states")
    return {key: value for key, value in content.items() if key != DIGEST}
