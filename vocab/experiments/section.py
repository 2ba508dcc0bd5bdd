"""`Section`: a part of a report, with its text, its figures and the sentences that sum it up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vocab.experiments.rows import StudyRow
from vocab.shown_text import in_markdown


@dataclass(frozen=True)
class Section:
    """Markdown with figures as `![…](name.svg)`, and the chart of each name."""

    text: str
    charts: Mapping[str, Any] = field(default_factory=dict)
    sentences: Sequence[str] = ()


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose first column is text and whose others are numbers."""
    return "\n".join([_line(head), f"| {' | '.join(['---', *['---:'] * (len(head) - 1)])} |", *map(_line, rows)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(in_markdown, cells))} |"


def made_on(rows: Sequence[StudyRow]) -> str:
    """Machines, versions and commits of some rows, in a sentence or two."""
    machines = sorted({_machine(row) for row in rows})
    versions = sorted({f"{name} {row.origin['versions'][name]}" for row in rows for name in _named(row)})
    commits = sorted({str(row.origin["commit"])[:12] for row in rows})
    return in_markdown(f"Measured on {'; '.join(machines)}, with {', '.join(versions)}; commit {', '.join(commits)}.")


def _named(row: StudyRow) -> list[str]:
    return [name for name in ("python", "torch", "numpy", "vocabkit") if name in row.origin["versions"]]


def _machine(row: StudyRow) -> str:
    about = row.origin["machine"]
    gpu = f"{about['gpu']} beside " if "gpu" in about else ""
    return f"{gpu}{about['processor']} ({about['n_cores']} cores, {about['n_threads']} threads)"
