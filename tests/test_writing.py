"""Files and folders appear whole or not at all, whatever stops their writing."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from vocab.errors import OutputError, SourceError
from vocab.reading import read_json
from vocab.writing import (
    MARK,
    check_digest,
    check_file,
    check_target,
    foreign_files,
    hidden_path,
    locked_folder,
    publish,
    result_mark,
    staged_file,
    staged_folder,
    staging,
    with_digest,
    write_bytes,
    write_json,
    write_json_lines,
    write_text,
)
from vocab.writing.locks import LOCK

STOPS = [KeyboardInterrupt(), SystemExit(), ValueError("bug"), OSError(28, "No space left on device")]
# Root may write everywhere.
NOT_AS_ROOT = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes everywhere")


def contents(folder: Path) -> dict[str, bytes]:
    """Files by their paths, without marks."""
    files = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != MARK)
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


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
    [
        (None, "cannot be read"),
        ("{", "is not JSON"),
        ("[" * 100_000, "nests lists and"),
        ("[]", "is not a JSON object"),
    ],
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
        (tmp_path / "x", {"force": False}, "is there already: .*`force`"),
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


def written(directory: Path, text: str = "{}", **options) -> None:
    with staged_folder(directory, **options) as staging:
        (staging / "report.json").write_text(text)


@pytest.fixture(params=[True, False], ids=["exchange", "renames"])
def one_step(request, monkeypatch) -> bool:
    """Whether names can be exchanged in one step; some file systems cannot."""
    if not request.param:
        monkeypatch.setattr(staging, "exchange", lambda one, other: False)
    return request.param


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: type(stop).__name__)
@pytest.mark.parametrize("earlier", [False, True])
def test_a_stopped_folder_leaves_what_was_there(tmp_path, stop, earlier):
    out = tmp_path / "a/out"
    if earlier:
        written(out)
    before = contents(tmp_path)
    with pytest.raises(raised_for(stop)), staged_folder(out, force=True) as folder:  # noqa: PT012
        (folder / "report.json").write_text("half")
        raise stop
    assert contents(tmp_path) == before
    assert entries(tmp_path) == (["a"] if earlier else [])
    assert not earlier or entries(tmp_path / "a") == ["out"]


def test_a_folder_stopped_while_names_change_leaves_the_earlier_one(tmp_path, monkeypatch):
    written(tmp_path / "out")
    rename = Path.rename

    def interrupted(self, target):
        if Path(target) == tmp_path / "out" and self.name != ".old":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(staging, "exchange", lambda one, other: False)
    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        written(tmp_path / "out", "new", force=True)
    assert contents(tmp_path) == {"out/report.json": b"{}"}
    assert entries(tmp_path) == ["out"]


def test_a_whole_folder_takes_its_name_with_the_usual_permissions(tmp_path, one_step):
    (tmp_path / "empty").mkdir()
    written(tmp_path / "empty")
    written(tmp_path / "a/new")
    written(tmp_path / "a/new", "again", force=True)
    (tmp_path / "plain").mkdir()
    assert contents(tmp_path) == {"a/new/report.json": b"again", "empty/report.json": b"{}"}
    assert entries(tmp_path / "a") == ["new"]
    assert (tmp_path / "a/new").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.skipif(sys.platform != "linux", reason="other systems may have no such call")
def test_names_are_exchanged_in_one_step(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "is").write_text(name)
    assert staging.exchange(tmp_path / "one", tmp_path / "other")
    assert contents(tmp_path) == {"one/is": b"other", "other/is": b"one"}
    assert not staging.exchange(tmp_path / "one", tmp_path / "none")


@pytest.mark.parametrize("force", [False, True])
def test_files_of_others_are_never_replaced(tmp_path, force):
    written(tmp_path / "out")
    (tmp_path / "out/thesis.tex").write_text("mine")
    with pytest.raises(OutputError, match=r"holds other files \(thesis\.tex\): name another folder with `directory`"):
        written(tmp_path / "out", "new", force=force)
    assert contents(tmp_path) == {"out/report.json": b"{}", "out/thesis.tex": b"mine"}
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="file is a file: name another folder"):
        written(tmp_path / "file", force=force)
    assert entries(tmp_path) == ["file", "out"]


def test_names_prove_nothing(tmp_path):
    """Neither a folder with our names but no mark, nor a file of ours that somebody changed, is replaced."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/report.json").write_text("mine")
    (tmp_path / "mine/README.md").write_text("mine")
    written(tmp_path / "out")
    (tmp_path / "out/report.json").write_text("{ }")
    (tmp_path / "copied").mkdir()
    (tmp_path / "copied" / MARK).write_bytes((tmp_path / "out" / MARK).read_bytes())
    (tmp_path / "copied/report.json").symlink_to(tmp_path / "out/report.json")
    before = contents(tmp_path)
    for name, foreign in (("mine", "README.md, report.json"), ("out", "report.json"), ("copied", "report.json")):
        with pytest.raises(OutputError, match=rf"holds other files \({re.escape(foreign)}\)"):
            written(tmp_path / name, "new", force=True)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(("kind", "new"), [("count", "result"), ("model", "result"), ("result", "model")])
