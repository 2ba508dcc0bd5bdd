"""`load`: a vocabulary by its name, or from a file or folder of any format."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vocab.errors import SourceError
from vocab.formats.by_content import kind_of, load_file
from vocab.measured import MeasuredTokenizer
from vocab.vocabulary import Vocabulary

if TYPE_CHECKING:
    from vocab.formats.runtime_tokenizer import RuntimeTokenizer

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
# What ends like a file is one that is missing, not a repository.
_ENDINGS = (".json", ".model", ".tiktoken", ".yaml", ".yml", ".txt", ".zip", ".gguf")


def load(name_or_path: str | Path) -> Vocabulary | RuntimeTokenizer:
    """Load a vocabulary by name, or from a file or folder.

    The format of a file is found by its content: ranks in base64 (`.tiktoken`, and the `tokenizer.model` of Llama 3
    and 4), a SentencePiece model (BPE, as in Llama 2 and Mistral, or Unigram), a `tokenizer.json`, a `tekken.json`,
    a TokenMonster vocabulary in YAML, RWKV's list of tokens, CLIP's list of merges, or the header of a GGUF model of
    llama.cpp.

    Args:
        name_or_path: a path, which goes before a name; a folder must hold one of these files. A `Path` is never a
            name. Names are tiktoken's
            ("cl100k_base", which needs no network, "o200k_base", "gpt2" …) and those of Hugging Face repositories
            ("mistralai/Mistral-7B-v0.1").

    Returns:
        A Vocabulary. For what cannot be pruned, but can be run by its own runtime, a RuntimeTokenizer: it can only be
        measured, inspected and compared. Its `obstacle` says why.

    Raises:
        SourceError: it is missing, damaged or of an unknown kind.
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
    if isinstance(name_or_path, Path):  # a command's argument that is a place, and never a name
        raise SourceError(f"{path}: no such file or folder")
    if _REPOSITORY.fullmatch(str(name_or_path)) and path.suffix not in _ENDINGS:
        from vocab.formats.hub import load_from_hub

        return load_from_hub(str(name_or_path))
    if path.suffix or len(path.parts) > 1:
        raise SourceError(f"{path}: no such file or folder")
    from vocab.formats.named import load_named

    return load_named(str(name_or_path))


def load_lossless(source: str | Path | MeasuredTokenizer) -> Vocabulary:
    """Load a vocabulary whose tokens give every text back.

    Args:
        source: what `load` takes, or a tokenizer that is loaded already.

    Raises:
        SourceError: as `load` does, and for what it gives a RuntimeTokenizer for.
    """
    vocabulary = load(source) if isinstance(source, (str, Path)) else source
    if not isinstance(vocabulary, Vocabulary):
        obstacle = getattr(vocabulary, "obstacle", f"{vocabulary.name} is no `vocab.Vocabulary`")
        raise SourceError(
            f"{obstacle}; it is only measured, inspected and compared (vocab eval, vocab inspect, vocab diff)"
        )
    return vocabulary


@dataclass(frozen=True)
class TokenList:
    """Tokens in the order of a file.

    Attributes:
        name: the name or path that they were asked for by.
        tokens: bytes of the ordinary tokens.
    """

    name: str
    tokens: list[bytes]


def load_tokens(name_or_path: str | Path) -> TokenList:
    """Load ordinary tokens alone.

    Args:
        name_or_path: what `load` takes, or a file of ranks whose split pattern is unknown.

    Raises:
        SourceError: as `load_lossless` does.
    """
    path = Path(name_or_path)
    try:
        if path.is_file() and kind_of(path) == "ranks":
            from vocab.formats.tiktoken_file import parse_tiktoken

            return TokenList(str(name_or_path), parse_tiktoken(path.read_bytes(), str(path))[0])
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from None
    return TokenList(str(name_or_path), list(load_lossless(name_or_path).tokens()))
