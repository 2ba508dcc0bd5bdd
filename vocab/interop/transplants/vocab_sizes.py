"""Vocabulary sizes in config.json: read to tell tensors by, and set to the new one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vocab.errors import SourceError
from vocab.interop.transplants.tensor_names import is_in_tower

# Settings that hold the model of the text, in a model of several parts; in the order in which they are looked up.
TEXT_SECTIONS = ("text_config", "llm_config", "language_config", "decoder", "encoder")
_SIZES = ("vocab_size", "padded_vocab_size", "decoder_vocab_size", "text_vocab_size", "n_vocab", "vocabulary_size")
PER_LAYER = "vocab_size_per_layer_input"  # rows of Gemma 3n's embed_tokens_per_layer
SIZE_KEYS = (*_SIZES, PER_LAYER)


def vocab_sizes(config: Mapping[str, Any]) -> list[int]:
    """Every vocab_size of config.json that may be that of the text, the likeliest first.

    Raises SourceError when there is none.
    """
    sizes = list(dict.fromkeys(_sizes(config)))
    if not sizes:
        raise SourceError("config.json has no vocab_size, so it cannot be told which tensors follow the vocabulary")
    return sizes


def old_vocab_size(config: Mapping[str, Any]) -> int:
    """The vocab_size of config.json, or of its settings of the text; raises SourceError when there is none."""
    return vocab_sizes(config)[0]


def _sizes(config: Mapping[str, Any]) -> Iterator[int]:
    if type(size := config.get("vocab_size")) is int and size > 0:
        yield size
    sections = [*TEXT_SECTIONS, *(key for key in config if key not in TEXT_SECTIONS and not is_in_tower(key))]
    for key in sections:
        if isinstance(section := config.get(key), dict):
            yield from _sizes(section)


def own_rows(name: str, config: Mapping[str, Any]) -> int | None:
    """Rows of an embedding that has a setting of its own, where it is one."""
    if not name.endswith("embed_tokens_per_layer.weight"):
        return None
    for section in (config, *(value for value in config.values() if isinstance(value, dict))):
        if type(n_rows := section.get(PER_LAYER)) is int:
            return n_rows
    return None


def other_sizes(config: Mapping[str, Any]) -> Iterator[int]:
    """Whole numbers of the settings that are not vocabulary sizes or ids."""
    for key, value in config.items():
        if type(value) is int and key not in SIZE_KEYS and not key.endswith(("_id", "_ids", "_index")):
            yield value
        elif isinstance(value, dict) and not is_in_tower(key):
            yield from other_sizes(value)


def with_vocab_size(content: Mapping[str, Any], old: int, new: int) -> dict[str, Any]:
    """Settings with another vocab_size where they have the old one, in every section but those of towers."""
    return {
        key: new
        if (key in _SIZES and value == old) or (key == PER_LAYER and type(value) is int)
        else with_vocab_size(value, old, new)
        if isinstance(value, dict) and not is_in_tower(key)
        else value
        for key, value in content.items()
    }