def test_a_result_of_another_kind_is_not_replaced(tmp_path, kind, new):
    """A pruning does not take the place of a count of days."""
    written(tmp_path / "out", kind=kind)
    before = contents(tmp_path)
    with pytest.raises(OutputError, match="holds other files"):
        written(tmp_path / "out", "new", force=True, kind=new)
    assert contents(tmp_path) == before
    written(tmp_path / "out", "new", force=True, kind=kind)
    assert contents(tmp_path) == {"out/report.json": b"new"}


def test_a_mark_of_nothing_proves_nothing(tmp_path):
    (tmp_path / "out").mkdir()
    files = ("1", '{"report.json": "x"}', '{"report.json": []}')
    for text in ("{", "[]", *(f'{{"kind": "result", "files": {one}}}' for one in files)):
        (tmp_path / "out" / MARK).write_text(text)
        (tmp_path / "out/report.json").write_text("mine")
        with pytest.raises(OutputError, match="holds other files"):
            written(tmp_path / "out", "new", force=True)
        assert (tmp_path / "out/report.json").read_text() == "mine"


def test_a_large_file_is_known_by_samples_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(result_mark, "_WHOLE_BYTES", 1000)
    monkeypatch.setattr(result_mark, "_SAMPLE_BYTES", 10)
    written(tmp_path / "out", "x" * 2000)
    written(tmp_path / "out", "y" * 2000, force=True)
    (tmp_path / "out/report.json").write_text("y" * 1999 + "x")
    with pytest.raises(OutputError, match="holds other files"):
        written(tmp_path / "out", force=True)


def test_an_earlier_result_is_replaced_with_force_only(tmp_path):
    written(tmp_path / "out")
    with pytest.raises(OutputError, match=r"holds an earlier result: .*`directory`.*`force`"):
        written(tmp_path / "out", "new")
    assert contents(tmp_path) == {"out/report.json": b"{}"}


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    written(tmp_path / "deep/real")
    write_text(tmp_path / "deep/file", "old")
    (tmp_path / "link").symlink_to(tmp_path / "deep/real")
    (tmp_path / "name").symlink_to(tmp_path / "deep/file")
    written(tmp_path / "link", "new", force=True)
    write_text(tmp_path / "name", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "name").is_symlink()
    assert contents(tmp_path / "deep") == {"file": b"new", "real/report.json": b"new"}
    assert entries(tmp_path / "deep") == ["file", "real"]
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    with pytest.raises(OutputError, match="nowhere is a link that leads nowhere"):
        written(tmp_path / "nowhere", force=True)
    assert entries(tmp_path) == ["deep", "link", "name", "nowhere"]


