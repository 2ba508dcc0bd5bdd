"""Figures of a loss study: loss against speed, and loss against the amount of training."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import numpy as np

from vocab.experiments.altair_module import HEIGHT, WIDTH, altair
from vocab.experiments.loss.loss_analysis import ArmFinding, LossFinding, Protocol

_UNITS: dict[Protocol, str] = {
    "bytes": "bytes of text trained on",
    "tokens": "tokens trained on",
    "flops": "FLOPs of training",
    "seconds": "seconds of training steps",
}


def frontier_chart(finding: LossFinding) -> Any:
    """Bits per byte at equal bytes against bytes a second, with compression as the size of points."""
    alt = altair()
    rows = _frontier_rows(finding)
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
    return (bars + points + names).add_params(pick).properties(width=WIDTH * 1.25, height=HEIGHT * 1.25)


def _frontier_rows(finding: LossFinding) -> list[dict[str, Any]]:
    """One point for each vocabulary whose step was timed."""
    best = {arm.name for arm in finding.frontier()}
    return [_frontier_row(arm, arm.name in best) for arm in finding.arms if arm.bytes_per_second is not None]


def _frontier_row(arm: ArmFinding, is_best: bool) -> dict[str, Any]:
    loss = arm.loss["bytes"]
    half_width = 0.0 if math.isnan(loss.half_width) else loss.half_width
    return {
        "arm": arm.arm,
        "n_ids": arm.n_ids,
        "label": f"{arm.arm} {arm.n_ids:,}" if is_best else "",
        "bytes_per_token": round(arm.bytes_per_token, 4),
        "kB_per_second": round((arm.bytes_per_second or 0) / 1e3, 2),
        "bits_per_byte": round(loss.mean, 5),
        "low": loss.mean - half_width,
        "high": loss.mean + half_width,
        "on_frontier": "no other is better in both" if is_best else "another is better in both",
    }


def curve_chart(finding: LossFinding, protocol: Protocol) -> Any:
    """Bits per byte against the amount spent by `protocol`, the mean over seeds of each vocabulary."""
    alt = altair()
    rows = _curve_rows(finding, protocol)
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
        .properties(width=WIDTH * 1.1, height=HEIGHT)
    )


def _curve_rows(finding: LossFinding, protocol: Protocol) -> list[dict[str, Any]]:
    """One point for each vocabulary and evaluation."""
    by_name = defaultdict(list)
    for run in finding.runs:
        by_name[run.name].append(run)
    rows = []
    for (arm, n_ids), runs in by_name.items():
        marks = range(min(len(run.bits_per_byte) for run in runs))
        spent = np.mean([[run.spent[protocol][k] for k in marks] for run in runs], axis=0)
        losses = np.mean([[run.bits_per_byte[k] for k in marks] for run in runs], axis=0)
        about = {"vocabulary": f"{arm} {n_ids:,}", "seeds": len(runs)}
        rows += [
            {**about, "spent": float(x), "bits_per_byte": round(float(y), 5)}
            for x, y in zip(spent, losses, strict=True)
        ]
    return rows
