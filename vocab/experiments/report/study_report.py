"""The report of studies, written from rows and nothing else: Markdown with figures, and a page that can be hovered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vocab.errors import OutputError, StudyError
from vocab.experiments.loss.loss_section import loss_section
from vocab.experiments.report.page import write_page
from vocab.experiments.report.scaling_section import scaling_section
from vocab.experiments.report.section import Section
from vocab.experiments.rows import read_rows
from vocab.experiments.spec import Spec, load_spec
from vocab.experiments.speed.speed_section import speed_section
from vocab.writing import staged_file, write_text

REPORT, PAGE = "study.md", "study.html"


@dataclass(frozen=True)
class Written:
    """Files of a report, and the sentence that each machine and timing ends in."""

    files: list[Path]
    sentences: list[str]


def write_report(specs: Sequence[Spec | str], rows_paths: Sequence[Path], out: Path) -> Written:
    """Write study.md, its figures as SVG, and study.html to a folder.

    Raises StudyError for rows that cannot be compared or are missing, MissingExtraError without what draws, OutputError
    when the folder cannot be written.
    """
    loaded = [load_spec(spec) if isinstance(spec, str) else spec for spec in specs]
    sections: list[Section] = []
    for spec in loaded:
        rows = read_rows(rows_paths, spec.name)
        for row in rows:
            if row.origin.get("spec_sha256") != spec.sha256:
                raise StudyError(f"rows of {spec.name} were made with other settings than its specification has now")
        sections.append(speed_section(spec, rows) if spec.speed else loss_section(spec, rows))
        if spec.loss and rows:
            sections.append(scaling_section(spec, rows))
    text = _front(loaded) + "\n\n".join(section.text for section in sections) + "\n"
    try:
        out.mkdir(parents=True, exist_ok=True)
        files = [_written(out / REPORT, text)]
        for section in sections:
            files += [_saved(chart, out / name) for name, chart in section.charts.items()]
        files.append(_written(out / PAGE, write_page(text, {n: c for s in sections for n, c in s.charts.items()})))
    except OSError as error:
        raise OutputError(f"the report cannot be written to {out}: {error.strerror or error}") from None
    return Written(files, [sentence for section in sections for sentence in section.sentences])


def _front(specs: Sequence[Spec]) -> str:
    lines = [
        "# The study: loss and speed against vocabulary size and Hamming weight",
        "",
        "Written by `vocab study report` from rows that runs added to; nothing here is written by hand. "
        "[The same as a page](study.html) can be filtered and hovered.",
        "",
        *(f"- **{spec.name}**: {spec.question}" for spec in specs),
        "",
        "",
    ]
    return "\n".join(lines)


def _written(path: Path, text: str) -> Path:
    write_text(path, text)
    return path


def _saved(chart: Any, path: Path) -> Path:
    with staged_file(path) as staged:
        chart.save(str(staged), format="svg")
    return path
