#!/usr/bin/env python3
"""Times making a vocabulary of 32,000 from a corpus: pruning cl100k_base beside training BPE from scratch.

    python benchmarks/bench_prune.py --corpus DIR [--repeats N] [--json FILE] [--only NAME ...]

Each part runs in a process of its own, one of each in turn. Compiled code is warmed up before the clock starts.
Pruning starts from counts, training from text, so "with counting" is what to compare: pruning's seconds and those
of counting. All read the same files, only training documents, and are scored on the held-out ones, each by the
encoder it is made for.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from common import corpus_files, documents, in_child, installed, spread, timed, untrained, write_json
from tables import machine, show

import vocab
from vocab import CorpusCounts, Vocabulary
from vocab.prune import PruneResult, prune


@dataclass(frozen=True)
class Job:
    """What every part gets."""

    corpus: Path
    target: int
    n_threads: int
    counts: CorpusCounts | None = None


@dataclass(frozen=True)
class Outcome:
    """What a part took and what came of it; tokens and bytes are those of held-out text."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    n_tokens: int = 0
    n_bytes: int = 0
    whole_tokens: int = 0
    stages: dict[str, float] = field(default_factory=dict)


def source() -> Vocabulary:
    """cl100k_base without special tokens, which training from scratch has none of either."""
    return replace(vocab.load("cl100k_base"), special_tokens={})


def count(job: Job) -> tuple[Outcome, CorpusCounts]:
    """Our counting, of all files."""
    pattern = source().pattern
    smallest = min(corpus_files(job.corpus), key=os.path.getsize)
    vocab.count(smallest, pattern)
    run = timed(lambda: vocab.count(corpus_files(job.corpus), pattern, n_threads=job.n_threads))
    return Outcome(run.seconds, run.cpu_seconds, run.peak_mb), run.result


def pruned(job: Job, **options: Any) -> Outcome:
    """Our pruning, timed as users call it: with the report, which scores the source and the baselines too."""
    whole = source()
    small = vocab.count(min(corpus_files(job.corpus), key=os.path.getsize), whole.pattern)
    for n_threads in {1, job.n_threads}:
        prune(whole, job.target, corpus=small, n_threads=n_threads, **options)
    whole = source()  # without the encoder that the call above has made
    run = timed(lambda: prune(whole, job.target, corpus=job.counts, n_threads=job.n_threads, **options))
    result: PruneResult = run.result
    before, after = result.report.rows[0].held_out, result.report.result.held_out
    stages = dict(result.report.seconds)
    stages["other"] = run.seconds - sum(stages.values())
    return Outcome(run.seconds, run.cpu_seconds, run.peak_mb, after.n_tokens, after.n_bytes, before.n_tokens, stages)


def distill_merges(job: Job) -> Outcome:
    return pruned(job, method="distill", inference="merges")


def distill_least_tokens(job: Job) -> Outcome:
    return pruned(job, method="distill", inference="least-tokens")


def frequency(job: Job) -> Outcome:
    return pruned(job, method="frequency", inference="merges")


def train_tokenizers(job: Job) -> Outcome:
    """Hugging Face's BPE trainer behind cl100k's split."""
    tokenizer, trainer = untrained(source().pattern, job.target)
    run = timed(lambda: tokenizer.train_from_iterator(documents(job.corpus, held_out=False), trainer))
    n_tokens = n_bytes = 0
    for text in documents(job.corpus, held_out=True):
        n_tokens += len(tokenizer.encode(text).ids)
        n_bytes += len(text.encode())
    return Outcome(run.seconds, run.cpu_seconds, run.peak_mb, n_tokens, n_bytes)


