"""Files and folders that appear whole or not at all.

Each grows under a hidden name beside its target and is renamed when it is whole. An error, Ctrl-C or a kill leaves the
target as it was.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vocab.errors import OutputError

# Given the names in a folder, those of files that others put there.
Foreign = Callable[[list[str]], list[str]]

# Our files in the folder of a vocabulary, beside NAME.tiktoken with its NAME.json, and NAME.tokenmonster.yaml.
OUR_NAMES = {
    "README.md",
    "certificate.zip",
    "chat_template.jinja",
    "id_map.json",
    "report.json",
    "shards.json",
    "special_tokens_map.json",
    "tekken.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
}
_LOCK = ".lock"
_UNFINISHED = "-unfinished"


# Errors


@contextmanager
def write_errors_named(path: Path) -> Iterator[None]:
    """Turn what goes wrong while `path` is written into an OutputError of one sentence that names it."""
    try:
        yield
    except _write_errors() as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else first_line(error)
        raise OutputError(f"{path} cannot be written: {reason}") from None


def _write_errors() -> tuple[type[Exception], ...]:
    """The errors of writing: OSError, and Arrow's own where Arrow is in use."""
    arrow = sys.modules.get("pyarrow")
    return (OSError, arrow.ArrowException) if arrow else (OSError,)


def first_line(error: Exception) -> str:
    """The first line of an error's message, or the error's name when it has no message."""
    return (str(error) or type(error).__name__).splitlines()[0]


# A file


def check_file(path: Path, *, force: bool = True, make_folders: bool = False) -> None:
    """Check before long work that a file may be written.

    Args:
        path: the file.
        force: whether it may replace a file.
        make_folders: whether its folder may be missing.

    Raises:
        OutputError: the file may not be written.
    """
    if path.is_dir():
        raise OutputError(f"{path} cannot be written: it is a folder")
    if path.exists() and not force:
        raise OutputError(f"{path} is there already: name another file with `out`, or pass `force`")
    if not make_folders and not path.absolute().parent.is_dir():
        raise OutputError(f"{path} cannot be written: there is no folder {path.absolute().parent}")
    _check_parent(path)


@contextmanager
def staged_file(path: Path) -> Iterator[Path]:
    """Yield a hidden path to write to, which becomes `path` when the block ends without an error.

    Missing folders are made. After an error the hidden file and those folders are gone.

    Raises:
        OutputError: the disk refuses, here or in the block.
    """
    staged = hidden_path(path)
    with write_errors_named(path), _new_parents(path):
        try:
            yield staged
            _sync(staged)
            staged.replace(path)
        finally:
            staged.unlink(missing_ok=True)


def hidden_path(path: Path) -> Path:
    """The name under which `path` is written until it is whole."""
    return path.with_name(f".{path.name}{_UNFINISHED}")


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a small file in one step; raises OutputError."""
    with staged_file(path) as staged:
        staged.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Replace a small text file in one step, in UTF-8 with Unix line ends; raises OutputError."""
    with staged_file(path) as staged:
        staged.write_text(text, encoding="utf-8", newline="\n")


def _sync(path: Path) -> None:
    """Put the bytes on the disk before the file gets its name: a crash leaves the old file or the new one."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _new_parents(path: Path) -> Iterator[None]:
    """Make the folders above `path`, and remove the new ones unless `path` exists in the end."""
    new = [parent for parent in path.absolute().parents if not parent.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        if not path.exists():
            for parent in new:
                with suppress(OSError):
                    parent.rmdir()


# JSON


def json_text(content: Any, indent: int | None = 2, *, ensure_ascii: bool = False) -> str:
    """JSON with a line end, as in our files."""
    return json.dumps(content, indent=indent, ensure_ascii=ensure_ascii) + "\n"


def write_json(path: Path, content: Any, indent: int | None = 2, *, ensure_ascii: bool = False) -> None:
    """Replace a JSON file in one step; raises OutputError."""
    write_text(path, json_text(content, indent, ensure_ascii=ensure_ascii))


def write_json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Replace a file of one JSON object a line in one step; raises OutputError."""
    write_text(path, "".join(json_text(row, None, ensure_ascii=True) for row in rows))


# A folder


def foreign_to_vocabulary(names: list[str]) -> list[str]:
    """Names in a folder of a vocabulary or of shards that are not ours."""
    stems = [name.removesuffix(".tiktoken") for name in names if name.endswith(".tiktoken")]
    pairs = {stem + ending for stem in stems for ending in (".tiktoken", ".json")}
    endings: tuple[str, ...] = (".tokenmonster.yaml",)
    if "shards.json" in names:
        endings += (".bin", ".documents.npy")
    return [name for name in names if name not in OUR_NAMES | pairs and not name.endswith(endings)]


