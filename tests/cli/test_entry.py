"""Signals from the first moment on, and standard streams that are closed, full or not read to the end."""

import os
import signal
import subprocess
import sys
import time

import pytest

from vocab.cli import interrupts

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and shells of POSIX")

COMMAND = f"{sys.executable} -c 'from vocab.cli.entry import main; main()'"
# A module that swallows every exception while it is imported, as some packages do.
SWALLOWS = """
import time
print("importing", flush=True)
for _ in range(10):
    try:
        time.sleep(0.05)
    except BaseException:
        pass
"""
IMPORTS = """
import sys
from vocab.cli import interrupts
interrupts.install()
sys.path.insert(0, sys.argv[1])
try:
    import swallows
    import time
    time.sleep(30)
except KeyboardInterrupt:
    print("interrupted")
"""


def shell(line: str, where) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", line], cwd=where, capture_output=True, text=True, check=False, timeout=100)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_import_does_not_swallow_a_signal(tmp_path, number):
    (tmp_path / "swallows.py").write_text(SWALLOWS)
    with subprocess.Popen([sys.executable, "-c", IMPORTS, tmp_path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "importing\n"
        started = time.monotonic()
        process.send_signal(number)
        assert process.communicate(timeout=20)[0] == "interrupted\n"
    assert time.monotonic() - started < 15


def test_a_destructor_does_not_swallow_a_signal():
    class Slow:
        def __del__(self) -> None:
            interrupts.interrupt(signal.SIGINT, sys._getframe())

    before = signal.getsignal(signal.SIGALRM)
    signal.signal(signal.SIGALRM, interrupts.interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            destroy_and_wait(Slow)
    finally:
        signal.signal(signal.SIGALRM, before)


def destroy_and_wait(make) -> None:
    make()  # and destroy it
    time.sleep(5)


def test_ignored_signals_stay_ignored(monkeypatch):
    set_ = []
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.SIG_IGN)
    monkeypatch.setattr(signal, "signal", lambda number, handler: set_.append(number))
    interrupts.install()
    assert set_ == [signal.SIGALRM]


def test_nobody_reads_on(tmp_path):
    done = shell(f"{COMMAND} sizes --near 32000 | true; echo ${{PIPESTATUS[0]}}", tmp_path)
    assert (done.stdout, done.stderr) == ("141\n", "")


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has a full device")
def test_standard_output_is_full(tmp_path):
    done = shell(f"{COMMAND} sizes --near 32000 > /dev/full", tmp_path)
    assert done.stderr == "vocab: standard output cannot be written: No space left on device\n"
    assert done.returncode == 2


def test_standard_streams_are_closed(tmp_path):
    assert shell(f"{COMMAND} sizes --near 32000 >&- 2>&-", tmp_path).returncode == 0
    done = shell(f"{COMMAND} count --corpus - --out out <&-", tmp_path)
    assert (done.returncode, done.stderr) == (2, "vocab: standard input is closed: give it text, or name files\n")
    assert not (tmp_path / "out").exists()
