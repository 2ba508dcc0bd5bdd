"""Where a model may be written: apart from its inputs."""

from __future__ import annotations

from pathlib import Path

from vocab.errors import OutputError

RECORD = "transplant.json"


def check_apart(out: Path, inputs: list[Path]) -> None:
    """Raise OutputError when `out` is a link, or lies inside an input or around one."""
    target = out.resolve()
    for place in (one.resolve() for one in inputs):
        if target == place or place in target.parents or target in place.parents:
            raise OutputError(f"{out} and {place} are the same folder, or one is in the other: name another with `out`")
    if out.is_symlink():
        raise OutputError(f"{out} is not a folder but a link: name another folder with `out`")