def test_the_folder_that_you_are_in_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="it is the folder you are in"):
        written(Path())
    assert entries(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_what_another_user_owns_is_not_replaced(tmp_path):
    written(tmp_path / "out")
    os.chown(tmp_path / "out", 12345, 12345)
    with pytest.raises(OutputError, match=r"belongs to another user \(12345\)"):
        written(tmp_path / "out", "new", force=True)
    assert contents(tmp_path) == {"out/report.json": b"{}"}


def test_a_disk_without_room_is_refused(tmp_path):
    with pytest.raises(OutputError, match=r"GB free, and the result takes 1000000000\.00 GB"):
        written(tmp_path / "a/out", n_bytes=10**18)
    assert entries(tmp_path) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from vocab.writing import staged_file, staged_folder
with staged_folder(Path(sys.argv[1])) as folder, staged_file(Path(sys.argv[2])) as file:
    (folder / "deep").mkdir()
    (folder / "deep" / "weights").write_text("half")
    file.write_text("half")
    file.with_name("scratch").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no such signal")
def test_the_next_run_removes_what_a_killed_one_left(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "out", tmp_path / "file"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert entries(tmp_path) == [".file-unfinished", ".out-unfinished"]
    written(tmp_path / "out", json.dumps({"n": 1}))
    write_text(tmp_path / "file", "whole")
    assert contents(tmp_path) == {"out/report.json": b'{"n": 1}', "file": b"whole"}
    assert entries(tmp_path) == ["file", "out"]


def test_what_a_kill_between_two_renames_left_is_restored(tmp_path):
    """Where names cannot be exchanged in one step, the earlier result waits under a hidden name."""
    written(tmp_path / "out")
    hidden = hidden_path(tmp_path / "out")
    hidden.mkdir()
    (hidden / LOCK).touch()
    (tmp_path / "out").rename(hidden / ".old")
    with pytest.raises(OutputError, match="holds an earlier result"):
        written(tmp_path / "out", "new")
    assert contents(tmp_path) == {"out/report.json": b"{}"}
    assert entries(tmp_path) == ["out"]


def test_a_hidden_folder_of_others_is_left_alone(tmp_path):
    hidden = hidden_path(tmp_path / "out")
    hidden.mkdir()
    (hidden / "novel.txt").write_text("mine")
    for write in (written, lambda path: write_text(path, "new")):
        with pytest.raises(OutputError, match="is in the way, and vocab did not make it"):
            write(tmp_path / "out")
    assert contents(tmp_path) == {".out-unfinished/novel.txt": b"mine"}


def test_a_second_run_is_refused_and_the_first_goes_on(tmp_path):
    with staged_folder(tmp_path / "out") as folder, staged_file(tmp_path / "file") as file:
        (folder / "report.json").write_text("first")
        file.write_text("first")
        with pytest.raises(OutputError, match="out is being written by another run"):
            written(tmp_path / "out", "second")
        with pytest.raises(OutputError, match="file is being written by another run"):
            write_text(tmp_path / "file", "second")
    assert contents(tmp_path) == {"file": b"first", "out/report.json": b"first"}


# Folders that keep state


def test_a_folder_is_held_by_one_thread_as_often_as_it_likes(tmp_path):
    refused = []

    def another() -> None:
        with (
            pytest.raises(OutputError, match="is being written by another run") as caught,
            locked_folder(tmp_path / "a"),
        ):
            pass
        refused.append(caught.value)

    with locked_folder(tmp_path / "a"):
        with locked_folder(tmp_path / "a"):
            thread = threading.Thread(target=another)
            thread.start()
            thread.join()
        (tmp_path / "a/state").write_text("")
    assert len(refused) == 1
    assert entries(tmp_path / "a") == ["state"]
    with locked_folder(tmp_path / "b/c"):
        assert entries(tmp_path / "b/c") == [LOCK]
    assert entries(tmp_path) == ["a"]


HELD = """
import sys, time
from pathlib import Path
from vocab.writing import locked_folder
with locked_folder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_a_lock_ends_with_its_process(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HELD, tmp_path / "a"], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(OutputError, match="is being written by another run"), locked_folder(tmp_path / "a"):
            pass
        process.kill()
    assert entries(tmp_path / "a") == [LOCK]
    with locked_folder(tmp_path / "a"):
        (tmp_path / "a/state").write_text("")
    assert entries(tmp_path / "a") == ["state"]


def test_a_lock_file_that_somebody_wrote_into_is_kept(tmp_path):
    (tmp_path / LOCK).write_text("mine")
    with locked_folder(tmp_path):
        pass
    assert (tmp_path / LOCK).read_text() == "mine"


def test_published_files_are_ours_at_every_moment(tmp_path, monkeypatch):
    folder, new = tmp_path / "state", tmp_path / "new"
    for path in (folder, new):
        path.mkdir()
    places, place = [], result_mark.place

    def watched(staged, target):
        places.append(foreign_files(folder))
        place(staged, target)
        places.append(foreign_files(folder))

    monkeypatch.setattr(result_mark, "place", watched)
    for k in range(2):
        for name in ("a", "b"):
            (new / name).write_text(f"{name} {k}")
        publish({name: new / name for name in ("a", "b")}, folder, "result")
    assert places == [[]] * 8
    assert contents(folder) == {"a": b"a 1", "b": b"b 1"}
    (folder / "b").write_text("changed")
    assert foreign_files(folder) == ["b"]


# Digests of JSON


def test_json_with_a_digest_is_refused_after_any_change(tmp_path):
    content = with_digest({"a": [1, 2.5, None], "é": {"b": "c"}})
    path = tmp_path / "x"
    write_json(path, content)
    assert check_digest(read_json(path), path) == {"a": [1, 2.5, None], "é": {"b": "c"}}
    for change in ({"a": [1, 2.5, 0]}, {"more": 1}, {"sha256": "0"}):
        with pytest.raises(SourceError, match="is damaged"):
            check_digest(content | change, path)
    with pytest.raises(SourceError, match="is damaged"):
        check_digest({"a": 1}, path)
