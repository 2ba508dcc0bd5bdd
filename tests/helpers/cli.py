"""The `vocab` command, in this process or as one of its own, and what a refusal of it is."""

import contextlib
import functools
import io
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from subprocess import CompletedProcess
from unittest import mock

import typer

from vocab.cli.app import main
from vocab.compilation.notice import NOTICE

SCRIPT = Path(sysconfig.get_path("scripts")) / ("vocab.exe" if os.name == "nt" else "vocab")
# Typer reads every command's signature each time; once is enough for all tests.
COMMANDS = functools.cache(typer.main.get_command)
COMMAND = [str(SCRIPT)] if SCRIPT.is_file() else [sys.executable, "-c", "from vocab.cli.entry import main; main()"]


def run(*arguments: object, where: Path, given: str | None = None, **settings: str) -> CompletedProcess[str]:
    """The command in this process, which has Python's packages and compiled kernels already."""
    command = ["vocab", *map(str, arguments)]
    screen, errors = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    stdin = io.TextIOWrapper(io.BytesIO((given or "").encode()), encoding="utf-8")
    code = 0
    with (
        contextlib.chdir(where),
        contextlib.redirect_stdout(screen),
        contextlib.redirect_stderr(errors),
        mock.patch.object(typer.main, "get_command", COMMANDS),
        mock.patch.object(sys, "argv", command),
        mock.patch("vocab.cli.app.when_compiling"),  # only a first run says that it compiles
        mock.patch.object(sys, "stdin", stdin),
        mock.patch.dict(os.environ, COLUMNS="200", **settings),
    ):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    said = [stream.buffer.getvalue().decode() for stream in (screen, errors)]
    return CompletedProcess(command, code, *said)


def run_process(*arguments: object, where: Path, given: str | None = None, **settings: str) -> CompletedProcess[str]:
    """The installed command as a process of its own, where that is what a test is about: it takes seconds."""
    environment = {**os.environ, "COLUMNS": "200", "PYTHONIOENCODING": "utf-8", **settings}
    done = subprocess.run(
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
    done.stderr = done.stderr.replace(f"vocab: {NOTICE}\n", "")  # only a first run says that it compiles
    return done


def entries(folder: Path) -> dict[str, bytes | None]:
    """Everything in a folder, hidden files too."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def fails(work: Path, *arguments: object, given: str | None = None, run=run) -> str:
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
