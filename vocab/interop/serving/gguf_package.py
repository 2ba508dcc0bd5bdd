"""The package gguf, which is optional."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from vocab.errors import MissingExtraError


def gguf_package(what: str) -> Any:
    """The package; raises MissingExtraError, which says what needs it."""
    try:
        return import_module("gguf")
    except ImportError:
        raise MissingExtraError(what, "gguf", "gguf") from None
