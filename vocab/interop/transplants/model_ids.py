"""Token ids in config.json and generation_config.json, old to new."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vocab.errors import SourceError
from vocab.formats.id_map import IdMap
from vocab.interop.transplants.vocabulary_tensors import TEXT_SECTIONS

# Settings by what their numbers are. Source: transformers 5, `PretrainedConfig` and `GenerationConfig`.
_ENDINGS = ("_token_id", "_token_ids", "_token_index")
_ROLES = {"forced_decoder_ids"}
_UNWANTED = {"suppress_tokens", "begin_suppress_tokens"}  # ids that are not to be generated
_SEQUENCES = {"bad_words_ids", "force_words_ids", "sequence_bias"}  # texts as ids, which may be spelt anew
_SECTIONS = (*TEXT_SECTIONS, "generation_config")


@dataclass
class IdChanges:
    """Changes of ids: one entry for each setting with ids, and notes on ids that were left out or encoded anew."""

    changed: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def with_new_ids(content: Mapping[str, Any], file: str, ids: IdMap, changes: IdChanges) -> dict[str, Any]:
    """Settings with new ids in the place of old ones, sections of the text's model included.

    A token that is gone cannot be generated, so lists of unwanted tokens lose it; texts given as ids are spelt anew.
    Raises SourceError when any other setting names an id that is gone or was never in use.
    """
    return {key: _value(key, value, f"{file}: {key}", ids, changes) for key, value in content.items()}


def with_vocab_size(content: Mapping[str, Any], old: int, new: int) -> dict[str, Any]:
    """Settings with another vocab_size where they have the old one, sections of the text's model included."""
    return {
        key: new
        if key == "vocab_size" and value == old
        else with_vocab_size(value, old, new)
        if key in TEXT_SECTIONS and isinstance(value, dict)
        else value
        for key, value in content.items()
    }


def _value(key: str, value: Any, where: str, ids: IdMap, changes: IdChanges) -> Any:
    if isinstance(value, dict) and key in _SECTIONS:
        return _section(value, where, ids, changes)
    if isinstance(value, dict) and key == "task_specific_params":
        tasks = {k: v for k, v in value.items() if isinstance(v, dict)}
        return value | {k: _section(v, f"{where}.{k}", ids, changes) for k, v in tasks.items()}
    if value is None or not (key.endswith(_ENDINGS) or key in _ROLES | _UNWANTED | _SEQUENCES):
        return value
    if key in _UNWANTED:
        new = _without_dropped(value, where, ids, changes)
    elif key in _SEQUENCES:
        new = _spelt(value, where, ids, changes)
    elif key == "forced_decoder_ids":
        new = [[position, _new(k, where, ids)] for position, k in value]
    else:
        new = [_new(k, where, ids) for k in value] if isinstance(value, list) else _new(value, where, ids)
    changes.changed.append({"setting": where, "old": value, "new": new})
    return new


def _section(content: Mapping[str, Any], where: str, ids: IdMap, changes: IdChanges) -> dict[str, Any]:
    return {key: _value(key, value, f"{where}.{key}", ids, changes) for key, value in content.items()}


def _new(old: Any, where: str, ids: IdMap) -> Any:
    """The new id of an old one; below 0 and not a whole number mean no token."""
    if type(old) is not int or old < 0:
        return old
    if old in ids.kept:
        return ids.kept[old]
    if old in ids.dropped:
        raise SourceError(
            f"{where} is {old}, a token that {ids.source} lost: prune again with its text in `keep`, or change the "
            "setting"
        )
    raise SourceError(f"{where} is {old}, which is not a token of {ids.source}: change the setting, or set it to null")


def _without_dropped(value: Any, where: str, ids: IdMap, changes: IdChanges) -> Any:
    if not isinstance(value, list):
        return value
    gone = [k for k in value if type(k) is int and k >= 0 and k not in ids.kept]
    if gone:
        changes.notes.append(f"{where} names {len(gone):,} tokens that are gone, which were left out")
    return [_new(k, where, ids) for k in value if k not in gone]


def _spelt(value: Any, where: str, ids: IdMap, changes: IdChanges) -> Any:
    """Lists of ids at any depth, each dropped token as the new ones that spell it; other values as they are."""
    gone: list[int] = []

    def respelt(inner: Any) -> Any:
        if not isinstance(inner, list):
            return inner
        if not inner or not all(type(k) is int for k in inner):
            return [respelt(one) for one in inner]
        gone.extend(k for k in inner if k in ids.dropped)
        return [new for old in inner for new in (ids.dropped.get(old) or (_new(old, where, ids),))]

    spelt = respelt(value)
    if gone:
        changes.notes.append(f"{where} names {len(gone):,} tokens that are gone, which were spelt anew")
    return spelt
