"""The state of an interrupted count, on disk."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vocab.corpus.blocks import Position
from vocab.corpus.skipped import SkippedSummary
from vocab.corpus.tally import Tally
from vocab.errors import CorpusError, SourceError
from vocab.reading import read_json
from vocab.writing import check_digest, with_digest, write_json


@dataclass
class JobState:
    """The contents of progress.json, which also states its own digest.

    Attributes:
        identity: of the job, as `CountJob.identity`.
        position: up to which the runs count.
        runs: names of the sorted runs, each with the digest of its content.
        tally: sums over the documents counted.
        n_stored_bytes: bytes of files on disk that were read.
        skipped: the files and rows that reading left out.
        seconds: wall-clock time so far.
    """

    identity: dict[str, Any]
    position: Position = field(default=Position())
    runs: dict[str, str] = field(default_factory=dict)
    tally: Tally = field(default=Tally())
    n_stored_bytes: int = 0
    skipped: SkippedSummary = field(default=SkippedSummary())
    seconds: float = 0.0

    def save(self, path: Path) -> None:
        """Replace the file in one step; raises OutputError."""
        write_json(path, with_digest(asdict(self)), 1)

    @classmethod
    def load(cls, path: Path) -> JobState:
        """Read what `save` wrote; raises CorpusError for anything else."""
        try:
            stored = check_digest(read_json(path), path)
            position, tally = Position(**stored.pop("position")), Tally(**stored.pop("tally"))
            skipped = SkippedSummary.from_json(stored.pop("skipped"))
            return cls(position=position, tally=tally, skipped=skipped, **stored)
        except (SourceError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise CorpusError(f"{path} cannot be read ({error}): start over with `force`") from None

    @staticmethod
    def is_at(path: Path) -> bool:
        """Whether a file is such a state, perhaps a damaged one, and not something of others by that name."""
        try:
            return '"identity"' in path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False

    def check_same(self, identity: dict[str, Any], directory: Path) -> None:
        """Raise CorpusError when it is the state of another job."""
        if different := [key for key in identity if self.identity.get(key) != identity[key]]:
            raise CorpusError(
                f"{directory} holds an interrupted count with other {', '.join(different)}: "
                "repeat that command, or start over with `force`"
            )
