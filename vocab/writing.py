"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vocab.errors import OutputError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what goes wrong while writing a file into one sentence."""
    try:
        yield
    except _write_errors() as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else first_line(error)
        raise OutputError(f"{path} cannot be written: {reason}") from None


@contextmanager
def staged_file(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the name `path` when the block ends without an error; else it is removed."""
    staged = path.with_name(f".{path.name}-unfinished")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        yield staged
        with writing(path):
            _sync(staged)
            staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace a small file in one step."""
    with staged_file(path) as staged, writing(path):
        staged.write_text(text, encoding="utf-8")


def _sync(path: Path) -> None:
    """Have the bytes on the disk before the name is: a crash leaves the old file or the new one."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def first_line(error: Exception) -> str:
    """The first line of what an error says, or its name when it says nothing."""
    return (str(error) or type(error).__name__).splitlines()[0]


def _write_errors() -> tuple[type[Exception], ...]:
    """What writing raises: OSError, and Arrow's own errors where Arrow is in use."""
    arrow = sys.modules.get("pyarrow")
    return (OSError, arrow.ArrowException) if arrow else (OSError,)


# Files that we write under these names, beside NAME.tiktoken with its NAME.json, and NAME.tokenmonster.yaml.
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


def _foreign(names: list[str]) -> list[str]:
    """Names in a folder that are none of ours."""
    stems = [name.removesuffix(".tiktoken") for name in names if name.endswith(".tiktoken")]
    pairs = {stem + ending for stem in stems for ending in (".tiktoken", ".json")}
    endings: tuple[str, ...] = (".tokenmonster.yaml",)
    if "shards.json" in names:
        endings += (".bin", ".documents.npy")
    return [name for name in names if name not in OUR_NAMES | pairs and not name.endswith(endings)]


def check_target(directory: Path, *, force: bool) -> None:
    """Raise OutputError unless `directory` may be written: new, empty, or with `force` one that we wrote."""
    if not directory.exists() and not directory.is_symlink():
        _check_parent(directory)
        return
    if not directory.is_dir():
        raise OutputError(f"{directory} is a file: name another folder with --out")
    names = sorted(p.name for p in directory.iterdir())
    if not names:
        return
    if foreign := _foreign(names):
        raise OutputError(
            f"{directory} holds other files ({', '.join(foreign[:3])}): name another folder with --out; "
            "only a folder with nothing but a result is ever replaced"
        )
    if not force:
        raise OutputError(f"{directory} holds an earlier result: name another folder with --out, or pass --force")


def _check_parent(directory: Path) -> None:
    """Raise OutputError when the nearest folder that exists above `directory` cannot be written to."""
    parent = next(p for p in directory.absolute().parents if p.exists() or p.is_symlink())
    if not parent.is_dir():
        raise OutputError(f"{directory} cannot be written: {parent} is not a folder")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(f"{directory} cannot be written: no permission to write in {parent}")


@contextmanager
def staged_folder(directory: Path, *, force: bool = False) -> Iterator[Path]:
    """A folder to write into, which becomes `directory` when the block ends without an error.

    Until then nothing of what was there is touched, and after an error or Ctrl-C nothing is left behind. Raises
    OutputError when the target may not be written or the disk refuses.
    """
    check_target(directory, force=force)
    staging: Path | None = None
    new_parents = [p for p in directory.absolute().parents if not p.exists()]
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
        staging.chmod(0o777 & ~_umask())
        yield staging
        _swap(staging, directory)
    except OSError as error:
        raise OutputError(f"{directory} cannot be written: {error.strerror or error}") from None
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
        if not directory.exists():
            for parent in new_parents:
                with suppress(OSError):
                    parent.rmdir()


def _swap(staging: Path, directory: Path) -> None:
    """Put the new folder in place of the old one, which leaves only after the new one stands."""
    if not directory.exists():
        staging.rename(directory)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{directory.name}-old-", dir=directory.parent))
    directory.rename(old / "folder")
    try:
        staging.rename(directory)
    except BaseException:
        (old / "folder").rename(directory)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
