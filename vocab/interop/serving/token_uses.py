"""How often a target's tokens are used, by domain: which ids cover most of it, and how much.

Among sets of k ids the k most used cover the most tokens: exchanging one of them for another never covers more. So one
count serves every size, and the curve of coverage over sizes is exact on the text that was counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vocab.corpus.counting import CorpusCounts
from vocab.errors import CorpusError, SourceError
from vocab.pretokens.counts import PretokenCounts
from vocab.vocabulary import Vocabulary

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class DomainCoverage:
    """How much of a domain's tokens some ids make up.

    Attributes:
        domain: its name.
        n_counted: tokens that ids were chosen by.
        counted: share of these, from 0 to 1; None where there are none.
        n_held_out: tokens that were held out.
        held_out: share of these; None where there are none.
    """

    domain: str
    n_counted: int
    counted: float | None
    n_held_out: int
    held_out: float | None


@dataclass(frozen=True, eq=False)
class TokenUses:
    """Uses of each id by domain.

    Attributes:
        domains: names of domains.
        counted: int64[n_domains, n_rows]; ids are chosen by their sums.
        held_out: int64[n_domains, n_rows], of text that ids are not chosen by.
        weights: what each domain's counts are multiplied by where ids are chosen. Coverage never uses them.
        notes: sentences on what was left out.
    """

    domains: tuple[str, ...]
    counted: Counts
    held_out: Counts
    weights: tuple[int, ...]
    notes: tuple[str, ...] = ()

    def order(self, always: Iterable[int] = (), among: npt.NDArray[np.int64] | None = None) -> Counts:
        """Ids in the order in which a set grows: those always in it, then by falling use, lower ids first.

        Args:
            always: ids that come first.
            among: ids that there are; None for all rows.

        Returns:
            int64 ids, each once.
        """
        first = np.array(sorted(set(always)), dtype=np.int64)
        ids = np.arange(self.counted.shape[1]) if among is None else np.sort(among)
        others = np.setdiff1d(ids, first)
        uses = (np.array(self.weights)[:, None] * self.counted).sum(axis=0)[others]
        return np.concatenate([first, others[np.argsort(-uses, kind="stable")]])

    def coverage(self, ids: npt.NDArray[np.int64]) -> list[DomainCoverage]:
        """How much of each domain some ids make up, and of all together where there are several."""
        rows = list(zip(self.domains, self.counted, self.held_out, strict=True))
        if len(rows) > 1:
            rows.append(("all", self.counted.sum(axis=0), self.held_out.sum(axis=0)))
        return [DomainCoverage(name, int(a.sum()), _share(a, ids), int(b.sum()), _share(b, ids)) for name, a, b in rows]

    def curve(self, order: Counts) -> dict[str, list[int]]:
        """Tokens of each domain that the first k ids of an order make up, for k from 1 on, as whole numbers.

        It ends with the last id that is used.
        """
        used = np.flatnonzero(self.counted.sum(axis=0)[order])
        end = int(used[-1]) + 1 if used.size else 0
        return {
            name: np.cumsum(row[order[:end]]).tolist() for name, row in zip(self.domains, self.counted, strict=True)
        }


def _share(uses: Counts, ids: npt.NDArray[np.int64]) -> float | None:
    total = int(uses.sum())
    return int(uses[ids].sum()) / total if total else None


def uses_of_corpus(source: Vocabulary, corpus: CorpusCounts) -> TokenUses:
    """Uses of each id by the source's own encoder on counted text, each part a domain.

    Raises:
        SourceError: the corpus was counted with another split pattern.
    """
    rows = [(_uses(source, part.train), _uses(source, part.held_out)) for part in corpus.parts]
    weights = tuple(part.weight for part in corpus.parts)
    return TokenUses(tuple(part.name for part in corpus.parts), *_stacked(source, rows), weights)


def uses_by_domain(
    source: Vocabulary, rows: Mapping[str, tuple[Counts, Counts]], notes: tuple[str, ...] = ()
) -> TokenUses:
    """Uses from a pair of rows a domain, of equal weight; raises CorpusError where nothing was counted."""
    return TokenUses(tuple(rows), *_stacked(source, list(rows.values())), (1,) * len(rows), notes)


def _stacked(source: Vocabulary, rows: Sequence[tuple[Counts, Counts]]) -> tuple[Counts, Counts]:
    if not sum(int(counted.sum()) for counted, _ in rows):
        raise CorpusError(f"no token of {source.name} was counted")
    return np.stack([counted for counted, _ in rows]), np.stack([held_out for _, held_out in rows])


def _uses(source: Vocabulary, counts: PretokenCounts) -> Counts:
    """Uses of each id, int64[max_id + 1]."""
    if counts.pattern_sha256 != source.pattern.sha256:
        raise SourceError(f"the corpus was counted with another split pattern than that of {source.name}")
    uses = np.zeros(source.max_id + 1, dtype=np.int64)
    if not counts.n_pretokens:
        return uses
    ids, sizes = source.encoder.encode_pretokens(counts.blob, counts.starts)
    firsts = np.repeat(counts.starts[:-1] - (np.cumsum(sizes) - sizes), sizes)
    used = source.rank_ids[ids[firsts + np.arange(firsts.size)]]
    np.add.at(uses, used, np.repeat(counts.counts.astype(np.int64), sizes))
    return uses
