"""The picture of a frontier, as PNG or SVG: the same bytes for the same figures and the same Matplotlib.

Matplotlib is imported only to draw, and only its objects are used: no pyplot, no window, and its settings for this one
picture.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vocab.analysis.evaluation import Compression
from vocab.choices import FigureFormat
from vocab.errors import MissingExtraError
from vocab.prune.frontier.payoff import TOLERANCE
from vocab.prune.frontier.trace import Frontier

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# Colours that the colour-blind tell apart (Okabe and Ito 2008), and dashes for print without colour.
_STYLES: dict[str, dict[str, Any]] = {
    "distill": {"color": "#0072B2", "linestyle": "-", "linewidth": 2.2, "zorder": 5},
    "frequency": {"color": "#D55E00", "linestyle": (0, (5, 1.5)), "linewidth": 1.6, "zorder": 4},
    "leaf": {"color": "#009E73", "linestyle": (0, (4, 1.5, 1, 1.5)), "linewidth": 1.6, "zorder": 3},
    "rank": {"color": "#CC79A7", "linestyle": (0, (1, 1)), "linewidth": 1.8, "zorder": 2},
}
_BOUND: dict[str, Any] = {"color": "#222222", "linestyle": (0, (3, 2)), "linewidth": 1.2, "zorder": 6}
_UNREACHABLE: dict[str, Any] = {"color": "#bdbdbd", "alpha": 0.5, "linewidth": 0}
_MARK: dict[str, Any] = {"color": "#E69F00"}
_TICKS = [250 << k for k in range(14)]
# The panel of compute shows what is near the least.
_MOST_COST_PERCENT = 25.0
_SETTINGS: Any = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "vocab",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "legend.frameon": False,
}


def check_drawing() -> None:
    """Raise MissingExtraError when Matplotlib is not installed."""
    try:
        import matplotlib as mpl  # noqa: F401
    except ImportError:
        raise MissingExtraError("drawing a picture", "matplotlib", "plots") from None


def draw(frontier: Frontier, file_format: FigureFormat) -> bytes:
    """Draw a frontier; returns the bytes of the file. Raises MissingExtraError when Matplotlib is not installed."""
    check_drawing()
    import matplotlib as mpl

    # Metadata with the date or the program would differ from run to run.
    metadata: dict[str, Any] = {"Date": None} if file_format == "svg" else {"Software": None}
    buffer = io.BytesIO()
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        _figure(frontier).savefig(buffer, format=file_format, dpi=160, metadata=metadata)
    return buffer.getvalue()


def _figure(frontier: Frontier) -> Figure:
    from matplotlib.figure import Figure

    n_panels = 4 if frontier.has_held_out else 3
    n_columns = 2 if n_panels == 4 else 3
    figure = Figure(figsize=(5.2 * n_columns, 4.0 * (n_panels // n_columns) + 0.6), layout="constrained")
    axes = list(figure.subplots(n_panels // n_columns, n_columns, sharex=True).flat)
    compression = axes[: n_panels - 2]
    compression[-1].sharey(compression[0])
    if frontier.has_held_out:
        _compression(compression[0], frontier, [curve.held_out for curve in frontier.curves], "Held-out text")
    _compression(
        compression[-1], frontier, [curve.train for curve in frontier.curves], "Text that tokens were chosen by"
    )
    _bound(compression[-1], frontier)
    _gaps(axes[-2], frontier)
    _costs(axes[-1], frontier)
    for axis in axes:
        _size_axis(axis, frontier.sizes)
    for axis in axes[-n_columns:]:
        axis.set_xlabel("vocabulary size, ids (logarithmic)")
    _mark(axes, frontier)
    handles, labels = compression[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), handlelength=3.2)
    figure.suptitle(_title(frontier), fontsize=10.5, x=0.01, horizontalalignment="left", linespacing=1.5)
    return figure


def _title(frontier: Frontier) -> str:
    curve = frontier.curves[0]
    payoff = frontier.payoff(curve)
    n_ids = f"{payoff.n_ids:,} ids"
    where = f"pay up to {n_ids}, the largest size" if payoff.is_last else f"stop paying at {n_ids}"
    return (
        f"{frontier.source['name']} pruned to {frontier.sizes[0]:,} … {frontier.sizes[-1]:,} ids, run with "
        f"{frontier.inference}\nOrange: tokens of {curve.method} {where}; from {payoff.from_n_ids:,} to "
        f"{payoff.to_n_ids:,} the same text costs at most {TOLERANCE:.0%} more compute"
    )


def _compression(axis: Axes, frontier: Frontier, sides: Sequence[list[Compression]], title: str) -> None:
    for curve, texts in zip(frontier.curves, sides, strict=True):
        ratios = [text.bytes_per_token for text in texts]
        axis.plot(frontier.sizes, ratios, label=curve.method, **_STYLES[curve.method])
    axis.set_title(title)
    axis.set_ylabel("bytes a token")


def _bound(axis: Axes, frontier: Frontier) -> None:
    """The bound as the most bytes a token that can be, and what lies beyond."""
    ratios = [text.bytes_per_token for text in frontier.bound]
    bottom, top = axis.get_ylim()
    top = max(top, max(ratios) + 0.05 * (top - bottom))
    axis.plot(frontier.sizes, ratios, label="bound", **_BOUND)
    axis.fill_between(frontier.sizes, ratios, top, label="out of reach of any choice", **_UNREACHABLE)
    axis.set_ylim(bottom, top)


def _gaps(axis: Axes, frontier: Frontier) -> None:
    for curve in frontier.curves:
        axis.plot(frontier.sizes, [100 * gap for gap in frontier.gaps(curve)], **_STYLES[curve.method])
    axis.set_ylim(bottom=0)
    axis.set_title("Distance from the bound, on that same text")
    axis.set_ylabel("tokens above the bound, %")


def _costs(axis: Axes, frontier: Frontier) -> None:
    """Compute of the model for the same text, near its least."""
    payoffs = [frontier.payoff(curve) for curve in frontier.curves]
    least = min(payoff.least for payoff in payoffs)
    for curve, payoff in zip(frontier.curves, payoffs, strict=True):
        percents = [100 * (cost * payoff.least / least - 1) if least else 0.0 for cost in payoff.costs]
        axis.plot(frontier.sizes, percents, **_STYLES[curve.method])
    model = frontier.model
    axis.set_title(f"Compute for the same text: width {model.width:,}, {model.n_layers} layers")
    axis.set_ylabel("compute above the least of all, %")
    axis.set_ylim(0, min(axis.get_ylim()[1], _MOST_COST_PERCENT))


def _mark(axes: Sequence[Axes], frontier: Frontier) -> None:
    """Where tokens of the first curve stop paying, on all panels."""
    payoff = frontier.payoff(frontier.curves[0])
    for axis in axes:
        axis.axvline(payoff.n_ids, linewidth=1.4, zorder=1, **_MARK)
        axis.axvspan(payoff.from_n_ids, payoff.to_n_ids, alpha=0.16, linewidth=0, zorder=0, **_MARK)


def _size_axis(axis: Axes, sizes: Sequence[int]) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    axis.set_xscale("log")
    axis.set_xlim(sizes[0], sizes[-1])
    ticks = [size for size in _TICKS if sizes[0] <= size <= sizes[-1]]
    ticks = ticks if len(ticks) > 1 else [sizes[0], sizes[-1]]
    axis.xaxis.set_major_locator(FixedLocator(ticks))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xticklabels([_short(size) for size in ticks])
    axis.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    axis.set_axisbelow(True)


def _short(size: int) -> str:
    return f"{size // 1000}k" if size % 1000 == 0 else f"{size:,}"
