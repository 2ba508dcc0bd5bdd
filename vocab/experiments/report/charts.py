"""Figures of a report as Altair charts: saved as SVG for reading, and alive on the page, from the same definitions."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from vocab.errors import MissingExtraError
from vocab.experiments.loss.loss_analysis import LossFinding, Protocol
from vocab.experiments.speed.speed_analysis import MOST_ZEROS, SpeedFinding
from vocab.sizes import size_facts

_WIDTH, _HEIGHT = 420, 280


def altair() -> Any:
    """The Altair module; raises MissingExtraError when it, or what writes its charts to files, is not installed."""
    try:
        import altair as alt
        import vl_convert  # noqa: F401
    except ImportError:
        raise MissingExtraError("the report of a study", "altair with vl-convert-python", "study") from None
    alt.data_transformers.disable_max_rows()
    return alt


def speed_chart(findings: Sequence[SpeedFinding]) -> Any:
    """What log size leaves of each size's time, by Hamming weight and by class of trailing zeros, a panel a timing."""
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
        points.properties(width=_WIDTH * 0.62, height=_HEIGHT * 0.75)
        .facet(facet=alt.Facet("timing:N", title=None), columns=2)
        .resolve_scale(y="independent")
    )


def _speed_rows(finding: SpeedFinding) -> list[dict[str, Any]]:
    """Points of one timing: log ratio to the reference less the fitted share of log size, so that the rest shows."""
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
    rows = []
    for finding in findings:
        for name, found in (("size alone known", finding.hamming_alone), ("alignment known", finding.hamming)):
            rows.append(
                {"timing": finding.timing, "model": name, "estimate": 100 * found.estimate, "low": 100 * found.low}
                | {"high": 100 * found.high, "margin": 100 * finding.margin, "minus": -100 * finding.margin}
            )
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
    return (band + bars + dots).properties(width=_WIDTH, height=44 * len(findings))


def frontier_chart(finding: LossFinding) -> Any:
    """Bits per byte at equal bytes against bytes a second, and compression: what a practitioner chooses from."""
    alt = altair()
    best = {arm.name for arm in finding.frontier()}
    rows = [
        {
            "arm": arm.arm,
            "n_ids": arm.n_ids,
            "label": f"{arm.arm} {arm.n_ids:,}" if arm.name in best else "",
            "bytes_per_token": round(arm.bytes_per_token, 4),
            "kB_per_second": round((arm.bytes_per_second or 0) / 1e3, 2),
            "bits_per_byte": round(arm.loss["bytes"].mean, 5),
            "low": arm.loss["bytes"].mean - _or_zero(arm.loss["bytes"].half_width),
            "high": arm.loss["bytes"].mean + _or_zero(arm.loss["bytes"].half_width),
            "on_frontier": "no other is better in both" if arm.name in best else "another is better in both",
        }
        for arm in finding.arms
        if arm.bytes_per_second is not None
    ]
    pick = alt.selection_point(fields=["arm"], bind="legend")
    base = alt.Chart(alt.Data(values=rows))
    x = alt.X("kB_per_second:Q", title="text a second, kB", scale=alt.Scale(zero=False, padding=30))
    y = alt.Y("bits_per_byte:Q", title="bits per byte at equal bytes", scale=alt.Scale(zero=False, padding=20))
    opacity = alt.condition(pick, alt.value(0.95), alt.value(0.12))
    points = base.mark_point(filled=True).encode(
        x=x,
        y=y,
        opacity=opacity,
        shape=alt.Shape("on_frontier:N", title=None),
        color=alt.Color("arm:N", title="vocabulary", scale=alt.Scale(scheme="category20")),
        size=alt.Size("bytes_per_token:Q", title="bytes a token", scale=alt.Scale(range=[30, 320], zero=False)),
        tooltip=["arm:N", "n_ids:Q", "bytes_per_token:Q", "kB_per_second:Q", "bits_per_byte:Q", "on_frontier:N"],
    )
    bars = base.mark_rule().encode(x=x, y="low:Q", y2="high:Q", opacity=opacity, color="arm:N")
    names = base.mark_text(dy=-13, fontSize=9).encode(x=x, y=y, opacity=opacity, text="label:N")
    return (bars + points + names).add_params(pick).properties(width=_WIDTH * 1.25, height=_HEIGHT * 1.25)


def _or_zero(value: float) -> float:
    return value if value == value else 0.0


def curve_chart(finding: LossFinding, protocol: Protocol) -> Any:
    """Bits per byte against what was spent, the mean over seeds of each vocabulary."""
    alt = altair()
    by_name = defaultdict(list)
    for run in finding.runs:
        by_name[run.name].append(run)
    rows = []
    for (arm, n_ids), runs in by_name.items():
        marks = range(min(len(run.bits_per_byte) for run in runs))
        spent = np.mean([[run.spent[protocol][k] for k in marks] for run in runs], axis=0)
        losses = np.mean([[run.bits_per_byte[k] for k in marks] for run in runs], axis=0)
        rows += [
            {
                "vocabulary": f"{arm} {n_ids:,}",
                "seeds": len(runs),
                "spent": float(x),
                "bits_per_byte": round(float(y), 5),
            }
            for x, y in zip(spent, losses, strict=True)
        ]
    pick = alt.selection_point(fields=["vocabulary"], bind="legend")
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_line(point=True)
        .encode(
            x=alt.X("spent:Q", title=_UNITS[protocol], scale=alt.Scale(type="log", nice=False)),
            y=alt.Y("bits_per_byte:Q", title="held-out bits per byte", scale=alt.Scale(zero=False)),
            color=alt.Color("vocabulary:N", scale=alt.Scale(scheme="category20"), legend=alt.Legend(symbolLimit=60)),
            opacity=alt.condition(pick, alt.value(0.9), alt.value(0.05)),
            tooltip=["vocabulary:N", "seeds:Q", "spent:Q", "bits_per_byte:Q"],
        )
        .add_params(pick)
        .properties(width=_WIDTH * 1.1, height=_HEIGHT)
    )


_UNITS: dict[Protocol, str] = {
    "bytes": "bytes of text trained on",
    "tokens": "tokens trained on",
    "flops": "FLOPs of training",
    "seconds": "seconds of training steps",
}
