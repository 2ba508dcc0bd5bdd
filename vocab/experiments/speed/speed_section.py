"""The section of a report on times: does Hamming weight matter once alignment is known?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from vocab.experiments.rows import StudyRow
from vocab.experiments.section import Section, made_on, table
from vocab.experiments.speed.interval import Interval
from vocab.experiments.speed.speed_analysis import SpeedFinding, analyse_speed
from vocab.experiments.speed.speed_charts import coefficient_chart, speed_chart
from vocab.experiments.speed.speed_spec import SpeedStudy, TimingSpec
from vocab.model.network.config import preset
from vocab.shown_text import in_markdown


def speed_section(study: SpeedStudy, rows: Sequence[StudyRow]) -> Section:
    """Design, tables, figures and a sentence for each machine and timing; raises StudyError as `analyse_speed` does."""
    parts = [f"## {in_markdown(study.name)}", "", in_markdown(study.question), "", _design(study), ""]
    charts: dict[str, Any] = {}
    sentences: list[str] = []
    for k, (machine, timings) in enumerate(sorted(_by_machine_and_timing(rows).items())):
        section = _machine_section(study, k, machine, timings)
        parts.append(section.text)
        charts |= section.charts
        sentences += section.sentences
    return Section("\n".join([*parts, _missing(study, rows)]), charts, sentences)


def _by_machine_and_timing(rows: Sequence[StudyRow]) -> dict[str, dict[str, list[StudyRow]]]:
    groups: dict[str, dict[str, list[StudyRow]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        groups[str(row.key["machine"])][str(row.key["timing"])].append(row)
    return groups


def _machine_section(study: SpeedStudy, k: int, machine: str, timings: dict[str, list[StudyRow]]) -> Section:
    """Tables, figures and sentences of the `k`th machine."""
    findings = [
        analyse_speed(timings[timing.name], study, _width(timing))
        for timing in study.timings
        if len(timings[timing.name]) > 1
    ]
    coefficients, times = (f"{study.name}-{figure}-{k}.svg" for figure in ("coefficients", "times"))
    sentences = [finding.sentence for finding in findings]
    parts = [f"### {in_markdown(machine)}", "", made_on([row for group in timings.values() for row in group]), ""]
    parts += [_findings(findings), "", f"![Hamming weight with and without alignment known]({coefficients})", ""]
    parts += [f"![Time of each size]({times})", "", *(f"- {in_markdown(sentence)}" for sentence in sentences), ""]
    parts += [_terms(findings), "", *_unfinished(study, timings), ""]
    charts = {coefficients: coefficient_chart(findings), times: speed_chart(findings)}
    return Section("\n".join(parts), charts, sentences)


def _width(timing: TimingSpec) -> int:
    return timing.width or preset(timing.preset).width


def _design(study: SpeedStudy) -> str:
    sets = "\n".join(
        f"- {in_markdown(name)}: {', '.join(f'{n:,}' for n in sizes)}" for name, sizes in study.sets.items()
    )
    return (
        "Sizes stand in sets that are alike in one of the two and differ in the other:\n\n"
        f"{sets}\n\nAll sizes are timed in one process on random data, in the same block of memory. A cycle takes them "
        f"in a random order and in its reverse, once or in several rounds; {study.reference:,} ids are timed twice "
        "in it, for the ratio to compare with and the noise (A/A). With several rounds, a time counts by what "
        "differs from the calls just before and after it, so that what else the machine did does not count. "
        "The estimate of a size is the median over cycles of log time less the cycle's mean. These are fitted by "
        f"log size, trailing zeros{', what is left over in the last tile' if study.tile > 1 else ''}"
        f"{', what is left over in the last wave' if study.waves else ''}, and Hamming weight. Intervals are "
        "Student's, from errors that let the noise differ between sizes (HC3). VIF is how many times the terms of "
        "alignment raise the variance of a bit's estimate. Declared before the runs: a change within "
        f"±{study.margin:.2%} a bit counts as none, when the 90% interval lies inside it."
    )


def _percent(interval: Interval) -> str:
    return f"{interval.estimate:+.3%} ({interval.low:+.3%} … {interval.high:+.3%})"


def _findings(findings: Sequence[SpeedFinding]) -> str:
    head = ["timing", "cycles", "A/A", "a bit, size alone known", "a bit, alignment known", "VIF", "unexplained"]
    head.append("verdict")
    return table(head, [_cells(finding) for finding in findings])


def _cells(finding: SpeedFinding) -> list[str]:
    intervals = [_percent(interval) for interval in (finding.again, finding.hamming_alone, finding.hamming)]
    return [
        finding.timing,
        str(finding.n_cycles),
        *intervals,
        f"{finding.variance_inflation:.1f}",
        f"{finding.residual:.2%}",
        finding.verdict,
    ]


def _terms(findings: Sequence[SpeedFinding]) -> str:
    """The coefficients of all terms, a column a timing."""
    names = list(dict.fromkeys(name for finding in findings for name in finding.terms))
    shown = [[name, *(f"{f.terms[name]:+.4f}" if name in f.terms else "–" for f in findings)] for name in names]
    return "Coefficients of log time:\n\n" + table(["term", *(f.timing for f in findings)], shown)


def _unfinished(study: SpeedStudy, timings: dict[str, list[StudyRow]]) -> list[str]:
    return [
        f"Not finished: {in_markdown(timing.name)}, {len(timings[timing.name])} of {timing.cycles} cycles."
        for timing in study.timings
        if len(timings[timing.name]) < timing.cycles
    ]


def _missing(study: SpeedStudy, rows: Sequence[StudyRow]) -> str:
    if not rows:
        return "**Not measured yet**: there are no rows of this study."
    if not any("gpu" in row.origin["machine"] for row in rows):
        return "**Not measured**: there are no rows of a GPU here; what a CPU says need not hold there."
    return ""
