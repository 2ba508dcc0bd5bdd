"""Judge the built-in profile on kinds of text that are left out of it, every kind in turn.

    python scripts/fetch_text.py --out TEXT/common
    python scripts/fetch_text.py --sources scripts/profile_sources.toml --out TEXT/more --max-mb-per-domain 30
    python scripts/judge_profile.py --text TEXT

The parts of the profile are dealt into a few groups. In each turn one group is left out, cl100k_base is pruned by the
others under merges, and tokens are counted on all text of the kinds in that group, against the first ranks of
cl100k_base. A kind that the profile has no part of is dealt in like a part. Prints a line a kind, then means.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from text_kinds import group_of, kinds, part_of

from vocab.choices import Method
from vocab.corpus.counting import CorpusCounts, count_documents
from vocab.corpus.profile import builtin_profile
from vocab.formats import load_lossless
from vocab.pretokens.counts import PretokenCounts, merge
from vocab.prune.job import Job
from vocab.prune.request import PruneRequest
from vocab.prune.selection import select
from vocab.vocabulary import Vocabulary


@dataclass(frozen=True)
class Judged:
    """Tokens of one kind with all of cl100k_base, with its first ranks, and with the profile's choice."""

    kind: str
    whole: int
    rank: int
    profile: int

    @property
    def change(self) -> float:
        """Share of tokens that the profile's choice needs more than the first ranks."""
        return self.profile / self.rank - 1

    def line(self) -> str:
        """A row of docs/profile.md."""
        shares = (self.change, self.rank / self.whole - 1, self.profile / self.whole - 1)
        return f"| {self.kind} | {' | '.join(f'{share:+.2%}' for share in shares)} |"


def pruned(source: Vocabulary, corpus: CorpusCounts, target: int, method: Method) -> Vocabulary:
    """The tokens that a method chooses, under merges."""
    job = Job(PruneRequest(source=source, target=target, corpus=corpus, method=method, inference="merges"), None)
    return job.pool.vocabulary.subset(select(job), (), "merges", source.provenance)


def n_tokens(vocabulary: Vocabulary, counts: PretokenCounts) -> int:
    """Tokens of all counted pre-tokens."""
    _, sizes = vocabulary.encoder.encode_pretokens(counts.blob, counts.starts)
    return int((counts.counts * sizes).sum())


def turns(names: Iterable[str], n: int) -> list[list[str]]:
    """Kinds dealt into n groups by the part of the profile that holds them, so that each part is left out once."""
    found = list(names)
    parts = sorted({part_of(kind) for kind in found}, key=lambda part: (group_of(part), part))
    return [[kind for kind in found if part_of(kind) in parts[turn::n]] for turn in range(n)]


def judged(text: Path, target: int, n_turns: int) -> Iterator[Judged]:
    """Every kind, judged by the profile without the parts that hold text of the same turn."""
    source = load_lossless("cl100k_base")
    profile = builtin_profile(source.pattern)
    counts = {}
    for kind, documents in kinds(text).items():
        part = count_documents(documents, kind, source.pattern)
        counts[kind] = merge([part.train, part.held_out])
    rank = pruned(source, profile, target, "rank")
    for left_out in turns(sorted(counts), n_turns):
        gone = {part_of(kind) for kind in left_out}
        rest = replace(profile, parts=tuple(part for part in profile.parts if part.name not in gone))
        ours = pruned(source, rest, target, "distill")
        for kind in left_out:
            yield Judged(kind, *(n_tokens(vocabulary, counts[kind]) for vocabulary in (source, rank, ours)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--text", type=Path, required=True, help="folder whose folders fetch_text.py wrote")
    parser.add_argument("--target", type=int, default=32_000)
    parser.add_argument("--turns", type=int, default=4, help="groups that the parts are dealt into")
    options = parser.parse_args()
    rows = sorted(judged(options.text, options.target, options.turns), key=lambda row: (group_of(row.kind), row.kind))
    print("\n".join(row.line() for row in rows))
    for group in sorted({group_of(row.kind) for row in rows}):
        changes = [row.change for row in rows if group_of(row.kind) == group]
        n_worse = sum(change > 0 for change in changes)
        print(f"{group}: {len(changes)} kinds, mean {fmean(changes):+.2%}, worst {max(changes):+.2%}, {n_worse} worse")
    print(f"all: {len(rows)} kinds, mean {fmean(row.change for row in rows):+.2%}")


if __name__ == "__main__":
    main()
