"""TokenMonster's YAML vocabulary: the format that runs `ungreedy`.

Source: `yaml_guide/` and `YamlVocab`, `ExportYAML` of alasdairforsythe/tokenmonster `go/tokenmonster.go` (ea8fd60).
TokenMonster cuts whole texts. It passes over our further key `split-pattern`, from which `vocab` knows where no token
may cross; in a file without that key the pattern is one that keeps every text whole, so that both cut the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from vocab.errors import SourceError
from vocab.splitting import SplitPattern
from vocab.vocabulary import Provenance, Vocabulary
from vocab.writing import write_text

ENDING = ".tokenmonster.yaml"
WHOLE_TEXT_REGEX = r"[\s\S]+"

_HEADER = """\
# A vocabulary for TokenMonster: tokenmonster.new(text of this file) in Python, NewVocabFromYAML in Go.
charset: "none"
capcode: 0
normalization: "none"
include-256-bytes: true
"""
_HEX = "TokenMonsterHexEncode{"
_SETTINGS_WITH_CHANGES = {"reset-token-ids": "false", "exclude-other-bytes": "false"}

Entry = dict[str, str]


@dataclass(frozen=True)
class _Item:
    """One entry under `tokens` or `special`."""

    token: bytes
    id_: int


def write_tokenmonster_yaml(vocabulary: Vocabulary, path: Path) -> None:
    """Write a vocabulary; raises SourceError unless its inference method is ungreedy.

    TokenMonster leaves out ordinary tokens of more than 40 bytes when it reads the file, and so does `ungreedy`.
    """
    if vocabulary.inference != "ungreedy":
        raise SourceError(f"TokenMonster only runs ungreedy, and this vocabulary was made for {vocabulary.inference}")
    lines = [_HEADER, f"split-pattern: {_quoted(vocabulary.pattern.regex)}\n", "tokens:\n"]
    lines += [_entry(token, k) for k, token in enumerate(vocabulary.tokens())]
    if vocabulary.special_tokens:
        lines.append("special:\n")
        by_id = sorted(vocabulary.special_tokens.items(), key=lambda item: item[1])
        lines += [_entry(text.encode(), id_) for text, id_ in by_id]
    write_text(path, "".join(lines))


def _entry(token: bytes, token_id: int) -> str:
    return f"  - token: {_token_text(token)}\n    id: {token_id}\n    encoded: true\n"


def _token_text(token: bytes) -> str:
    """A token in quotes where all of it can be printed, else in TokenMonster's hexadecimal form."""
    try:
        text = token.decode()
    except UnicodeDecodeError:
        text = ""
    return _quoted(text) if text.isprintable() and text and not text.startswith(_HEX) else f'"{_HEX}{token.hex()}}}"'


