"""A vocabulary from one file, whose format is found by its content."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vocab.errors import SourceError
from vocab.vocabulary import Vocabulary

if TYPE_CHECKING:
    from vocab.formats.wordpiece import WordPieceTokenizer

FileKind = Literal["sentencepiece", "json", "yaml", "ranks"]

# The largest files of vocabularies there are have some 30 MB.
_MAX_BYTES = 1 << 29
# What a reader meets in a file whose parts are of other kinds or sizes than they must be.
_SHAPE_ERRORS = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError)


def load_file(path: Path) -> Vocabulary | WordPieceTokenizer:
    """Read a vocabulary from a file of any format; raises SourceError."""
    try:
        return _load_file(path)
    except _SHAPE_ERRORS as error:
        reason = " ".join(f"{type(error).__name__} {error}".split())[:200]
        raise SourceError(f"{path} is damaged, or not what it begins like: {reason}") from None


def _load_file(path: Path) -> Vocabulary | WordPieceTokenizer:
    if (n_bytes := path.stat().st_size) > _MAX_BYTES:
        raise SourceError(f"{path} has {n_bytes:,} bytes, more than any vocabulary: it is not read")
    kind = kind_of(path)
    if kind == "sentencepiece":
        from vocab.formats.sentencepiece_model import read_sentencepiece

        return read_sentencepiece(path)
    if kind == "json":
        return _load_json(path)
    if kind == "yaml":
        from vocab.formats.tokenmonster_yaml import read_tokenmonster_yaml

        return read_tokenmonster_yaml(path)
    from vocab.formats.tiktoken_file import read_tiktoken

    return read_tiktoken(path)


def kind_of(path: Path) -> FileKind:
    """The kind of a file by its content; raises SourceError for an empty one.

    JSON begins with a brace, YAML with a comment or a name and a colon, ranks with base64.
    """
    with path.open("rb") as stream:
        raw = stream.read(64)
    if is_sentencepiece(raw):
        return "sentencepiece"
    head = raw.lstrip()
    if not head:
        raise SourceError(f"{path} is empty: no vocabulary")
    if head.startswith(b"{"):
        return "json"
    return "yaml" if head.startswith((b"#", b"---")) or b":" in head else "ranks"


def is_sentencepiece(head: bytes) -> bool:
    """Whether a file begins like a protobuf of pieces: its first field, which no text file would begin with."""
    return head[:1] == b"\n" and any(byte < 9 or 13 < byte < 32 for byte in head)


def _load_json(path: Path) -> Vocabulary | WordPieceTokenizer:
    from vocab.formats.tekken import is_tekken, read_tekken
    from vocab.formats.tokenizer_json import read_tokenizer_json

    try:
        settings = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        settings = None  # the reader of tokenizer.json says what is wrong
    return read_tekken(path) if is_tekken(settings) else read_tokenizer_json(path)
