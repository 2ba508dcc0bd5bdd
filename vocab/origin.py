"""Where a vocabulary came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Provenance:
    """Where a vocabulary came from.

    Attributes:
        name: the name or path that it was loaded by.
        sha256: digest of the file that was read; None where there is none.
        format: the kind of file ("tekken" …), so that the same kind can be written again.
        extras: entries of such files that have no part in encoding.
    """

    name: str
    sha256: str | None = None
    format: str | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)
