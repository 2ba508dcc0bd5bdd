"""`Study`: what all studies have in common, a question and the settings that answer it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

from vocab.errors import StudyError

# Digests keep the names under which settings were first recorded, so that rows measured before still count.
_RECORDED_AS = {"seq_len": "n_seq"}
# Settings that came later, and the values that say what studies did before.
_ADDED = {"context_bytes": 0}


@dataclass(frozen=True, kw_only=True)
class Study:
    """A question, and the settings of the runs that answer it.

    Attributes:
        name: name of the study, which its rows and figures carry.
        question: what its report answers.
        notes: the hardware, text and time that it needs.
        kind: "speed", "loss" or "ngram", the table of its settings in the TOML file.
    """

    name: str
    question: str
    notes: str = ""
    kind: ClassVar[str]

    @property
    def settings(self) -> dict[str, Any]:
        """The values in the table `kind`, as JSON; words are none of them."""
        words = {entry.name for entry in fields(Study)}
        values = {name: value for name, value in asdict(self).items() if name not in words}
        loaded: dict[str, Any] = json.loads(json.dumps({self.kind: values}))
        return loaded

    @property
    def sha256(self) -> str:
        """Digest of the settings. Rows carry it, and rows of another digest are refused."""
        values: Mapping[str, Any] = self.settings[self.kind]
        kept = {name: value for name, value in values.items() if name not in _ADDED or value != _ADDED[name]}
        recorded = {self.kind: {_RECORDED_AS.get(name, name): value for name, value in kept.items()}}
        return hashlib.sha256(json.dumps(recorded, sort_keys=True).encode()).hexdigest()


def check_unique(names: Sequence[str], what: str) -> None:
    """Raise StudyError when a name is listed twice."""
    if twice := [name for name in names if names.count(name) > 1]:
        raise StudyError(f"{what} {twice[0]} is listed twice")
