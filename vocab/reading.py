"""What files from outside may ask for: JSON of any depth, names of other files, symbolic links."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vocab.errors import SourceError

MAX_DEPTH = 50  # lists and objects in each other; the deepest known tokenizer.json has ten
_SEPARATORS = "/\\:\0"
# Folder names in the cache of huggingface_hub, where snapshots are links to files beside them.
_SNAPSHOTS, _BLOBS = "snapshots", "blobs"


class TooDeepError(ValueError):
    """Lists and objects lie in each other deeper than in any file that we read; the text ends a sentence."""

    def __init__(self) -> None:
        super().__init__("nests lists and objects too deeply")


def why_no_json(error: ValueError) -> str:
    """The end of a sentence about a text that `parse_json` refused."""
    return str(error) if isinstance(error, TooDeepError) else f"is not JSON: {error}"


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; raises SourceError when the file cannot be read or holds anything else."""
    try:
        content = parse_json(path.read_bytes())
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise SourceError(f"{path} {why_no_json(error)}") from None
    if not isinstance(content, dict):
        raise SourceError(f"{path} is not a JSON object")
    return content


def parse_json(text: str | bytes, *, allow_repeats: bool = True) -> Any:
    """Parse JSON.

    Args:
        text: the JSON; bytes in UTF-8.
        allow_repeats: whether an object may have a name twice, of which the last counts.

    Raises:
        ValueError: it is other text, has a name twice, or is nested deeper than any file that we read.
    """
    try:
        content = json.loads(text, object_pairs_hook=None if allow_repeats else _without_repeats)
    except RecursionError:
        raise TooDeepError from None
    check_depth(content)
    return content


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise ValueError("a name appears twice")
    return entries


def check_depth(content: Any) -> None:
    """Raise TooDeepError for lists and objects in each other that are deeper than `MAX_DEPTH`."""
    level = [content]
    for _ in range(MAX_DEPTH):
        level = [part for whole in level for part in _parts(whole) if isinstance(part, dict | list)]
        if not level:
            return
    raise TooDeepError


def _parts(whole: Any) -> Iterable[Any]:
    return whole.values() if isinstance(whole, dict) else whole if isinstance(whole, list) else ()


def is_file_name(text: str) -> bool:
    """Whether a text from a file can only name a file in the same folder, and no hidden one."""
    return text.isprintable() and not text.startswith(".") and not any(c in text for c in _SEPARATORS) and bool(text)


def check_links(folder: Path) -> None:
    """Raise SourceError for a symbolic link in a folder that leads out of it.

    Links of the cache of huggingface_hub lead from `snapshots/REVISION` to `blobs`, and are followed.
    """
    home = folder.resolve()
    homes = [home]
    if home.parent.name == _SNAPSHOTS:
        homes.append(home.parent.parent / _BLOBS)
    for path in folder.iterdir():
        if path.is_symlink() and not any(path.resolve().is_relative_to(one) for one in homes):
            raise SourceError(f"{path} is a symbolic link out of its folder, which is not followed: copy the file")
