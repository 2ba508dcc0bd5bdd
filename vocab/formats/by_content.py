"""A vocabulary from one file, whose format is found by its content."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vocab.errors import SourceError
from vocab.formats.folder_tokens import NO_TOKENS, FolderTokens, with_added
from vocab.formats.other_files import refuse_other_files
from vocab.reading import parse_json
from vocab.vocabulary import Provenance, Vocabulary

if TYPE_CHECKING:
    from vocab.formats.runtime_tokenizer import RuntimeTokenizer

FileKind = Literal["gguf", "sentencepiece", "json", "yaml", "rwkv", "clip", "ranks"]

# A line of RWKV's file: an id, a token as a literal of Python, its length.
_RWKV_LINE = rb"\d+ b?['\"].*['\"] \d+\r?\n"
_CLIP_LINE = rb"\"?bpe_simple_vocab"
# The largest files of vocabularies there are have some 30 MB.
_MAX_BYTES = 1 << 29
# What a reader meets in a file whose parts are of other kinds or sizes than they must be.
_SHAPE_ERRORS = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError)


def load_file(path: Path, added: FolderTokens = NO_TOKENS) -> Vocabulary | RuntimeTokenizer:
    """Read a vocabulary from a file of any format; `added` are the added tokens that other files of its folder name.

    What cannot be pruned, but can be run by its own runtime, is read to be measured. Raises SourceError for all else.
    """
    try:
        return _load_file(path, added)
    except _SHAPE_ERRORS as error:
        raise SourceError(f"{path} is damaged, or not what it begins like: {_reason(error)}") from None


def _reason(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__} {error}".split())[:200]


def _load_file(path: Path, added: FolderTokens) -> Vocabulary | RuntimeTokenizer:
    kind = kind_of(path)
    if kind == "gguf":  # of any size: its weights are not read
        from vocab.formats.gguf_source import read_gguf

        return read_gguf(path)
    if (n_bytes := path.stat().st_size) > _MAX_BYTES:
        raise SourceError(f"{path} has {n_bytes:,} bytes, more than any vocabulary: it is not read")
    if kind == "sentencepiece":
        return _load_sentencepiece(path, added)
    if kind == "json":
        return _load_json(path, added)
    if kind == "yaml":
        from vocab.formats.tokenmonster_yaml import read_tokenmonster_yaml

        return read_tokenmonster_yaml(path)
    if kind == "rwkv":
        from vocab.formats.rwkv_file import read_rwkv

        return read_rwkv(path)
    if kind == "clip":
        from vocab.formats.clip_merges import read_clip

        return read_clip(path)
    from vocab.formats.tiktoken_file import read_tiktoken

    return read_tiktoken(path)


def kind_of(path: Path) -> FileKind:
    """The kind of a file by its content; raises SourceError for an empty one, or one that is known not to be read.

    JSON begins with a brace, YAML with a comment or a name and a colon, RWKV's with a whole line, ranks with base64.
    """
    with path.open("rb") as stream:
        raw = stream.read(64)
    if raw.startswith(b"GGUF"):
        return "gguf"
    if is_sentencepiece(raw):
        return "sentencepiece"
    if re.match(_RWKV_LINE, raw):
        return "rwkv"
    if re.match(_CLIP_LINE, raw):
        return "clip"
    refuse_other_files(path, raw)
    head = raw.lstrip()
    if not head:
        raise SourceError(f"{path} is empty: no vocabulary")
    if head.startswith(b"{"):
        return "json"
    return "yaml" if head.startswith((b"#", b"---")) or b":" in head else "ranks"


def is_sentencepiece(head: bytes) -> bool:
    """Whether a file begins like a protobuf of pieces: its first field, which no text file would begin with."""
    return head[:1] == b"\n" and any(byte < 9 or 13 < byte < 32 for byte in head)


def _load_sentencepiece(path: Path, added: FolderTokens) -> Vocabulary | RuntimeTokenizer:
    from vocab.formats.sentencepiece_model import FILE_NAME, read_sentencepiece

    try:
        return with_added(read_sentencepiece(path), added)
    except SourceError as error:
        from vocab.formats.python_tokenizers import run_by_sentencepiece

        raw = path.read_bytes()
        name = path.parent.resolve().name if path.name == FILE_NAME else path.stem
        provenance = Provenance(name, hashlib.sha256(raw).hexdigest(), "sentencepiece")
        try:
            return run_by_sentencepiece(raw, provenance, str(path), str(error))
        except (SourceError, *_SHAPE_ERRORS):
            raise error from None


def _load_json(path: Path, added: FolderTokens) -> Vocabulary | RuntimeTokenizer:
    from vocab.formats.tekken import is_tekken, read_tekken
    from vocab.formats.tokenizer_json import read_tokenizer_json

    try:
        settings = parse_json(path.read_bytes())
    except ValueError:
        settings = None  # the reader of tokenizer.json says what is wrong
    if is_tekken(settings):
        return read_tekken(path)
    try:
        return read_tokenizer_json(path, added, settings)
    except SourceError as error:
        return _run_json(settings, path, error, str(error))
    except _SHAPE_ERRORS as error:
        return _run_json(settings, path, error, f"{path} is written as no reader here expects it: {_reason(error)}")
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # tokenizers' own, which is no Exception
            raise
        raise SourceError(f"{path} is not a tokenizer.json that tokenizers can run: {_reason(error)}") from None


def _run_json(settings: Any, path: Path, error: Exception, obstacle: str) -> RuntimeTokenizer:
    """The tokenizer of a file that cannot be pruned; raises the reader's `error` where it cannot be run either."""
    from vocab.formats.hugging_face_runtime import run_by_tokenizers

    if not isinstance(settings, dict) or not isinstance(settings.get("model"), dict):
        raise error
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    provenance = Provenance(path.parent.resolve().name or path.stem, digest, "tokenizer.json")
    try:
        return run_by_tokenizers(settings, provenance, str(path), obstacle)
    except (SourceError, *_SHAPE_ERRORS):
        raise error from None
