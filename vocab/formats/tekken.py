"""`tekken.json` of Mistral: byte-level BPE whose special tokens have the first ids.

Source: mistral-common 1.13.1 `tokens/tokenizers/tekken.py`. A token's id is its rank + the number of special tokens,
and of the ranks listed only the first default_vocab_size - default_num_special_tokens are used. Files up to version v7
name no special tokens; these have the names below, and any that are still missing are called <SPECIAL_k>.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from vocab.errors import SourceError
from vocab.formats.companions import KEY
from vocab.reading import parse_json
from vocab.splitting import SplitPattern
from vocab.vocabulary import Provenance, Vocabulary
from vocab.writing import write_json

FILE_NAME = "tekken.json"
_MOST_SPECIAL = 1 << 16  # files have 1,000
_OURS = ("vocab", "special_tokens", "config", KEY)  # read by themselves; the other entries are carried
_OLD_SPECIAL = [
    "<unk>",
    "<s>",
    "</s>",
    "[INST]",
    "[/INST]",
    "[AVAILABLE_TOOLS]",
    "[/AVAILABLE_TOOLS]",
    "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]",
    "[TOOL_CALLS]",
    "[IMG]",
    "<pad>",
    "[IMG_BREAK]",
    "[IMG_END]",
    "[PREFIX]",
    "[MIDDLE]",
    "[SUFFIX]",
    "[SYSTEM_PROMPT]",
    "[/SYSTEM_PROMPT]",
    "[TOOL_CONTENT]",
]
_OLD_VERSIONS = ("v1", "v2", "v3", "v7")


def is_tekken(settings: Any) -> bool:
    """Whether parsed JSON has the shape of a tekken.json."""
    return isinstance(settings, dict) and isinstance(settings.get("config"), dict) and "vocab" in settings


def read_tekken(path: Path) -> Vocabulary:
    """A vocabulary from a tekken.json; raises SourceError when a part of it is missing or wrong."""
    raw = path.read_bytes()
    try:
        settings = parse_json(raw)
        config = settings["config"]
        n_special, n_ids = int(config["default_num_special_tokens"]), int(config["default_vocab_size"])
        if not 0 <= n_special <= _MOST_SPECIAL:
            raise ValueError(f"it states {n_special:,} special tokens, and files have at most {_MOST_SPECIAL:,}")
        pattern, entries = str(config["pattern"]), list(settings["vocab"])
        special = _special_texts(settings, n_special, path)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SourceError(f"{path} is not a tekken.json: {type(error).__name__} {error}") from None
    tokens = _tokens(entries[: n_ids - n_special], path)
    if n_ids <= n_special or len(tokens) < n_ids - n_special:
        raise SourceError(
            f"{path} states {n_ids} ids, {n_special} of them special, but lists {len(entries)} tokens: it is cut short "
            "or damaged"
        )
    extras = {key: value for key, value in settings.items() if key not in _OURS}
    extras["version"] = config.get("version", "v3")
    extras["not_control"] = [t["token_str"] for t in settings.get("special_tokens") or [] if not t.get("is_control")]
    name = path.parent.resolve().name if path.name == FILE_NAME else path.stem
    provenance = Provenance(name, hashlib.sha256(raw).hexdigest(), "tekken", extras)
    ids = {text: k for k, text in enumerate(special)}
    return Vocabulary.from_tokens(tokens, SplitPattern(pattern), ids, provenance=provenance, first_id=n_special)


def _special_texts(settings: dict[str, Any], n_special: int, path: Path) -> list[str]:
    """Texts of the special tokens in id order."""
    version = settings["config"].get("version")
    listed = settings.get("special_tokens")
    if listed is None and version not in _OLD_VERSIONS:
        raise SourceError(f"{path} of version {version} names no special tokens, as files after v7 must")
    texts = _OLD_SPECIAL if listed is None else [t["token_str"] for t in sorted(listed, key=lambda t: int(t["rank"]))]
    if listed is not None and sorted(int(t["rank"]) for t in listed) != list(range(len(listed))):
        raise SourceError(f"{path} has special tokens whose ids do not run on from 0")
    if len(texts) > n_special or len(set(texts)) < len(texts):
        raise SourceError(f"{path} has {len(texts)} special tokens, some twice or more than the {n_special} it states")
    return [*texts, *(f"<SPECIAL_{k}>" for k in range(len(texts), n_special))]


def _tokens(entries: list[Any], path: Path) -> list[bytes]:
    """Bytes of the tokens, which must be in rank order."""
    tokens = []
    for expected, entry in enumerate(entries):
        try:
            rank, token = entry["rank"], base64.b64decode(entry["token_bytes"], validate=True)
        except (KeyError, TypeError, ValueError):
            raise SourceError(f"{path}: token {expected} has no rank and bytes in base64") from None
        if rank != expected:
            raise SourceError(f"{path} has rank {rank} where {expected} must follow")
        tokens.append(token)
    return tokens


def can_hold(vocabulary: Vocabulary) -> bool:
    """Whether ids are as in a tekken.json: the special tokens, the 256 bytes in order, the others."""
    has_bytes_first = vocabulary.blob[:256].tolist() == list(range(256)) and bool((vocabulary.lengths[:256] == 1).all())
    has_special_first = vocabulary.first_id == len(vocabulary.special_tokens) > 0
    return vocabulary.inference == "merges" and has_special_first and has_bytes_first


def write_tekken(vocabulary: Vocabulary, path: Path) -> None:
    """Write tekken.json; raises SourceError when ids or the inference method are not such a file's."""
    if not can_hold(vocabulary):
        raise SourceError(
            "tekken.json holds merges with special tokens first and then the bytes, which this one has not"
        )
    extras = dict(vocabulary.provenance.extras) if vocabulary.provenance.format == "tekken" else {}
    extras.pop(KEY, None)  # has files of its own
    version, not_control = extras.pop("version", "v3"), set(extras.pop("not_control", []))
    special = sorted(vocabulary.special_tokens, key=vocabulary.special_tokens.__getitem__)
    content = {
        "config": {
            "pattern": vocabulary.pattern.regex,
            "num_vocab_tokens": vocabulary.n_tokens,
            "default_vocab_size": vocabulary.n_ids,
            "default_num_special_tokens": len(special),
            "version": version,
        },
        "vocab": [_entry(k, token) for k, token in enumerate(vocabulary.tokens())],
        "special_tokens": [
            {"rank": k, "token_str": text, "is_control": text not in not_control} for k, text in enumerate(special)
        ],
        **extras,
    }
    write_json(path, content, 1)


def _entry(rank: int, token: bytes) -> dict[str, Any]:
    try:
        text: str | None = token.decode()
    except UnicodeDecodeError:
        text = None
    return {"rank": rank, "token_bytes": base64.b64encode(token).decode(), "token_str": text}