def train_rustbpe(job: Job) -> Outcome:
    """rustbpe, whose vocabularies are run with tiktoken."""
    import rustbpe
    import tiktoken

    pattern = source().pattern.regex
    trainer = rustbpe.Tokenizer()
    texts = documents(job.corpus, held_out=False)
    run = timed(lambda: trainer.train_from_iterator(texts, job.target, pattern=pattern))
    ranks = {bytes(token): rank for token, rank in trainer.get_mergeable_ranks()}
    encoding = tiktoken.Encoding("rustbpe", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    n_tokens = n_bytes = 0
    for text in documents(job.corpus, held_out=True):
        n_tokens += len(encoding.encode_ordinary(text))
        n_bytes += len(text.encode())
    return Outcome(run.seconds, run.cpu_seconds, run.peak_mb, n_tokens, n_bytes)


@dataclass(frozen=True)
class Part:
    """A row of the table; `is_counted` says that it starts from counts, `needs` which package it needs."""

    title: str
    run: Callable[[Job], Outcome]
    is_counted: bool = True
    needs: str = "vocab"


OURS = "distill-merges"
PARTS = {
    OURS: Part("distill, merges", distill_merges),
    "distill-least-tokens": Part("distill, least-tokens", distill_least_tokens),
    "frequency": Part("frequency trimming", frequency),
    "tokenizers": Part("tokenizers, from scratch", train_tokenizers, is_counted=False, needs="tokenizers"),
    "rustbpe": Part("rustbpe, from scratch", train_rustbpe, is_counted=False, needs="rustbpe"),
}


def run_all(job: Job, names: list[str], repeats: int) -> tuple[list[Outcome], dict[str, list[Outcome]]]:
    """All parts, one of each in turn: runs of counting, and runs of the others by name."""
    counting: list[Outcome] = []
    runs: dict[str, list[Outcome]] = {name: [] for name in names}
    for number in range(1, repeats + 1):
        outcome, counts = in_child(count, job)
        counting.append(outcome)
        print(f"round {number} of {repeats}: counting {outcome.seconds:.1f} s", flush=True)
        for name in names:
            given = replace(job, counts=counts) if PARTS[name].is_counted else job
            runs[name].append(in_child(PARTS[name].run, given))
            print(f"round {number} of {repeats}: {name} {runs[name][-1].seconds:.1f} s", flush=True)
    return counting, runs


def figures(counting: list[Outcome], runs: dict[str, list[Outcome]]) -> dict[str, dict[str, Any]]:
    """What JSON and the table say of each part."""
    whole = next((run.whole_tokens for outcomes in runs.values() for run in outcomes if run.whole_tokens), 0)
    parts = {}
    for name, outcomes in runs.items():
        extra = [run.seconds for run in counting] if PARTS[name].is_counted else [0.0] * len(counting)
        last = outcomes[-1]
        parts[name] = {
            "seconds": [run.seconds for run in outcomes],
            "seconds_with_counting": [run.seconds + more for run, more in zip(outcomes, extra, strict=True)],
            "cpu_seconds": [run.cpu_seconds for run in outcomes],
            "peak_mb": max(run.peak_mb for run in outcomes),
            "held_out_bytes": last.n_bytes,
            "held_out_tokens": last.n_tokens,
            "held_out_change": last.n_tokens / whole - 1 if whole else None,
            "stages": [run.stages for run in outcomes],
        }
    return parts


COLUMNS = ["", "seconds", "CPU seconds", "with counting", "ratio", "peak MB", "bytes a token", "against cl100k"]


def rows(content: dict[str, Any]) -> list[list[str]]:
    """The table's rows out of what --json writes: counting first, then the parts."""
    counting, parts = content["count"], content["parts"]
    seconds = spread(counting["seconds"])
    cpu = f"{median(counting['cpu_seconds']):.1f}"
    table = [["counting", seconds, cpu, seconds, "", f"{counting['peak_mb']:,.0f}", "", ""]]
    for name, part in parts.items():
        change = part["held_out_change"]
        cells = [
            PARTS[name].title,
            spread(part["seconds"]),
            f"{median(part['cpu_seconds']):.1f}",
            spread(part["seconds_with_counting"]),
            ratio(part, parts.get(OURS)),
            f"{part['peak_mb']:,.0f}",
            f"{part['held_out_bytes'] / part['held_out_tokens']:.3f}",
            "" if change is None else f"{change:+.2%}",
        ]
        table.append(cells)
    return table


def ratio(part: dict[str, Any], ours: dict[str, Any] | None) -> str:
    """Times the seconds of ours with counting: the median over rounds."""
    if ours is None:
        return ""
    pairs = zip(part["seconds_with_counting"], ours["seconds_with_counting"], strict=True)
    return f"{median([theirs / mine for theirs, mine in pairs]):.2f}"


def stage_rows(content: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of our seconds by stage, medians."""
    ours = {name: part["stages"] for name, part in content["parts"].items() if part["stages"][0]}
    stages = dict.fromkeys(stage for runs in ours.values() for stage in runs[0])
    table = [
        [stage, *(f"{median([run.get(stage, 0.0) for run in runs]):.2f}" for runs in ours.values())] for stage in stages
    ]
    return ["stage", *(PARTS[name].title for name in ours)], table


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time pruning beside training from scratch.")
    parser.add_argument("--corpus", type=Path, required=True, help="folder made by build_corpus.py")
    parser.add_argument("--target", type=int, default=32_000, help="tokens of the vocabulary")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="threads of every part")
    parser.add_argument("--repeats", type=int, default=1, help="rounds; the median is shown")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS), help="only these parts")
    parser.add_argument("--json", type=Path, help="file for the results")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    os.environ.update(RAYON_NUM_THREADS=str(arguments.threads), TOKENIZERS_PARALLELISM="true")
    facts = machine()
    names = [name for name in arguments.only if installed(PARTS[name].needs)]
    for name in set(arguments.only) - set(names):
        print(f"{PARTS[name].needs} is not installed: left out")
    counting, runs = run_all(Job(arguments.corpus, arguments.target, arguments.threads), names, arguments.repeats)
    counted = {
        "seconds": [run.seconds for run in counting],
        "cpu_seconds": [run.cpu_seconds for run in counting],
        "peak_mb": max(run.peak_mb for run in counting),
    }
    settings = {"target": arguments.target, "threads": arguments.threads, "repeats": arguments.repeats}
    content = {"machine": facts, "settings": settings, "count": counted, "parts": figures(counting, runs)}
    write_json(arguments.json, content)
    show(f"A vocabulary of {arguments.target:,} tokens, {arguments.threads} threads", COLUMNS, rows(content), facts)
    show("Seconds by stage", *stage_rows(content), facts)


if __name__ == "__main__":
    main()
