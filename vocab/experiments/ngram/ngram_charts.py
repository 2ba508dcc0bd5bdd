"""The figure of an n-gram study: by how much each vocabulary differs from the baseline, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vocab.experiments.altair_module import WIDTH, altair
from vocab.experiments.ngram.ngram_analysis import NgramFinding

_ROW_HEIGHT = 34
_COLORS = {"better": "#2a7d2e", "worse": "#b3265c", "not told apart": "#777777"}


def change_chart(findings: Sequence[NgramFinding]) -> Any:
    """The change of bits per byte of each vocabulary against the baseline of its size, with 95% intervals."""
    alt = altair()
    rows = [_row(one) for one in findings if one.change is not None]
    base = alt.Chart(alt.Data(values=rows))
    y = alt.Y("vocabulary:N", title=None, sort=None, axis=alt.Axis(labelLimit=420))
    title, scale = "change of bits per byte, % (less is better)", alt.Scale(zero=True)
    x = alt.X("change:Q", title=title, scale=scale)
    color = alt.Color("verdict:N", title=None, scale=alt.Scale(domain=[*_COLORS], range=[*_COLORS.values()]))
    tooltip = ["vocabulary:N", "change:Q", "low:Q", "high:Q", "bits_per_byte:Q", "bytes_per_token:Q"]
    low = alt.X("low:Q", title=title, scale=scale)
    bars = base.mark_rule(strokeWidth=2).encode(y=y, x=low, x2="high:Q", color=color)
    points = base.mark_point(filled=True, size=90).encode(y=y, x=x, color=color, tooltip=tooltip)
    zero = alt.Chart(alt.Data(values=[{"change": 0}])).mark_rule(color="#888", strokeDash=[4, 3]).encode(x=x)
    return (zero + bars + points).properties(width=WIDTH, height=_ROW_HEIGHT * len(rows))


def _row(one: NgramFinding) -> dict[str, Any]:
    change = one.change or 0.0
    return {
        "vocabulary": f"{one.arm} {one.n_ids:,}",
        "change": round(100 * change, 3),
        "low": round(100 * one.low, 3),
        "high": round(100 * one.high, 3),
        "bits_per_byte": round(one.bits_per_byte, 5),
        "bytes_per_token": round(one.bytes_per_token, 4),
        "verdict": ("better" if change < 0 else "worse") if one.differs else "not told apart",
    }
