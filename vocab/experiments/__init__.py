"""Studies: a TOML file says what is compared, runs add rows to a file, and rows alone make tables and figures.

spec ─> runs ─> rows (append-only JSON lines) ─> analysis ─> report, page, figures
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vocab.experiments.report.study_report import write_report
    from vocab.experiments.rows import read_rows
    from vocab.experiments.spec import load_spec
    from vocab.experiments.study_run import run_study

_HOMES = {"load_spec": "spec", "read_rows": "rows", "run_study": "run", "write_report": "report"}
__all__ = ["load_spec", "read_rows", "run_study", "write_report"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"vocab.experiments.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
