"""The state of an interrupted count, on disk."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vocab.corpus.blocks import Position
from vocab.corpus.counting import Tally
from vocab.corpus.skipped import SkippedSummary
from vocab.errors import CorpusError
from vocab.reading import parse_json
from vocab.writing import write_json


@dataclass
class JobState:
    """The contents of progress.json.

    Attributes:
        identity: of the job, as `CountJob.identity`.
        position: up to which the runs count.
        runs: names of the sorted runs.
        tally: sums over the documents counted.
        n_stored_bytes: bytes of files on disk that were read.
        skipped: the files and rows that reading left out.
        seconds: wall-clock time so far.
    """

    identity: dict[str, Any]
    position: Position = field(default=Position())
    runs: list[str] = field(default_factory=list)
    tally: Tally = field(default=Tally())
    n_stored_bytes: int = 0
    skipped: SkippedSummary = field(default=SkippedSummary())
    seconds: float = 0.0

    def save(self, path: Path) -> None:
        """Replace the file in one step; raises OutputError."""
        write_json(path, asdict(self), 1)

    @classmethod
    def load(cls, path: Path) -> JobState:
        """Read what `save` wrote; raises CorpusError for anything else."""
        try:
            stored = parse_json(path.read_bytes())
            position, tally = Position(**stored.pop("position")), Tally(**stored.pop("tally"))
            skipped = SkippedSummary.from_json(stored.pop("skipped"))
            return cls(position=position, tally=tally, skipped=skipped, **stored)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise CorpusError(f"{path} cannot be read ({error}): start over with `force`") from None

    def check_same(self, identity: dict[str, Any], directory: Path) -> None:
        """Raise CorpusError when it is the state of another job."""
        if different := [key for key in identity if self.identity.get(key) != identity[key]]:
            raise CorpusError(
                f"{directory} holds an interrupted count with other {', '.join(different)}: "
                "repeat that command, or start over with `force`"
            )
