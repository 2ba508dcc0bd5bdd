"""Try by chance, for as long as asked, whether anything is lost, wrong or a traceback.

    python benchmarks/torture.py --minutes 2 --only kills --only pairs

Each kind of trial is one module of `benchmarks/trials`. The exit code is 1 when anything was lost.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from common import write_json
from tables import machine
from tables import show as show_table
from trials import certificates, damaged, full_disks, kills, other_user, own_files, pairs, strings
from trials.bench import Bench, Tally

# A kind of trial yields None for each trial that held, and a sentence for each that did not.
Kind = Callable[[Bench], Iterator[str | None]]
KINDS: dict[str, Kind] = {
    "certificates": certificates.trials,
    "damaged": damaged.trials,
    "full-disks": full_disks.trials,
    "kills": kills.trials,
    "other-user": other_user.trials,
    "own-files": own_files.trials,
    "pairs": pairs.trials,
    "strings": strings.trials,
}
MOST_SHOWN = 5


def main() -> None:
    """Run the kinds one after another and print the table."""
    options = parsed()
    chosen = options.only or list(KINDS)
    work = Path(tempfile.mkdtemp(prefix="vocab-torture-", dir=options.work))
    tallies = []
    try:
        for name in chosen:
            folder = work / name
            folder.mkdir()
            bench = Bench(folder, random.Random(f"{name} {options.seed}"), frozenset(options.command))
            tallies.append(run(name, bench, 60 * options.minutes / len(chosen), options.trials))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    show(tallies, options)
    sys.exit(1 if any(tally.lost for tally in tallies) else 0)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="time for all kinds together")
    parser.add_argument("--trials", type=int, default=sys.maxsize, help="trials of each kind at most")
    parser.add_argument("--only", action="append", choices=sorted(KINDS), help="a kind; may be given several times")
    parser.add_argument(
        "--command", action="append", default=[], help="kill, pair or give a full disk to this command alone"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="folder on the file system to try; default: the temporary one")
    parser.add_argument("--json", type=Path, help="write the table to this file, too")
    return parser.parse_args()


def run(name: str, bench: Bench, seconds: float, most: int) -> Tally:
    """Trials of one kind until its time is over. Making its inputs takes time, too, and one trial is always done."""
    started = time.monotonic()
    tally = Tally(name)
    for outcome in KINDS[name](bench):
        tally.add(outcome)
        if outcome:
            print(f"{name} trial {tally.n_trials:,}: {outcome}", file=sys.stderr)
        if time.monotonic() - started > seconds or tally.n_trials >= most:
            break
    tally.seconds = time.monotonic() - started
    return tally


def show(tallies: list[Tally], options: argparse.Namespace) -> None:
    rows = [[one.name, f"{one.n_trials:,}", f"{len(one.lost):,}", f"{one.seconds:,.0f}"] for one in tallies]
    facts = machine()
    show_table("Torture", ["trials of", "trials", "lost, wrong or a traceback", "seconds"], rows, facts)
    kinds = [vars(tally) | {"lost": tally.lost[:MOST_SHOWN], "n_lost": len(tally.lost)} for tally in tallies]
    write_json(options.json, {"kinds": kinds, "machine": facts})


if __name__ == "__main__":
    main()
