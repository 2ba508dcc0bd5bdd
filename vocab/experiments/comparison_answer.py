"""The short answer of a comparison of vocabularies, in a few sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

from vocab.experiments.loss.loss_analysis import ArmFinding, LossFinding, Protocol
from vocab.experiments.ngram.ngram_analysis import NgramFinding

# Held-out documents from which intervals are taken as they are.
_ENOUGH_DOCUMENTS = 30
_OF_COUNTS = "This is the loss of n-gram models, which see a few tokens. Trained models may differ."


def answer_of_counts(findings: Sequence[NgramFinding], n_documents: int) -> list[str]:
    """What is better by counts, by how much, and how many tokens the text is.

    Args:
        findings: of whole vocabularies, one of which is the baseline.
        n_documents: held-out documents.
    """
    baseline = next(one for one in findings if one.change is None)
    others = sorted((one for one in findings if one.change is not None), key=lambda one: one.change or 0.0)
    few = f"Only {n_documents:,} documents are held out, so the intervals are rough: give more documents."
    told = [_verdict(baseline, others), _lengths(baseline, others), _OF_COUNTS]
    return told if n_documents >= _ENOUGH_DOCUMENTS else [*told, few]


def _verdict(baseline: NgramFinding, others: Sequence[NgramFinding]) -> str:
    best = others[0]
    if is_told(best) and (best.change or 0) < 0:
        return f"{best.arm} is better than {baseline.arm}: {_amount(best)}."
    if all(map(is_told, others)):
        return f"{baseline.arm} is best: {best.arm} has {_amount(best)}."
    same = " and ".join(f"{one.arm} ({_amount(one)})" for one in others if not is_told(one))
    return f"No clear difference between {baseline.arm} and {same}."


def is_told(one: NgramFinding) -> bool:
    """Whether a vocabulary differs from the baseline by both the test of all together and its own interval."""
    return one.differs and not one.low <= 0 <= one.high


def _amount(one: NgramFinding) -> str:
    change = one.change or 0.0
    word = "fewer" if change < 0 else "more"
    return f"{abs(change):.2%} {word} bits per byte, 95% interval {one.low:+.2%} to {one.high:+.2%}"


def _lengths(baseline: NgramFinding, others: Sequence[NgramFinding]) -> str:
    """How many tokens the same text is."""
    told = ", ".join(f"{one.arm} {baseline.bytes_per_token / one.bytes_per_token - 1:+.2%}" for one in others)
    return f"Tokens of the same text, against {baseline.arm}: {told}."


_AMOUNTS: dict[Protocol, str] = {"bytes": "text", "tokens": "tokens", "flops": "compute", "seconds": "time"}


def answer_of_training(finding: LossFinding) -> list[str]:
    """What is better at equal text, tokens, compute and time: a sentence each."""
    return [_at_equal(finding, protocol) for protocol in finding.amounts]


def _at_equal(finding: LossFinding, protocol: Protocol) -> str:
    others = [one for one in finding.arms if one.name != finding.baseline]
    told = ", ".join(_told(one, protocol) for one in others)
    return f"At equal {_AMOUNTS[protocol]}, bits per byte against {finding.baseline[0]}: {told}."


def _told(one: ArmFinding, protocol: Protocol) -> str:
    change = one.change[protocol]
    if math.isnan(change.mean):
        return f"{one.arm} not measured there"
    verdict = ("better" if change.mean < 0 else "worse") if change.leaves_out_zero else "not told apart"
    interval = "" if math.isnan(change.half_width) else f" ± {change.half_width:.2%}"
    return f"{one.arm} {verdict} ({change.mean:+.2%}{interval})"
