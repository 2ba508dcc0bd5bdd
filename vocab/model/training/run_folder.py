"""The folder of a training run: held by one process, replaced only where all in it is ours, and not before it must be.

With `force` the earlier run is set aside in a hidden folder. It is gone when the new one has a checkpoint of its own,
and back in its place when the new one ends, or is killed, before that.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vocab.errors import OutputError
from vocab.model.training.logs import LOG
from vocab.model.training.trackers import TENSORBOARD, WANDB
from vocab.writing import (
    MARK,
    check_foreign,
    check_owner,
    foreign_files,
    is_empty,
    is_leftover,
    locked_folder,
    staging_folder,
    write_errors_named,
    write_mark,
)

REPORT, MODEL, CURVE = "report.json", "model", "loss.png"
CHECKPOINTS, SHARDS = "checkpoints", "shards"
PART = "part-"  # of a mixture, below the shards
_FOLDERS = (CHECKPOINTS, MODEL, SHARDS, TENSORBOARD, WANDB)
_STEP = re.compile(r"step-([0-9]{8})")
_EVENTS = "events.out.tfevents."
_OF_WANDB = re.compile(r"(offline-)?run-[0-9]{8}_[0-9]{6}-[0-9a-z]+|latest-run|debug(-[a-z]+)*\.log")
_EARLIER = "earlier"  # .earlier-unfinished/earlier


@contextmanager
def run_folder(out: Path, *, force: bool) -> Iterator[None]:
    """Hold the folder of a run in the block, marked as ours.

    Processes of torchrun but the first do nothing here.

    Args:
        out: the folder, which is made.
        force: whether an earlier run in it is replaced.

    Raises:
        OutputError: it holds other files, or another process writes it.
    """
    if int(os.environ.get("RANK", "0")) > 0:
        yield
        return
    check_run_folder(out)
    with locked_folder(out), write_errors_named(out):
        _restore(out)
        check_run_folder(out)
        if not force or not any((out / name).exists() for name in (CHECKPOINTS, LOG, *_FOLDERS, REPORT)):
            _mark(out)
            with _taken_back(out):
                yield
            return
        with _set_aside(out):
            _mark(out)
            yield


@contextmanager
def held_folder(out: Path) -> Iterator[None]:
    """Hold a folder in which a run may be resumed, finished or not; raises OutputError as `run_folder` does."""
    with locked_folder(out), write_errors_named(out):
        _check_ours(out)
        _mark(out)
        yield


@contextmanager
def _taken_back(out: Path) -> Iterator[None]:
    """Remove what a run that fails in the block has made of its folder, where it kept nothing yet."""
    try:
        yield
    except BaseException:
        log, kept = out / LOG, out / CHECKPOINTS
        is_bare = not (log.exists() and log.stat().st_size) and not (kept.is_dir() and any(kept.iterdir()))
        if is_bare and not any((out / name).exists() for name in (*_FOLDERS[1:], REPORT)):
            log.unlink(missing_ok=True)
            (out / MARK).unlink(missing_ok=True)
            if kept.is_dir():
                kept.rmdir()
        raise


def _mark(out: Path) -> None:
    if is_empty(out):
        write_mark(out, {}, "run")


def check_run_folder(out: Path) -> None:
    """Raise OutputError when a folder holds other files than those of a run. Nothing is touched."""
    if not os.path.lexists(out):
        return
    if not out.is_dir():
        raise OutputError(f"{out} is a file: name another folder with `out`")
    _check_ours(out)


def _check_ours(out: Path) -> None:
    if not is_empty(out):
        check_foreign(out, sorted(_foreign(out)))
        check_owner(out)


def _foreign(out: Path) -> list[str]:
    """What in a folder is not of a run of ours."""
    if not (out / MARK).is_file():
        return foreign_files(out, kind="run")
    found = foreign_files(out, besides=[*_FOLDERS, LOG], kind="run")
    parts = [f"{SHARDS}/{path.name}" for path in sorted((out / SHARDS).glob(f"{PART}*"))]
    for name in [MODEL, *(parts or [SHARDS])]:
        if (out / name).exists():
            found += [f"{name}/{below}" for below in foreign_files(out / name)]
    if parts:
        found += [f"{SHARDS}/{below}" for below in foreign_files(out / SHARDS, [Path(part).name for part in parts])]
    if (out / LOG).exists() and not _is_log(out / LOG):
        found.append(LOG)
    for name, is_ours in ((TENSORBOARD, _is_board_file), (WANDB, _is_of_wandb), (CHECKPOINTS, _is_checkpoint)):
        below = sorted((out / name).iterdir()) if (out / name).is_dir() else []
        found += [f"{name}/{path.name}" for path in below if not is_ours(path)]
    return found


def _is_log(path: Path) -> bool:
    """Whether a file is a log of ours by its first line, perhaps a damaged one."""
    with path.open("rb") as stream:
        first = stream.readline(1 << 16)
    return not first or b'"kind"' in first


def _is_board_file(path: Path) -> bool:
    return path.is_file() and path.name.startswith(_EVENTS)


def _is_of_wandb(path: Path) -> bool:
    return bool(_OF_WANDB.fullmatch(path.name))


def _is_checkpoint(path: Path) -> bool:
    """Whether a folder is a checkpoint of ours: each of its files is listed in it, or states its digest."""
    if is_leftover(path):
        return True
    if path.is_symlink() or not path.is_dir() or not _STEP.fullmatch(path.name):
        return False
    try:
        listed = json.loads((path / "whole.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return {below.name for below in path.iterdir()} <= {*listed, "whole.json"}


@contextmanager
def _set_aside(out: Path) -> Iterator[None]:
    with staging_folder(out / _EARLIER) as hidden:
        (hidden / _EARLIER).mkdir()
        for path in _of_run(out):
            path.rename(hidden / _EARLIER / path.name)
        try:
            yield
        finally:
            _put_back(out, hidden / _EARLIER)


def _of_run(out: Path) -> list[Path]:
    names = [*_FOLDERS, LOG, REPORT, CURVE, MARK]
    return [out / name for name in names if (out / name).exists()]


def _restore(out: Path) -> None:
    """After a kill: put an earlier run back, unless the new one has a checkpoint of its own."""
    earlier = out / f".{_EARLIER}-unfinished" / _EARLIER
    if earlier.is_dir():
        _put_back(out, earlier)
    with staging_folder(out / _EARLIER):  # which removes what is left
        pass


def _put_back(out: Path, earlier: Path) -> None:
    steps = [_STEP.fullmatch(path.name) for path in (out / CHECKPOINTS).glob("step-*")]
    if any(step and int(step[1]) > 0 for step in steps) or (out / REPORT).exists():
        return
    for path in earlier.iterdir():
        new = out / path.name
        shutil.rmtree(new) if new.is_dir() else new.unlink(missing_ok=True)
        path.rename(new)
