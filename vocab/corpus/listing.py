"""The files behind the name of a corpus: folders and links are followed, and what is left out is named."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path

from vocab.corpus.file_kinds import not_text_by_name
from vocab.corpus.files import CorpusFile, is_special, read_errors_named
from vocab.corpus.globs import closed_folders, matches
from vocab.corpus.saved_datasets import SavedDataset
from vocab.corpus.skipped import Skipped, SkippedFile
from vocab.errors import CorpusError

_SPECIAL = "is a pipe, socket or device, not a file"


@dataclass
class Listing:
    """What a search found.

    Attributes:
        files: the path of each file by its real path, without links.
        unreadable: what cannot be read: the path and a sentence.
        skipped: what is left out.
    """

    files: dict[str, Path] = field(default_factory=dict)
    unreadable: dict[Path, str] = field(default_factory=dict)
    skipped: Skipped = field(default_factory=Skipped)


@dataclass(frozen=True)
class UnreadableFile:
    """A name in a folder that cannot be read, and the sentence that says why."""

    path: Path
    problem: str


def list_files(place: str, skipped: Skipped) -> list[CorpusFile | UnreadableFile]:
    """The files behind a path or a glob pattern, sorted by path.

    Folders are searched to any depth, linked ones too, and each real folder and file is taken once. Hidden files and
    folders in them are left out.

    Args:
        place: a path or a glob pattern.
        skipped: what is left out is added to it.

    Raises:
        CorpusError: there are no files.
    """
    path = Path(place)
    with read_errors_named(f"corpus {place}"):
        if path.is_file():
            return [CorpusFile.of(path)]
        is_folder = path.is_dir()
        if not is_folder and os.path.lexists(place):
            raise CorpusError(f"corpus {place} {_dead_end(place)}")
        found = _searched([place] if is_folder else matches(place))
        found.unreadable |= {} if is_folder else closed_folders(place)
    if not is_folder and not (found.files or found.unreadable or found.skipped.files or found.skipped.hidden):
        raise CorpusError(f"corpus {place}: no such file or folder")
    listed = _listed(found, skipped)
    if not listed:
        raise CorpusError(_nothing_listed(place, found.skipped))
    return listed


def _nothing_listed(place: str, skipped: Skipped) -> str:
    if skipped.files:
        return skipped.nothing_to_count(place, "")
    if skipped.hidden:
        name = skipped.hidden[0].name
        return (
            f"corpus {place}: the folder holds hidden files only, such as {name}: name them one by one or by a pattern"
        )
    return f"corpus {place}: the folder holds no files"


def _dead_end(place: str) -> str:
    try:
        return f"{_SPECIAL}: give - to read standard input" if is_special(place) else "cannot be read"
    except OSError:
        return "is a link that leads nowhere"


def _searched(places: list[str]) -> Listing:
    search = _Search()
    for place in places:
        search.add(place)
    search.run()
    return search.found


def _listed(found: Listing, skipped: Skipped) -> list[CorpusFile | UnreadableFile]:
    """What is to be read, in order; the rest is added to `skipped`."""
    listed: list[CorpusFile | UnreadableFile] = []
    for path in sorted([*found.files.values(), *found.unreadable]):
        if path in found.unreadable:
            listed.append(UnreadableFile(path, found.unreadable[path]))
        elif reason := not_text_by_name(path):
            found.skipped.files.append(SkippedFile(path, reason))
        else:
            listed.append(_file(path))
    found.skipped.files.sort(key=lambda file: file.path)
    skipped.extend(found.skipped)
    return listed


def _file(path: Path) -> CorpusFile | UnreadableFile:
    try:
        return CorpusFile.of(path, in_folder=True)
    except CorpusError as error:  # it went just now, or may not be read
        return UnreadableFile(path, str(error))


class _Search:
    """A search of folders. Links are followed last, so that a file is listed by its own name where it has one."""

    def __init__(self) -> None:
        self.found = Listing()
        self._folders: list[tuple[str, str]] = []
        self._seen: set[str] = set()
        self._links: list[str] = []

    def add(self, place: str) -> None:
        """Take a file or folder that was named or that a pattern matched."""
        if os.path.islink(place) and not os.path.isdir(place):  # noqa: PTH112, PTH114 - strings, as from os.scandir
            self._links.append(place)
            return
        self._add(place, os.path.realpath(place))

    def _add(self, place: str, real: str) -> None:
        """Take what is at a path, given its path without links."""
        path = Path(place)
        try:
            if is_special(place):
                self.found.skipped.files.append(SkippedFile(path, _SPECIAL))
            elif path.is_dir():
                self._folders.append((place, real))
            else:
                self.found.files.setdefault(real, path)
        except OSError as error:
            leads_nowhere = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP) and path.is_symlink()
            what = "is a link that leads nowhere" if leads_nowhere else f"cannot be read: {error.strerror}"
            self.found.unreadable[path] = f"{path} {what}"

    def run(self) -> None:
        """Look into all folders."""
        while self._folders or self._links:
            if self._folders:
                self._look_into(*self._folders.pop(0))
                continue
            links, self._links = sorted(self._links), []
            for link in links:
                self._add(link, os.path.realpath(link))

    def _look_into(self, folder: str, real: str) -> None:
        if real in self._seen:
            return
        self._seen.add(real)
        try:
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            self.found.unreadable[Path(folder)] = f"{folder} cannot be read: {error.strerror}"
            return
        dataset = SavedDataset.of(Path(folder), [entry.name for entry in entries])
        self.found.skipped.notes += dataset.notes
        for name, problem in dataset.problems.items():
            self.found.unreadable[Path(folder) / name] = f"{Path(folder) / name} {problem}"
        for entry in entries:
            if entry.name.startswith("."):
                self.found.skipped.hidden.append(Path(entry.path))
            elif entry.is_symlink():
                self._links.append(entry.path)
            elif entry.is_dir():
                self._folders.append((entry.path, os.path.join(real, entry.name)))  # noqa: PTH118
            elif entry.name not in dataset.metadata:
                self._take_file(entry, os.path.join(real, entry.name), dataset)  # noqa: PTH118

    def _take_file(self, entry: os.DirEntry[str], real: str, dataset: SavedDataset) -> None:
        path = Path(entry.path)
        if not entry.is_file():
            self.found.skipped.files.append(SkippedFile(path, _SPECIAL))
        elif dataset.leaves_out(entry.name):
            self.found.skipped.files.append(SkippedFile(path, "is not among the files of the saved dataset it lies in"))
        else:
            self.found.files.setdefault(real, path)
