"""Files that an option names: what is there stays, unless --force is given."""

import pytest
from helpers.cli import fails, run

COMMANDS = {
    "sizes": ("sizes", "--near", 1000, "--out", "a.json"),
    "frontier, JSON": ("frontier", "--out", "a.json"),
    "frontier, SVG": ("frontier", "--svg", "a.json"),
    "bound": ("bound", "--target", 1000, "--certificate", "a.json"),
    "bench": ("bench", "--size", 300, "--out", "a.json"),
    "counts merge": ("counts", "merge", "a.json", "--out", "a.json"),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_a_file_that_is_there_is_refused_before_any_work(tmp_path, command):
    if command[0] == "bench":
        pytest.importorskip("torch")
    (tmp_path / "a.json").write_text("mine")
    assert "a.json is there already: name another file, or pass --force" in fails(tmp_path, *command)


def test_force_replaces_it(tmp_path):
    (tmp_path / "a.json").write_text("mine")
    assert run(*COMMANDS["sizes"], "--force", where=tmp_path).returncode == 0
    assert '"near": 1000' in (tmp_path / "a.json").read_text()
