"""Compare two checkouts: the same commands, run with each, must print the same and write the same bytes.

    python scripts/compare_outputs.py BEFORE AFTER
    python scripts/compare_outputs.py BEFORE AFTER --only prune --only check

Commands are those of the README that need no network, on text that is made here. Each line says whether a command's
output is the same; a difference names the file and the first place. The exit code is 1 when anything differs.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

# Arguments of `vocab`, by name. A word in braces is a command that must have run before, and becomes its output folder.
COMMANDS = {
    "prune-default": "prune --target 32000 --out {}",
    "prune": "prune --target 4000 --corpus texts --out {}",
    "prune-least-tokens": "prune --target 4000 --corpus texts --inference least-tokens --out {}",
    "prune-candidates": "prune --target 4000 --corpus texts --inference least-tokens --candidates corpus --out {}",
    "prune-reorder": "prune --target 4000 --corpus texts --ranks reorder --out {}",
    "prune-tokenmonster": "prune --target 4000 --corpus texts --method tokenmonster --inference ungreedy --out {}",
    "prune-optimal": "prune --target 1000 --corpus texts --method optimal --gap 1 --out {}",
    "check": "check {prune-optimal}/certificate.zip --report {prune-optimal}/report.json",
    "bound": "bound --target 1000 --corpus texts --gap 1 --certificate {}.zip",
    "count": "count --corpus texts --out {}",
    "counts-info": "counts info {count}/counts.parquet",
    "prune-counts": "prune --target 4000 --counts {count} --out {}",
    "eval": "eval cl100k_base {prune} {prune-least-tokens} --corpus texts",
    "inspect": "inspect {prune}",
    "diff": "diff cl100k_base {prune}",
    "verify": "verify {prune} --megabytes 1",
    "convert-tokenizer": "convert {prune} --to tokenizer.json --megabytes 1 --out {}",
    "convert-sentencepiece": "convert {prune} --to sentencepiece --approximate --megabytes 1 --out {}",
    "frontier": "frontier --corpus texts --from 1000 --to 8000 --points 2 --steps 2 --out {}.json",
    "sizes": "sizes --near 32000 --out {}.json",
    "sizes-corpus": "sizes --near 4000 --corpus texts --out {}.json",
    "draft-eagle3": "draft {prune} --format eagle3 --out {}.safetensors",
    "draft-sglang": "draft cl100k_base --format sglang --size 2000 --corpus texts --out {}.pt",
    "gguf": "gguf {prune} --out {}.gguf",
    "train-tokenizer-cl100k": "train-tokenizer --style cl100k --size 2000 --corpus texts --out {}",
    "train-tokenizer-llama2": "train-tokenizer --style llama2 --size 2000 --corpus texts --out {}",
    "shards": "shards --vocab {prune} --corpus texts --out {}",
    "train": "train --vocab {prune} --shards {shards} --tokens 1024 --seq 32 --batch 4 --device cpu --out {}",
    "generate": "generate {train} --prompt def --tokens 20",
    "prune-model": "prune --source {train}/model --target 2000 --corpus texts --out {}",
    "transplant": "transplant {train}/model --vocab {prune-model} --out {}",
    "study-list": "study list",
    "study-report": "study report hamming-cpu vocabulary-cpu --rows RESULTS/hamming-cpu.jsonl "
    "--rows RESULTS/vocabulary-cpu.jsonl --out {}",
    "error-target": "prune --target 3 --corpus texts --out {}",
    "error-option": "prune --target 4000 --corpus texts --certify --inference ungreedy --out {}",
    "error-exists": "prune --target 4000 --corpus texts --out {prune}",
    "error-corpus": "count --corpus missing --out {}",
}
RESULTS = "vocab/experiments/results"

# What two runs of one program may differ in. Each pattern becomes its name in angle brackets, in files and in print.
MASKS = {
    "times": r'(?<=")((?:\w+_)?seconds(?:_\w+)?|\w+_per_second)": (?:[\d.e+-]+|\{[^}]*\}|\[[^\]]*\])',
    "memory": r'(?<=")(peak_\w+_bytes)": \d+',
    "speed of the machine": r'(?<=")(mfu|mfu_causal|peak_flops)": [\d.e+-]+',
    "kernels, longest first": r'(?<=")(kernels)": \[[^\]]*\]',
    "printed times": r"()[\d,.]+ s\b",
    "printed speed": r"()[\d,.]+ (?:[MG]B|[MGT]FLOP)/s",
    "printed memory": r"(peak memory) [\d,.]+ MB",
    "printed rows of times": r"(tokens a second|bytes a second|ms a step|MFU \(attention halved\)) .*",
}
# Files that hold times alone: TensorBoard's.
TIMED_FILES = re.compile(r"events\.out\.tfevents\.")
# Widths of columns follow from the times in a table.
COLUMN_WIDTHS = re.compile("[ ─]{2,}")


@dataclass(frozen=True)
class Side:
    """A checkout, the folder in which its commands run, and names that it has for what the other calls otherwise."""

    checkout: Path
    folder: Path
    renamed: dict[str, str]

    def run(self, arguments: list[str]) -> str:
        """What a command prints, with its exit code."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.checkout),
            "HF_HUB_OFFLINE": "1",
            "COLUMNS": "100",
            "VOCAB_PROGRESS_SECONDS": "0",
        }
        command = [sys.executable, "-c", "from vocab.cli.app import main; main()", *arguments]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        return f"{done.stdout}{done.stderr}exit code {done.returncode}\n"

    def files(self) -> dict[str, Path]:
        """Files to compare, by their paths in the folder."""
        paths = (path for path in sorted(self.folder.rglob("*")) if path.is_file())
        return {str(path.relative_to(self.folder)): path for path in paths if not TIMED_FILES.match(path.name)}

    def masked(self, text: str) -> str:
        """Text without what two runs of one program may differ in."""
        text = text.replace(str(self.folder), "<folder>").replace(str(self.checkout), "<checkout>")
        for name, pattern in MASKS.items():
            text = re.sub(pattern, rf"\1 <{name}>", text)
        for old, new in self.renamed.items():
            text = re.sub(rf"\b{re.escape(old)}\b", new, text)
        return text


