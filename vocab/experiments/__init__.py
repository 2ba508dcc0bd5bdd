"""Studies: a TOML file says what is compared, runs add rows to a file, and rows alone make tables and figures.

spec ─> runs ─> rows (append-only JSON lines) ─> analysis ─> report, page, figures
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocab.lazy import lazy_exports

if TYPE_CHECKING:
    from vocab.experiments.report.study_report import write_report
    from vocab.experiments.rows import read_rows
    from vocab.experiments.spec import load_spec
    from vocab.experiments.study_run import run_study

__all__ = ["load_spec", "read_rows", "run_study", "write_report"]

_HOMES = {
    "load_spec": "vocab.experiments.spec",
    "read_rows": "vocab.experiments.rows",
    "run_study": "vocab.experiments.study_run",
    "write_report": "vocab.experiments.report.study_report",
}
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