def our_names(directory: Path, foreign: Foreign = foreign_to_vocabulary) -> list[str]:
    """The sorted names in a folder of ours, none where there is no folder.

    Raises:
        OutputError: `directory` is a file, or holds files of others.
    """
    if not directory.exists() and not directory.is_symlink():
        return []
    if not directory.is_dir():
        raise OutputError(f"{directory} is a file: name another folder with `directory`")
    names = sorted(path.name for path in directory.iterdir())
    if others := foreign([name for name in names if not _is_leftover(name)]):
        raise OutputError(
            f"{directory} holds other files ({', '.join(others[:3])}): name another folder with `directory`; "
            "only a folder with nothing but a result is ever replaced"
        )
    return names


def _is_leftover(name: str) -> bool:
    """Whether a killed run may have left a file or folder of this name."""
    return name.startswith(".") and _UNFINISHED in name


def check_target(directory: Path, *, force: bool, foreign: Foreign = foreign_to_vocabulary) -> None:
    """Check that a folder may be written: it is new, empty, or with `force` holds nothing but an earlier result.

    Raises:
        OutputError: the folder may not be written.
    """
    if our_names(directory, foreign) and not force:
        raise OutputError(f"{directory} holds an earlier result: name another folder with `directory`, or pass `force`")
    if not directory.exists():
        _check_parent(directory)


def _check_parent(path: Path) -> None:
    """Raise OutputError when the nearest folder that exists above `path` cannot be written to."""
    parent = next(p for p in path.absolute().parents if p.exists() or p.is_symlink())
    if not parent.is_dir():
        raise OutputError(f"{path} cannot be written: {parent} is not a folder")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(f"{path} cannot be written: no permission to write in {parent}")


@contextmanager
def staged_folder(
    directory: Path,
    *,
    force: bool = False,
    foreign: Foreign = foreign_to_vocabulary,
    lock: bool = False,
    n_bytes: int = 0,
) -> Iterator[Path]:
    """Yield a hidden folder to write into, which becomes `directory` when the block ends without an error.

    Until then an earlier folder is as it was. After an error or Ctrl-C nothing is left behind.

    Args:
        directory: the folder.
        force: whether it may replace an earlier result.
        foreign: tells which files of an earlier folder are not ours. Such a folder is never replaced.
        lock: give the hidden folder a fixed name and lock it. The next run then removes what a killed run left, and a
            second run at the same time is refused. For folders of gigabytes.
        n_bytes: free bytes that the disk must have.

    Raises:
        OutputError: the folder may not be written, another run is writing it, or the disk refuses or has no room.
    """
    check_target(directory, force=force, foreign=foreign)
    hidden = _locked_folder if lock else _new_folder
    with write_errors_named(directory), _new_parents(directory), hidden(directory) as staging:
        _check_room(directory.parent, n_bytes)
        yield staging
        (staging / _LOCK).unlink(missing_ok=True)
        _swap(staging, directory)


@contextmanager
def _new_folder(directory: Path) -> Iterator[Path]:
    """A hidden folder of a new name, which is removed after an error."""
    staging = Path(tempfile.mkdtemp(prefix=f"{hidden_path(directory).name}-", dir=directory.parent))
    try:
        staging.chmod(0o777 & ~_umask())
        yield staging
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


@contextmanager
def _locked_folder(directory: Path) -> Iterator[Path]:
    """A hidden folder of a fixed name, empty but for its lock, which is removed after an error."""
    staging = hidden_path(directory)
    staging.mkdir(exist_ok=True)
    descriptor = os.open(staging / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(descriptor, directory)
        try:
            _remove_leftovers(staging)
            yield staging
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
    finally:
        os.close(descriptor)


def _lock(descriptor: int, directory: Path) -> None:
    """Lock an open file; raises OutputError when another run holds the lock."""
    try:
        import fcntl
    except ImportError:  # Windows has no such locks: two runs at once are not noticed there
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OutputError(f"{directory} is being written by another run") from None


def _remove_leftovers(staging: Path) -> None:
    """Remove what a killed run left."""
    for path in staging.iterdir():
        if path.name != _LOCK:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _check_room(parent: Path, n_bytes: int) -> None:
    free = shutil.disk_usage(parent).free
    if free < n_bytes:
        raise OutputError(f"{parent} has {free / 1e9:.2f} GB free, and the result takes {n_bytes / 1e9:.2f} GB")


def _swap(staging: Path, directory: Path) -> None:
    """Put the new folder in place of an earlier one, which is removed only when the new one has its name."""
    if not directory.exists():
        staging.rename(directory)
        return
    old = staging.with_name(f"{staging.name}-old")
    shutil.rmtree(old, ignore_errors=True)
    old.mkdir()
    try:
        directory.rename(old / "folder")
        staging.rename(directory)
    except BaseException:
        if (old / "folder").exists() and not directory.exists():
            (old / "folder").rename(directory)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
