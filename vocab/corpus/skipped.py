"""What reading a corpus leaves out: files, hidden names and rows, each named or counted."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Files and rows that a report names; all are counted.
MAX_NAMED = 20
_MAX_SHOWN = 3


@dataclass(frozen=True)
class SkippedFile:
    """A file that was left out.

    Attributes:
        path: of the file.
        reason: what is said after the path, like "is a PNG image".
        source: number of the source that reading found it at, -1 when it was found while the corpus was listed.
    """

    path: Path
    reason: str
    source: int = field(default=-1, compare=False)

    def __str__(self) -> str:
        return f"{self.path} {self.reason}"


@dataclass(frozen=True)
class FirstRowWithoutText:
    """The first row of a corpus that has no text: its place, and the columns that it has."""

    position: tuple[int, int]
    where: str
    held: str


@dataclass(frozen=True)
class SkippedSummary:
    """What was left out of a corpus, for reports.

    Attributes:
        n_files: files left out.
        n_hidden: hidden files and folders left out.
        files: a sentence about each of the first files.
        rows: a sentence about each of the first bad rows.
        rows_without_text: places of first rows without text, one a block at most.
        notes: sentences on how the corpus was read.
    """

    n_files: int = 0
    n_hidden: int = 0
    files: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    rows_without_text: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __add__(self, other: SkippedSummary) -> SkippedSummary:
        return SkippedSummary(
            self.n_files + other.n_files,
            self.n_hidden + other.n_hidden,
            (*self.files, *other.files)[:MAX_NAMED],
            (*self.rows, *other.rows)[:MAX_NAMED],
            (*self.rows_without_text, *other.rows_without_text)[:MAX_NAMED],
            tuple(dict.fromkeys((*self.notes, *other.notes)))[:MAX_NAMED],
        )

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> SkippedSummary:
        """Read what `asdict` gives, from JSON."""
        known: dict[str, Any] = {k: tuple(value) if isinstance(value, list) else value for k, value in stored.items()}
        return cls(**known)

    def for_report(self) -> dict[str, Any]:
        """The summary as JSON types, under names for a report."""
        return {
            "n_files_skipped": self.n_files,
            "n_hidden_skipped": self.n_hidden,
            "files_skipped": list(self.files),
            "rows_skipped": list(self.rows),
            "rows_without_text": list(self.rows_without_text),
            "reading_notes": list(self.notes),
        }

    def sentences(self, n_rows_without_text: int, n_rows_skipped: int) -> list[str]:
        """Sentences for a person; none where nothing was left out."""
        said = list(self.notes)
        if self.n_files:
            said.append(f"{_left_out(self.n_files, 'file', 'files')}: {_shown(self.files, self.n_files)}.")
        if self.n_hidden:
            said.append(f"{_left_out(self.n_hidden, 'hidden file or folder', 'hidden files or folders')}.")
        if n_rows_without_text:
            shown = "; ".join(self.rows_without_text[:_MAX_SHOWN])
            what = _left_out(n_rows_without_text, "row without text", "rows without text")
            said.append(f"{what}, such as {shown}." if shown else f"{what}.")
        if n_rows_skipped:
            said.append(f"{_left_out(n_rows_skipped, 'bad row', 'bad rows')}: {_shown(self.rows, n_rows_skipped)}.")
        return said

    def nothing_to_count(
        self, corpus: str, column: str, n_rows_without_text: int, first: FirstRowWithoutText | None = None
    ) -> str:
        """The sentence that says why a corpus holds no text.

        Args:
            corpus: its name.
            column: the column that was asked for.
            n_rows_without_text: rows without text.
            first: the first of them.
        """
        if n_rows_without_text:
            has = f" ({first.where} has: {first.held})" if first else ""
            return f"corpus {corpus} has no text in column {column!r} in any row{has}; name one with `column`"
        if self.rows:
            return f"corpus {corpus} holds no row that can be read: {self.rows[0]}"
        if self.n_files:
            return f"corpus {corpus} holds no text: {_left_out(self.n_files, 'file', 'files')}, such as {self.files[0]}"
        return f"corpus {corpus} is empty: there is no text to count"


class Skipped:
    """Collects what reading leaves out. Several threads may add to it.

    Attributes:
        files: files left out, in the order of the corpus.
        hidden: hidden files and folders left out; what is in such a folder is not looked at.
        notes: sentences on how the corpus was read.
        n_rows_without_text: rows whose text is null or missing.
        n_rows_skipped: rows that cannot be read or hold something else than text.
        n_documents_skipped: documents left out because they are not UTF-8.
        n_documents_repaired: documents in which invalid UTF-8 became U+FFFD.
        n_documents_of_benchmarks: documents left out because they hold text of a benchmark.
        first_without_text: the first row that has no text, if any.
    """

    def __init__(self) -> None:
        self.files: list[SkippedFile] = []
        self.hidden: list[Path] = []
        self.notes: list[str] = []
        self.n_rows_without_text = 0
        self.n_rows_skipped = 0
        self.n_documents_skipped = 0
        self.n_documents_repaired = 0
        self.n_documents_of_benchmarks = 0
        self.first_without_text: FirstRowWithoutText | None = None
        self._rows: list[tuple[tuple[int, int], str]] = []
        self._rows_without_text: list[tuple[tuple[int, int], str]] = []
        self._lock = threading.Lock()

    def add_rows(
        self,
        position: tuple[int, int],
        n_without_text: int,
        first_without_text: FirstRowWithoutText | None,
        n_bad: int = 0,
        bad: Sequence[str] = (),
    ) -> None:
        """Add the rows that a block left out.

        Args:
            position: of the block, by which rows are put in order whichever thread was first.
            n_without_text: rows without text.
            first_without_text: the first of them.
            n_bad: bad rows.
            bad: a sentence about each of the first of these.
        """
        with self._lock:
            self.n_rows_without_text += n_without_text
            self.n_rows_skipped += n_bad
            known = self.first_without_text
            if first_without_text and (known is None or first_without_text.position < known.position):
                self.first_without_text = first_without_text
            if first_without_text:
                self._rows_without_text = _first(self._rows_without_text, position, [first_without_text.where])
            if bad:
                self._rows = _first(self._rows, position, bad)

    def add_documents(self, n_skipped: int, n_repaired: int) -> None:
        """Add documents that are not UTF-8: those left out, and those repaired."""
        with self._lock:
            self.n_documents_skipped += n_skipped
            self.n_documents_repaired += n_repaired

    def add_of_benchmarks(self, n: int) -> None:
        """Add documents left out because they hold text of a benchmark."""
        with self._lock:
            self.n_documents_of_benchmarks += n

    def clear(self) -> None:
        """Forget everything, before a corpus is read again."""
        self.__dict__.update({**vars(Skipped()), "_lock": self._lock})

    def extend(self, other: Skipped) -> None:
        """Add what another corpus left out, after this."""
        self.files += other.files
        self.hidden += other.hidden
        self.notes += other.notes
        self.n_rows_without_text += other.n_rows_without_text
        self.n_rows_skipped += other.n_rows_skipped
        self.n_documents_skipped += other.n_documents_skipped
        self.n_documents_repaired += other.n_documents_repaired
        self.n_documents_of_benchmarks += other.n_documents_of_benchmarks
        self.first_without_text = self.first_without_text or other.first_without_text
        self._rows = [*self._rows, *other._rows][:MAX_NAMED]
        self._rows_without_text = [*self._rows_without_text, *other._rows_without_text][:MAX_NAMED]

    def nothing_to_count(self, corpus: str, column: str) -> str:
        """The sentence that says why a corpus, of which all was left out, holds no text."""
        return self.summary().nothing_to_count(corpus, column, self.n_rows_without_text, self.first_without_text)

    def note(self, sentence: str) -> None:
        """Add a sentence on how the corpus was read, unless there are enough."""
        with self._lock:
            if len(self.notes) < _MAX_SHOWN:
                self.notes.append(sentence)

    def summary(self, n_sources: int | None = None) -> SkippedSummary:
        """The summary; given `n_sources`, without files found later than at the first so many sources."""
        files = [file for file in self.files if n_sources is None or file.source < n_sources]
        return SkippedSummary(
            len(files),
            len(self.hidden),
            tuple(map(str, files[:MAX_NAMED])),
            tuple(sentence for _, sentence in self._rows),
            tuple(where for _, where in self._rows_without_text),
            tuple(self.notes[:MAX_NAMED]),
        )

    def sentences(self) -> list[str]:
        """Sentences for a person; none where nothing was left out."""
        said = self.summary().sentences(self.n_rows_without_text, self.n_rows_skipped)
        if n := self.n_documents_skipped:
            said.append(f"{_left_out(n, 'document that is not UTF-8', 'documents that are not UTF-8')}.")
        if n := self.n_documents_repaired:
            said.append(f"U+FFFD stands for invalid UTF-8 in {n:,} {'document' if n == 1 else 'documents'}.")
        if n := self.n_documents_of_benchmarks:
            said.append(f"{_left_out(n, 'document with text of a benchmark', 'documents with text of benchmarks')}.")
        return said


def _first(
    known: list[tuple[tuple[int, int], str]], position: tuple[int, int], sentences: Iterable[str]
) -> list[tuple[tuple[int, int], str]]:
    """The first sentences by the position of their block."""
    added = [(position, sentence) for sentence in sentences]
    return sorted([*known, *added], key=lambda one: one[0])[:MAX_NAMED]


def _left_out(n: int, one: str, several: str) -> str:
    return f"{n:,} {one} was left out" if n == 1 else f"{n:,} {several} were left out"


def _shown(sentences: Iterable[str], n: int) -> str:
    shown = list(sentences)[:_MAX_SHOWN]
    more = n - len(shown)
    return "; ".join(sentence.rstrip(".") for sentence in shown) + (f"; and {more:,} more" if more else "")
