"""`write_report`: the report of studies from their rows alone, as Markdown with figures and as an interactive page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vocab.errors import StudyError
from vocab.experiments.loss.loss_section import loss_section
from vocab.experiments.loss.loss_spec import LossStudy
from vocab.experiments.ngram.ngram_section import ngram_section
from vocab.experiments.ngram.ngram_spec import NgramStudy
from vocab.experiments.report.page import write_page
from vocab.experiments.report.scaling_section import scaling_section
from vocab.experiments.rows import RUN, StudyRow, read_rows
from vocab.experiments.section import Section
from vocab.experiments.spec import load_spec
from vocab.experiments.speed.speed_section import speed_section
from vocab.experiments.speed.speed_spec import SpeedStudy
from vocab.shown_text import in_markdown
from vocab.writing import check_file, staged_file, write_errors_named, write_text

REPORT, PAGE = "study.md", "study.html"


@dataclass(frozen=True)
class StudyReport:
    """A report that was written.

    Attributes:
        files: its files: study.md, figures, study.html.
        sentences: its conclusions, a sentence each.
    """

    files: list[Path]
    sentences: list[str]


def write_report(
    studies: Sequence[SpeedStudy | LossStudy | NgramStudy | str],
    rows_paths: Sequence[Path],
    out: Path,
    *,
    answer: Sequence[str] = (),
    force: bool = False,
) -> StudyReport:
    """Write study.md, its figures as SVG, and study.html to a folder.

    Args:
        studies: studies, or names and TOML files that `load_spec` takes.
        rows_paths: files of rows, which may hold rows of other studies too.
        out: the folder.
        answer: sentences for the top of the report.
        force: whether to replace files of these names that are there.

    Raises:
        StudyError: for rows that are missing or cannot be compared.
        MissingExtraError: without the packages that draw.
        OutputError: when a file is there already, or the folder cannot be written.
    """
    loaded = [load_spec(study) if isinstance(study, str) else study for study in studies]
    sections = [section for study in loaded for section in _sections(study, rows_paths)]
    text = _front(loaded, answer) + "\n\n".join(section.text for section in sections) + "\n"
    charts = {name: chart for section in sections for name, chart in section.charts.items()}
    files = _write_files(text, charts, out, force)
    return StudyReport(files, [sentence for section in sections for sentence in section.sentences])


def _sections(study: SpeedStudy | LossStudy | NgramStudy, rows_paths: Sequence[Path]) -> list[Section]:
    rows = _rows_of(study, rows_paths)
    if isinstance(study, SpeedStudy):
        return [speed_section(study, rows)]
    if isinstance(study, NgramStudy):
        return [ngram_section(study, rows)]
    is_measured = any(row.key["kind"] == RUN for row in rows)
    return [loss_section(study, rows), *([scaling_section(study, rows)] if is_measured else [])]


def _rows_of(study: SpeedStudy | LossStudy | NgramStudy, paths: Sequence[Path]) -> list[StudyRow]:
    """The rows of a study; raises StudyError for rows of other settings."""
    rows = read_rows(paths, study.name)
    if any(row.origin.get("spec_sha256") != study.sha256 for row in rows):
        raise StudyError(f"rows of {study.name} were made with other settings than its specification has now")
    return rows


def _front(studies: Sequence[SpeedStudy | LossStudy | NgramStudy], answer: Sequence[str]) -> str:
    title = "Which vocabulary is better" if answer else "The study: what a vocabulary does to loss and speed"
    lines = [
        f"# {title}",
        "",
        *(line for sentence in answer for line in (f"**{in_markdown(sentence)}**", "")),
        "Written by `vocab study report` from rows that runs added to; nothing here is written by hand. "
        "[The same as a page](study.html) can be filtered and hovered.",
        "",
        *(f"- **{in_markdown(study.name)}**: {in_markdown(study.question)}" for study in studies),
        "",
        "",
    ]
    return "\n".join(lines)


def _write_files(text: str, charts: dict[str, Any], out: Path, force: bool) -> list[Path]:
    files = [out / REPORT, *(out / name for name in charts), out / PAGE]
    for path in files:
        check_file(path, force=force, make_folders=True)
    with write_errors_named(out):
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / REPORT, text)
        for name, chart in charts.items():
            with staged_file(out / name) as staged:
                chart.save(str(staged), format="svg")
        write_text(out / PAGE, write_page(text, charts))
    return files
