"""`vocab count`: bounded memory, interruptions of every kind, shards, and the same bytes in the end."""

import json
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.cli import entries

from vocab.corpus import count_job, job_folder, readers, row_units
from vocab.corpus import count_to_folder as runs
from vocab.corpus.blocks import Position
from vocab.corpus.count_job import CountJob, Shard
from vocab.corpus.count_state import JobState
from vocab.corpus.count_table import CountTable, CountTableWriter
from vocab.corpus.count_to_folder import count_to
from vocab.corpus.job_folder import JobFolder
from vocab.corpus.merging import merge_count_tables
from vocab.corpus.read_options import ReadOptions
from vocab.errors import CorpusError, OutputError, TargetError
from vocab.splitting import CL100K_REGEX, GPT2_REGEX, SplitPattern
from vocab.writing import MARK, foreign_files, result_mark

PATTERN = SplitPattern(CL100K_REGEX)


@pytest.fixture(scope="module")
def corpus(real_text, tmp_path_factory) -> Path:
    """Five files of about 600 kB of JSON lines, with many identifiers of their own."""
    folder = tmp_path_factory.mktemp("corpus")
    rng = random.Random(41)
    for k in range(5):
        texts = [real_text[i : i + 900] + f" id{rng.randrange(10**9)}" for i in range(k * 900, 2_500_000, 4500)]
        (folder / f"{k}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    (folder / "picture.png").write_bytes(b"\x89PNG\0\0")
    return folder


@pytest.fixture(scope="module")
def undisturbed(corpus, tmp_path_factory) -> bytes:
    return count_to(tmp_path_factory.mktemp("undisturbed") / "c", CountJob([str(corpus)], PATTERN)).path.read_bytes()


@pytest.fixture
def many_runs(monkeypatch):
    """Blocks of 100 kB, and runs after each of them."""
    for module in (readers, row_units, count_job):
        monkeypatch.setattr(module, "BLOCK_BYTES", 100_000)
    monkeypatch.setattr(runs._Run, "_table_bytes", lambda self: 1)


def refusal(error: type[Exception], *arguments: object, **options: object) -> str:
    with pytest.raises(error) as caught:
        count_to(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# The same bytes


@pytest.mark.slow
@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_runs_and_threads_do_not_show(corpus, undisturbed, many_runs, tmp_path, n_threads):
    heard = []
    done = count_to(
        tmp_path / "c",
        CountJob([str(corpus)], PATTERN),
        n_threads=n_threads,
        on_progress=lambda *now: heard.append(now),
    )
    assert done.path.read_bytes() == undisturbed
    assert done.n_runs > 30
    assert done.skipped.files == (f"{corpus / 'picture.png'} is an image, sound or video, not text",)
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == [MARK, "counts.parquet", "report.json"]
    counting = [now for stage, now in heard if stage == "count"]
    assert counting[-1].n_stored_bytes == sum(p.stat().st_size for p in corpus.glob("*.jsonl"))
    assert {stage for stage, _ in heard} == {"count", "add up"}
    report = json.loads((tmp_path / "c" / "report.json").read_text())
    assert report["n_pretokens"] == CountTable(done.path).n_rows
    assert report["tally"]["n_bytes_read"] == counting[-1].n_bytes_read


def test_shards_add_up_to_the_whole(corpus, undisturbed, tmp_path):
    (tmp_path / "copy").mkdir()
    for path in corpus.glob("*.jsonl"):
        (tmp_path / "copy" / path.name).symlink_to(path)
    whole = count_to(tmp_path / "whole", CountJob([str(tmp_path / "copy")], PATTERN))
    tables = [
        count_to(tmp_path / f"{k}", CountJob([str(tmp_path / "copy")], PATTERN, shard=Shard(k, 3))).path
        for k in (1, 2, 3)
    ]
    merge_count_tables(tables[::-1], tmp_path / "sum.parquet")
    assert (tmp_path / "sum.parquet").read_bytes() == whole.path.read_bytes()


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "a/b", "1/2/3", "-1/2"])
def test_no_shard(text):
    with pytest.raises(TargetError, match="is not a shard"):
        Shard.parse(text)


