"""The commands and Python blocks of docs/first-steps.md run as printed, one after the other."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.cli import run

PAGE = Path(__file__).parents[1] / "docs" / "first-steps.md"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not PAGE.is_file(), reason="not in a source tree")]


def test_every_step_runs_as_printed(tmp_path, real_text):
    (tmp_path / "my-texts").mkdir()
    for k in range(40):
        (tmp_path / "my-texts" / f"{k}.txt").write_text(real_text[k * 15_000 : (k + 1) * 15_000], encoding="utf-8")
    steps = re.findall(r"^    (vocab [^\n]*)$|^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(steps) >= 10
    for command, code in steps:
        if command:
            done = run(*shlex.split(command)[1:], where=tmp_path)
            assert (done.returncode, done.stderr) == (0, ""), (command, done.stderr)
        else:
            subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert {path.name for path in tmp_path.iterdir()} >= {"my-8k", "my-8k-least", "my-8k-proved", "my-counts", "my-16k"}
