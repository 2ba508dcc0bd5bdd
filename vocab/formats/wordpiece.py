"""WordPiece as BERT has it, in a `tokenizer.json`: run by tokenizers, and counted word by word where that is safe.

BERT normalizes text, drops white space and puts one unknown token in place of a word that it cannot spell, so that ids
do not give the text back.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vocab.formats.hugging_face_runtime import run_by_tokenizers, steps
from vocab.formats.runtime_tokenizer import RuntimeTokenizer
from vocab.splitting import SplitPattern
from vocab.splitting.patterns import SPACED_WORDS
from vocab.vocabulary import Provenance

# All of these work between spaces, tabs and line feeds, whatever is on the other side, so that a text has the
# tokens of its words. tokenizers lower-cases character by character, and no normal form joins anything to a space.
_NORMALIZERS = {"BertNormalizer", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents"}
_DROP_WHITE_SPACE = {"BertPreTokenizer", "Whitespace", "WhitespaceSplit"}
_SPLIT_WORDS = {"Digits", "Punctuation"} | _DROP_WHITE_SPACE


def is_wordpiece(settings: Mapping[str, Any]) -> bool:
    """Whether a tokenizer.json has WordPiece with a continuation prefix; without one it is our longest-prefix."""
    model = settings["model"]
    return bool(model.get("type") == "WordPiece" and model.get("continuing_subword_prefix") != "")


def read(settings: Mapping[str, Any], provenance: Provenance, path: Path) -> RuntimeTokenizer:
    """A tokenizer from a tokenizer.json; raises SourceError where tokenizers cannot run it."""
    obstacle = f"{provenance.name} is WordPiece, whose ids do not give text back"
    pattern = SplitPattern(SPACED_WORDS[0]) if _leaves_words_apart(settings) else None
    return run_by_tokenizers(settings, provenance, str(path), obstacle, pattern)


def _leaves_words_apart(settings: Mapping[str, Any]) -> bool:
    """Whether a text is known to have the tokens of its words; ordinary tokens that were added may hold a space."""
    normalizers = [step["type"] for step in steps(settings.get("normalizer"))]
    splits = [step["type"] for step in steps(settings.get("pre_tokenizer"))]
    added = settings.get("added_tokens") or []
    return (
        _NORMALIZERS.issuperset(normalizers)
        and _SPLIT_WORDS.issuperset(splits)
        and bool(splits)
        and splits[0] in _DROP_WHITE_SPACE
        and all(token["special"] for token in added)
    )
