"""Reading and writing vocabularies, one module a format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vocab.errors import SourceError
from vocab.vocabulary import Vocabulary


def load(name_or_path: str | Path) -> Vocabulary:
    """A vocabulary by name or from a file or folder.

    Names are tiktoken's ("cl100k_base", needing no network, "o200k_base", "gpt2" …). Files are a `.tiktoken` file, a
    byte-level BPE `tokenizer.json` or a TokenMonster vocabulary in YAML; a folder holds one of them. A path that exists
    goes before a name. Raises SourceError when it is missing, damaged or of another kind.
    """
    path = Path(name_or_path)
    try:
        if path.is_dir():
            from vocab.formats.folder import read_folder

            return read_folder(path)
        if path.is_file():
            return _load_file(path)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from None
    if path.suffix or len(path.parts) > 1:
        raise SourceError(f"{path}: no such file or folder")
    from vocab.formats.named import load_named

    return load_named(str(name_or_path))


@dataclass(frozen=True)
class TokenList:
    """Tokens in the order of a file, and what it was asked for by."""

    name: str
    tokens: list[bytes]


def load_tokens(name_or_path: str | Path) -> TokenList:
    """The ordinary tokens of what `load` takes, and of a rank file that nothing says the split pattern of.

    Such are tiktoken-format files of any name (`tokenizer.model` of Llama 3 and 4). Raises SourceError as `load` does.
    """
    path = Path(name_or_path)
    try:
        if path.is_file() and _kind_of(path) == "ranks":
            from vocab.formats.tiktoken_file import parse_tiktoken

            return TokenList(str(name_or_path), parse_tiktoken(path.read_bytes(), str(path)))
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from None
    return TokenList(str(name_or_path), list(load(name_or_path).tokens()))


def _load_file(path: Path) -> Vocabulary:
    kind = _kind_of(path)
    if kind == "json":
        from vocab.formats.tokenizer_json import read_tokenizer_json

        return read_tokenizer_json(path)
    if kind == "yaml":
        from vocab.formats.tokenmonster_yaml import read_tokenmonster_yaml

        return read_tokenmonster_yaml(path)
    from vocab.formats.tiktoken_file import read_tiktoken

    return read_tiktoken(path)


def _kind_of(path: Path) -> Literal["json", "yaml", "ranks"]:
    """By content: JSON begins with a brace, YAML with a comment or a name and a colon, ranks with base64."""
    with path.open("rb") as stream:
        head = stream.read(64).lstrip()
    if not head:
        raise SourceError(f"{path} is empty: no vocabulary")
    if head.startswith(b"{"):
        return "json"
    return "yaml" if head.startswith((b"#", b"---")) or b":" in head else "ranks"
