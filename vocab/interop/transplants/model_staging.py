"""Writing a model's folder all or nothing: it grows in a hidden folder beside its target and is renamed when whole.

The hidden folder has a fixed name, so that what a killed run left is found and removed by the next, and is locked while
a run writes there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vocab.errors import OutputError
from vocab.formats.id_map import read_json

RECORD = "transplant.json"
_ENDING = ".transplant-unfinished"
_LOCK = ".lock"


def staging_of(out: Path) -> Path:
    """The folder in which `out` grows."""
    return out.with_name(f".{out.name}{_ENDING}")


def check_out(out: Path, inputs: list[Path], *, force: bool) -> None:
    """Raise OutputError unless a model may be written to `out`.

    It must be new, empty, or with `force` one that was written here, and neither inside an input nor around one.
    """
    target = out.resolve()
    for place in (one.resolve() for one in inputs):
        if target == place or place in target.parents or target in place.parents:
            raise OutputError(f"{out} and {place} lie in each other: name another folder with --out")
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise OutputError(f"{out} is not a folder: name another one with --out")
    names = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if not names:
        return
    ours = set(read_json(out / RECORD).get("files", [])) | {RECORD} if RECORD in names else set()
    if foreign := sorted(names - ours):
        raise OutputError(
            f"{out} holds other files ({', '.join(foreign[:3])}): name another folder with --out; only a folder with "
            "nothing but a transplanted model is ever replaced"
        )
    if not force:
        raise OutputError(f"{out} holds an earlier result: name another folder with --out, or replace it with --force")


@contextmanager
def staged_model(out: Path, n_bytes: int) -> Iterator[Path]:
    """A folder to write `n_bytes` into, which becomes `out` when the block ends without an error.

    After an error or Ctrl-C nothing is left. Raises OutputError when the disk has no room or refuses, and when another
    run is writing the same model.
    """
    staging = staging_of(out)
    new_parents = [p for p in out.absolute().parents if not p.exists()]
    lock = -1
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        lock = _locked(staging, out)
        _check_room(out.parent, n_bytes)
        yield staging
        (staging / _LOCK).unlink()
        _swap(staging, out)
    except OSError as error:
        raise OutputError(f"{out} cannot be written: {error.strerror or error}") from None
    finally:
        if lock >= 0:
            shutil.rmtree(staging, ignore_errors=True)
            os.close(lock)
        if not out.exists():
            for parent in new_parents:
                with suppress(OSError):
                    parent.rmdir()


def _locked(staging: Path, out: Path) -> int:
    """An empty, locked folder; what a killed run left there is removed."""
    try:
        import fcntl
    except ImportError:  # Windows has no such locks: two runs at once are not noticed there
        fcntl = None  # type: ignore[assignment]
    staging.mkdir(exist_ok=True)
    lock = os.open(staging / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if fcntl:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for path in staging.iterdir():
            if path.name != _LOCK:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    except BlockingIOError:
        os.close(lock)
        raise OutputError(f"{out} is being written by another run") from None
    except BaseException:
        os.close(lock)
        raise
    return lock


def _check_room(parent: Path, n_bytes: int) -> None:
    free = shutil.disk_usage(parent).free
    if free < n_bytes:
        raise OutputError(f"{parent} has {free / 1e9:.2f} GB free, and the model takes {n_bytes / 1e9:.2f} GB")


def _swap(staging: Path, out: Path) -> None:
    """Put the new folder in place of an earlier one, which leaves only after the new one stands."""
    old = staging.with_name(staging.name + "-old")
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        out.rename(old)
    try:
        staging.rename(out)
    except BaseException:
        if old.exists():
            old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)
