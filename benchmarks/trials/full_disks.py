"""Disks that are full at some moment: one sentence, the earlier result kept, and with room again the right result.

As root, the disk is a tmpfs of some size. Otherwise no file may grow beyond some size, which ends writes as well.
"""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trials.bench import Bench
from trials.works import Prepared, prepared

LARGE = 1 << 30
_KB = 1 << 10


def trials(bench: Bench) -> Iterator[str | None]:
    """Give each command in turn a disk with room for a part of what it writes, and then the rest."""
    everything = prepared(bench)
    where = bench.folder / "disk"
    where.mkdir()
    while True:
        for one in everything:
            with disk(where, LARGE) as is_disk:
                one.fresh(where)
                yield trial(bench, one, where, is_disk)


def trial(bench: Bench, one: Prepared, where: Path, is_disk: bool) -> str | None:
    """Run with too little room, then with enough; what is wrong."""
    n_bytes = bench.chance.randrange(2 * one.n_bytes + 64 * _KB)
    if is_disk:
        resize(where, used(where) + n_bytes)
        child = bench.start(one.work.call, where)
    else:
        limits = (n_bytes, resource.RLIM_INFINITY)
        child = bench.start(one.work.call, where, prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits))
    code = child.wait()
    if code == 0:
        return one.result_fault(where)
    if code != 2:
        return f"{one.work.name} ends with {code}: {child.complaint()}"
    if fault := one.refusal_fault(child, where):
        return fault
    if is_disk:
        resize(where, LARGE)
    again = bench.start(one.work.call, where)
    code = again.wait()
    if code and not one.is_refused_as_done(code, again.said()):
        return f"{one.work.name} does not go on with room: {again.complaint()}"
    return one.result_fault(where)


@contextmanager
def disk(where: Path, n_bytes: int) -> Iterator[bool]:
    """Mount a disk of some size; False where that is not allowed."""
    is_disk = os.geteuid() == 0 and _mount("-t", "tmpfs", "-o", f"size={n_bytes}", "vocab-torture", where)
    try:
        yield is_disk
    finally:
        if is_disk:
            subprocess.run(["umount", "-l", where], check=True)


def resize(where: Path, n_bytes: int) -> None:
    """Change the size of a mounted disk."""
    if not _mount("-o", f"remount,size={n_bytes}", where):
        raise RuntimeError(f"{where} cannot be resized")


def used(where: Path) -> int:
    """Bytes in use on a disk."""
    facts = os.statvfs(where)
    return (facts.f_blocks - facts.f_bfree) * facts.f_frsize


def _mount(*arguments: object) -> bool:
    return subprocess.run(["mount", *map(str, arguments)], capture_output=True, check=False).returncode == 0
