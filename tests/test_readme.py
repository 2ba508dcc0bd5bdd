"""The README's Python blocks run as they stand."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from vocab.cli.app import app

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8") if README.is_file() else ""
BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
NAMES = "|".join(sorted(typer.main.get_command(app).commands))
COMMANDS = sorted(set(re.findall(rf"\bvocab ({NAMES})\b", TEXT)))


def test_the_readme_has_python_blocks():
    assert README.is_file(), "README.md is missing"
    assert BLOCKS, "README.md has no ```python block"


@pytest.mark.slow
@pytest.mark.skipif(not BLOCKS, reason="README.md has no ```python block")
def test_python_blocks_run_one_after_the_other(tmp_path, real_text):
    """As a reader would type them, in one session, in a folder with the texts that they name."""
    code = "\n".join(BLOCKS)
    for name in set(re.findall(r"count\([\"']([\w/-]+)[\"']", code)):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "text.txt").write_text(real_text[:300_000], encoding="utf-8")
    for name in set(re.findall(r"[\"']([\w./-]+\.(?:txt|md))[\"']", code)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(real_text[:300_000], encoding="utf-8")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    (tmp_path / "readme_blocks.py").write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "readme_blocks.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_readme_fits_two_screens():
    assert len(TEXT.split()) <= 700


def test_options_in_the_readme_and_the_documentation_exist():
    commands = typer.main.get_command(app).commands
    known = {option for command in commands.values() for p in command.params for option in p.opts}
    pages = [TEXT, *(path.read_text("utf-8") for path in (ROOT / "docs").glob("*.md"))]
    lines = [line for text in pages for line in re.findall(rf"^ *(?:\$ )?vocab (?:{NAMES})\b.*$", text, re.MULTILINE)]
    used = {option for line in lines for option in re.findall(r"(?<=\s)--[a-z-]+", line)}
    assert used <= known | {"--help"}
    assert set(COMMANDS) <= set(commands)
