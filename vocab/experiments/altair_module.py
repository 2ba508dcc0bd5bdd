"""Altair, which draws the figures of a report: as SVG for reading, and interactive on the page."""

from __future__ import annotations

from typing import Any

from vocab.errors import MissingExtraError

# Pixels.
WIDTH, HEIGHT = 420, 280


def altair() -> Any:
    """The Altair module; raises MissingExtraError when it, or what writes its charts to files, is not installed."""
    try:
        import altair as alt
        import vl_convert  # noqa: F401
    except ImportError:
        raise MissingExtraError("the report of a study", "altair with vl-convert-python", "study") from None
    alt.data_transformers.disable_max_rows()
    return alt