def test_more_shards_than_files(corpus, tmp_path):
    job = CountJob([str(corpus / "*.jsonl")], PATTERN, shard=Shard(1, 6))
    assert refusal(TargetError, tmp_path / "c", job).startswith("5 files cannot be shared out to 6 shards")
    assert not (tmp_path / "c").exists()


# Interruptions

KILLED = """
import sys
from pathlib import Path
from vocab.corpus import count_job, count_to_folder, readers, row_units
from vocab.splitting import CL100K_REGEX, SplitPattern
readers.BLOCK_BYTES = row_units.BLOCK_BYTES = count_job.BLOCK_BYTES = 100_000
count_to_folder._Run._table_bytes = lambda self: 1
count_to_folder.count_to(Path(sys.argv[1]), count_job.CountJob([sys.argv[2]], SplitPattern(CL100K_REGEX)), n_threads=2)
"""


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on(corpus, undisturbed, many_runs, tmp_path):
    """SIGKILL comes after some number of runs is on disk, which is then still being added to."""
    n_runs = [0]
    for wanted in (1, 5, 15):  # of more than 30
        process = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path / "c", corpus])
        give_up = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < give_up:
            if len(list((tmp_path / "c").glob("unfinished/run-*.parquet"))) >= wanted:
                break
        process.kill()
        process.wait()
        state = json.loads((tmp_path / "c" / "unfinished" / "progress.json").read_text())
        n_runs.append(len(state["runs"]))
        assert not (tmp_path / "c" / "counts.parquet").exists()
    assert n_runs == sorted(n_runs)
    assert n_runs[-1] > n_runs[1]
    done = count_to(tmp_path / "c", CountJob([str(corpus)], PATTERN))
    assert done.was_resumed
    assert done.path.read_bytes() == undisturbed
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == [MARK, "counts.parquet", "report.json"]


