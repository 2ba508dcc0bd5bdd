"""Reading and writing vocabularies, one module a format."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vocab.errors import SourceError
from vocab.vocabulary import Vocabulary

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
# What ends like a file is one that is missing, not a repository.
_ENDINGS = (".json", ".model", ".tiktoken", ".yaml", ".yml", ".txt", ".zip")

# The largest files of vocabularies there are have some 30 MB.
_MAX_BYTES = 1 << 29


def load(name_or_path: str | Path) -> Vocabulary:
    """A vocabulary by name or from a file or folder.

    Names are tiktoken's ("cl100k_base", needing no network, "o200k_base", "gpt2" …) and those of Hugging Face
    repositories ("mistralai/Mistral-7B-v0.1"). What a file is, its content says: ranks in base64 (`.tiktoken`, and the
    `tokenizer.model` of Llama 3 and 4), a SentencePiece model (BPE, as in Llama 2 and Mistral, or Unigram), a
    `tokenizer.json`, a `tekken.json`, or a TokenMonster vocabulary in YAML. A folder holds one of them. A path that
    exists goes before a name. WordPiece, as BERT has it, can be measured and compared and nothing else
    (`vocab.formats.wordpiece`). Raises SourceError when it is missing, damaged or of another kind.
    """
    path = Path(name_or_path)
    try:
        if path.is_dir():
            from vocab.formats.folder import read_folder

            return read_folder(path)
        if path.is_file():
            return load_file(path)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from None
    if _REPOSITORY.fullmatch(str(name_or_path)) and path.suffix not in _ENDINGS:
        from vocab.formats.hub import load_from_hub

        return load_from_hub(str(name_or_path))
    if path.suffix or len(path.parts) > 1:
        raise SourceError(f"{path}: no such file or folder")
    from vocab.formats.named import load_named

    return load_named(str(name_or_path))


def load_lossless(source: str | Path | Vocabulary) -> Vocabulary:
    """What `load` gives, or a vocabulary that is loaded already, whose tokens give every text back.

    Raises SourceError as `load` does, and for WordPiece.
    """
    vocabulary = source if isinstance(source, Vocabulary) else load(source)
    vocabulary.check_lossless()
    return vocabulary


@dataclass(frozen=True)
class TokenList:
    """Tokens in the order of a file, and what it was asked for by."""

    name: str
    tokens: list[bytes]


def load_tokens(name_or_path: str | Path) -> TokenList:
    """The ordinary tokens of what `load` takes, and of a rank file that nothing says the split pattern of.

    Raises SourceError as `load` does.
    """
    path = Path(name_or_path)
    try:
        if path.is_file() and _kind_of(path) == "ranks":
            from vocab.formats.tiktoken_file import parse_tiktoken

            return TokenList(str(name_or_path), parse_tiktoken(path.read_bytes(), str(path))[0])
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from None
    return TokenList(str(name_or_path), list(load_lossless(name_or_path).tokens()))


# What a reader meets in a file whose parts are of other kinds or sizes than they must be.
_SHAPE_ERRORS = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError)


def load_file(path: Path) -> Vocabulary:
    """A vocabulary from a file, by content; raises SourceError."""
    try:
        return _load_file(path)
    except _SHAPE_ERRORS as error:
        reason = " ".join(f"{type(error).__name__} {error}".split())[:200]
        raise SourceError(f"{path} is damaged, or not what it begins like: {reason}") from None


def _load_file(path: Path) -> Vocabulary:
    if (n_bytes := path.stat().st_size) > _MAX_BYTES:
        raise SourceError(f"{path} has {n_bytes:,} bytes, more than any vocabulary: it is not read")
    kind = _kind_of(path)
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


def _kind_of(path: Path) -> Literal["sentencepiece", "json", "yaml", "ranks"]:
    """By content: JSON begins with a brace, YAML with a comment or a name and a colon, ranks with base64."""
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


def _load_json(path: Path) -> Vocabulary:
    from vocab.formats.tekken import is_tekken, read_tekken
    from vocab.formats.tokenizer_json import read_tokenizer_json

    try:
        settings = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        settings = None  # the reader of tokenizer.json says what is wrong
    return read_tekken(path) if is_tekken(settings) else read_tokenizer_json(path)
