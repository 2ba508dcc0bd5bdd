"""Compiled kernels: where they are kept, what is said when they cannot be, and the line of a first run."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vocab.compilation import cache_folder as folders
from vocab.compilation import kernel_cache, notice
from vocab.encoding.lattice_kernels import count_ends

# A machine on which no folder can be written but the temporary one.
UNWRITABLE = """
import tempfile
from vocab.compilation import cache_folder
cache_folder._can_be_written = lambda folder: "vocab-kernels-" in str(folder)
import numpy as np
from vocab.encoding.lattice_kernels import count_ends
n_ends = np.zeros(1, dtype=np.int64)
count_ends(np.ones(3, dtype=np.bool_), np.array([0, 3]), n_ends)
print(n_ends[0], count_ends.stats.cache_path)
"""

# One on which nothing can be written at all; two folders of kernels are in use.
READ_ONLY = """
import tempfile
from vocab.compilation import cache_folder
cache_folder._can_be_written = lambda folder: False
tempfile.tempdir = "/proc/nothing"
import numpy as np
import vocab.splitting.run_kernels
from vocab.encoding.lattice_kernels import count_ends
n_ends = np.zeros(1, dtype=np.int64)
count_ends(np.ones(3, dtype=np.bool_), np.array([0, 3]), n_ends)
print(n_ends[0], count_ends.stats.cache_path)
"""

# A kernel that is kept already, and whether calling it imported what only compiling needs.
KEPT = """
import sys
import numpy as np
from vocab.encoding.lattice_kernels import count_ends
n_ends = np.zeros(1, dtype=np.int64)
count_ends(np.ones(3, dtype=np.bool_), np.array([0, 3]), n_ends)
print(n_ends[0], sum(count_ends.stats.cache_hits.values()), "numba.np.arraymath" in sys.modules)
"""


@pytest.fixture
def folder_of(monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    folders._folder_of.cache_clear()
    yield lambda source: (folders._folder_of.cache_clear(), folders.cache_folder(str(source)))[1]
    folders._folder_of.cache_clear()


def test_kernels_are_kept_beside_their_code(folder_of, tmp_path):
    folder = folder_of(tmp_path / "some_kernels.py")
    assert Path(folder).parent == tmp_path / "__pycache__"


def test_a_folder_named_by_the_environment_comes_first(folder_of, tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "chosen"))
    assert Path(folder_of(tmp_path / "some_kernels.py")).parent == tmp_path / "chosen"


def test_any_kernel_file_of_the_folder_changes_where_its_kernels_are_kept(folder_of, tmp_path):
    one, other = tmp_path / "one_kernels.py", tmp_path / "other_kernels.py"
    one.write_text("1")
    before = folder_of(one)
    other.write_text("2")
    assert folder_of(one) != before
    between = folder_of(one)
    (tmp_path / "no_kernel.py").write_text("3")
    assert folder_of(one) == between


@pytest.mark.slow
def test_where_no_folder_can_be_written_kernels_are_compiled_into_a_temporary_one_and_one_line_says_so():
    environment = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", UNWRITABLE], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("vocab: compiled kernels cannot be kept in ")
    assert len(done.stderr.splitlines()) == 1
    n_ends, folder = done.stdout.split()
    assert n_ends == "3"
    assert "vocab-kernels-" in folder
    assert not Path(folder).exists()


@pytest.mark.slow
def test_where_nothing_can_be_written_kernels_are_compiled_for_one_run_and_one_line_says_so():
    done = subprocess.run([sys.executable, "-c", READ_ONLY], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "so each run compiles them anew, for this run alone" in done.stderr
    assert done.stdout.split() == ["3", "None"]


def test_a_kept_kernel_is_read_without_what_compiling_needs():
    count_ends(np.ones(3, dtype=np.bool_), np.array([0, 3]), np.zeros(1, dtype=np.int64))
    done = subprocess.run([sys.executable, "-c", KEPT], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3", "1", "False"]


def test_the_notice_is_given_once_for_each_cache(monkeypatch, tmp_path):
    lines: list[str] = []
    monkeypatch.setattr(notice, "cache_folder", lambda source: str(tmp_path))
    monkeypatch.setattr(notice, "_notify", None)
    notice.note_compiling()
    notice.when_compiling(lines.append)
    notice.note_compiling()
    notice.note_compiling()
    assert lines == [notice.NOTICE]
    notice.when_compiling(lines.append)  # a later run with the same cache
    notice.note_compiling()
    assert lines == [notice.NOTICE]
    (said,) = tmp_path.iterdir()
    said.unlink()
    notice.when_compiling(lines.append)
    notice.note_compiling()
    assert lines == [notice.NOTICE] * 2


# A kernel called by a process that misses it; prints how often it was missed and read.
MISSED = """
import numpy as np
from vocab.encoding.lattice_kernels import count_ends
n_ends = np.zeros(1, dtype=np.int64)
count_ends(np.ones(3, dtype=np.bool_), np.array([0, 3]), n_ends)
print(sum(count_ends.stats.cache_misses.values()), sum(count_ends.stats.cache_hits.values()))
"""


@pytest.mark.slow
def test_of_processes_that_miss_a_kernel_at_once_one_compiles_it(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", MISSED]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(3)]
    assert sorted(process.communicate()[0].split() for process in started) == [["0", "1"], ["0", "1"], ["1", "0"]]


def test_a_process_waits_for_the_turn_of_another(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(kernel_cache.KernelCache, "cache_path", tmp_path)
    first, second = (kernel_cache.KernelCache(count_ends.py_func) for _ in range(2))
    first._take_turn()
    with pytest.raises(BlockingIOError):
        fcntl.flock(os.open(next(tmp_path.glob("*.lock")), os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)
    first._end_turn()
    second._take_turn()
    second._end_turn()


# What a child compiles for the first run of `vocab prune`, and then what encoding with cl100k itself still misses.
AHEAD = """
from vocab.prune.first_kernels import compile_last_kernels
compile_last_kernels()
"""
ENCODED = """
from vocab.encoding import id_cache_kernels
from vocab.formats import load
from vocab.splitting import split_kernels
load("cl100k_base").encode("the end")
kernels = (id_cache_kernels.encode_pieces, split_kernels.split_cl100k)
print([sum(k.stats.cache_misses.values()) for k in kernels], [sum(k.stats.cache_hits.values()) for k in kernels])
"""


@pytest.mark.slow
def test_kernels_that_a_child_compiles_are_those_that_a_first_run_needs(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    for code in (AHEAD, ENCODED):
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[0] == "[0, 0] [1, 1]"
