"""SentencePiece's normalizer, run by sentencepiece itself: its table of characters, its spaces and its prefix.

It stands in a split pattern as JSON, as the normalizers of tokenizer.json do: the settings of a `.model` in base64, and
its user-defined pieces, whose text it leaves as it is.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from importlib import import_module
from typing import Any

KIND = "SentencePiece"
_UNIGRAM, _UNKNOWN, _USER_DEFINED = 1, 2, 4
_SPACES = re.compile("▁{2,}")


def normalizer_settings(name: str, spec: bytes, user_defined: Iterable[str]) -> dict[str, Any]:
    """The normalizer as JSON types. `spec` is the protobuf `NormalizerSpec` of a model."""
    encoded = base64.b64encode(spec).decode()
    return {"name": name, "spec": encoded, "type": KIND, "user_defined": sorted(user_defined)}


def spec_of(settings: Mapping[str, Any]) -> bytes:
    """The protobuf `NormalizerSpec` of settings."""
    return base64.b64decode(settings["spec"])


class SentencePieceNormalizer:
    """Text as SentencePiece looks for pieces in it, with ▁ for spaces."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings

    def normalized(self, text: str) -> str:
        """A whole text."""
        return str(self._whole.normalize(text))

    def normalized_within(self, text: str) -> str:
        """A stretch from within a text: no ▁ is put before it, and spaces at its ends stay."""
        spaced = str(self._within.normalize(text))
        return _SPACES.sub("▁", spaced) if self._spec.remove_extra_whitespaces else spaced

    @cached_property
    def _spec(self) -> Any:
        spec = import_module("sentencepiece.sentencepiece_model_pb2").NormalizerSpec()
        spec.ParseFromString(spec_of(self._settings))
        return spec

    @cached_property
    def _whole(self) -> Any:
        return self._processor(self._spec)

    @cached_property
    def _within(self) -> Any:
        spec = type(self._spec)()
        spec.CopyFrom(self._spec)
        spec.add_dummy_prefix = spec.remove_extra_whitespaces = False
        return self._processor(spec)

    def _processor(self, spec: Any) -> Any:
        """A processor of no pieces but those that the normalizer knows."""
        model = import_module("sentencepiece.sentencepiece_model_pb2").ModelProto()
        model.pieces.add(piece="<unk>", type=_UNKNOWN)
        for text in self._settings["user_defined"]:
            model.pieces.add(piece=text, type=_USER_DEFINED)
        model.pieces.add(piece="x".join(["", *self._settings["user_defined"], ""]))  # sentencepiece wants one at least
        model.trainer_spec.model_type = _UNIGRAM
        model.normalizer_spec.CopyFrom(spec)
        return import_module("sentencepiece").SentencePieceProcessor(model_proto=model.SerializeToString())
