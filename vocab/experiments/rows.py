"""Rows: the results of runs, one JSON object a line, only ever added to.

A row has a `key` (what was run, and for timings on which machine), a `result`, an `origin` (specification, versions,
machine, commit), and the digest of all that. A line that a kill cut short is not a row; the next run removes it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path
from typing import Any

from vocab.errors import SourceError, StudyError
from vocab.reading import parse_json
from vocab.writing import DIGEST, check_digest, hold_file, with_digest, write_errors_named

# Kinds of rows, under "kind" in their keys: one trained model, and one cycle of a timing.
RUN, CYCLE = "run", "cycle"
_BEGINNING = b'{"study": "'


@dataclass(frozen=True)
class StudyRow:
    """One result of a study. Two rows of one key must have one result.

    Attributes:
        study: name of the study.
        key: what was run: "kind" ("run" or "cycle") and, by kind, arm, n_ids and seed, or timing, machine and cycle.
        result: what was measured.
        origin: where it was measured: digest of the settings, commit, versions, machine.
    """

    study: str
    key: Mapping[str, Any]
    result: Mapping[str, Any]
    origin: Mapping[str, Any]

    @property
    def identity(self) -> str:
        """The key as text, equal for equal keys."""
        return json.dumps([self.study, self.key], sort_keys=True)


class RowFile(AbstractContextManager["RowFile"]):
    """A file of rows, which is read once and then only added to, one line at a time, by one process.

    Each line is on disk before the next begins. A line that a kill cut short is removed. A file that holds anything but
    rows is refused, and stays as it is.

    Attributes:
        path: the file; it need not exist.
        rows: its rows, in order.

    Raises:
        StudyError: the file holds something else.
        OutputError: it cannot be written, or another process writes it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with write_errors_named(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = _held(path)
        try:
            self.rows = read_rows([path])
            self._end_last_line()
        except BaseException:
            self._close()
            raise
        self._known = {row.identity for row in self.rows}

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        """Remove the file if it has no row, while it is still ours alone, and close it."""
        try:
            if os.fstat(self._stream.fileno()).st_size == 0:
                with suppress(OSError):  # Windows keeps open files
                    self.path.unlink()
        finally:
            with suppress(OSError):  # each row was on disk when `add` returned; a row that was refused is no row
                self._stream.close()

    def _end_last_line(self) -> None:
        """Remove a row that was cut short, once it is known to be one; a whole row gets its line end."""
        raw = self.path.read_bytes()
        torn = raw[raw.rfind(b"\n") + 1 :]
        if not torn:
            return
        with write_errors_named(self.path):
            if is_row(torn.decode("utf-8", "replace")):
                self._stream.write(b"\n")
                self._stream.flush()
                self.rows = read_rows([self.path])
            elif torn[: len(_BEGINNING)] == _BEGINNING[: len(torn)]:
                os.truncate(self.path, len(raw) - len(torn))
            else:
                raise StudyError(f"the last line of {self.path} is not a row: name another file with `rows`")

    def has(self, study: str, key: Mapping[str, Any]) -> bool:
        """Whether the file has a row of this key."""
        return StudyRow(study, key, {}, {}).identity in self._known

    def add(self, row: StudyRow) -> None:
        """Add a row, which is on disk when this returns. Raises StudyError for a key that the file has already."""
        if row.identity in self._known:
            raise StudyError(f"{self.path} has a row of {dict(row.key)} already")
        content = {"study": row.study, "key": row.key, "result": row.result, "origin": row.origin}
        line = json.dumps(with_digest(content), ensure_ascii=False)
        with write_errors_named(self.path):
            self._stream.write(line.encode() + b"\n")
            self._stream.flush()
            os.fsync(self._stream.fileno())
        self.rows.append(row)
        self._known.add(row.identity)


def _held(path: Path) -> BufferedWriter:
    """Open a file to add to, which no other process holds."""
    while True:
        stream = path.open("ab")
        try:
            hold_file(stream.fileno(), path)
            if path.exists() and os.path.samestat(os.fstat(stream.fileno()), path.stat()):
                return stream
        except BaseException:
            stream.close()
            raise
        stream.close()  # who held it before has removed it, for it had no row


def read_rows(paths: Sequence[Path], study: str | None = None) -> list[StudyRow]:
    """Read the rows of files.

    Args:
        paths: files of JSON lines.
        study: name of the study whose rows are wanted; None for all rows.

    Returns:
        The rows in the order of files and lines. A row that occurs twice counts once.

    Raises:
        StudyError: for a file that is missing or does not hold rows, and for two rows of one key whose results differ.
    """
    by_key: dict[str, tuple[StudyRow, str]] = {}
    for path in paths:
        for number, line in enumerate(_lines(path), 1):
            where = f"{path} line {number}"
            row = _row(line, where)
            if study not in (None, row.study):
                continue
            first, first_where = by_key.setdefault(row.identity, (row, where))
            if first.result != row.result:
                raise StudyError(
                    f"{where} contradicts {first_where}: both are of {dict(row.key)}, and their results differ; "
                    "remove one of them"
                )
    return [row for row, _ in by_key.values()]


def _lines(path: Path) -> Iterable[str]:
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise StudyError(f"rows {path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise StudyError(f"{path} is not a file of rows: it is not UTF-8") from None
    lines = text.split("\n")
    return [line for line in (lines[:-1] if lines[-1] else lines) if line.strip()]


def is_row(line: str) -> bool:
    """Whether a line is a row."""
    try:
        _row(line, "")
    except StudyError:
        return False
    return True


def _row(line: str, where: str) -> StudyRow:
    try:
        content = parse_json(line)
        if isinstance(content, dict) and DIGEST in content:  # rows recorded before digests were have none
            content = check_digest(content, Path(where))
        row = StudyRow(content["study"], content["key"], content["result"], content["origin"])
        if not isinstance(row.study, str) or not all(isinstance(x, dict) for x in (row.key, row.result, row.origin)):
            raise TypeError
    except SourceError as error:
        raise StudyError(str(error)) from None
    except (ValueError, KeyError, TypeError):
        raise StudyError(f"{where} is not a row: a row is a JSON object with study, key, result and origin") from None
    return row
