"""The id map of a pruning, read from `id_map.json`: the new ids of each old one, and the old ids of each new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from vocab.choices import RowInit
from vocab.errors import SourceError
from vocab.reading import read_json
from vocab.writing import DIGEST, check_digest

FILE_NAME = "id_map.json"


@dataclass(frozen=True)
class IdMap:
    """The ids of a pruning, before and after.

    Attributes:
        source: name of the source vocabulary.
        n_old: ids of the source are below this.
        n_new: ids of the result, 0 … n_new - 1.
        kept: old id → new id.
        dropped: old id → new ids that spell its token.
        added: new id → old ids that spell its token, which the source lacks.
    """

    source: str
    n_old: int
    n_new: int
    kept: Mapping[int, int]
    dropped: Mapping[int, tuple[int, ...]]
    added: Mapping[int, tuple[int, ...]]

    def begun_as(self, init: RowInit) -> IdMap:
        """The same, whose new rows begin as the mean of all that spell them, or as the first of these."""
        if init == "mean":
            return self
        return replace(self, added={new: spelling[:1] for new, spelling in self.added.items()})

    def rows(self) -> list[tuple[int, ...]]:
        """Old ids behind each new one: one where it was kept, those that spell it, none for a new special token."""
        rows: list[tuple[int, ...]] = [()] * self.n_new
        for new, spelling in self.added.items():
            rows[new] = spelling
        for old, new in self.kept.items():
            rows[new] = (old,)
        return rows


def read_id_map(directory: str | Path) -> IdMap:
    """Read the id map of a result.

    Args:
        directory: folder that `vocab prune` wrote.

    Raises:
        SourceError: the id map is missing, damaged or contradicts itself.
    """
    path = Path(directory) / FILE_NAME
    if not path.is_file():
        raise SourceError(f"{directory} has no {FILE_NAME}: name a folder that vocab prune wrote")
    return read_id_map_file(path)


def read_id_map_file(path: Path) -> IdMap:
    """Read an id map; raises SourceError for one that is missing, damaged or contradicts itself."""
    content = read_json(path)
    if DIGEST in content:  # vocab before it wrote digests, and other programs, give none
        content = check_digest(content, path)
    try:
        id_map = IdMap(
            source=str(content["source"]),
            n_old=int(content["n_old"]),
            n_new=int(content["n_new"]),
            kept={int(old): new for old, new in content["kept"].items()},
            dropped={int(old): tuple(new) for old, new in content["dropped"].items()},
            added={int(new): tuple(old) for new, old in content["added"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise SourceError(f"{path} is not the id map of a pruning, or a damaged one") from None
    _check(id_map, path)
    return id_map


def _check(id_map: IdMap, path: Path) -> None:
    old = [*id_map.kept, *id_map.dropped, *(k for spelling in id_map.added.values() for k in spelling)]
    new = [*id_map.kept.values(), *id_map.added, *(k for spelling in id_map.dropped.values() for k in spelling)]
    for ids, n, name in ((old, id_map.n_old, "n_old"), (new, id_map.n_new, "n_new")):
        if wrong := [k for k in ids if type(k) is not int or not 0 <= k < n]:
            raise SourceError(f"{path} is damaged: it has the id {wrong[0]!r}, and {name} is {n}")
    taken = [*id_map.kept.values(), *id_map.added]
    if len(set(taken)) < len(taken) or not id_map.kept.keys().isdisjoint(id_map.dropped):
        raise SourceError(f"{path} is damaged: it has an id twice")
    if not all(id_map.added.values()):
        raise SourceError(f"{path} is damaged: a token that the source lacks is spelt with nothing")
