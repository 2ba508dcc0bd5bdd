"""A short run of each kind of trial of `benchmarks/torture.py`: nothing lost, wrong, accepted or a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TORTURE = Path(__file__).resolve().parents[1] / "benchmarks" / "torture.py"

pytestmark = pytest.mark.slow


def kinds(folder: Path, *arguments: object) -> dict[str, tuple[int, int]]:
    """Trials and losses of each kind."""
    command = [sys.executable, TORTURE, "--minutes", "10", "--json", folder / "table.json", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((folder / "table.json").read_text())["kinds"]
    return {kind["name"]: (kind["n_trials"], kind["n_lost"]) for kind in found}


@pytest.mark.parametrize(("kind", "n"), [("certificates", 300), ("damaged", 33), ("strings", 1000)])
def test_files_and_texts_of_others(tmp_path, kind, n):
    assert kinds(tmp_path, "--only", kind, "--trials", n) == {kind: (n, 0)}


def test_commands_that_are_killed_doubled_or_out_of_room_and_files_of_ours_that_are_damaged(tmp_path):
    named = ["kills", "pairs", "full-disks", "own-files"]
    commands = ["count --force", "counts merge", "draft"]
    chosen = [part for name in named for part in ("--only", name)]
    chosen += [part for name in commands for part in ("--command", name)]
    assert kinds(tmp_path, *chosen, "--trials", 6) == dict.fromkeys(named, (6, 0))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can make a read-only tree")
def test_another_user_in_a_read_only_tree(tmp_path):
    assert kinds(tmp_path, "--only", "other-user", "--trials", 2) == {"other-user": (2, 0)}
