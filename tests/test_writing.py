"""Files and folders appear whole or not at all, whatever stops their writing."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vocab.errors import OutputError, SourceError
from vocab.writing import (
    check_file,
    check_target,
    hidden_path,
    read_json,
    staged_file,
    staged_folder,
    write_bytes,
    write_json,
    write_json_lines,
    write_text,
)

STOPS = [KeyboardInterrupt(), SystemExit(), ValueError("bug"), OSError(28, "No space left on device")]
# Root may write everywhere.
NOT_AS_ROOT = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes everywhere")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def entries(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))  # noqa: PTH208 - hidden ones too


def raised_for(stop: BaseException) -> type[BaseException]:
    return OutputError if isinstance(stop, OSError) else type(stop)


# Files


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: type(stop).__name__)
@pytest.mark.parametrize("earlier", [None, b"earlier"])
def test_a_stopped_file_leaves_what_was_there(tmp_path, stop, earlier):
    path = tmp_path / "a/b/x.txt" if earlier is None else tmp_path / "x.txt"
    if earlier:
        path.write_bytes(earlier)
    before = entries(tmp_path)
    with pytest.raises(raised_for(stop)), staged_file(path) as staged:  # noqa: PT012
        staged.write_text("half")
        raise stop
    assert entries(tmp_path) == before
    assert not earlier or path.read_bytes() == earlier


def test_a_file_that_cannot_be_written_is_named_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file/x", tmp_path / "folder"):
        with pytest.raises(OutputError, match=r"cannot be written: [^\n]+$"):
            write_text(path, "new")
    assert contents(tmp_path) == {"file": b"mine"}
    assert entries(tmp_path) == ["file", "folder"]


def test_small_files_have_these_bytes(tmp_path):
    write_text(tmp_path / "a", "é\r\n\n")
    write_bytes(tmp_path / "b", b"\0\xff")
    write_json(tmp_path / "c", {"é": [1]})
    write_json(tmp_path / "d", {"é": [1]}, None, ensure_ascii=True)
    write_json_lines(tmp_path / "new/e", [{"a": 1}, {"é": 2}])
    assert contents(tmp_path) == {
        "a": "é\r\n\n".encode(),
        "b": b"\0\xff",
        "c": '{\n  "é": [\n    1\n  ]\n}\n'.encode(),
        "d": b'{"\\u00e9": [1]}\n',
        "new/e": b'{"a": 1}\n{"\\u00e9": 2}\n',
    }


def test_json_that_cannot_be_written_leaves_the_earlier_file(tmp_path):
    write_json(tmp_path / "x", {})
    with pytest.raises(TypeError):
        write_json(tmp_path / "x", {"a": object()})
    assert contents(tmp_path) == {"x": b"{}\n"}


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "cannot be read"), ("{", "is not JSON"), ("[" * 100_000, "is not JSON"), ("[]", "is not a JSON object")],
    ids=["missing", "torn", "deep", "list"],
)
def test_what_is_not_a_json_object_is_refused(tmp_path, text, message):
    if text is not None:
        (tmp_path / "x").write_text(text)
    with pytest.raises(SourceError, match=message):
        read_json(tmp_path / "x")
    (tmp_path / "x").write_text('{"a": 1}')
    assert read_json(tmp_path / "x") == {"a": 1}


def test_a_file_is_checked_before_the_work(tmp_path):
    (tmp_path / "x").write_text("mine")
    check_file(tmp_path / "x")
    check_file(tmp_path / "new/y", make_folders=True)
    for path, options, message in (
        (tmp_path, {}, "it is a folder"),
        (tmp_path / "x", {"force": False}, "is there already: .*`out`.*`force`"),
        (tmp_path / "new/y", {}, "there is no folder"),
        (tmp_path / "x/y", {"make_folders": True}, "x is not a folder"),
    ):
        with pytest.raises(OutputError, match=message):
            check_file(path, **options)
    assert entries(tmp_path) == ["x"]


@NOT_AS_ROOT
def test_without_permission_nothing_is_tried(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o555)
    with pytest.raises(OutputError, match="no permission to write in"):
        check_file(tmp_path / "locked/x")
    with pytest.raises(OutputError, match="no permission to write in"):
        check_target(tmp_path / "locked/x", force=True)
    with pytest.raises(OutputError, match="cannot be written: Permission denied"):
        write_text(tmp_path / "locked/x", "new")


# Folders

LOCKS = pytest.mark.parametrize("lock", [False, True])


def written(directory: Path, text: str = "{}", **options) -> None:
    with staged_folder(directory, **options) as staging:
        (staging / "report.json").write_text(text)


@LOCKS
@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: type(stop).__name__)
@pytest.mark.parametrize("earlier", [False, True])
def test_a_stopped_folder_leaves_what_was_there(tmp_path, lock, stop, earlier):
    out = tmp_path / "a/out"
    if earlier:
        written(out)
    before = contents(tmp_path)
    with pytest.raises(raised_for(stop)), staged_folder(out, force=True, lock=lock) as staging:  # noqa: PT012
        (staging / "report.json").write_text("half")
        raise stop
    assert contents(tmp_path) == before
    assert entries(tmp_path) == (["a"] if earlier else [])
    assert not earlier or entries(tmp_path / "a") == ["out"]


@LOCKS
def test_a_folder_stopped_while_names_change_leaves_the_earlier_one(tmp_path, lock, monkeypatch):
    written(tmp_path / "out")
    rename = Path.rename

    def interrupted(self, target):
        if Path(target) == tmp_path / "out" and self.name != "folder":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        written(tmp_path / "out", "new", force=True, lock=lock)
    assert contents(tmp_path) == {"out/report.json": b"{}"}
    assert entries(tmp_path) == ["out"]


@LOCKS
def test_a_whole_folder_takes_its_name_with_the_usual_permissions(tmp_path, lock):
    (tmp_path / "empty").mkdir()
    written(tmp_path / "empty", lock=lock)
    written(tmp_path / "a/new", lock=lock)
    written(tmp_path / "a/new", "again", lock=lock, force=True)
    (tmp_path / "plain").mkdir()
    assert contents(tmp_path) == {"a/new/report.json": b"again", "empty/report.json": b"{}"}
    assert entries(tmp_path / "a") == ["new"]
    assert (tmp_path / "a/new").stat().st_mode == (tmp_path / "plain").stat().st_mode


@LOCKS
@pytest.mark.parametrize("force", [False, True])
def test_files_of_others_are_never_replaced(tmp_path, lock, force):
    written(tmp_path / "out")
    (tmp_path / "out/thesis.tex").write_text("mine")
    with pytest.raises(OutputError, match=r"holds other files \(thesis\.tex\): name another folder with `directory`"):
        written(tmp_path / "out", "new", force=force, lock=lock)
    assert contents(tmp_path) == {"out/report.json": b"{}", "out/thesis.tex": b"mine"}
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="file is a file: name another folder"):
        written(tmp_path / "file", force=force, lock=lock)
    assert entries(tmp_path) == ["file", "out"]


def test_the_caller_says_which_files_are_foreign(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/weights").write_text("old")
    written(tmp_path / "out", force=True, foreign=lambda names: [name for name in names if name != "weights"])
    assert contents(tmp_path) == {"out/report.json": b"{}"}


def test_what_a_killed_run_leaves_in_a_folder_is_not_foreign(tmp_path):
    written(tmp_path / "out")
    hidden_path(tmp_path / "out/report.json").write_text("half")
    written(tmp_path / "out", "new", force=True)
    assert contents(tmp_path) == {"out/report.json": b"new"}


@LOCKS
def test_an_earlier_result_is_replaced_with_force_only(tmp_path, lock):
    written(tmp_path / "out")
    with pytest.raises(OutputError, match=r"holds an earlier result: .*`directory`.*`force`"):
        written(tmp_path / "out", "new", lock=lock)
    assert contents(tmp_path) == {"out/report.json": b"{}"}


def test_a_link_is_replaced_and_its_folder_is_kept(tmp_path):
    written(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    written(tmp_path / "link", "new", force=True)
    assert not (tmp_path / "link").is_symlink()
    assert contents(tmp_path) == {"link/report.json": b"new", "real/report.json": b"{}"}
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    with pytest.raises(OutputError, match="nowhere is a file"):
        written(tmp_path / "nowhere", force=True)
    assert entries(tmp_path) == ["link", "nowhere", "real"]


def test_a_disk_without_room_is_refused(tmp_path):
    with pytest.raises(OutputError, match=r"GB free, and the result takes 1000000000\.00 GB"):
        written(tmp_path / "a/out", n_bytes=10**18)
    assert entries(tmp_path) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from vocab.writing import staged_folder
with staged_folder(Path(sys.argv[1]), lock=True) as staging:
    (staging / "deep").mkdir()
    (staging / "deep" / "weights").write_text("half")
    (staging / "weights").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no such signal")
def test_with_a_lock_the_next_run_removes_what_a_killed_one_left(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "out"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert entries(tmp_path) == [".out-unfinished"]
    written(tmp_path / "out", json.dumps({"n": 1}), lock=True)
    assert contents(tmp_path) == {"out/report.json": b'{"n": 1}'}
    assert entries(tmp_path) == ["out"]


def test_with_a_lock_a_second_run_is_refused_and_the_first_goes_on(tmp_path):
    with staged_folder(tmp_path / "out", lock=True) as staging:
        (staging / "report.json").write_text("first")
        with pytest.raises(OutputError, match="out is being written by another run"):
            written(tmp_path / "out", "second", lock=True)
    assert contents(tmp_path) == {"out/report.json": b"first"}
