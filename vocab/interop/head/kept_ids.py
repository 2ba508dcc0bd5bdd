"""Ids that an output vocabulary keeps: single bytes and special tokens always, then those that are used most."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vocab.errors import SourceError, TargetError
from vocab.formats import load_lossless
from vocab.formats.id_map import FILE_NAME as ID_MAP
from vocab.formats.id_map import read_id_map
from vocab.interop.serving.token_uses import TokenUses
from vocab.reading import parse_json, why_no_json
from vocab.vocabulary import Vocabulary

Ids = npt.NDArray[np.int64]
_MAX_BYTES = 64 << 20


def always_kept(vocabulary: Vocabulary) -> Ids:
    """Ids of special and added tokens and of single bytes, int64, rising. Without them some texts could not be written.

    A vocabulary that goes from characters keeps its tokens of one character.
    """
    if vocabulary.byte_fallback:
        ranks = np.arange(vocabulary.n_stand_ins)
    elif vocabulary.n_stand_ins:
        ranks = np.array([k for k, token in enumerate(vocabulary.tokens()) if _is_one_character(token)], dtype=np.int64)
    else:
        ranks = np.flatnonzero(vocabulary.lengths == 1)
    special = np.array(sorted(vocabulary.special_tokens.values()), dtype=np.int64)
    return np.union1d(vocabulary.rank_ids[ranks], special)


def _is_one_character(token: bytes) -> bool:
    return len(token.decode(errors="replace")) == 1


def most_used(vocabulary: Vocabulary, size: int, uses: TokenUses) -> Ids:
    """`size` ids, int64, rising: those that are always kept and the most used others; raises TargetError."""
    always = always_kept(vocabulary)
    if not always.size < size <= vocabulary.n_ids:
        raise TargetError(
            f"an output vocabulary of {vocabulary.name} has from {always.size + 1:,} to {vocabulary.n_ids:,} ids, "
            f"bytes and special tokens included, not {size:,}"
        )
    return np.sort(uses.order(always.tolist(), vocabulary.rank_ids)[:size])


def listed(vocabulary: Vocabulary, path: Path) -> Ids:
    """Ids of a file (a JSON list, or an object with `ids`) or of a result of vocab prune, with those always kept.

    Raises SourceError for other content, and for ids that the vocabulary has not.
    """
    read = _of_result(vocabulary, path) if (path / ID_MAP).is_file() else _of_file(path)
    ids = np.unique(np.array(read, dtype=np.int64))
    known = np.union1d(vocabulary.rank_ids, always_kept(vocabulary))
    if wrong := np.setdiff1d(ids, known).tolist():
        raise SourceError(f"{path} names the id {wrong[0]:,}, which {vocabulary.name} does not have")
    return np.union1d(ids, always_kept(vocabulary))


def _of_result(vocabulary: Vocabulary, result: Path) -> list[int]:
    """What a result of vocab prune kept; raises SourceError where its source is another vocabulary than the model's."""
    kept = read_id_map(result).kept
    tokens, own = load_lossless(result).tokens_by_id, vocabulary.tokens_by_id
    for old, new in kept.items():
        if new in tokens and own.get(old) != tokens[new]:
            there, here = (
                repr(token.decode(errors="replace")) if token else "nothing" for token in (tokens[new], own.get(old))
            )
            raise SourceError(
                f"{result} was pruned from another vocabulary than that of {vocabulary.name}: id {old:,} is {there} in "
                f"the one and {here} in the other"
            )
    return list(kept)


def _of_file(path: Path) -> list[int]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise SourceError(f"{path} has more than {_MAX_BYTES:,} bytes, which no list of ids has")
        content: Any = parse_json(path.read_bytes())
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise SourceError(f"{path} {why_no_json(error)}") from None
    ids = content.get("ids") if isinstance(content, dict) else content
    if not isinstance(ids, list) or not ids or not all(type(k) is int and 0 <= k < 1 << 31 for k in ids):
        raise SourceError(f"{path} is neither a JSON list of ids nor a result of vocab prune")
    return ids
