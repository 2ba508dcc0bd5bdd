"""The part of a report on losses: bits per byte by vocabulary, at equal bytes, tokens, FLOPs and seconds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from vocab.experiments.loss.loss_analysis import ArmFinding, Estimate, LossFinding, Protocol, analyse
from vocab.experiments.report.charts import curve_chart, frontier_chart
from vocab.experiments.report.section import Section, made_on, table
from vocab.experiments.rows import CYCLE, RUN, Row
from vocab.experiments.spec import LossSpec, Spec

_AMOUNTS: dict[Protocol, str] = {
    "bytes": "{:,.0f} bytes of text",
    "tokens": "{:,.0f} tokens",
    "flops": "{:.3g} FLOPs",
    "seconds": "{:,.0f} seconds of steps",
}


def finding_of(spec: Spec, rows: Sequence[Row]) -> LossFinding:
    """The analysis of a study's rows; seconds only where every size was timed, on one machine."""
    assert spec.loss is not None
    runs = [row for row in rows if row.key["kind"] == RUN]
    return analyse(runs, spec.loss.baseline, step_seconds(spec.loss, rows))


def step_seconds(loss: LossSpec, rows: Sequence[Row]) -> Mapping[int, float]:
    """Median seconds of a step at each size on the machine that has most cycles of it; {} where none was timed."""
    cycles: dict[str, list[Mapping[str, float]]] = {}
    for row in rows:
        if row.key["kind"] == CYCLE and row.key["timing"] == loss.step_timing.name:
            cycles.setdefault(str(row.key["machine"]), []).append(row.result["seconds"])
    if not cycles:
        return {}
    most = max(cycles.values(), key=len)
    return {int(name): float(np.median([c[name] for c in most])) for name in most[0] if name.isdecimal()}


def loss_section(spec: Spec, rows: Sequence[Row]) -> Section:
    """Design, table, figures and what differs from the baseline and what does not."""
    assert spec.loss is not None
    head = [f"## {spec.name}", "", spec.question, "", _design(spec.loss), ""]
    if not any(row.key["kind"] == RUN for row in rows):
        return Section("\n".join([*head, "**Not measured yet**: there are no rows of this study."]))
    finding = finding_of(spec, rows)
    names = [f"{spec.name}-{what}.svg" for what in ("frontier", "curves")]
    protocol: Protocol = "seconds" if "seconds" in finding.amounts else "flops"
    charts = {names[1]: curve_chart(finding, protocol)}
    pictures = [f"![Bits per byte against {protocol}]({names[1]})"]
    if "seconds" in finding.amounts:
        charts[names[0]] = frontier_chart(finding)
        pictures = [f"![Bits per byte against bytes a second]({names[0]})", "", *pictures]
    sentences = _sentences(finding)
    parts = [
        made_on(rows),
        "",
        _text(rows),
        "",
        _amounts(finding),
        "",
        _table(finding),
        "",
        *pictures,
        "",
        *sentences,
        "",
    ]
    parts += [_missing(spec.loss, finding, rows)]
    return Section("\n".join([*head, *parts]), charts, sentences)


def _design(loss: LossSpec) -> str:
    return (
        f"Every run trains `{loss.preset}` on the same {loss.megabytes:g} MB of text, with {len(loss.seeds)} seeds, at "
        "a constant learning rate after a warm-up: every point of its curve is the end of a run of that length. "
        f"Vocabularies are chosen, or trained, by {loss.choosing_megabytes:g} MB that hold that text. Documents are "
        "packed end to end and none is left out. Loss is bits per byte of the same held-out documents, which neither "
        f"vocabularies nor models saw; special tokens count in none. Changes are against {loss.baseline[0]} at "
        f"{loss.baseline[1]:,} ids, seed by seed, with Student's 95% intervals over seeds, each for "
        "itself: of many that differ in nothing, one in twenty looks better or worse. Seconds are tokens times the "
        "median time of a step at that size, from interleaved cycles, so that what else the machine did in a run does "
        "not count."
    )


def _text(rows: Sequence[Row]) -> str:
    """Which text the runs are of."""
    about = next(row.origin for row in rows if row.key["kind"] == RUN)
    named = " and ".join(f"`{name}`" for name in about["corpus"])
    return f"Text: {about['n_text_bytes']:,} bytes of {named}, a tenth of them held out."


def _amounts(finding: LossFinding) -> str:
    told = [f"{name}: {_AMOUNTS[name].format(amount)}" for name, amount in finding.amounts.items()]
    return (
        f"Compared at the least that any run spent in the end ({'; '.join(told)}). A dash: the first mark of that run "
        f"lies beyond. Standard deviation over seeds: {finding.noise:.2%} of the loss."
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
    found = arm.loss["bytes"]
    return f"{found.mean:.4f}" + ("" if math.isnan(found.half_width) else f" ± {found.half_width:.4f}")


def _change(found: Estimate) -> str:
    if math.isnan(found.mean):
        return "–"
    return f"{found.mean:+.2%}" + ("" if math.isnan(found.half_width) else f" ± {found.half_width:.2%}")


def _sentences(finding: LossFinding) -> list[str]:
    """What is better, worse, and not told apart from the baseline, at each protocol."""
    name, size = finding.baseline
    lines = []
    for protocol in finding.amounts:
        groups: dict[str, list[str]] = {"better": [], "worse": [], "not told apart": []}
        for arm in finding.arms:
            found = arm.change[protocol]
            if arm.name == finding.baseline or math.isnan(found.mean):
                continue
            kind = "better" if found.mean < 0 else "worse"
            kind = kind if found.leaves_out_zero else "not told apart"
            groups[kind].append(f"{arm.arm} {arm.n_ids:,}")
        told = [f"{kind}: {', '.join(arms)}" for kind, arms in groups.items() if arms]
        lines.append(f"- At equal {protocol}, beside {name} {size:,}: {'; '.join(told) or 'nothing to compare'}.")
    if best := finding.frontier():
        lines.append(
            "- Beaten by no other in both speed and loss at equal bytes: "
            + ", ".join(f"{arm.arm} {arm.n_ids:,}" for arm in best)
            + "."
        )
    return lines


def _missing(loss: LossSpec, finding: LossFinding, rows: Sequence[Row]) -> str:
    wanted = sum(max(1, len(arm.sizes)) for arm in loss.arms) * len(loss.seeds)
    lines = []
    if len(finding.runs) < wanted:
        lines.append(f"{len(finding.runs)} of {wanted} runs are done")
    if "seconds" not in finding.amounts:
        lines.append("steps were not timed at every size, so nothing is compared at equal seconds")
    if not any("gpu" in row.origin["machine"] for row in rows):
        lines.append("no run was on a GPU, and no model was larger than this preset")
    return f"**Not measured**: {'; '.join(lines)}." if lines else ""
