"""Figures of a speed study: the time of each size, and what a bit of Hamming weight changes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from vocab.experiments.altair_module import HEIGHT, WIDTH, altair
from vocab.experiments.speed.regression import MOST_ZEROS
from vocab.experiments.speed.speed_analysis import SpeedFinding
from vocab.sizes import size_facts


def speed_chart(findings: Sequence[SpeedFinding]) -> Any:
    """Time beyond what log size explains, by Hamming weight and by class of trailing zeros; one panel a timing."""
    alt = altair()
    base = alt.Chart(alt.Data(values=[row for finding in findings for row in _speed_rows(finding)]))
    points = base.mark_circle(size=55, opacity=0.75).encode(
        x=alt.X(
            "hamming:Q", title="Hamming weight of the size", scale=alt.Scale(zero=False), axis=alt.Axis(tickMinStep=1)
        ),
        y=alt.Y("beside:Q", title="time beside what log size explains, %", scale=alt.Scale(zero=False)),
        color=alt.Color("zeros:N", title="trailing zeros", scale=alt.Scale(scheme="viridis")),
        tooltip=["timing:N", "n_ids:Q", "hamming:Q", "zeros:N", "milliseconds:Q", "beside:Q", "low:Q", "high:Q"],
    )
    return (
        points.properties(width=WIDTH * 0.62, height=HEIGHT * 0.75)
        .facet(facet=alt.Facet("timing:N", title=None), columns=2)
        .resolve_scale(y="independent")
    )


def _speed_rows(finding: SpeedFinding) -> list[dict[str, Any]]:
    """Points of one timing: the log ratio to the reference, less the fitted share of log size."""
    reference = next(size for size in finding.sizes if size.log_ratio.estimate == 0 and size.log_ratio.low == 0)
    rows = []
    for size in finding.sizes:
        facts = size_facts(size.n_ids)
        zeros = f"{MOST_ZEROS} or more" if facts.trailing_zeros >= MOST_ZEROS else str(facts.trailing_zeros)
        explained = finding.terms["log size"] * math.log(size.n_ids / reference.n_ids)
        rows.append(
            {
                "timing": finding.timing,
                "n_ids": size.n_ids,
                "hamming": facts.hamming_weight,
                "zeros": zeros,
                "milliseconds": round(1e3 * size.seconds, 4),
                "beside": round(100 * (size.log_ratio.estimate - explained), 4),
                "low": round(100 * (size.log_ratio.low - explained), 4),
                "high": round(100 * (size.log_ratio.high - explained), 4),
            }
        )
    return rows


def coefficient_chart(findings: Sequence[SpeedFinding]) -> Any:
    """Change of time for a bit of Hamming weight, with and without alignment known, with the declared margin."""
    alt = altair()
    rows = [row for finding in findings for row in _coefficient_rows(finding)]
    base = alt.Chart(alt.Data(values=rows))
    y = alt.Y("timing:N", title=None, axis=alt.Axis(labelLimit=300))
    offset = alt.YOffset("model:N")
    band = base.mark_rect(color="#dddddd").encode(x="minus:Q", x2="margin:Q")
    bars = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", title="change of time for a bit of Hamming weight, %"),
        x2="high:Q",
        y=y,
        yOffset=offset,
        color=alt.Color("model:N", title="regression", scale=alt.Scale(range=["#0072B2", "#D55E00"])),
    )
    dots = base.mark_point(filled=True, size=60).encode(
        x="estimate:Q",
        y=y,
        yOffset=offset,
        color="model:N",
        tooltip=["timing:N", "model:N", "estimate:Q", "low:Q", "high:Q"],
    )
    return (band + bars + dots).properties(width=WIDTH, height=44 * len(findings))


def _coefficient_rows(finding: SpeedFinding) -> list[dict[str, Any]]:
    """Two intervals of one timing, in percent of time a bit."""
    fits = {"size alone known": finding.hamming_alone, "alignment known": finding.hamming}
    return [
        {
            "timing": finding.timing,
            "model": name,
            "estimate": 100 * interval.estimate,
            "low": 100 * interval.low,
            "high": 100 * interval.high,
            "margin": 100 * finding.margin,
            "minus": -100 * finding.margin,
        }
        for name, interval in fits.items()
    ]