def _quoted(text: str) -> str:
    """A YAML scalar in double quotes, which unlike JSON has no pairs of surrogates."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join([c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped]) + '"'


def read_tokenmonster_yaml(path: Path) -> Vocabulary:
    """A vocabulary that TokenMonster exported or `write_tokenmonster_yaml` wrote; its inference method is ungreedy.

    Raises SourceError, saying what is in the way, for capcode and normalizations, which change text before it is cut,
    for tokens without an id, for repeats, holes and missing single bytes, and for any other file.
    """
    raw = path.read_bytes()
    settings = _parsed(raw, path)
    _check_settings(settings, path)
    items = list(_items(settings, "tokens", path))
    special = {_special_text(item, path): item.id_ for item in _items(settings, "special", path)}
    pattern = SplitPattern(str(settings.get("split-pattern", WHOLE_TEXT_REGEX)))
    pattern.ends(b"a")  # a pattern that cannot be compiled is refused here
    provenance = Provenance(path.name.removesuffix(ENDING).removesuffix(path.suffix), hashlib.sha256(raw).hexdigest())
    return Vocabulary.from_tokens(_in_order(items, path), pattern, special, "ungreedy", provenance)


def _check_settings(settings: dict[str, Any], path: Path) -> None:
    if "tokens" not in settings:
        raise SourceError(f"{path} has no list of tokens: it is not a TokenMonster vocabulary, or one cut short")
    for key in ("capcode", "normalization"):
        if (value := str(settings.get(key, "")).lower()) not in ("", "0", "none"):
            raise SourceError(
                f"{path} has {key} {value}, which changes text before it is cut: only vocabularies without can be read"
            )
    if (charset := str(settings.get("charset", "none")).lower()) not in ("none", "utf-8", "utf8"):
        raise SourceError(f"{path} is for the charset {charset}, not for UTF-8 or plain bytes")
    changes = [key for key, usual in _SETTINGS_WITH_CHANGES.items() if settings.get(key, usual) != usual]
    if changes := changes + (["delete"] if settings.get("delete") else []):
        raise SourceError(
            f"{path} changes a vocabulary ({changes[0]}) and is not a whole one: let TokenMonster apply it and export "
            "the result"
        )


def _items(settings: dict[str, Any], key: str, path: Path) -> Iterator[_Item]:
    """The entries of a list, each with its bytes and id; raises SourceError naming the first that is wrong."""
    entries = settings.get(key) or []
    if not isinstance(entries, list):
        raise SourceError(f"{path}: {key} is not a list of tokens")
    for number, entry in enumerate(entries, 1):
        where = f"{path}: number {number} of {key}"
        token = _token_bytes(entry.get("token", ""), where)
        if "id" not in entry:
            raise SourceError(f"{where}, {token!r}, has no id: export the vocabulary with TokenMonster, which adds ids")
        if not entry["id"].isdecimal():
            raise SourceError(f"{where}, {token!r}, has the id {entry['id']!r}, which is not a number")
        yield _Item(token, int(entry["id"]))


def _token_bytes(text: str, where: str) -> bytes:
    if not text:
        raise SourceError(f"{where} has no token")
    if not (text.startswith(_HEX) and text.endswith("}")):
        return text.encode()
    try:
        return bytes.fromhex(text[len(_HEX) : -1])
    except ValueError:
        raise SourceError(f"{where} is not in hexadecimal digits: {text!r}") from None


def _special_text(item: _Item, path: Path) -> str:
    try:
        return item.token.decode()
    except UnicodeDecodeError:
        raise SourceError(f"{path} has a special token that is not text (UTF-8): {item.token!r}") from None


def _in_order(items: list[_Item], path: Path) -> list[bytes]:
    """Tokens by id; raises SourceError when ids or tokens repeat, ids have holes or a single byte is missing."""
    ordered = sorted(items, key=lambda item: item.id_)
    for expected, item in enumerate(ordered):
        if item.id_ != expected:
            fault = f"no ordinary token has the id {expected}" if item.id_ > expected else f"two have the id {item.id_}"
            raise SourceError(f"{path}: {fault}, but ids must run on from 0, special tokens last")
    tokens = [item.token for item in ordered]
    known: set[bytes] = set()
    for token in tokens:
        if token in known:
            raise SourceError(f"{path} has the token {token!r} twice")
        known.add(token)
    if missing := [b for b in range(256) if bytes([b]) not in known]:
        raise SourceError(
            f"{path} lacks {len(missing)} of the 256 single bytes, first {missing[0]}, so that it cannot encode every "
            "text"
        )
    return tokens


# YAML


def _parsed(raw: bytes, path: Path) -> dict[str, Any]:
    """Settings, whose values are texts, or lists of entries whose values are texts."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # events only: nothing is built that the file asks for
    try:
        events = iter(yaml.parse(raw, Loader=loader))
        content = chain([next(e for e in events if not isinstance(e, _FRAME))], events)
        return _settings(content)
    except (yaml.YAMLError, UnicodeDecodeError, StopIteration, _ShapeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or str(error).split("\n")[0] or "it is empty"
        raise SourceError(f"{path} is not a TokenMonster vocabulary in YAML{line}: {reason}") from None


class _ShapeError(Exception):
    """YAML of another shape."""

    def __init__(self, event: Any, expected: str) -> None:
        super().__init__(f"{expected} must be there")
        self.problem_mark = event.start_mark


_FRAME = (yaml.StreamStartEvent, yaml.DocumentStartEvent)


def _settings(events: Iterator[Any]) -> dict[str, Any]:
    """The mapping that comes next; its values are texts or lists of entries."""
    first = next(events)
    if not isinstance(first, yaml.MappingStartEvent):
        raise _ShapeError(first, "names with values")
    settings: dict[str, Any] = {}
    for event in events:
        if isinstance(event, yaml.MappingEndEvent):
            return settings
        key = _scalar(event, "a name")
        if key in settings:
            raise _ShapeError(event, f"{key} appears twice; another name")
        value = next(events)
        is_list = isinstance(value, yaml.SequenceStartEvent)
        settings[key] = list(_entries(events)) if is_list else _scalar(value, "a value or a list")
    return settings


def _entries(events: Iterable[Any]) -> Iterator[Entry]:
    """The entries of the list that has just begun."""
    events = iter(events)
    for event in events:
        if isinstance(event, yaml.SequenceEndEvent):
            return
        if not isinstance(event, yaml.MappingStartEvent):
            raise _ShapeError(event, "an entry with a token")
        entry: Entry = {}
        for key in events:
            if isinstance(key, yaml.MappingEndEvent):
                break
            entry[_scalar(key, "a name")] = _scalar(next(iter(events)), "a value")
        yield entry


def _scalar(event: Any, expected: str) -> str:
    if not isinstance(event, yaml.ScalarEvent):
        raise _ShapeError(event, expected)
    return str(event.value)
