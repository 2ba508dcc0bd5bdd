#!/usr/bin/env python3
"""Shows how vocabularies chosen from little text do on text that they were not chosen from.

    python benchmarks/bench_overfit.py --text DIR [--mb 1 10 100] [--target N] [--json FILE] [--only NAME ...]

DIR is the output of scripts/fetch_text.py; its domains make three unlike corpora: English, code, and natural languages.
From each the first so many MB of training documents are counted, and 32,000 tokens of cl100k_base are chosen with and
without the remedies against over-fitting, and with candidates of the corpus. The held-out documents are the same for
every size. Figures are held-out tokens against whole cl100k_base, so the lowest of a column is best.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from common import CORPORA, MB, mixed_texts, up_to, write_json
from tables import machine, show

import vocab
from vocab import CorpusCounts, TargetError, Vocabulary
from vocab.corpus.counting import count_documents
from vocab.prune import Candidates, prune

MOST_HELD_OUT_MB = 10

Outcome = dict[str, float] | None


@dataclass(frozen=True)
class Setting:
    """One way to choose; the prior is a share of the corpus, worth so many MB of text, or None for the default."""

    inference: str = "least-tokens"
    prior: float | None = 0.0
    prior_mb: float = 0.0
    candidates: Candidates = field(default=Candidates())


SETTINGS = {
    "frequency": Setting(),
    "plain": Setting(),
    **{f"prior {share}": Setting(prior=share) for share in (0.1, 0.5)},
    **{f"in {n} documents": Setting(candidates=Candidates(min_documents=n)) for n in (2, 4)},
    **{f"candidates, in {n}": Setting(candidates=Candidates(("corpus",), min_documents=n)) for n in (1, 2, 4)},
    **{
        f"candidates, in 2, prior {mb} MB": Setting(prior_mb=mb, candidates=Candidates(("corpus",), min_documents=2))
        for mb in (0.3, 1, 3)
    },
    "candidates, defaults": Setting(prior=None, candidates=Candidates(("corpus",))),
    "merges": Setting("merges"),
    "merges, prior 0.1": Setting("merges", prior=0.1),
}


def counted(folder: Path, name: str, mb: int, source: Vocabulary) -> CorpusCounts:
    """The first MB of a corpus, counted, with the same held-out documents whatever the MB."""
    train = up_to(mixed_texts(folder, name, held_out=False), mb * MB)
    held_out = up_to(mixed_texts(folder, name, held_out=True), MOST_HELD_OUT_MB * MB)
    part = count_documents(chain(train, held_out), name, source.pattern, len(os.sched_getaffinity(0)))
    sizes = f"{part.train.n_bytes / MB:.1f} MB to choose by, {part.held_out.n_bytes / MB:.1f} MB held out"
    print(f"{name}: {sizes}", flush=True)
    return CorpusCounts((part,))


def outcome(source: Vocabulary, target: int, corpus: CorpusCounts, name: str, setting: Setting) -> Outcome:
    """Changes against the whole source, on the text that tokens were chosen by and on held-out text.

    None where too few tokens are in as many documents.
    """
    try:
        report = prune(
            source,
            target,
            corpus=corpus,
            method="frequency" if name == "frequency" else "distill",
            inference=setting.inference,  # type: ignore[arg-type]
            candidates=setting.candidates,
            prior=setting.prior_mb * MB / corpus.train.n_bytes if setting.prior_mb else setting.prior,
        ).report
    except TargetError:
        return None
    return {"train": report.result.train_change, "held_out": report.result.held_out_change}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Held-out compression of vocabularies chosen from little text.")
    parser.add_argument("--text", type=Path, required=True, help="folder made by scripts/fetch_text.py")
    parser.add_argument("--mb", type=int, nargs="+", default=[1, 10, 100], help="sizes of the corpora")
    parser.add_argument("--target", type=int, default=32_000, help="ids of the vocabulary")
    parser.add_argument("--only", nargs="+", choices=list(SETTINGS), default=list(SETTINGS), help="only these settings")
    parser.add_argument("--json", type=Path, help="file for the results")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    facts = machine()
    source = vocab.load("cl100k_base")
    columns: dict[str, dict[str, Outcome]] = {}
    for name in CORPORA:
        for mb in arguments.mb:
            corpus = counted(arguments.text, name, mb, source)
            column = columns.setdefault(f"{name} {corpus.train.n_bytes / MB:.0f} MB", {})
            for title in arguments.only:
                column[title] = outcome(source, arguments.target, corpus, title, SETTINGS[title])
                print(f"  {title}: {shown(column[title])}", flush=True)
            write_json(arguments.json, content(facts, arguments, columns))
    title = f"Held-out tokens against whole cl100k_base, {arguments.target:,} ids"
    show(title, ["", *columns], rows(columns), facts)


def content(facts: dict[str, object], arguments: argparse.Namespace, columns: dict[str, Any]) -> dict[str, Any]:
    settings = {"target": arguments.target, "mb": arguments.mb, "only": arguments.only}
    return {"machine": facts, "settings": settings, "corpora": columns}


def shown(figures: Outcome) -> str:
    return f"{figures['held_out']:+.2%}" if figures else "too few"


def rows(columns: dict[str, dict[str, Outcome]]) -> list[list[str]]:
    """The table's rows out of what --json writes: each setting's held-out changes."""
    titles = dict.fromkeys(title for column in columns.values() for title in column)
    return [
        [title, *(shown(column[title]) if title in column else "" for column in columns.values())] for title in titles
    ]


if __name__ == "__main__":
    main()
