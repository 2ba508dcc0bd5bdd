"""`NgramStudy`: losses of n-gram models of one text through different vocabularies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from vocab.errors import StudyError
from vocab.experiments.loss.loss_spec import Arm, check_arms
from vocab.experiments.study import Study


@dataclass(frozen=True, kw_only=True)
class NgramStudy(Study):
    """Bits per byte of held-out text under n-gram models, one for each vocabulary, all of the same text.

    Counts give the same loss each time, so that there are no seeds; intervals are over held-out documents.

    Raises StudyError for values out of range.

    Attributes:
        arms: the vocabularies.
        baseline: name of the arm that others of the same size are compared with.
        order: the longest n-grams, in tokens.
        megabytes: MB of text, a tenth of its documents held out. Vocabularies are chosen on the others too.
    """

    kind: ClassVar[str] = "ngram"

    arms: tuple[Arm, ...]
    baseline: str
    order: int
    megabytes: float

    def __post_init__(self) -> None:
        check_arms(self.arms)
        if not any(arm.name == self.baseline for arm in self.arms):
            raise StudyError(f"the baseline {self.baseline} is none of the arms")
        if not 1 <= self.order <= 8:
            raise StudyError("order must be from 1 to 8")
        if not self.megabytes > 0:
            raise StudyError("megabytes must be above 0")
