"""`.tiktoken` files: a token in base64 and its rank a line (openai/tiktoken `load.py`), and the JSON beside them.

Ranks are ids, so they begin above 0 where special tokens come first. The file holds neither split pattern nor special
tokens, so NAME.json beside NAME.tiktoken holds the other arguments of `tiktoken.Encoding` and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from binascii import a2b_base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tiktoken

from vocab.arrays import end_to_end
from vocab.errors import SourceError
from vocab.formats.known_ranks import named_by_sha256
from vocab.formats.tiktoken_split import is_split_by_tiktoken
from vocab.reading import parse_json
from vocab.splitting import SplitPattern
from vocab.splitting.known_patterns import KERNELS
from vocab.utf8 import NEVER_IN_UTF8
from vocab.vocabulary import Provenance, Vocabulary
from vocab.writing import write_bytes, write_json

ENDING = ".tiktoken"


def parse_tiktoken(raw: bytes, name: str) -> tuple[list[bytes], list[int]]:
    """Tokens in rank order and their ranks, which may leave holes; raises SourceError naming the first wrong line."""
    tokens: list[bytes] = []
    ranks: list[int] = []
    for number, line in enumerate(raw.splitlines(), 1):
        try:
            encoded, digits = line.split()
            token = b"" if encoded == b"=" else a2b_base64(encoded, strict_mode=True)
            rank = int(digits)
        except ValueError:
            raise SourceError(
                f"{name} line {number} is not a base64 token and its rank: this is not a .tiktoken file, or it is "
                "damaged"
            ) from None
        if rank < (least := ranks[-1] + 1 if ranks else 0):
            raise SourceError(f"{name} line {number} has rank {rank} where {least} must follow")
        tokens.append(token)
        ranks.append(rank)
    if tokens and not tokens[-1]:  # openai-whisper's files end so: nothing is ever encoded as it
        tokens.pop(), ranks.pop()
    if not tokens:
        raise SourceError(f"{name} is empty: no tokens")
    if b"" in tokens:
        raise SourceError(f"{name} has an empty token of rank {ranks[tokens.index(b'')]}, which only the last may be")
    return tokens, ranks


def read_tiktoken(path: Path) -> Vocabulary:
    """A vocabulary from a file of ranks, with the JSON beside it unless the file is known by its digest.

    The JSON of NAME.tiktoken is NAME.json; that of a file with another ending, such as tokenizer.model, is
    tokenizer.model.json. Raises SourceError when either is unusable.
    """
    raw = path.read_bytes()
    tokens, ranks = parse_tiktoken(raw, str(path))
    sha256 = hashlib.sha256(raw).hexdigest()
    known = named_by_sha256(sha256, len(tokens))
    if known is not None:
        name, pattern, special_tokens = known
    else:
        sidecar = path.with_suffix(".json") if path.suffix == ENDING else path.with_name(path.name + ".json")
        name = path.stem
        pattern, special_tokens = _read_sidecar(sidecar, path, ranks)
    return of_ranks(tokens, ranks, SplitPattern(pattern), special_tokens, Provenance(name, sha256, "tiktoken"))


def of_ranks(
    tokens: list[bytes],
    ranks: list[int],
    pattern: SplitPattern,
    special_tokens: Mapping[str, int],
    provenance: Provenance,
) -> Vocabulary:
    """A vocabulary of tokens in the order of their ranks, which are ids; special tokens may stand between them."""
    blob, starts = end_to_end(tokens)
    has_holes = ranks[-1] - ranks[0] >= len(ranks)
    ids = np.array(ranks, dtype=np.int64) if has_holes else None
    special = dict(special_tokens)
    return Vocabulary(blob, starts, special, pattern, provenance=provenance, first_id=ranks[0], ids=ids)


def _refuse_holes(ranks: list[int], special_tokens: Mapping[str, int], name: str) -> None:
    """A rank that is left out must be the id of a special token, as in p50k_base; else a line is missing."""
    special, expected = set(special_tokens.values()), 0
    for number, rank in enumerate(ranks, 1):
        missing = next((id_ for id_ in range(expected, rank) if id_ not in special), None)
        if missing is not None:
            raise SourceError(f"{name} line {number} has rank {rank} where {missing} must follow")
        expected = rank + 1


def _read_sidecar(sidecar: Path, path: Path, ranks: list[int]) -> tuple[str, dict[str, int]]:
    if not sidecar.is_file():
        raise SourceError(
            f"{path} holds no split pattern: put {sidecar.name} beside it, "
            'as {"pat_str": "...", "special_tokens": {"<|endoftext|>": 32000}}'
        )
    try:
        settings = parse_json(sidecar.read_bytes())
        pattern, special = settings["pat_str"], settings.get("special_tokens", {})
        if not isinstance(pattern, str) or not all(isinstance(k, int) for k in special.values()):
            raise TypeError
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SourceError(f"{sidecar} is not a JSON object with pat_str and special_tokens") from None
    _refuse_holes(ranks, special, str(path))
    expected, n_tokens = settings.get("explicit_n_vocab"), len(ranks)
    if expected is not None and expected != n_tokens + len(special):
        raise SourceError(
            f"{path} has {n_tokens} tokens, which with {len(special)} special ones are not the {expected} that "
            f"{sidecar.name} states: the file is cut short or damaged"
        )
    return pattern, special


def encoding_settings(vocabulary: Vocabulary, name: str) -> dict[str, Any]:
    """The arguments of `tiktoken.Encoding` apart from the ranks."""
    settings: dict[str, Any] = {
        "name": name,
        "pat_str": vocabulary.pattern.regex,
        "special_tokens": dict(vocabulary.special_tokens),
    }
    if vocabulary.max_id == vocabulary.n_ids - 1:
        settings["explicit_n_vocab"] = vocabulary.n_ids
    return settings


def write_tiktoken(vocabulary: Vocabulary, directory: Path, name: str) -> list[Path]:
    """Write `name`.tiktoken and `name`.json; raises SourceError for an inference method tiktoken does not run."""
    _require_merges(vocabulary)
    ranks, settings = directory / f"{name}.tiktoken", directory / f"{name}.json"
    lines = (
        b"%s %d\n" % (base64.b64encode(token), k) for k, token in enumerate(vocabulary.tokens(), vocabulary.first_id)
    )
    write_bytes(ranks, b"".join(lines))
    write_json(settings, encoding_settings(vocabulary, name))
    return [ranks, settings]


def to_tiktoken(vocabulary: Vocabulary) -> tiktoken.Encoding:
    """A `tiktoken.Encoding` with the same ids; raises SourceError unless the inference method is merges."""
    _require_merges(vocabulary)
    settings = encoding_settings(vocabulary, vocabulary.name)
    return tiktoken.Encoding(**settings, mergeable_ranks=vocabulary.token_ids)


def obstacle(vocabulary: Vocabulary) -> str | None:
    """Why tiktoken cannot encode with a vocabulary exactly, as the end of a sentence; None where it can."""
    if vocabulary.inference != "merges":
        return f"it only runs merges, and this vocabulary is for {vocabulary.inference}"
    steps = vocabulary.pattern.steps
    if steps and steps.added:
        return f"it has no added tokens that are text, as {steps.added[0].text!r} is here"
    if steps and steps.changes_text:
        return "it splits text as it is, without a normalizer or a space before it"
    if steps or not (vocabulary.pattern.regex in KERNELS or is_split_by_tiktoken(vocabulary.pattern)):
        return "its split is one regular expression, and this one it does not have"
    if vocabulary.ids is not None:
        return "there ids are in the order of merges"
    if not set(vocabulary.encoder.lacking) <= set(NEVER_IN_UTF8):
        return "it fails on bytes without a token, and some bytes of text have none here"
    return None


def _require_merges(vocabulary: Vocabulary) -> None:
    if reason := obstacle(vocabulary):
        raise SourceError(f"tiktoken cannot hold {vocabulary.name}: {reason}; save it and use the files of the folder")
