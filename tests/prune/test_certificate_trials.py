"""A short run of the trials of `benchmarks/torture.py` on certificates."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TORTURE = Path(__file__).resolve().parents[2] / "benchmarks" / "torture.py"


@pytest.mark.slow
def test_no_changed_certificate_is_accepted_or_a_traceback(tmp_path):
    command = [sys.executable, TORTURE, "--only", "certificates", "--trials", "300", "--json", tmp_path / "table.json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    kind = json.loads((tmp_path / "table.json").read_text())["kinds"][0]
    assert (kind["n_trials"], kind["n_lost"]) == (300, 0)
