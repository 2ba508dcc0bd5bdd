"""`choose_size`: how many ids a vocabulary should have, as a range with its reasons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vocab.choices import InferenceMethod, Preset
from vocab.corpus.counting import CorpusCounts
from vocab.experiments.loss.loss_analysis import ArmFinding, LossFinding, analyse_loss
from vocab.experiments.loss.loss_spec import LossStudy
from vocab.experiments.rows import StudyRow, read_rows
from vocab.experiments.spec import builtin_studies
from vocab.experiments.study_places import shipped_rows
from vocab.measured import MeasuredTokenizer
from vocab.model.network.config import preset as shape_of
from vocab.progress import OnProgress
from vocab.prune import ComputeModel, Frontier, trace_frontier

_POINTS, _STEPS = 12, 10
_LEAST_SIZES = 3  # of one arm, for a range


@dataclass(frozen=True, kw_only=True)
class SizeReason:
    """One way to look at sizes, and the range that it gives.

    Attributes:
        what: what is least.
        best: ids at which it is least.
        first: the fewest ids at which it is nearly the same.
        last: the most ids at which it is nearly the same.
        trust: what to trust it for, as a sentence.
    """

    what: str
    best: int
    first: int
    last: int
    trust: str


@dataclass(frozen=True, kw_only=True)
class SizeChoice:
    """How many ids a vocabulary should have.

    Attributes:
        first: the fewest ids of the range: those that all reasons allow, or where they disagree the fewest of any.
        last: the most ids of it.
        suggested: a size in it that suits hardware; None where reasons disagree.
        reasons: the ranges, that of compute first.
        notes: sentences on tokens at that size, on what disagrees and what is not measured.
    """

    first: int
    last: int
    suggested: int | None
    reasons: list[SizeReason]
    notes: list[str]


def choose_size(
    source: MeasuredTokenizer | str | Path,
    *,
    corpus: CorpusCounts | None = None,
    preset: Preset = "gpt2-124m-class",
    device: str = "cpu",
    inference: InferenceMethod = "merges",
    n_threads: int | None = None,
    on_progress: OnProgress | None = None,
) -> SizeChoice:
    """Choose a size for a model's vocabulary, by tokens, compute, and what was measured.

    Args:
        source: what `vocab.load` takes, or a vocabulary that is loaded already.
        corpus: the counted text; None for the built-in profile.
        preset: shape of the model.
        device: "cpu" or "cuda": whose measured times count.
        inference: how text is cut into tokens.
        n_threads: threads; None for all cores. The result does not depend on how many.
        on_progress: is called with a stage's name, how much of it is done, and how much there is.

    Raises:
        TargetError: sizes that cannot be had.
        CorpusError: the corpus was counted with another split pattern.
        SourceError: the source cannot be loaded.
    """
    shape = shape_of(preset)
    traced = trace_frontier(
        source,
        corpus=corpus,
        inference=inference,
        methods=["distill"],
        n_points=_POINTS,
        n_steps=_STEPS,
        model=ComputeModel(shape.width, shape.n_layers),
        n_threads=n_threads,
        on_progress=on_progress,
    )
    compute = _by_compute(traced, preset)
    measured = _by_rows(preset, device)
    reasons = [compute, *([measured] if measured else [])]
    first, last = max(one.first for one in reasons), min(one.last for one in reasons)
    agree = first <= last
    if not agree:
        first, last = min(one.first for one in reasons), max(one.last for one in reasons)
    suggested = suited(first, compute.best, last) if agree else None
    notes = [_tokens_note(traced, suggested or compute.best), *_measured_notes(measured, agree, preset, device)]
    return SizeChoice(first=first, last=last, suggested=suggested, reasons=reasons, notes=notes)


def suited(first: int, best: int, last: int) -> int:
    """The size from `first` to `last` that the highest power of two divides; of several the nearest to `best`."""
    for power in range(last.bit_length(), -1, -1):
        step = 1 << power
        multiples = range(-(-first // step) * step, last + 1, step)
        if multiples and multiples[0] > 0:
            return min(multiples, key=lambda size: (abs(size - best), size))
    return best


def _by_compute(traced: Frontier, preset: Preset) -> SizeReason:
    payoff = traced.payoff(traced.curves[0])
    return SizeReason(
        what="compute of the same text",
        best=payoff.n_ids,
        first=payoff.from_n_ids,
        last=payoff.to_n_ids,
        trust=f"Trust compute for serving {preset}: in its range it is at most 1% more. It leaves out what a "
        "vocabulary does to loss.",
    )


def _by_rows(preset: Preset, device: str) -> SizeReason | None:
    """What was measured of this shape on such a device, by rows that come with vocab."""
    for study in builtin_studies():
        path = shipped_rows(study.name)
        if not isinstance(study, LossStudy) or study.preset != preset or path is None:
            continue
        rows = [row for row in read_rows([path], study.name) if _was_on(row, device)]
        if rows and (reason := _by_finding(study, analyse_loss(rows, study))):
            return reason
    return None


def _was_on(row: StudyRow, device: str) -> bool:
    return ("gpu" in row.origin["machine"]) == (device == "cuda")


def _by_finding(study: LossStudy, finding: LossFinding) -> SizeReason | None:
    """Sizes of the baseline's arm whose loss at equal time is not told apart from the least."""
    arms = [one for one in finding.arms if one.arm == study.baseline[0] and "seconds" in one.loss]
    arms = [one for one in arms if not math.isnan(one.loss["seconds"].mean)]
    if len(arms) < _LEAST_SIZES:
        return None
    best = min(arms, key=lambda one: one.loss["seconds"].mean)
    same = [one.n_ids for one in arms if _bounds(one)[0] <= _bounds(best)[1]]
    text = f"{study.megabytes:g} MB of text"
    return SizeReason(
        what="measured loss at equal time",
        best=best.n_ids,
        first=min(same),
        last=max(same),
        trust=f"Trust the measured loss for training as short as that of {study.name}, on {text}.",
    )


def _bounds(one: ArmFinding) -> tuple[float, float]:
    loss = one.loss["seconds"]
    half_width = 0.0 if math.isnan(loss.half_width) else loss.half_width
    return loss.mean - half_width, loss.mean + half_width


def _tokens_note(traced: Frontier, size: int) -> str:
    """Bytes a token at the measured size nearest to this one, and how near to the best possible that is."""
    k = _nearest(traced.sizes, size)
    curve = traced.curves[0]
    text = (curve.held_out if traced.has_held_out else curve.train)[k]
    return (
        f"At {traced.sizes[k]:,} ids a token is {text.bytes_per_token:.3f} bytes. Tokens are at most "
        f"{traced.gaps(curve)[k]:.2%} above the bound for any choice of the source's tokens."
    )


def _nearest(sizes: Sequence[int], size: int) -> int:
    return min(range(len(sizes)), key=lambda k: abs(math.log(sizes[k] / size)))


def _measured_notes(measured: SizeReason | None, agree: bool, preset: Preset, device: str) -> list[str]:
    """What is not measured, and what disagrees."""
    if measured is None:
        return [
            f"No losses of {preset} on {device} come with vocab. `vocab compare` and `vocab study run` measure them."
        ]
    return [] if agree else ["Compute and the measured loss disagree. Little text favours large vocabularies."]
