#!/usr/bin/env python3
"""Times how fast documents are compared with benchmark text, on one thread and by processor time.

    python benchmarks/bench_without.py [--mb N] [--rows N] [--repeats N]

Text and benchmark are drawn from the built-in profile, of every script. The benchmark has rows of about 60 words.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
from pathlib import Path

from common import MB, interleaved
from tables import machine, show

from vocab.corpus.batch import Batch
from vocab.corpus.benchmark_text import read_benchmarks
from vocab.interop.conversion.trial_texts import profile_texts

COLUMNS = ["MB of text", "rows", "runs of words", "table, MB", "MB per processor second", "documents left out"]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=50)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    texts = profile_texts(arguments.mb * MB, random.Random(0))
    words = " ".join(profile_texts(arguments.rows * 400, random.Random(1))).split(" ")
    rows = [" ".join(words[k : k + 60]) for k in range(0, 60 * arguments.rows, 60)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.jsonl")
        path.write_text("".join(json.dumps({"prompt": row}) + "\n" for row in rows if row), "utf-8")
        benchmark = read_benchmarks([path])
    batch = Batch.of_utf8([text.encode() for text in texts])
    laps = interleaved({"compare": lambda: benchmark.without(batch)}, arguments.repeats + 1)["compare"]
    seconds = statistics.median(laps.cpu_seconds[1:])  # the first compiles
    n_runs, n_out = int((benchmark.slots > 0).sum()), benchmark.without(batch).n_of_benchmarks
    speed = batch.n_bytes_read / MB / seconds
    row = [batch.n_bytes_read / MB, benchmark.n_rows, n_runs, benchmark.slots.nbytes / MB, speed, n_out]
    show("Documents compared with benchmark text", COLUMNS, [[f"{value:,.0f}" for value in row]], machine())


if __name__ == "__main__":
    main()
