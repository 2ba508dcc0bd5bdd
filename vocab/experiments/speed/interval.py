"""`Interval`: an estimate with its 95% and 90% intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vocab.experiments.student import student_quantile


@dataclass(frozen=True)
class Interval:
    """An estimate, with the bounds of its 95% interval (`low`, `high`) and of its 90% interval."""

    estimate: float
    low: float
    high: float
    low_90: float
    high_90: float

    @classmethod
    def of_resamples(cls, estimate: float, resampled: npt.NDArray[np.float64]) -> Interval:
        """The interval of an estimate from its resamples, float64[n]."""
        low, low_90, high_90, high = np.quantile(resampled, [0.025, 0.05, 0.95, 0.975]).tolist()
        return cls(estimate, low, high, low_90, high_90)

    @classmethod
    def of_error(cls, estimate: float, error: float, n_free: int) -> Interval:
        """Student's interval of an estimate from its standard error; raises MissingExtraError without scipy."""
        half, half_90 = (error * student_quantile(share, n_free) for share in (0.975, 0.95))
        return cls(estimate, estimate - half, estimate + half, estimate - half_90, estimate + half_90)

    @property
    def leaves_out_zero(self) -> bool:
        """Whether 0 lies outside the 95% interval."""
        return self.low > 0 or self.high < 0

    def is_within(self, margin: float) -> bool:
        """Whether the 90% interval lies within ±margin."""
        return -margin < self.low_90 and self.high_90 < margin
