"""The `vocab` command as a process, and what a refusal of it is."""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

SCRIPT = Path(sysconfig.get_path("scripts")) / ("vocab.exe" if os.name == "nt" else "vocab")
COMMAND = [str(SCRIPT)] if SCRIPT.is_file() else [sys.executable, "-c", "from vocab.cli.app import main; main()"]


def run(*arguments: object, where: Path, given: str | None = None, **settings) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "200", "PYTHONIOENCODING": "utf-8", **settings}
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=where,
        input=given,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def entries(folder: Path) -> dict[str, bytes | None]:
    """Everything in a folder, hidden files too."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def fails(work: Path, *arguments: object, given: str | None = None) -> str:
    """The one sentence with which a command is refused; nothing may have changed."""
    before = entries(work)
    done = run(*arguments, where=work, given=given)
    check_refusal(done.returncode, done.stdout, done.stderr)
    assert entries(work) == before
    return done.stderr


def check_refusal(code: object, screen: str, errors: str) -> None:
    assert code == 2, errors
    assert re.fullmatch(r"vocab: [^\n]+\n", errors), errors
    assert screen == ""
    assert "Traceback" not in errors
