"""Files of vocabularies that are known by their first bytes and not read: what they are, and what to give instead."""

from __future__ import annotations

import re
from pathlib import Path

from vocab.errors import SourceError

_KNOWN = {
    rb"#version": "is a list of merges: name its folder, which must hold vocab.json as well",
    rb"\[PAD\]\r?\n|\[unused\d+\]\r?\n": "is WordPiece's list of tokens: name its folder, or its tokenizer.json",
    rb"\x1f\x8b": "is compressed with gzip: unpack it and name what is in it",
    rb"\x28\xb5\x2f\xfd": "is compressed with zstd: unpack it and name what is in it",
    rb"PK\x03\x04": "is a zip archive: unpack it and name what is in it",
}


def refuse_other_files(path: Path, head: bytes) -> None:
    """Raise SourceError, with what to do, for a file that is known not to be read; `head` are its first bytes."""
    for beginning, what in _KNOWN.items():
        if re.match(beginning, head):
            raise SourceError(f"{path} {what}")
