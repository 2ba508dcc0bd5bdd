"""Another user in a read-only tree, as in a container: no HOME, and one folder that can be written, or none.

Each command is a process of its own. It must do its work, or say in one sentence what cannot be written. Only root can
make such a tree; for anybody else there are no trials.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from trials.bench import TRACEBACK, Bench
from trials.works import made_inputs

SECONDS = 600
NOBODY = 65534
# All that is mounted becomes read-only for this process and its children; the folder $1 is a new, empty disk.
SCRIPT = """
for place in $(awk '{print $2}' /proc/mounts | sort -ur); do
    case $place in /proc*|/sys*|/dev*) ;; *) mount -o remount,bind,ro "$place" 2>/dev/null ;; esac
done
if [ "$2" = writable ]; then mount -t tmpfs vocab-torture "$1" && chmod 777 "$1"; fi
cd "$1" && shift 2 && exec "$@"
"""
# Root's packages may lie where nobody else may look. The right to read everything is no right to write.
READS = "+dac_read_search"
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
AS_NOBODY += [f"--inh-caps={READS}", f"--ambient-caps={READS}", "--", "env", "-i", "HOME=/nonexistent"]


def trials(bench: Bench) -> Iterator[str | None]:
    """Run each command where it can write, and where it cannot."""
    if os.geteuid() != 0:
        return
    inputs = made_inputs(bench.folder.parent)
    bench.folder.parent.chmod(0o755)
    where = bench.folder / "run"
    where.mkdir()
    while True:
        for arguments in commands(inputs):
            for place in ("writable", "read-only"):
                yield trial(arguments, where, place)


def commands(inputs: Path) -> list[tuple[object, ...]]:
    """Commands, most of which write `out`."""
    small, old = inputs / "small", inputs / "old"
    counts = ("--counts", inputs / "counts")
    out = ("--out", "out")
    return [
        ("inspect", small),
        ("prune", "--source", old, "--target", 500, "--method", "leaf", *counts, *out),
        ("count", "--corpus", inputs / "text", *out),
        ("eval", small, *counts),
        ("diff", small, old),
        ("sizes", "--near", 500, "--json", "out"),
        ("frontier", "--source", old, *counts, "--points", 2, "--from", 400, "--json", "out"),
        ("bound", "--source", old, "--target", 500, *counts, "--gap", 5, "--certificate", "out"),
        ("shards", "--vocab", small, "--corpus", inputs / "text", *out),
        ("train", "--vocab", small, "--shards", inputs / "shards", "--tokens", 64, "--seq", 16, "--batch", 2, *out),
        ("verify", small, "--megabytes", 0.1),
        ("bench", "--size", 300, "--size", 320, "--cycles", 2, "--batch", 1, "--seq", 16, "--json", "out"),
        ("train-tokenizer", "--style", "llama2", "--size", 400, "--corpus", inputs / "text" / "0.txt", *out),
        ("transplant", inputs / "model", "--vocab", small, *out),
        ("draft", small, *out),
        ("gguf", small, "--out", "out.gguf"),
        ("convert", small, "--to", "tiktoken", *out),
        ("counts", "merge", inputs / "counts", inputs / "others", *out),
        ("counts", "info", inputs / "counts"),
        ("study", "run", inputs / "tiny.toml", "--device", "cpu", "--work", "out"),
    ]


def trial(arguments: tuple[object, ...], where: Path, place: str) -> str | None:
    """Run a command; what is wrong."""
    main = "from vocab.cli.entry import main; main()"
    kept = [f"{name}={os.environ[name]}" for name in ("PATH", "PYTHONPATH") if name in os.environ]
    program = [*AS_NOBODY, *kept, sys.executable, "-c", main, *map(str, arguments)]
    whole = ["unshare", "--mount", "bash", "-c", SCRIPT, "bash", str(where), place, *program]
    done = subprocess.run(whole, capture_output=True, text=True, timeout=SECONDS, check=False)
    name = f"{arguments[0]} in a {place} folder"
    if TRACEBACK in done.stderr or "panicked at" in done.stderr:
        return f"{name}: {done.stderr.strip().splitlines()[-1]}"
    if done.returncode not in (0, 2) or (place == "writable" and done.returncode):
        return f"{name} ends with {done.returncode}: {done.stderr[-500:]}"
    writes = any("out" in str(one) and not str(one).startswith("-") and "/" not in str(one) for one in arguments)
    if place == "read-only" and writes and done.returncode == 0:
        return f"{name} says that all is well"
    return None
