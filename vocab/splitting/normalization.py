"""Normalizers of tokenizer.json, run by tokenizers itself, and that of SentencePiece's models, by sentencepiece.

They are run only on documents that they may change.

The normal forms of Unicode leave ASCII alone, and NFC nearly all text as people type it. A kernel finds documents that
have other characters, and Python's own check tells which of these are in normal form already.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from functools import cache, cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vocab.arrays import frozen
from vocab.splitting import spaced_words
from vocab.splitting.sentencepiece_normalizer import KIND, SentencePieceNormalizer

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]
_FORMS: tuple[Form, ...] = ("NFC", "NFD", "NFKC", "NFKD")
# No character below this is changed by NFC, alone or beside others.
_FIRST_NFC = 0x300


class Normalization:
    """What a normalizer does to text, given as tokenizer.json states it."""

    def __init__(self, settings_json: str) -> None:
        self._settings: Mapping[str, Any] = json.loads(settings_json)

    @cached_property
    def _of_sentencepiece(self) -> SentencePieceNormalizer | None:
        return SentencePieceNormalizer(self._settings) if self._settings.get("type") == KIND else None

    @cached_property
    def _of_words(self) -> spaced_words.SpacedWords | None:
        is_of_words = self._settings.get("type") == spaced_words.KIND
        return spaced_words.SpacedWords(self._settings) if is_of_words else None

    @cached_property
    def form(self) -> Form | None:
        """The one normal form of Unicode that this is; None for any other normalizer."""
        steps = flat_steps(self._settings, "normalizers")
        kinds = {step["type"] for step in steps}
        return kinds.pop() if len(steps) == 1 and kinds <= set(_FORMS) else None

    @cached_property
    def _runtime(self) -> Any:
        from tokenizers import Tokenizer

        model = {"type": "BPE", "vocab": {}, "merges": []}
        return Tokenizer.from_str(json.dumps({"normalizer": dict(self._settings), "model": model})).normalizer

    def normalized(self, text: str, *, is_whole: bool = True) -> str:
        """The text as the normalizer leaves it; with `is_whole=False` it is a stretch from within a text."""
        if self._of_sentencepiece:
            own = self._of_sentencepiece
            return own.normalized(text) if is_whole else own.normalized_within(text)
        if self._of_words:
            return self._of_words.normalized(text)
        if self.form and _is_in_form(self.form, text):
            return text
        return str(self._runtime.normalize_str(text))

    def leaves_beginning(self, text: str) -> bool:
        """Whether tokenizers takes what is left of a text for its beginning: not where first characters are gone."""
        from tokenizers import PreTokenizedString

        pieces = PreTokenizedString(text)
        pieces.normalize(self._runtime.normalize)
        pieces.split(lambda _, piece: [piece.slice((0, len(piece.normalized)))])
        splits = pieces.get_splits("original", "byte")
        return bool(splits) and splits[0][1][0] == 0

    def may_change(self, text: npt.NDArray[np.uint8], doc_starts: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which documents the normalizer may change, bool[n_documents]; the layout is that of `SplitPattern`."""
        if self.form is None:
            return np.diff(doc_starts) > 0
        from vocab.splitting.normalization_kernels import documents_with_marks

        first = _FIRST_NFC if self.form == "NFC" else 0x80
        found = np.zeros(doc_starts.size - 1, dtype=np.bool_)
        documents_with_marks(frozen(text), frozen(doc_starts), _table(self.form), first, found)
        return found


@cache
def normalization(settings_json: str) -> Normalization:
    """The normalization of these settings; equal settings share one."""
    return Normalization(settings_json)


def flat_steps(settings: Mapping[str, Any] | None, parts: str) -> list[Mapping[str, Any]]:
    """The steps of a normalizer ("normalizers") or pre-tokenizer ("pretokenizers"), sequences taken apart."""
    if not settings:
        return []
    if settings.get("type") != "Sequence":
        return [settings]
    return [step for part in settings[parts] for step in flat_steps(part, parts)]


def _is_in_form(form: Form, text: str) -> bool:
    """Whether Python knows all of the text and finds it in normal form."""
    return text.isascii() or (unicodedata.is_normalized(form, text) and not _has_unassigned(text))


def _has_unassigned(text: str) -> bool:
    """Whether a character is one that this Python does not know, and a newer Unicode may."""
    table = _unassigned()
    points = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    return bool(table[points].any())


@cache
def _unassigned() -> npt.NDArray[np.bool_]:
    """Code points outside the blocks of ideographs that have no category, bool[0x110000]."""
    table = np.zeros(0x110000, dtype=np.bool_)
    codes = _codes_with_properties()
    table[codes] = [unicodedata.category(chr(code)) == "Cn" for code in codes]
    return table


def _codes_with_properties() -> list[int]:
    """Code points above ASCII where normal forms have work, ideographs and syllables of Hangul apart."""
    ranges = ((0x80, 0x3400), (0xA000, 0xAC00), (0xD7A4, 0xD800), (0xF900, 0x20000), (0x2F800, 0x2FA20))
    return [code for first, stop in ranges for code in range(first, stop)]


@cache
def _table(form: Form) -> npt.NDArray[np.bool_]:
    """Code points that may be changed or change others, bool[0x110000], read-only.

    They are those that the form replaces, those that order themselves after others, those that join the character
    before them, and those that Python does not know.
    """
    table = _unassigned().copy()
    for code in _codes_with_properties():
        character = chr(code)
        table[code] |= unicodedata.combining(character) > 0 or not unicodedata.is_normalized(form, character)
        parts = unicodedata.decomposition(character)
        if parts and not parts.startswith("<"):
            table[[int(part, 16) for part in parts.split()[1:]]] = True
    table[0x1161:0x11C3] = True  # vowels and final consonants of Hangul join what is before them
    table[0xAC00:0xD7A4] = form in ("NFD", "NFKD")
    table.setflags(write=False)
    return table
