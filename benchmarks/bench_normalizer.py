#!/usr/bin/env python3
"""Times counting with the normalizer of a source, and with the same source without one.

    python benchmarks/bench_normalizer.py --source FOLDER [--mb N] [--repeats N] [--json FILE]

The text is drawn from the built-in profile's words: all of them, and those that are ASCII alone, which no form of
Unicode changes. A ratio is of the two in the same round, by processor time, because other work disturbs that less.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from common import MB, Laps, interleaved, spread, write_json
from tables import machine, show

from vocab.corpus.counting import count_documents
from vocab.formats import load_lossless
from vocab.interop.conversion.trial_texts import profile_texts
from vocab.splitting import SplitPattern

COLUMNS = ["text", "MB", "MB per processor second", "without normalizer", "ratio of times"]


def without_normalizer(source: Path, folder: Path) -> SplitPattern:
    """The split of a source whose tokenizer.json lost its normalizer."""
    settings = json.loads((source / "tokenizer.json").read_text("utf-8"))
    (folder / "tokenizer.json").write_text(json.dumps({**settings, "normalizer": None}), "utf-8")
    for path in source.glob("*.json"):
        if path.name != "tokenizer.json":
            shutil.copy(path, folder)
    return load_lossless(folder).pattern


def texts_of(n_bytes: int) -> dict[str, list[str]]:
    """Texts of the profile, by what they hold."""
    mixed = profile_texts(n_bytes, random.Random(0))
    words = " ".join(mixed).split(" ")
    plain = " ".join(word for word in words if word.isascii())
    return {"every script": mixed, "ASCII": [plain[k : k + 4000] for k in range(0, len(plain), 4000)]}


def measure(texts: list[str], normal: SplitPattern, bare: SplitPattern, repeats: int) -> dict[str, Any]:
    """Processor seconds with and without the normalizer, in turns; the first calls, which compile, are not timed."""
    calls = {
        "with": lambda: count_documents(texts, "benchmark", normal, 1),
        "without": lambda: count_documents(texts, "benchmark", bare, 1),
    }
    for call in calls.values():
        call()
    laps: dict[str, Laps] = interleaved(calls, repeats)
    ratios = [a / b for a, b in zip(laps["with"].cpu_seconds, laps["without"].cpu_seconds, strict=True)]
    n_bytes = sum(len(text.encode()) for text in texts)
    return {
        "text_bytes": n_bytes,
        **{f"mb_per_cpu_second_{name}": [n_bytes / MB / one for one in lap.cpu_seconds] for name, lap in laps.items()},
        "ratios": ratios,
        "ratio": statistics.median(ratios),
    }


def rows(results: dict[str, Any]) -> list[list[str]]:
    """The table's rows out of what --json writes."""
    speeds = ("mb_per_cpu_second_with", "mb_per_cpu_second_without")
    return [
        [name, f"{row['text_bytes'] / MB:.1f}", *(spread(row[key]) for key in speeds), spread(row["ratios"], 2)]
        for name, row in results.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Time counting with and without a source's normalizer.")
    parser.add_argument("--source", type=Path, required=True, help="folder with a tokenizer.json that normalizes")
    parser.add_argument("--mb", type=float, default=20, help="MB of text")
    parser.add_argument("--repeats", type=int, default=5, help="rounds; the median is shown")
    parser.add_argument("--json", type=Path, help="file for the results")
    arguments = parser.parse_args()
    facts = machine()
    with tempfile.TemporaryDirectory() as folder:
        normal, bare = load_lossless(arguments.source).pattern, without_normalizer(arguments.source, Path(folder))
    texts = texts_of(int(arguments.mb * MB))
    results = {name: measure(some, normal, bare, arguments.repeats) for name, some in texts.items()}
    show(f"Counting with the normalizer of {arguments.source.name}, 1 thread", COLUMNS, rows(results), facts)
    settings = {"source": arguments.source.name, "repeats": arguments.repeats}
    write_json(arguments.json, {"machine": facts, "settings": settings, "results": results})


if __name__ == "__main__":
    main()
