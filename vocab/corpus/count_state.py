"""What an interrupted count leaves behind for the one that goes on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vocab.corpus.blocks import Position
from vocab.corpus.counting import Tally
from vocab.errors import CorpusError
from vocab.writing import write_json


@dataclass
class JobState:
    """What progress.json holds: which runs count, up to which position, and of what."""

    identity: dict[str, Any]
    position: Position = field(default=Position())
    runs: list[str] = field(default_factory=list)
    tally: Tally = field(default=Tally())
    n_stored_bytes: int = 0
    n_files_skipped: int = 0
    seconds: float = 0.0

    def save(self, path: Path) -> None:
        write_json(path, asdict(self), 1)

    @classmethod
    def load(cls, path: Path) -> JobState:
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            position, tally = Position(**found.pop("position")), Tally(**found.pop("tally"))
            return cls(position=position, tally=tally, **found)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise CorpusError(f"{path} cannot be read ({error}): start over with `force`") from None

    def check_same(self, identity: dict[str, Any], directory: Path) -> None:
        """Raise CorpusError when it was left behind by the count of something else."""
        if different := [key for key in identity if self.identity.get(key) != identity[key]]:
            raise CorpusError(
                f"{directory} holds an interrupted count with other {', '.join(different)}: "
                "repeat that command, or start over with `force`"
            )
