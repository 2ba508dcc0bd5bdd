"""The documentation builds without a warning, and its reference of commands is that of the command line."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(not (ROOT / "mkdocs.yml").is_file(), reason="not in a source tree")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )


def test_the_reference_of_commands_is_that_of_the_command_line(tmp_path):
    made = tmp_path / "commands.md"
    done = run(
        "typer", "vocab.cli.app", "utils", "docs", "--name", "vocab", "--title", "Commands", "--output", str(made)
    )
    assert done.returncode == 0, done.stderr
    written = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert made.read_text(encoding="utf-8") == written, "write docs/commands.md again, as CONTRIBUTING.md says"


@pytest.mark.slow
def test_the_documentation_builds_without_warnings(tmp_path):
    pytest.importorskip("mkdocs")
    done = run("mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site"))
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    page = (tmp_path / "site" / "api" / "index.html").read_text(encoding="utf-8")
    assert "a target or an option that cannot be met" in page  # from a list of errors in a docstring
