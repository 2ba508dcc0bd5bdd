"""`SpeedStudy`: times of a training step, or of the head alone, over matched sets of vocabulary sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from vocab.choices import TimedPart, TimingHead, TimingMode
from vocab.errors import StudyError
from vocab.experiments.study import Study, check_unique


@dataclass(frozen=True, kw_only=True)
class TimingSpec:
    """One comparison of times: the head alone or a full step, in one mode, for all sizes at one width.

    Raises StudyError for values out of range.

    Attributes:
        part: "head" (projection, loss, and their gradients) or "step" (a whole training step, with AdamW).
        mode: "eager", "compiled", or "compiled-unpadded" (compiled, with inductor's padding of shapes switched off).
        preset: name of the model's shape; its width is the head's.
        width: another width than the preset's; the feed-forward width scales with it.
        n_tokens: tokens in one call.
        cycles: number of rows; each holds one time for every size.
        rounds: passes over all sizes within a cycle, each in a random order and then in its reverse. From 2 on, slow
            drifts that neighbours in time share are taken out (`vocab.model.timing.interleave`): for shared machines.
        sizes: the sizes that are timed; empty for all sizes of the study.
        head: the head of `vocab.model.network.head`; None for all logits at once, compiled in a compiled mode.
    """

    part: TimedPart
    mode: TimingMode
    preset: str
    n_tokens: int
    cycles: int
    rounds: int = 1
    width: int | None = None
    sizes: tuple[int, ...] = ()
    head: TimingHead | None = None

    @property
    def name(self) -> str:
        """The name in rows and tables."""
        width = f"-{self.width}" if self.width else ""
        return f"{self.part}-{self.mode}-{self.preset}{width}-{self.n_tokens}"

    def __post_init__(self) -> None:
        if self.cycles < 2 or self.n_tokens < 1 or self.rounds < 1:
            raise StudyError(f"timing {self.name} needs at least 2 cycles, 1 round and 1 token")
        if self.width is not None and self.width < 1:
            raise StudyError(f"timing {self.name} needs a width of at least 1")


@dataclass(frozen=True, kw_only=True)
class SpeedStudy(Study):
    """Times over matched sets of vocabulary sizes, which tell Hamming weight from alignment.

    Raises StudyError for values out of range.

    Attributes:
        sets: sizes, by the name of their set.
        timings: the comparisons of times to be made.
        reference: the size that all are compared with. Every cycle times it twice (the A/A pair).
        margin: share of time for each bit of Hamming weight; a change within ±margin counts as none (equivalence).
        tile: ids that one tile of the matrix product covers. Above 1, the unused rest of the last tile is a term of the
            regression.
        waves: tiles that run at once, or 0 where the machine has no such limit.
        seed: random seed of orders and data.
    """

    kind: ClassVar[str] = "speed"

    sets: Mapping[str, tuple[int, ...]]
    timings: tuple[TimingSpec, ...]
    reference: int
    margin: float
    tile: int = 128
    waves: int = 0
    seed: int = 0

    @property
    def sizes(self) -> tuple[int, ...]:
        """All sizes and the reference, rising, each once."""
        return tuple(sorted({self.reference, *(size for sizes in self.sets.values() for size in sizes)}))

    def __post_init__(self) -> None:
        if not 0 < self.margin < 1:
            raise StudyError(f"margin is a share of time above 0 and below 1, not {self.margin:g}")
        if self.tile < 1 or self.waves < 0 or self.reference < 1:
            raise StudyError("tile and reference are at least 1, waves at least 0")
        for timing in self.timings:
            if unknown := sorted(set(timing.sizes) - set(self.sizes)):
                raise StudyError(f"timing {timing.name} has size {unknown[0]}, which is in no set")
        check_unique([timing.name for timing in self.timings], "timing")