def main() -> None:
    """Run the commands with both checkouts and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, metavar="BEFORE", help="checkout to compare with")
    parser.add_argument("after", type=Path, metavar="AFTER", help="checkout to compare")
    parser.add_argument(
        "--only", action="append", choices=COMMANDS, metavar="NAME", help="this command, and its inputs"
    )
    parser.add_argument("--work", type=Path, help="folder to keep outputs in [default: a temporary one]")
    parser.add_argument("--renamed", action="append", default=[], metavar="OLD=NEW", help="a name that was changed")
    given = parser.parse_args()
    renamed = dict(name.split("=") for name in given.renamed)
    with tempfile.TemporaryDirectory() as temporary:
        work = (given.work or Path(temporary)).resolve()
        sides = [_side(given.before, work / "before", renamed), _side(given.after, work / "after", {})]
        names = list(COMMANDS) if given.only is None else _with_inputs(given.only)
        differences = [name for name in names if not _is_same(name, *sides)]
    print(f"{len(names) - len(differences)} of {len(names)} commands are the same")
    sys.exit(bool(differences))


def _with_inputs(names: list[str]) -> list[str]:
    """The named commands and those whose output they read, in order."""
    needed = set(names)
    for name in reversed(COMMANDS):
        if name in needed:
            needed.update(re.findall(r"\{([a-z0-9-]+)\}", COMMANDS[name]))
    return [name for name in COMMANDS if name in needed]


def _side(checkout: Path, folder: Path, renamed: dict[str, str]) -> Side:
    """A checkout with a new folder, in which `texts` is a megabyte of Python's own library."""
    (folder / "texts").mkdir(parents=True)
    for module in sorted(Path(os.__file__).parent.glob("*.py"))[:40]:
        (folder / "texts" / f"{module.stem}.txt").write_bytes(module.read_bytes())
    return Side(checkout.resolve(), folder, renamed)


def _is_same(name: str, before: Side, after: Side) -> bool:
    """Run a command on both sides, and print whether its output is the same."""
    started = time.monotonic()
    known = before.files().keys() | after.files().keys()
    printed = [side.run(_arguments(name, side)) for side in (before, after)]
    files = [side.files() for side in (before, after)]
    difference = _printed_difference(printed, before, after)
    for path in sorted((files[0].keys() | files[1].keys()) - known):
        difference = difference or _file_difference(path, files, before, after)
    seconds, verdict = time.monotonic() - started, f"DIFFERS: {difference}" if difference else "same"
    print(f"{name:<24} {seconds:6.1f} s  {verdict}", flush=True)
    return not difference


def _arguments(name: str, side: Side) -> list[str]:
    words = COMMANDS[name].replace("RESULTS", str(side.checkout / RESULTS)).replace("{}", name)
    return re.sub(r"\{([a-z0-9-]+)\}", r"\1", words).split()


def _printed_difference(printed: list[str], before: Side, after: Side) -> str:
    texts = [side.masked(text) for side, text in zip((before, after), printed, strict=True)]
    if any("<printed rows of times>" in text for text in texts):
        texts = [COLUMN_WIDTHS.sub(" ", text) for text in texts]
    return _first_difference("screen", *texts)


def _file_difference(path: str, files: list[dict[str, Path]], before: Side, after: Side) -> str:
    for side, found in zip(("before", "after"), files, strict=True):
        if path not in found:
            return f"{path} is missing {side}"
    raw = [found[path].read_bytes() for found in files]
    if raw[0] == raw[1]:
        return ""
    try:
        texts = [side.masked(one.decode("utf-8")) for side, one in zip((before, after), raw, strict=True)]
    except UnicodeDecodeError:
        at = next((k for k, (a, b) in enumerate(zip(*raw, strict=False)) if a != b), min(map(len, raw)))
        return f"{path} at byte {at:,} ({len(raw[0]):,} and {len(raw[1]):,} bytes)"
    return _first_difference(path, *texts)


def _first_difference(where: str, before: str, after: str) -> str:
    """The first line that differs, or "" for equal texts."""
    lines = zip_longest(before.splitlines(), after.splitlines(), fillvalue="<no line>")
    for number, (old, new) in enumerate(lines, 1):
        if old != new:
            return f"{where} line {number}\n    - {old[:200]}\n    + {new[:200]}"
    return ""


if __name__ == "__main__":
    main()
