"""Rows: the results of runs, one JSON object a line, only ever added to.

A row has a `key` (what was run, and for timings on which machine), a `result`, and an `origin` (specification,
versions, machine, commit). A line that a kill cut short is not a row; the next run overwrites it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vocab.errors import OutputError, StudyError
from vocab.reading import parse_json

# Kinds of rows, under "kind" in their keys: one trained model, and one cycle of a timing.
RUN, CYCLE = "run", "cycle"


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


class RowFile:
    """A file of rows, which is read once and then only added to, one line at a time.

    Each line is on disk before the next begins.

    Attributes:
        path: the file; it need not exist.
        rows: its rows, in order.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._drop_torn_line()
        except OSError as error:
            raise OutputError(f"rows cannot be written to {path}: {error.strerror or error}") from None
        self.rows = read_rows([path]) if path.exists() else []
        self._known = {row.identity for row in self.rows}

    def _drop_torn_line(self) -> None:
        if not self.path.exists():
            return
        raw = self.path.read_bytes()
        whole = raw.rfind(b"\n") + 1
        if whole < len(raw):
            with self.path.open("r+b") as stream:
                stream.truncate(whole)

    def has(self, study: str, key: Mapping[str, Any]) -> bool:
        """Whether the file has a row of this key."""
        return StudyRow(study, key, {}, {}).identity in self._known

    def add(self, row: StudyRow) -> None:
        """Add a row, which is on disk when this returns. Raises StudyError for a key that the file has already."""
        if row.identity in self._known:
            raise StudyError(f"{self.path} has a row of {dict(row.key)} already")
        line = json.dumps(
            {"study": row.study, "key": row.key, "result": row.result, "origin": row.origin}, ensure_ascii=False
        )
        try:
            with self.path.open("ab") as stream:
                stream.write(line.encode() + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise OutputError(f"rows cannot be written to {self.path}: {error.strerror or error}") from None
        self.rows.append(row)
        self._known.add(row.identity)


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


def _row(line: str, where: str) -> StudyRow:
    try:
        content = parse_json(line)
        row = StudyRow(content["study"], content["key"], content["result"], content["origin"])
        if not isinstance(row.study, str) or not all(isinstance(x, dict) for x in (row.key, row.result, row.origin)):
            raise TypeError
    except (ValueError, KeyError, TypeError):
        raise StudyError(f"{where} is not a row: a row is a JSON object with study, key, result and origin") from None
    return row
