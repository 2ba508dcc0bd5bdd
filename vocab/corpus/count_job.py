"""A count job: the corpus to count and its settings, and the result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from vocab.corpus.blocks import BLOCK_BYTES
from vocab.corpus.count_metadata import CountMetadata
from vocab.corpus.read_options import ReadOptions
from vocab.corpus.skipped import SkippedSummary
from vocab.corpus.sources import TextSource
from vocab.environment import processor, versions
from vocab.errors import TargetError
from vocab.splitting import SplitPattern

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """One machine's share of the files of a corpus: number `number` of `n`, from 1."""

    number: int = 1
    n: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read "2/8"; raises TargetError for anything else."""
        number, slash, n = text.partition("/")
        if not (slash and number.isdigit() and n.isdigit() and 1 <= int(number) <= int(n)):
            raise TargetError(f"{text!r} is not a shard: write the number of this one and of all, like 2/8")
        return cls(int(number), int(n))

    def of(self, files: Sequence[T]) -> list[T]:
        """Every n-th file; raises TargetError when there are fewer files than shards."""
        if len(files) < self.n:
            raise TargetError(f"{len(files)} files cannot be shared out to {self.n} shards: use at most {len(files)}")
        return list(files[self.number - 1 :: self.n])


@dataclass(frozen=True)
class CountJob:
    """Everything that a count depends on.

    Attributes:
        inputs: files, folders, glob patterns, "-" or "hf://dataset[:split]".
        pattern: the split pattern.
        options: how the inputs are read.
        shard: the share of the files to count.
        min_count: the least count of a pre-token in the table.
    """

    inputs: Sequence[str]
    pattern: SplitPattern
    options: ReadOptions = field(default_factory=ReadOptions)
    shard: Shard = field(default=Shard())
    min_count: int = 1

    def identity(self, sources: Sequence[TextSource]) -> dict[str, Any]:
        """What must be the same for an interrupted count to continue, under names for an error message."""
        files = json.dumps([source.fingerprint for source in sources])
        return {
            "corpus": list(self.inputs),
            "files": hashlib.sha256(files.encode()).hexdigest(),
            "split pattern": self.pattern.sha256,
            "column": self.options.column,
            "documents": self.options.documents,
            "encoding errors": self.options.encoding_errors,
            "on error": self.options.on_error,
            "size of blocks": BLOCK_BYTES,  # positions count them
            "shard": f"{self.shard.number}/{self.shard.n}",
            "text of benchmarks": self.options.without.sha256 if self.options.without else "",
        }


@dataclass(frozen=True)
class CountResult:
    """The count table of a job, and what counting took.

    Attributes:
        path: the count table.
        metadata: its metadata.
        n_pretokens: distinct pre-tokens in the table.
        n_runs: sorted runs that were added up.
        n_run_bytes: their bytes on disk.
        skipped: the files and rows that were left out.
        seconds: wall-clock time, of interrupted runs too.
        memory_bytes: the memory that was allowed.
        peak_resident_bytes: the most memory of this process, 0 where the system does not tell.
        was_resumed: whether an interrupted count was continued.
    """

    path: Path
    metadata: CountMetadata
    n_pretokens: int
    n_runs: int
    n_run_bytes: int
    skipped: SkippedSummary
    seconds: float
    memory_bytes: int
    peak_resident_bytes: int
    was_resumed: bool

    @property
    def bytes_per_second(self) -> float:
        """Bytes of text counted and added up per second."""
        return self.metadata.tally.n_bytes_read / self.seconds


def report_of(job: CountJob, result: CountResult) -> dict[str, Any]:
    """The contents of report.json: the metadata of the table, the settings, time and memory."""
    return {
        **json.loads(result.metadata.to_json()),
        "n_pretokens": result.n_pretokens,
        "column": job.options.column,
        "documents": job.options.documents,
        "encoding_errors": job.options.encoding_errors,
        "on_error": job.options.on_error,
        "shard": asdict(job.shard),
        "without": job.options.without.for_report() if job.options.without else None,
        **result.skipped.for_report(),
        "n_runs": result.n_runs,
        "n_run_bytes": result.n_run_bytes,
        "was_resumed": result.was_resumed,
        "seconds": result.seconds,
        "bytes_per_second": result.bytes_per_second,
        "memory_bytes": result.memory_bytes,
        "peak_resident_bytes": result.peak_resident_bytes,
        "processor": processor(),
        "versions": versions(),
    }
