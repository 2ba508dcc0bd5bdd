"""The id map of a pruning, read from `id_map.json`: what becomes of each old id, and where each new one is from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vocab.errors import SourceError
from vocab.writing import read_json

FILE_NAME = "id_map.json"


@dataclass(frozen=True)
class IdMap:
    """What `vocab prune` says of ids.

    Attributes:
        source: name of the source vocabulary, whose ids are below `n_old`.
        n_new: ids of the result, 0 … n_new - 1.
        kept: old id → new id.
        dropped: old id → new ids that spell its token.
        added: new id → old ids that spell a token which the source lacks.
    """

    source: str
    n_old: int
    n_new: int
    kept: Mapping[int, int]
    dropped: Mapping[int, tuple[int, ...]]
    added: Mapping[int, tuple[int, ...]]

    def rows(self) -> list[tuple[int, ...]]:
        """Old ids behind each new one: one where it was kept, those that spell it, none for a new special token."""
        rows: list[tuple[int, ...]] = [()] * self.n_new
        for new, spelling in self.added.items():
            rows[new] = spelling
        for old, new in self.kept.items():
            rows[new] = (old,)
        return rows


def read_id_map(directory: Path) -> IdMap:
    """The id map in a result of `vocab prune`; raises SourceError when it is missing, damaged or contradicts itself."""
    path = directory / FILE_NAME
    if not path.is_file():
        raise SourceError(f"{directory} has no {FILE_NAME}: name a folder that vocab prune wrote")
    content = read_json(path)
    try:
        found = IdMap(
            source=str(content["source"]),
            n_old=int(content["n_old"]),
            n_new=int(content["n_new"]),
            kept={int(old): new for old, new in content["kept"].items()},
            dropped={int(old): tuple(new) for old, new in content["dropped"].items()},
            added={int(new): tuple(old) for new, old in content["added"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise SourceError(f"{path} is not the id map of a pruning, or a damaged one") from None
    _check(found, path)
    return found


def _check(found: IdMap, path: Path) -> None:
    old = [*found.kept, *found.dropped, *(k for spelling in found.added.values() for k in spelling)]
    new = [*found.kept.values(), *found.added, *(k for spelling in found.dropped.values() for k in spelling)]
    for ids, n, name in ((old, found.n_old, "n_old"), (new, found.n_new, "n_new")):
        if wrong := [k for k in ids if type(k) is not int or not 0 <= k < n]:
            raise SourceError(f"{path} is damaged: it has the id {wrong[0]!r}, and {name} is {n}")
    taken = [*found.kept.values(), *found.added]
    if len(set(taken)) < len(taken) or not found.kept.keys().isdisjoint(found.dropped):
        raise SourceError(f"{path} is damaged: it has an id twice")
    if not all(found.added.values()):
        raise SourceError(f"{path} is damaged: a token that the source lacks is spelt with nothing")
