"""What a count table says of itself: how it was counted, of what, and what was left out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from vocab.corpus.counting import HELD_OUT_RULE, Tally
from vocab.errors import CorpusError
from vocab.splitting import SplitPattern

FORMAT = 1


@dataclass(frozen=True)
class LeftOut:
    """What `min_count` dropped: distinct pre-tokens, their occurrences, and the bytes of text those are."""

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
    """What a count table says of itself. `corpus` names each place with its files and bytes on disk."""

    split_pattern: str
    corpus: tuple[dict[str, Any], ...] = ()
    tally: Tally = field(default=Tally())
    held_out_rule: str = HELD_OUT_RULE
    min_count: int = 1
    left_out: LeftOut = field(default=LeftOut())

    @property
    def name(self) -> str:
        """The places, for a person."""
        return " + ".join(str(entry["place"]) for entry in self.corpus) or "counts"

    def with_left_out(self, min_count: int, left_out: LeftOut) -> CountMetadata:
        """The same after rare pre-tokens were dropped once more."""
        return replace(self, min_count=max(min_count, self.min_count), left_out=self.left_out + left_out)

    def to_json(self) -> str:
        """The metadata of the file; the same metadata give the same text."""
        digest = SplitPattern(self.split_pattern).sha256
        return json.dumps({"format": FORMAT, "split_pattern_sha256": digest, **asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: bytes | str, path: Path) -> CountMetadata:
        """Raises CorpusError when the metadata is not what `to_json` writes."""
        try:
            found = json.loads(text)
            metadata = cls(
                split_pattern=found["split_pattern"],
                corpus=tuple(dict(entry) for entry in found.get("corpus", ())),
                tally=Tally(**found.get("tally", {})),
                held_out_rule=str(found.get("held_out_rule", "not stated")),
                min_count=int(found.get("min_count", 1)),
                left_out=LeftOut(**found.get("left_out", {})),
            )
            digest = SplitPattern(metadata.split_pattern).sha256
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise CorpusError(f"{path} does not say how it was counted ({error!r}); see docs/counts.md") from None
        if found.get("format") != FORMAT:
            raise CorpusError(f"{path} is a count table of format {found.get('format')}; this vocab reads {FORMAT}")
        if found.get("split_pattern_sha256", digest) != digest:
            raise CorpusError(f"{path} names a split pattern whose sha256 is another than the one it states")
        return metadata


def merged_metadata(metadata: Sequence[CountMetadata], names: Sequence[str]) -> CountMetadata:
    """Facts of the sum of tables; raises CorpusError when they were counted in different ways."""
    first = metadata[0]
    for name, other in zip(names, metadata, strict=True):
        same_split = SplitPattern(other.split_pattern).sha256 == SplitPattern(first.split_pattern).sha256
        if not same_split or other.held_out_rule != first.held_out_rule:
            what = "held-out rule" if same_split else "split pattern"
            raise CorpusError(f"{name} and {names[0]} have another {what} each, so their counts cannot be added")
    places: dict[str, dict[str, Any]] = {}
    for entry in sorted((e for f in metadata for e in f.corpus), key=lambda e: str(e["place"])):
        known = places.setdefault(str(entry["place"]), {"place": entry["place"]})
        for key in entry.keys() - {"place"}:
            known[key] = known.get(key, 0) + entry[key]
    return replace(
        first,
        corpus=tuple(places.values()),
        tally=sum((f.tally for f in metadata), Tally()),
        min_count=max(f.min_count for f in metadata),
        left_out=sum((f.left_out for f in metadata), LeftOut()),
    )
