"""Words as BERT cuts them, each with a space before it: tokenizers' own normalizer and pre-tokenizer, run by itself.

It stands in a split pattern as JSON, as the normalizers of tokenizer.json do. The white space between words is dropped,
so that a space tells a piece that begins a word from one within it.

Source: huggingface/tokenizers `models/wordpiece/mod.rs`: a word of too many characters is unknown as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

KIND = "SpacedWords"
# Before a word that is too long: no vocabulary that is read spells it.
UNSPELT = "\U0010ffff"


def spaced_words_settings(
    normalizer: Mapping[str, Any] | None, pre_tokenizer: Mapping[str, Any], most_characters: int
) -> dict[str, Any]:
    """The step as JSON types; words of more than `most_characters` are unknown."""
    return {
        "most_characters": most_characters,
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "type": KIND,
    }


class SpacedWords:
    """Text as the words that tokenizers cuts it into, with a space before each."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings

    def normalized(self, text: str) -> str:
        """The words of a text; one that is too long is marked so that no token spells it."""
        normalizer, pre_tokenizer = self._runtime.normalizer, self._runtime.pre_tokenizer
        normal = normalizer.normalize_str(text) if normalizer else text
        return "".join(self._spaced(word) for word, _ in pre_tokenizer.pre_tokenize_str(normal))

    def _spaced(self, word: str) -> str:
        return f" {word}" if len(word) <= self._settings["most_characters"] else f" {UNSPELT}{word}"

    @cached_property
    def _runtime(self) -> Any:
        from tokenizers import Tokenizer

        parts = {name: self._settings[name] for name in ("normalizer", "pre_tokenizer")}
        return Tokenizer.from_str(json.dumps({**parts, "model": {"type": "BPE", "vocab": {}, "merges": []}}))
