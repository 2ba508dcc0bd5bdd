"""`LossStudy`: losses of one model on one text through different vocabularies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from vocab.choices import InferenceMethod, Method, RunMode, Style, TimingHead, VocabularyBuild
from vocab.errors import StudyError
from vocab.experiments.speed.speed_spec import TimingSpec
from vocab.experiments.study import Study, check_unique
from vocab.reading import is_file_name

# The head of the models that a study trains.
RUN_HEAD: TimingHead = "chunked"


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to make a vocabulary, at one or more sizes.

    Raises StudyError when `sizes` or `style` do not fit `build`.

    Attributes:
        name: the name in rows and figures.
        build: "prune" a source, prune it with "superwords", train from "scratch", or take the "whole" source.
        sizes: numbers of ids; empty for "whole", which keeps the source's.
        source: an argument of `vocab.load`, or "package:NAME/PATH" for a file inside an installed package.
        method: how `vocab prune` chooses tokens.
        inference: how text becomes tokens; "" for the source's own way.
        style: style of `vocab train-tokenizer`, for "scratch" alone.
    """

    name: str
    build: VocabularyBuild
    sizes: tuple[int, ...] = ()
    source: str = "cl100k_base"
    method: Method = "distill"
    inference: InferenceMethod | Literal[""] = ""
    style: Style | Literal[""] = ""

    def __post_init__(self) -> None:
        if not is_file_name(self.name):
            raise StudyError(f"arm {self.name!r} has a name that cannot name files: leave out / and the like")
        if (self.build == "whole") == bool(self.sizes):
            raise StudyError(f"arm {self.name} needs sizes, unless it takes the whole source")
        if (self.build == "scratch") != bool(self.style):
            raise StudyError(f"arm {self.name} needs a style where it is built from scratch, and only there")


@dataclass(frozen=True, kw_only=True)
class LossStudy(Study):
    """Losses of the same model on the same text through different vocabularies.

    Raises StudyError for values out of range.

    Attributes:
        arms: the vocabularies.
        baseline: arm and number of ids of the vocabulary that others are compared with.
        seeds: random seeds; each vocabulary is trained on once with each.
        preset: name of the model's shape.
        choosing_megabytes: MB of text that vocabularies are chosen or trained on.
        megabytes: MB of text that every run trains on, a part of the former.
        marks: number of evaluations, at equal steps of bytes.
        held_out_megabytes: MB of held-out text scored at each evaluation, or all there is.
        batch: sequences in a step.
        seq_len: tokens in a sequence; with `context_bytes` those of the timed step alone.
        context_bytes: bytes of text in a sequence, about: each arm has as many tokens as make them, so that contexts
            and batches hold as much text in all arms. 0 for `seq_len` tokens in all.
        learning_rate: constant after a warm-up, so that every point of a curve is the end of a run of that length.
        micro_batch: sequences held at a time, 0 for the whole batch.
        mode: "eager", or "compiled" for blocks under torch.compile.
        cycles: cycles of the timing of a step at each size, which gives seconds.
    """

    kind: ClassVar[str] = "loss"

    arms: tuple[Arm, ...]
    baseline: tuple[str, int]
    seeds: tuple[int, ...]
    preset: str
    choosing_megabytes: float
    megabytes: float
    marks: int
    held_out_megabytes: float
    batch: int
    seq_len: int
    learning_rate: float
    context_bytes: int = 0
    micro_batch: int = 0
    mode: RunMode = "eager"
    cycles: int = 10

    @property
    def step_timing(self) -> TimingSpec:
        """The timing of a step at every size, with the head of the runs; it gives the runs' seconds."""
        return TimingSpec(
            part="step",
            mode=self.mode,
            preset=self.preset,
            n_tokens=self.batch * self.seq_len,
            cycles=self.cycles,
            head=RUN_HEAD,
        )

    def __post_init__(self) -> None:
        check_arms(self.arms)
        name, size = self.baseline
        if not any(arm.name == name and (size in arm.sizes or not arm.sizes) for arm in self.arms):
            raise StudyError(f"the baseline {name} at {size} is none of the arms")
        for key in ("choosing_megabytes", "megabytes", "held_out_megabytes", "learning_rate"):
            if not getattr(self, key) > 0:
                raise StudyError(f"{key} must be above 0")
        if self.megabytes > self.choosing_megabytes:
            raise StudyError("megabytes is a part of choosing_megabytes, so it cannot be more")
        if self.context_bytes < 0:
            raise StudyError("context_bytes must be at least 1, or 0 for seq_len tokens")
        for key in ("marks", "batch", "seq_len"):
            if getattr(self, key) < 1:
                raise StudyError(f"{key} must be at least 1")
        if self.cycles < 2:
            raise StudyError("cycles must be at least 2")


def check_arms(arms: Sequence[Arm]) -> None:
    """Raise StudyError when two arms share a name."""
    check_unique([arm.name for arm in arms], "arm")
