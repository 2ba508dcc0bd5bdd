"""The loss curve of a run as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vocab.errors import MissingExtraError


def draw_curve(rows: list[dict[str, Any]], path: Path) -> None:
    """Bits per byte of training batches and of held-out documents over bytes of text, as PNG.

    `rows` are the records of a log. Raises MissingExtraError without Matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("drawing a picture", "matplotlib", "plots") from None
    steps = [row for row in rows if row["kind"] == "step" and row["bits_per_byte"] is not None]
    evals = [row for row in rows if row["kind"] == "eval"]
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axis = figure.subplots()
    axis.plot([row["bytes"] / 1e6 for row in steps], [row["bits_per_byte"] for row in steps], lw=0.6, label="training")
    axis.plot(
        [row["bytes"] / 1e6 for row in evals],
        [row["held_out_bits_per_byte"] for row in evals],
        marker="o",
        label="held out",
    )
    axis.set_xlabel("MB of text trained on")
    axis.set_ylabel("bits per byte")
    axis.grid(alpha=0.3)
    axis.legend()
    figure.savefig(path, dpi=150)
