"""Metadata of count tables: of what they were counted and how, and what was left out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from vocab.corpus.counting import HELD_OUT_RULE
from vocab.corpus.tally import Tally
from vocab.errors import CorpusError
from vocab.reading import parse_json
from vocab.splitting import SplitPattern

FORMAT = 1


@dataclass(frozen=True)
class LeftOut:
    """Pre-tokens that `min_count` left out: distinct ones, their occurrences, and the bytes of these."""

    n_pretokens: int = 0
    n_occurrences: int = 0
    n_bytes: int = 0

    def __add__(self, other: LeftOut) -> LeftOut:
        return LeftOut(
            self.n_pretokens + other.n_pretokens,
            self.n_occurrences + other.n_occurrences,
            self.n_bytes + other.n_bytes,
        )


@dataclass(frozen=True)
class CountMetadata:
    """Metadata of a count table.

    Attributes:
        split_pattern: the regular expression of the split pattern.
        corpus: one entry for each input: its name under "place", and numbers such as files and bytes on disk.
        tally: sums over the documents.
        held_out_rule: which documents are held out.
        min_count: the least count of a pre-token in the table.
        left_out: the pre-tokens below it.
    """

    split_pattern: str
    corpus: tuple[dict[str, Any], ...] = ()
    tally: Tally = field(default=Tally())
    held_out_rule: str = HELD_OUT_RULE
    min_count: int = 1
    left_out: LeftOut = field(default=LeftOut())

    @property
    def name(self) -> str:
        """The names of the inputs, for a person."""
        return " + ".join(str(entry["place"]) for entry in self.corpus) or "counts"

    def with_left_out(self, min_count: int, left_out: LeftOut) -> CountMetadata:
        """The metadata after rare pre-tokens were left out once more."""
        return replace(self, min_count=max(min_count, self.min_count), left_out=self.left_out + left_out)

    def to_json(self) -> str:
        """The metadata as JSON; equal metadata give equal text."""
        digest = SplitPattern(self.split_pattern).sha256
        return json.dumps({"format": FORMAT, "split_pattern_sha256": digest, **asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: bytes | str, path: Path) -> CountMetadata:
        """Read what `to_json` writes; raises CorpusError for anything else."""
        try:
            stored = parse_json(text)
            metadata = cls(
                split_pattern=stored["split_pattern"],
                corpus=tuple(dict(entry) for entry in stored.get("corpus", ())),
                tally=Tally(**stored.get("tally", {})),
                held_out_rule=str(stored.get("held_out_rule", "not stated")),
                min_count=int(stored.get("min_count", 1)),
                left_out=LeftOut(**stored.get("left_out", {})),
            )
            digest = SplitPattern(metadata.split_pattern).sha256
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise CorpusError(f"{path} does not say how it was counted ({error!r}); see docs/counts.md") from None
        if stored.get("format") != FORMAT:
            raise CorpusError(f"{path} is a count table of format {stored.get('format')}; this vocab reads {FORMAT}")
        if stored.get("split_pattern_sha256", digest) != digest:
            raise CorpusError(f"{path} names a split pattern whose sha256 is another than the one it states")
        return metadata


def merged_metadata(tables: Sequence[CountMetadata], names: Sequence[str]) -> CountMetadata:
    """Metadata of the sum of tables; raises CorpusError when they were counted in different ways."""
    first = tables[0]
    for name, other in zip(names, tables, strict=True):
        same_split = SplitPattern(other.split_pattern).sha256 == SplitPattern(first.split_pattern).sha256
        if not same_split or other.held_out_rule != first.held_out_rule:
            what = "held-out rule" if same_split else "split pattern"
            raise CorpusError(f"{name} and {names[0]} have another {what} each, so their counts cannot be added")
    entries: dict[str, dict[str, Any]] = {}
    for entry in sorted((e for f in tables for e in f.corpus), key=lambda e: str(e["place"])):
        known = entries.setdefault(str(entry["place"]), {"place": entry["place"]})
        for key in entry.keys() - {"place"}:
            known[key] = known.get(key, 0) + entry[key]
    return replace(
        first,
        corpus=tuple(entries.values()),
        tally=sum((f.tally for f in tables), Tally()),
        min_count=max(f.min_count for f in tables),
        left_out=sum((f.left_out for f in tables), LeftOut()),
    )
