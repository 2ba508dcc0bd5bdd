"""Rows: what runs found out, one JSON object a line, only ever added to.

A row has a `key` (what was run, and for timings on which machine), a `result`, and an `origin` (spec, versions,
machine, commit). A line that a kill cut short is not a row; the next run writes over it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vocab.errors import OutputError, StudyError

# Kinds of rows, under "kind" in their keys: one trained model, and one cycle of a timing.
RUN, CYCLE = "run", "cycle"


@dataclass(frozen=True)
class Row:
    """One finding. Two rows of one key must have one result."""

    study: str
    key: Mapping[str, Any]
    result: Mapping[str, Any]
    origin: Mapping[str, Any]

    @property
    def identity(self) -> str:
        """The key as text, equal for equal keys."""
        return json.dumps([self.study, self.key], sort_keys=True)


class RowFile:
    """A file of rows that is read once and added to, a line at a time, each on disk before the next begins."""

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
        """Whether there is a row of this key."""
        return Row(study, key, {}, {}).identity in self._known

    def add(self, row: Row) -> None:
        """Add a row; it is on disk when this returns. Raises StudyError for a key that is there already."""
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


def read_rows(paths: Sequence[Path], study: str | None = None) -> list[Row]:
    """All rows of some files in order, of one study or of all; a row that stands twice counts once.

    Raises StudyError for a file that is missing or no rows, and for two rows of one key whose results differ.
    """
    found: dict[str, tuple[Row, str]] = {}
    for path in paths:
        for number, line in enumerate(_lines(path), 1):
            row, where = _row(line, f"{path} line {number}"), f"{path} line {number}"
            if study not in (None, row.study):
                continue
            before = found.setdefault(row.identity, (row, where))
            if before[0].result != row.result:
                raise StudyError(
                    f"{where} contradicts {before[1]}: both are of {dict(row.key)}, and their results differ; "
                    "take one of them out"
                )
    return [row for row, _ in found.values()]


def _lines(path: Path) -> Iterable[str]:
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise StudyError(f"rows {path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise StudyError(f"{path} is no file of rows: it is not UTF-8") from None
    lines = text.split("\n")
    return [line for line in (lines[:-1] if lines[-1] else lines) if line.strip()]


def _row(line: str, where: str) -> Row:
    try:
        content = json.loads(line)
        row = Row(content["study"], content["key"], content["result"], content["origin"])
        if not isinstance(row.study, str) or not all(isinstance(x, dict) for x in (row.key, row.result, row.origin)):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise StudyError(f"{where} is no row: a JSON object with study, key, result and origin") from None
    return row
