"""Glob patterns: the paths that match, and the folders that could not be looked into for more."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path


def matches(pattern: str) -> list[str]:
    """The paths that match a pattern, sorted; "**" stands for folders to any depth."""
    return sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - absolute patterns too


def closed_folders(pattern: str) -> dict[Path, str]:
    """Folders that the pattern leads to and that cannot be looked into, which `glob` passes over without a word.

    Returns:
        The path of each, and a sentence.
    """
    found = ((Path(folder), _problem(folder, is_listed=is_listed)) for folder, is_listed in _folders(pattern))
    return {folder: f"{folder} {problem}" for folder, problem in found if problem}


def _folders(pattern: str) -> Iterator[tuple[str, bool]]:
    """The folders that a pattern leads to, and whether it asks for their lists: a part without wildcard does not."""
    before, part = os.path.split(pattern.rstrip(os.sep))
    if not glob.has_magic(pattern) or not part:
        return
    parents = matches(os.path.join(before, "")) if before else [os.curdir]  # noqa: PTH118 - it ends with a separator
    yield from ((folder, glob.has_magic(part)) for folder in parents)
    if part == "**":
        yield from ((folder, True) for folder in matches(os.path.join(before, "**", "")))  # noqa: PTH118
    yield from _folders(before)


def _problem(folder: str, *, is_listed: bool) -> str | None:
    try:
        if is_listed:
            with os.scandir(folder):
                pass
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None if os.access(folder, os.X_OK) else "cannot be entered: Permission denied"
