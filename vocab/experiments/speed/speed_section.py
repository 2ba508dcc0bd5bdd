"""The part of a report on times: does Hamming weight matter once alignment is known?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from vocab.experiments.report.charts import coefficient_chart, speed_chart
from vocab.experiments.report.section import Section, made_on, table
from vocab.experiments.rows import Row
from vocab.experiments.spec import Spec, SpeedSpec, Timing
from vocab.experiments.speed.speed_analysis import Interval, SpeedFinding, analyse
from vocab.model.network.config import preset


def speed_section(spec: Spec, rows: Sequence[Row]) -> Section:
    """Design, table, figures and one sentence for each machine and timing; raises StudyError as `analyse` does."""
    assert spec.speed is not None
    parts = [f"## {spec.name}", "", spec.question, "", _design(spec.speed), ""]
    by_machine: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        by_machine[str(row.key["machine"])][str(row.key["timing"])].append(row)
    charts: dict[str, Any] = {}
    sentences: list[str] = []
    for k, (machine, timings) in enumerate(sorted(by_machine.items())):
        findings = [
            analyse(timings[timing.name], spec.speed, _width(timing))
            for timing in spec.speed.timings
            if len(timings[timing.name]) > 1
        ]
        names = [f"{spec.name}-{what}-{k}.svg" for what in ("coefficients", "times")]
        charts |= {names[0]: coefficient_chart(findings), names[1]: speed_chart(findings)}
        sentences += [finding.sentence for finding in findings]
        parts += [f"### {machine}", "", made_on([row for found in timings.values() for row in found]), ""]
        parts += [_findings(findings), "", f"![Hamming weight with and without alignment known]({names[0]})", ""]
        parts += [f"![Time of each size]({names[1]})", "", *(f"- {f.sentence}" for f in findings), ""]
        parts += [_terms(findings), "", *_unfinished(spec.speed, timings), ""]
    return Section("\n".join([*parts, _missing(spec.speed, rows)]), charts, sentences)


def _width(timing: Timing) -> int:
    return timing.width or preset(timing.preset).width


def _design(speed: SpeedSpec) -> str:
    sets = "\n".join(f"- {name}: {', '.join(f'{n:,}' for n in sizes)}" for name, sizes in speed.sets.items())
    return (
        "Sizes stand in sets that are alike in one of the two and differ in the other:\n\n"
        f"{sets}\n\nAll sizes are timed in one process on random data, in the same block of memory. A cycle takes them "
        f"in a random order and in its reverse, once or in several rounds; {speed.reference:,} ids stand in it twice, "
        "for the ratio to compare with and the noise (A/A). With several rounds, a time counts by what differs from "
        "the calls just before and after it, so that what else the machine did does not count. "
        "The estimate of a size is the median over cycles of log(time / time of the reference). These are fitted by "
        f"log size, trailing zeros{', what is left over in the last tile' if speed.tile > 1 else ''}"
        f"{', what is left over in the last wave' if speed.waves else ''}, and Hamming weight; intervals come from "
        f"resampling cycles and sizes. Declared before the runs: a change within ±{speed.margin:.2%} a bit counts as "
        "none, when the 90% interval lies inside it."
    )


def _percent(found: Interval) -> str:
    return f"{found.estimate:+.3%} ({found.low:+.3%} … {found.high:+.3%})"


def _findings(findings: Sequence[SpeedFinding]) -> str:
    head = ["timing", "cycles", "A/A", "a bit, size alone known", "a bit, alignment known", "unexplained", "verdict"]
    return table(head, [_cells(finding) for finding in findings])


def _cells(found: SpeedFinding) -> list[str]:
    shown = [_percent(interval) for interval in (found.again, found.hamming_alone, found.hamming)]
    return [found.timing, str(found.n_cycles), *shown, f"{found.residual:.2%}", found.verdict]


def _terms(findings: Sequence[SpeedFinding]) -> str:
    """What alignment is worth, beside Hamming weight."""
    names = list(dict.fromkeys(name for finding in findings for name in finding.terms))
    shown = [[name, *(f"{f.terms[name]:+.4f}" if name in f.terms else "–" for f in findings)] for name in names]
    return "Coefficients of log time:\n\n" + table(["term", *(f.timing for f in findings)], shown)


def _unfinished(speed: SpeedSpec, timings: dict[str, list[Row]]) -> list[str]:
    return [
        f"Not finished: {timing.name}, {len(timings[timing.name])} of {timing.cycles} cycles."
        for timing in speed.timings
        if len(timings[timing.name]) < timing.cycles
    ]


def _missing(speed: SpeedSpec, rows: Sequence[Row]) -> str:
    if not rows:
        return "**Not measured yet**: there are no rows of this study."
    if not any("gpu" in row.origin["machine"] for row in rows):
        return "**Not measured**: there are no rows of a GPU here; what a CPU says need not hold there."
    return ""
