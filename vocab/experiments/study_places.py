"""Where the files of a study are: its specification and its rows."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from vocab.errors import StudyError

_PACKAGE = resources.files("vocab.experiments")


def shipped_spec(name: str) -> Path | None:
    """The specification of a built-in study; None for any other."""
    return _file("specs", f"{name}.toml")


def shipped_rows(name: str) -> Path | None:
    """The rows of a built-in study that come with vocab; None where there are none."""
    return _file("results", f"{name}.jsonl")


def own_rows(name: str) -> Path:
    """Where `vocab study run` writes rows, unless it is told otherwise."""
    return Path(f"study-{name}") / f"{name}.jsonl"


def rows_of(name: str) -> Path:
    """The rows of a study: own ones in the current folder, else those that come with vocab.

    Args:
        name: the study's name.

    Raises:
        StudyError: there are neither.
    """
    found = own_rows(name) if own_rows(name).is_file() else shipped_rows(name)
    if found is None:
        raise StudyError(f"{name} has no rows in {own_rows(name)}: run it, or name its file with `rows`")
    return found


def _file(folder: str, name: str) -> Path | None:
    path = Path(str(_PACKAGE / folder / name))
    return path if path.is_file() else None
