"""Figures that a page shows beside tokens: those of reports, and of frontiers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vocab.errors import SourceError
from vocab.reading import read_json

REPORT, FRONTIER = "report.json", "frontier.json"
_COLUMNS = [
    "vocabulary",
    "ids",
    "bytes a token",
    "tokens, change",
    "held-out bytes a token",
    "tokens, change",
    "unused",
]


def folder_figures(folders: Sequence[Path], frontiers: Sequence[Path]) -> dict[str, Any]:
    """Figures for a page as JSON types.

    Args:
        folders: results, which may have a report.json and a frontier.json.
        frontiers: more files that `vocab frontier` wrote as JSON.

    Returns:
        `tables` of reports, and `frontiers` with the points of their curves.

    Raises:
        SourceError: a file cannot be read, or is not what vocab writes.
    """
    reports = [folder / REPORT for folder in folders if (folder / REPORT).is_file()]
    found = [folder / FRONTIER for folder in folders if (folder / FRONTIER).is_file()]
    return {
        "tables": [_read(path, _report_table) for path in reports],
        "frontiers": [_read(path, _curves) for path in [*found, *frontiers]],
    }


def _read(path: Path, make: Callable[[Mapping[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    try:
        return make(read_json(path))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        raise SourceError(f"{path} is not what vocab writes under this name: write it again") from None


def _report_table(report: Mapping[str, Any]) -> dict[str, Any]:
    corpus = "the built-in profile" if report["corpus"].get("is_builtin_profile") else "the corpus of its report"
    return {
        "title": f"{report['source']['name']} → {int(report['target']):,} ids by {report['method']}",
        "note": f"On {corpus}. Change: tokens against the whole source.",
        "columns": _COLUMNS,
        "rows": [_report_row(row) for row in report["rows"]],
    }


def _report_row(row: Mapping[str, Any]) -> list[str]:
    cells = [str(row["name"]), f"{int(row['n_ids']):,}"]
    for side in ("train", "held_out"):
        has_text = int(row[side]["n_bytes"]) > 0
        ratio, change = float(row[side]["bytes_per_token"]), float(row[f"{side}_change"])
        cells += [f"{ratio:.3f}", f"{change:+.2%}"] if has_text else ["–", "–"]
    return [*cells, f"{int(row['n_unused']):,}"]


def _curves(frontier: Mapping[str, Any]) -> dict[str, Any]:
    sizes = [int(size) for size in frontier["sizes"]]
    curves = [
        {"name": str(curve["method"]), "values": _values(curve["train"]["bytes_per_token"], len(sizes))}
        for curve in frontier["curves"]
    ]
    bound = _values(frontier["bound"]["bytes_per_token_at_most"], len(sizes))
    return {
        "title": f"Bytes a token of {frontier['source']['name']} at every size",
        "note": "On the text that tokens were chosen by. No choice of the source's tokens passes the bound.",
        "sizes": sizes,
        "curves": [*curves, {"name": "bound", "values": bound, "isBound": True}],
    }


def _values(values: Sequence[Any], n: int) -> list[float]:
    numbers = [float(value) for value in values]
    if len(numbers) != n or not n or not all(map(math.isfinite, numbers)):
        raise ValueError(f"{len(numbers)} values for {n} sizes")
    return numbers
