"""The bytes of each id of a tokenizer, for trainers that report bits per byte.

A table of bytes gives the bytes of a text only where tokens give the text back. `notes` says where they do not.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vocab.errors import TargetError
from vocab.formats.loading import load
from vocab.measured import MeasuredTokenizer
from vocab.vocabulary import Vocabulary
from vocab.writing import check_file, json_text, staged_file, write_text


@dataclass(frozen=True)
class ByteTable:
    """Bytes of the ids of a tokenizer.

    Attributes:
        name: the tokenizer's name.
        tokens: bytes of each id from 0 to the highest; None for special tokens and ids that are not in use.
        special_tokens: id of each special token by its text.
        notes: sentences on where these bytes are not those of the text.
    """

    name: str
    tokens: tuple[bytes | None, ...]
    special_tokens: dict[str, int]
    notes: tuple[str, ...]

    @property
    def lengths(self) -> npt.NDArray[np.int32]:
        """Bytes of text of each id, int32 (n_ids,); 0 for special tokens and ids that are not in use."""
        return np.array([len(token or b"") for token in self.tokens], dtype=np.int32)

    def for_json(self) -> dict[str, Any]:
        """The same as JSON types; bytes in base64."""
        coded = [None if token is None else base64.b64encode(token).decode() for token in self.tokens]
        return {
            "tokenizer": self.name,
            "n_ids": len(self.tokens),
            "lengths": self.lengths.tolist(),
            "bytes_base64": coded,
            "special_tokens": self.special_tokens,
            "notes": list(self.notes),
        }


def byte_table(source: str | Path | MeasuredTokenizer) -> ByteTable:
    """The bytes of each id of any tokenizer.

    An added token that is text has its text's bytes. A byte of SentencePiece has one byte, and ▁ is a space.

    Args:
        source: what `vocab.load` takes, or a tokenizer that is loaded already.

    Raises:
        SourceError: it cannot be loaded, or does not give the bytes of its tokens.
    """
    tokenizer = load(source) if isinstance(source, str | Path) else source
    by_id = _tokens_by_id(tokenizer)
    n_ids = max([tokenizer.max_id, *by_id], default=-1) + 1
    return ByteTable(
        tokenizer.name,
        tuple(by_id.get(k) for k in range(n_ids)),
        dict(tokenizer.special_tokens),
        _notes(tokenizer),
    )


def _tokens_by_id(tokenizer: MeasuredTokenizer) -> dict[int, bytes]:
    if not isinstance(tokenizer, Vocabulary):
        pieces = getattr(tokenizer, "pieces", None)
        return dict(pieces) if pieces is not None else {k: token for token, k in tokenizer.token_ids.items()}
    added = tokenizer.user_defined if tokenizer.added_texts else frozenset()
    return tokenizer.tokens_by_id | {tokenizer.special_tokens[text]: text.encode() for text in added}


def _notes(tokenizer: MeasuredTokenizer) -> tuple[str, ...]:
    if not isinstance(tokenizer, Vocabulary):
        return ("Ids of this tokenizer need not give the text back: count the bytes of the text itself.",)
    notes = []
    if tokenizer.pattern.has_dummy_prefix:
        notes.append("A space is put before each document: its first token counts one byte too many.")
    if tokenizer.leaves_out and not set(range(256)) <= {token[0] for token in tokenizer.tokens() if len(token) == 1}:
        notes.append("Bytes without a token are left out of text: where there are any, these bytes are too few.")
    if tokenizer.unknown is not None:
        notes.append(f"{tokenizer.unknown} stands for text that no token spells, and counts 0 bytes.")
    return tuple(notes)


def write_byte_table(table: ByteTable, path: str | Path, *, force: bool = False) -> None:
    """Write a table as JSON, or its lengths alone as an array of NumPy where the name ends in `.npy`.

    Args:
        table: the table.
        path: the file; its name ends in `.json` or `.npy`.
        force: whether it may replace a file.

    Raises:
        TargetError: the name has another ending.
        OutputError: the file may not or cannot be written.
    """
    path = Path(path)
    _check_ending(path)
    check_file(path, force=force, make_folders=True)
    if path.suffix == ".json":
        write_text(path, json_text(table.for_json(), None))
        return
    with staged_file(path) as staged:
        np.save(staged, table.lengths, allow_pickle=False)


def _check_ending(path: Path) -> None:
    """Raise TargetError for a file that is neither `.json` nor `.npy`."""
    if path.suffix not in (".json", ".npy"):
        raise TargetError(f"{path} must end in .npy, for the bytes of each id, or in .json, for the tokens as well")
