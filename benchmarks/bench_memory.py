#!/usr/bin/env python3
"""Counts a corpus far larger than the memory allowed: real text, shuffled and repeated, with random identifiers.

    python benchmarks/bench_memory.py --corpus DIR --scratch DIR [--gb 10] [--memory 1GB] [--json FILE]

Each document of the corpus is written again and again, every time with fresh identifiers of twelve letters, one in
about 500 bytes, so that distinct pre-tokens go on growing: at 10 GB there are some twenty million. `vocab count` then
runs in a process of its own; its peak is the most memory that was resident, as the kernel saw it. Needs that much disk.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import MB, documents, write_json
from tables import machine, show

FILE_BYTES = 500 * 10**6
BYTES_BETWEEN_IDENTIFIERS = 500
COMMAND = """
import resource, sys
from vocab.cli.app import main
try:
    main()
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, file=sys.stderr)
"""


def with_identifiers(text: str, rng: random.Random) -> str:
    """The text with a fresh identifier after about every 500 characters."""
    step = BYTES_BETWEEN_IDENTIFIERS
    pieces = [text[k : k + step] for k in range(0, len(text), step)]
    return "".join(piece + " " + "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=12)) for piece in pieces)


def lines(texts: list[str], n_bytes: int, rng: random.Random) -> Iterator[str]:
    """JSON lines of so many bytes of text."""
    written = 0
    while written < n_bytes:
        rng.shuffle(texts)
        for text in texts:
            made = with_identifiers(text, rng)
            written += len(made.encode())
            yield json.dumps({"text": made}, ensure_ascii=False) + "\n"
            if written >= n_bytes:
                return


def write_corpus(corpus: Path, folder: Path, n_bytes: int) -> None:
    """Files of about 500 MB."""
    texts = [*documents(corpus, held_out=False), *documents(corpus, held_out=True)]
    rng = random.Random(0)
    folder.mkdir(parents=True)
    for number in range(-(-n_bytes // FILE_BYTES)):
        with (folder / f"{number:03}.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(lines(texts, min(FILE_BYTES, n_bytes - number * FILE_BYTES), rng))


def measure(folder: Path, out: Path, memory: str) -> dict[str, Any]:
    """What `vocab count` reports, and its peak memory."""
    command = [sys.executable, "-c", COMMAND, "count", "--corpus", str(folder), "--out", str(out), "--memory", memory]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    return report | {"peak_bytes": int(done.stderr.split()[-1]), "table_bytes": (out / "counts.parquet").stat().st_size}


COLUMNS = ["GB", "distinct pre-tokens", "memory asked", "peak MB", "runs", "runs MB", "seconds", "MB/s", "table MB"]


def rows(result: dict[str, Any]) -> list[list[str]]:
    """The table's row out of what --json writes."""
    cells = [
        f"{result['tally']['n_bytes_read'] / 1e9:.1f}",
        f"{result['n_pretokens']:,}",
        f"{result['memory_bytes'] / MB:,.0f} MB",
        f"{result['peak_bytes'] / MB:,.0f}",
        str(result["n_runs"]),
        f"{result['n_run_bytes'] / MB:,.0f}",
        f"{result['seconds']:,.0f}",
        f"{result['bytes_per_second'] / MB:.0f}",
        f"{result['table_bytes'] / MB:,.0f}",
    ]
    return [cells]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Count far more than the memory allowed.")
    parser.add_argument("--corpus", type=Path, required=True, help="folder made by build_corpus.py")
    parser.add_argument("--scratch", type=Path, required=True, help="folder to write to; emptied at the end")
    parser.add_argument("--gb", type=float, default=10, help="GB of text")
    parser.add_argument("--memory", default="1GB", help="memory that vocab count is held to")
    parser.add_argument("--json", type=Path, help="file for the results")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    facts = machine()
    folder, out = arguments.scratch / "corpus", arguments.scratch / "counts"
    try:
        write_corpus(arguments.corpus, folder, int(arguments.gb * 10**9))
        result = measure(folder, out, arguments.memory)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(out, ignore_errors=True)
    show("Counting in bounded memory", COLUMNS, rows(result), facts)
    write_json(
        arguments.json,
        {"machine": facts, "settings": {"gb": arguments.gb, "memory": arguments.memory}, "results": result},
    )


if __name__ == "__main__":
    main()
