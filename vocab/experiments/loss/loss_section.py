"""The section of a report on losses: bits per byte by vocabulary, at equal bytes, tokens, FLOPs and seconds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from vocab.experiments.loss.loss_analysis import ArmFinding, Estimate, LossFinding, Protocol, analyse_loss
from vocab.experiments.loss.loss_charts import curve_chart, frontier_chart
from vocab.experiments.loss.loss_spec import LossStudy
from vocab.experiments.rows import RUN, StudyRow
from vocab.experiments.section import Section, made_on, table
from vocab.shown_text import in_code, in_markdown

_AMOUNTS: dict[Protocol, str] = {
    "bytes": "{:,.0f} bytes of text",
    "tokens": "{:,.0f} tokens",
    "flops": "{:.3g} FLOPs",
    "seconds": "{:,.0f} seconds of steps",
}


def loss_section(study: LossStudy, rows: Sequence[StudyRow]) -> Section:
    """Design, table, figures, and sentences on what differs from the baseline."""
    head = [f"## {in_markdown(study.name)}", "", in_markdown(study.question), "", _design(study), ""]
    if not any(row.key["kind"] == RUN for row in rows):
        return Section("\n".join([*head, "**Not measured yet**: there are no rows of this study."]))
    finding = analyse_loss(rows, study)
    sentences = _sentences(finding)
    charts, pictures = _figures(study, finding)
    parts = [made_on(rows), "", _text(rows), "", _amounts(finding), "", _table(finding), ""]
    parts += [
        *pictures,
        "",
        *(f"- {in_markdown(sentence)}" for sentence in sentences),
        "",
        _missing(study, finding, rows),
    ]
    return Section("\n".join([*head, *parts]), charts, sentences)


def _figures(study: LossStudy, finding: LossFinding) -> tuple[dict[str, Any], list[str]]:
    """Charts by the names of their files, and the Markdown lines that show them."""
    frontier, curves = (f"{study.name}-{figure}.svg" for figure in ("frontier", "curves"))
    protocol: Protocol = "seconds" if "seconds" in finding.amounts else "flops"
    charts = {curves: curve_chart(finding, protocol)}
    pictures = [f"![Bits per byte against {protocol}]({curves})"]
    if "seconds" in finding.amounts:
        charts[frontier] = frontier_chart(finding)
        pictures = [f"![Bits per byte against bytes a second]({frontier})", "", *pictures]
    return charts, pictures


def _design(study: LossStudy) -> str:
    return (
        f"Every run trains `{study.preset}` on the same {study.megabytes:g} MB of text, with {len(study.seeds)} "
        "seeds, at a constant learning rate after a warm-up: every point of its curve is the end of a run of that "
        f"length. Vocabularies are chosen, or trained, by {study.choosing_megabytes:g} MB that hold that text. "
        "Documents are packed end to end and none is left out. Loss is bits per byte of the same held-out "
        "documents, which neither vocabularies nor models saw; special tokens count in none. Changes are against "
        f"{in_markdown(study.baseline[0])} at {study.baseline[1]:,} ids, seed by seed, with Student's 95% intervals "
        "over seeds, each for itself: of many that differ in nothing, one in twenty looks better or worse. Seconds are "
        "tokens times the median time of a step at that size, from interleaved cycles, so that what else the "
        "machine did in a run does not count."
    )


def _text(rows: Sequence[StudyRow]) -> str:
    """The text of the runs."""
    origin = next(row.origin for row in rows if row.key["kind"] == RUN)
    files = " and ".join(in_code(str(name)) for name in origin["corpus"])
    return f"Text: {origin['n_text_bytes']:,} bytes of {files}, a tenth of them held out."


def _amounts(finding: LossFinding) -> str:
    amounts = [f"{name}: {_AMOUNTS[name].format(amount)}" for name, amount in finding.amounts.items()]
    return (
        f"Compared at the least that any run spent in the end ({'; '.join(amounts)}). A dash: the first mark of "
        f"that run lies beyond. Standard deviation over seeds: {finding.noise:.2%} of the loss."
    )


def _table(finding: LossFinding) -> str:
    changes = [f"at equal {name}" for name in finding.amounts]
    head = ["vocabulary", "ids", "inference", "bytes a token", "kB/s", "bits per byte", *changes]
    arms = sorted(finding.arms, key=lambda arm: (arm.arm, arm.n_ids))
    return table(head, [_cells(arm, finding) for arm in arms])


def _cells(arm: ArmFinding, finding: LossFinding) -> list[str]:
    speed = "–" if arm.bytes_per_second is None else f"{arm.bytes_per_second / 1e3:,.1f}"
    is_baseline = arm.name == finding.baseline
    changes = ["baseline" if is_baseline else _change(arm.change[name]) for name in finding.amounts]
    return [arm.arm, f"{arm.n_ids:,}", arm.inference, f"{arm.bytes_per_token:.3f}", speed, _loss(arm), *changes]


def _loss(arm: ArmFinding) -> str:
    loss = arm.loss["bytes"]
    return f"{loss.mean:.4f}" + ("" if math.isnan(loss.half_width) else f" ± {loss.half_width:.4f}")


def _change(change: Estimate) -> str:
    if math.isnan(change.mean):
        return "–"
    return f"{change.mean:+.2%}" + ("" if math.isnan(change.half_width) else f" ± {change.half_width:.2%}")


def _sentences(finding: LossFinding) -> list[str]:
    """What is better, worse, and not told apart from the baseline, at each protocol."""
    lines = [_protocol_sentence(finding, protocol) for protocol in finding.amounts]
    if best := finding.frontier():
        names = ", ".join(f"{arm.arm} {arm.n_ids:,}" for arm in best)
        lines.append(f"Beaten by no other in both speed and loss at equal bytes: {names}.")
    return lines


def _protocol_sentence(finding: LossFinding, protocol: Protocol) -> str:
    name, size = finding.baseline
    groups: dict[str, list[str]] = {"better": [], "worse": [], "not told apart": []}
    for arm in finding.arms:
        change = arm.change[protocol]
        if arm.name == finding.baseline or math.isnan(change.mean):
            continue
        verdict = ("better" if change.mean < 0 else "worse") if change.leaves_out_zero else "not told apart"
        groups[verdict].append(f"{arm.arm} {arm.n_ids:,}")
    verdicts = [f"{verdict}: {', '.join(arms)}" for verdict, arms in groups.items() if arms]
    return f"At equal {protocol}, beside {name} {size:,}: {'; '.join(verdicts) or 'nothing to compare'}."


def _missing(study: LossStudy, finding: LossFinding, rows: Sequence[StudyRow]) -> str:
    n_runs = sum(max(1, len(arm.sizes)) for arm in study.arms) * len(study.seeds)
    lines = []
    if len(finding.runs) < n_runs:
        lines.append(f"{len(finding.runs)} of {n_runs} runs are done")
    if "seconds" not in finding.amounts:
        lines.append("steps were not timed at every size, so nothing is compared at equal seconds")
    if not any("gpu" in row.origin["machine"] for row in rows):
        lines.append("no run was on a GPU, and no model was larger than this preset")
    return f"**Not measured**: {'; '.join(lines)}." if lines else ""