class Killed(BaseException):
    """Stands for SIGKILL at a place that a test chooses: nothing catches it."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("owner", "name"),
    [(runs._Run, "_add_up"), (job_folder, "write_text"), (result_mark, "place"), (JobFolder, "remove_scratch")],
)
def test_killed_while_adding_up(corpus, undisturbed, many_runs, tmp_path, monkeypatch, owner, name):
    job = CountJob([str(corpus)], PATTERN)

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as broken:
        broken.setattr(owner, name, die)
        with pytest.raises(Killed):
            count_to(tmp_path / "c", job)
    assert foreign_files(tmp_path / "c", ["unfinished"], "count") == []
    done = count_to(tmp_path / "c", job)
    assert done.path.read_bytes() == undisturbed
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == [MARK, "counts.parquet", "report.json"]


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_counted_and_says_how_to_go_on(corpus, undisturbed, many_runs, tmp_path):
    slow = KILLED.replace(
        "count_to_folder.count_to(", "from vocab.cli.app import main\nsys.argv[1:] = sys.argv[3:]\nmain("
    )
    slow = re.sub(r"main\(.*\)", "main()", slow)
    arguments = ["count", "--corpus", str(corpus), "--out", str(tmp_path / "c"), "--threads", "2"]
    process = subprocess.Popen(
        [sys.executable, "-c", slow, "-", "-", *arguments], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    while process.poll() is None and not list((tmp_path / "c").glob("unfinished/run-*.parquet")):
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == f"vocab: stopped; what was counted is kept in {tmp_path / 'c'}: repeat the command to go on\n"
    state = json.loads((tmp_path / "c" / "unfinished" / "progress.json").read_text())
    assert state["position"] != {"source": 0, "n_units": 0}
    done = count_to(tmp_path / "c", CountJob([str(corpus)], PATTERN))
    assert done.was_resumed
    assert done.path.read_bytes() == undisturbed


def test_a_broken_file_leaves_finished_runs(corpus, many_runs, tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    for path in sorted(corpus.glob("*.jsonl")):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "5.jsonl").write_bytes(b'{"text": "fine"}\n{"text": \n')
    said = refusal(CorpusError, tmp_path / "c", CountJob([str(folder)], PATTERN))
    assert said.startswith(f"{folder / '5.jsonl'} line 2 is not JSON")
    assert list((tmp_path / "c" / "unfinished").glob("run-*.parquet"))
    (folder / "5.jsonl").write_bytes(b'{"text": "fine"}\n')
    said = refusal(CorpusError, tmp_path / "c", CountJob([str(folder)], PATTERN))
    assert "holds an interrupted count with other files" in said
    done = count_to(tmp_path / "c", CountJob([str(folder)], PATTERN), force=True)
    assert not done.was_resumed


def test_another_job_does_not_go_on_with_it(corpus, many_runs, tmp_path, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(runs._Run, "_add_up", lambda self: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            count_to(tmp_path / "c", CountJob([str(corpus)], PATTERN))
    for job, what in [
        (CountJob([str(corpus)], SplitPattern(GPT2_REGEX)), "split pattern"),
        (CountJob([str(corpus)], PATTERN, ReadOptions(encoding_errors="skip")), "encoding errors"),
        (CountJob([str(corpus)], PATTERN, shard=Shard(1, 2)), "files, shard"),
        (CountJob([str(corpus / "0.jsonl")], PATTERN), "corpus, files"),
    ]:
        assert f"with other {what}" in refusal(CorpusError, tmp_path / "c", job)
    progress = tmp_path / "c" / "unfinished" / "progress.json"
    progress.write_text(progress.read_text().replace('"n_documents": ', '"n_documents": 1'))
    assert "start over with `force`" in refusal(CorpusError, tmp_path / "c", CountJob([str(corpus)], PATTERN))


# Two at once, and what is not ours


def test_a_second_count_into_one_folder_is_refused(corpus, tmp_path):
    job = CountJob([str(corpus)], PATTERN)
    refused = []

    def another() -> None:
        refused.append(refusal(OutputError, tmp_path / "c", job))

    def on_progress(*_: object) -> None:
        if not refused:
            thread = threading.Thread(target=another)
            thread.start()
            thread.join()

    count_to(tmp_path / "c", job, on_progress=on_progress)
    assert refused == [f"{tmp_path / 'c'} is being written by another run: wait for it, or name another place"]


def test_no_two_runs_have_one_name(corpus, many_runs, tmp_path, monkeypatch):
    names = []
    for folder in ("a", "b"):
        with monkeypatch.context() as broken:
            broken.setattr(runs._Run, "_add_up", lambda self: (_ for _ in ()).throw(Killed))
            with pytest.raises(Killed):
                count_to(tmp_path / folder, CountJob([str(corpus / "0.jsonl")], PATTERN))
        names.append({path.name for path in (tmp_path / folder / "unfinished").glob("run-*")})
    assert names[0]
    assert names[0].isdisjoint(names[1])


@pytest.mark.parametrize("damage", ["changed", "swapped", "gone"])
def test_a_damaged_run_is_refused(corpus, many_runs, tmp_path, monkeypatch, damage):
    job = CountJob([str(corpus / "0.jsonl")], PATTERN)
    with monkeypatch.context() as broken:
        broken.setattr(runs._Run, "_add_up", lambda self: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            count_to(tmp_path / "c", job)
    one, other = sorted((tmp_path / "c" / "unfinished").glob("run-*"))[:2]
    if damage == "changed":
        raw = bytearray(one.read_bytes())
        raw[len(raw) // 3] ^= 1
        one.write_bytes(raw)
    elif damage == "swapped":
        one.write_bytes(other.read_bytes())
    else:
        one.unlink()
    kept = {path.name for path in (tmp_path / "c" / "unfinished").iterdir()}
    assert one.name in refusal(CorpusError, tmp_path / "c", job)
    assert {path.name for path in (tmp_path / "c" / "unfinished").iterdir()} >= kept
    assert not (tmp_path / "c" / "counts.parquet").exists()


def foreign_report(out: Path) -> None:
    (out / "report.json").write_text("mine")


def foreign_table(out: Path) -> None:
    (out / "counts.parquet").write_text("mine")


def foreign_scratch(out: Path) -> None:
    (out / "unfinished").mkdir()
    (out / "unfinished" / "novel.txt").write_text("mine")


def foreign_progress(out: Path) -> None:
    (out / "unfinished").mkdir()
    (out / "unfinished" / "progress.json").write_text('{"chapters": 3}')


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("put", [foreign_report, foreign_table, foreign_scratch, foreign_progress])
def test_names_prove_nothing(corpus, tmp_path, put, force):
    (tmp_path / "c").mkdir()
    put(tmp_path / "c")
    before = entries(tmp_path)
    assert "holds other files" in refusal(OutputError, tmp_path / "c", CountJob([str(corpus)], PATTERN), force=force)
    assert entries(tmp_path) == before


def test_a_finished_count_stays_until_another_takes_its_place(corpus, undisturbed, tmp_path, monkeypatch):
    count_to(tmp_path / "c", CountJob([str(corpus)], PATTERN))
    other = CountJob([str(corpus / "0.jsonl")], PATTERN)
    too_little = refusal(TargetError, tmp_path / "c", other, force=True, memory_bytes=10**8)
    assert "MB are too few" in too_little
    with monkeypatch.context() as broken:
        broken.setattr(runs._Run, "_add_up", lambda self: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            count_to(tmp_path / "c", other, force=True)
    assert (tmp_path / "c" / "counts.parquet").read_bytes() == undisturbed
    done = count_to(tmp_path / "c", other)
    assert done.was_resumed
    assert done.path.read_bytes() != undisturbed


# Disks and memory


FULL = """
import resource, signal, sys
from pathlib import Path
from vocab.cli.app import main
from vocab.corpus.count_job import CountJob
from vocab.corpus.count_to_folder import count_to
from vocab.splitting import CL100K_REGEX, SplitPattern
count_to(Path(sys.argv[1]), CountJob([sys.argv[4]], SplitPattern(CL100K_REGEX)))  # so that kernels are compiled
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
sys.argv[1:] = sys.argv[2:]
main()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="file size limits are Linux's")
def test_a_disk_that_takes_no_more(corpus, undisturbed, tmp_path):
    """A limit on the size of files stands for a full disk: a run is refused in the middle."""
    arguments = [tmp_path / "warm", "count", "--corpus", corpus, "--out", tmp_path / "c"]
    done = subprocess.run([sys.executable, "-c", FULL, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert re.fullmatch(r"vocab: \S+/c\S* cannot be written: .*File too large.*\n", done.stderr), done.stderr
    assert not list((tmp_path / "c").glob("**/.*"))
    assert count_to(tmp_path / "c", CountJob([str(corpus)], PATTERN)).path.read_bytes() == undisturbed


def test_a_full_disk_while_runs_are_written(corpus, undisturbed, many_runs, tmp_path, monkeypatch):
    write, n_written = CountTableWriter.write, []

    def fills_up(self, rows):
        n_written.append(1)
        if len(n_written) == 8:
            raise OutputError("run cannot be written: No space left on device")
        write(self, rows)

    with monkeypatch.context() as broken:
        broken.setattr(CountTableWriter, "write", fills_up)
        assert "No space left" in refusal(OutputError, tmp_path / "c", CountJob([str(corpus)], PATTERN))
    done = count_to(tmp_path / "c", CountJob([str(corpus)], PATTERN))
    assert done.was_resumed
    assert done.path.read_bytes() == undisturbed


def test_too_little_memory(corpus, tmp_path):
    said = refusal(TargetError, tmp_path / "c", CountJob([str(corpus)], PATTERN), memory_bytes=10**8)
    assert re.search(r"^100 MB are too few: give `memory_bytes` at least \d+MB$", said)


def run_with(memory_bytes: int, n_threads: int, monkeypatch, resident: int) -> SimpleNamespace:
    monkeypatch.setattr(runs, "resident_bytes", lambda: resident)
    settings = runs._Settings(memory_bytes, n_threads, lambda stage, progress: None)
    return SimpleNamespace(settings=settings)


@pytest.mark.parametrize(("n_threads", "free"), [(1, 1_632_891_136), (4, 1_431_564_544)])
def test_tables_take_their_share_of_what_process_and_threads_leave(n_threads, free, monkeypatch):
    run = run_with(2 * 10**9, n_threads, monkeypatch, 300 * 10**6)
    assert runs._Run._table_bytes(run) == int(0.4 * free)


@pytest.mark.parametrize("resident", [300 * 10**6, 299_500_000, 299_326_000])
def test_the_least_memory_that_is_named_is_enough_and_one_megabyte_less_is_not(resident, monkeypatch):
    with pytest.raises(TargetError) as caught:
        runs._Run._table_bytes(run_with(10**8, 1, monkeypatch, resident))
    least = int(re.search(r"at least (\d+)MB$", str(caught.value))[1]) * 10**6
    assert runs._Run._table_bytes(run_with(least, 1, monkeypatch, resident)) >= 32 << 20
    with pytest.raises(TargetError):
        runs._Run._table_bytes(run_with(least - 10**6, 1, monkeypatch, resident))


@pytest.mark.parametrize("n_threads", [1, 44, 64, 256])
def test_the_usual_memory_is_enough_for_any_number_of_threads(n_threads, monkeypatch):
    usual = runs._usual_memory(n_threads)
    assert usual >= 4 * 10**9
    assert (usual == 4 * 10**9) == (n_threads <= 44)
    assert runs._Run._table_bytes(run_with(usual, n_threads, monkeypatch, 300 * 10**6)) > 32 << 20


def test_folders_with_other_things(corpus, tmp_path):
    job = CountJob([str(corpus)], PATTERN)
    (tmp_path / "file").write_text("")
    assert "is a file" in refusal(OutputError, tmp_path / "file", job)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_text("")
    assert "holds other files (cat.png)" in refusal(OutputError, tmp_path / "photos", job, force=True)
    count_to(tmp_path / "c", job)
    (tmp_path / "c" / "unfinished").mkdir()
    (tmp_path / "c" / "unfinished" / "run-000000-01234567.parquet").write_text("")  # as a kill in the end leaves it
    assert "holds a finished count already" in refusal(OutputError, tmp_path / "c", job)
    assert not (tmp_path / "c" / "unfinished").exists()
    assert count_to(tmp_path / "c", job, force=True).n_pretokens > 0


def test_nothing_to_count(tmp_path):
    (tmp_path / "empty.txt").write_text("")
    job = CountJob([str(tmp_path / "empty.txt")], PATTERN)
    assert "is empty: there is no text to count" in refusal(CorpusError, tmp_path / "c", job)
    assert not (tmp_path / "c").exists()
    (tmp_path / "binary.txt").write_bytes(b"a\0b")
    assert "is not text: " in refusal(CorpusError, tmp_path / "c", CountJob([str(tmp_path / "binary.txt")], PATTERN))
    assert not (tmp_path / "c").exists()


def test_standard_input_cannot_go_on(many_runs, tmp_path, monkeypatch):
    state = JobState({}, Position(0, 1), {"run-000000-01234567.parquet": ""})
    (tmp_path / "c" / "unfinished").mkdir(parents=True)
    monkeypatch.setattr(JobState, "check_same", lambda *_: None)
    (tmp_path / "c" / "unfinished" / "run-000000-01234567.parquet").write_text("")
    state.save(tmp_path / "c" / "unfinished" / "progress.json")
    assert "start over with `force`" in refusal(CorpusError, tmp_path / "c", CountJob(["-"], PATTERN))
