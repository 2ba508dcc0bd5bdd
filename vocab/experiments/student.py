"""Quantiles of Student's t, which SciPy computes."""

from __future__ import annotations

from vocab.errors import MissingExtraError


def student_quantile(share: float, n_free: int) -> float:
    """The value below which Student's t of `n_free` degrees of freedom lies with this probability.

    Raises MissingExtraError without scipy.
    """
    try:
        from scipy.stats import t
    except ImportError:
        raise MissingExtraError("the report of a study", "scipy", "study") from None
    return float(t.ppf(share, n_free))
