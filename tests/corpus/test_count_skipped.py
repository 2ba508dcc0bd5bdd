"""What a count leaves out is in its report, whatever the threads, shards and interruptions."""

import gzip
import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vocab.corpus import count_job, readers, row_units
from vocab.corpus import count_to_folder as runs
from vocab.corpus.count_job import CountJob, Shard
from vocab.corpus.count_to_folder import count_to
from vocab.corpus.job_folder import JobFolder
from vocab.corpus.read_options import ReadOptions
from vocab.errors import CorpusError
from vocab.splitting import CL100K_REGEX, SplitPattern

PATTERN = SplitPattern(CL100K_REGEX)
# What a report says of what was left out.
SAID = ("tally", "n_files_skipped", "n_hidden_skipped", "files_skipped", "rows_skipped", "rows_without_text")


@pytest.fixture
def corpus(tmp_path) -> Path:
    """Good and bad files by turns, of many blocks each."""
    rng = random.Random(7)
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / ".hidden").write_text("no")
    (folder / "a.png").write_bytes(b"\x89PNG\r\n")
    for k in range(4):
        text = " ".join(f"word{rng.randrange(9999)}" for _ in range(9000))
        rows = [{"text": text[i : i + 500] if i % 3 else None, "id": i} for i in range(0, len(text), 499)]
        lines = [json.dumps(row) if row["id"] % 5 else "bad" for row in rows]
        (folder / f"{k}-b.jsonl").write_text("\n".join(lines))
        (folder / f"{k}-c.csv").write_text(
            "text,id\n" + "".join(f"{row['text'] or ''},1\n" for row in rows) + "1,2,3\n"
        )
        (folder / f"{k}-d.bin").write_bytes(rng.randbytes(5000))
        (folder / f"{k}-e.txt.gz").write_bytes(gzip.compress(text.encode())[:9000])
        (folder / f"{k}-f.txt").write_text(text)
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{k}-g.parquet")
    return folder


@pytest.fixture
def small_blocks(monkeypatch):
    for module in (readers, row_units, count_job):
        monkeypatch.setattr(module, "BLOCK_BYTES", 10_000)


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def job(corpus: Path, **how: str) -> CountJob:
    return CountJob([str(corpus)], PATTERN, ReadOptions(on_error="skip", **how))


def said(folder: Path) -> dict[str, object]:
    report = json.loads((folder / "report.json").read_text())
    return {name: report[name] for name in SAID}


def test_the_report_says_what_was_left_out(corpus, small_blocks, tmp_path):
    done = count_to(tmp_path / "c", job(corpus), n_threads=3)
    report = said(tmp_path / "c")
    assert report["n_files_skipped"] == 1 + 4 + 4  # a picture, random bytes, and cut files
    assert report["n_hidden_skipped"] == 1
    assert [text.split(" ")[0] for text in report["files_skipped"]] == [
        str(corpus / name) for name in ("a.png", *(f"{k}-{name}" for k in range(4) for name in ("d.bin", "e.txt.gz")))
    ]
    assert report["rows_skipped"][0].startswith(f"{corpus / '0-b.jsonl'} line 1 is not JSON")
    assert len(report["rows_skipped"]) == 20
    tally = done.metadata.tally
    assert tally.n_rows_skipped > 4 * 20
    assert tally.n_rows_without_text > 4 * 50
    sentences = done.skipped.sentences(tally.n_rows_without_text, tally.n_rows_skipped)
    assert [text.split(" left out")[0] for text in sentences] == [
        "9 files were",
        "1 hidden file or folder was",
        f"{tally.n_rows_without_text:,} rows without text were",
        f"{tally.n_rows_skipped:,} bad rows were",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("n_threads", [1, 3])
def test_killed_at_any_run_it_says_the_same(corpus, small_blocks, tmp_path, monkeypatch, n_threads):
    whole = count_to(tmp_path / "whole", job(corpus)).path.read_bytes()
    monkeypatch.setattr(runs._Run, "_table_bytes", lambda self: 1)
    save, n_saved, n_killed = JobFolder.save, 0, 0

    def save_and_die(self, state):
        nonlocal n_saved
        save(self, state)
        n_saved += 1
        if n_saved % 4 == 0:
            raise Killed

    monkeypatch.setattr(JobFolder, "save", save_and_die)
    while True:
        try:
            done = count_to(tmp_path / "c", job(corpus), n_threads=n_threads)
            break
        except Killed:
            n_killed += 1
    assert n_killed > 8
    assert done.path.read_bytes() == whole
    assert said(tmp_path / "c") == said(tmp_path / "whole")


def test_shards_leave_out_what_the_whole_does(corpus, small_blocks, tmp_path):
    whole = count_to(tmp_path / "whole", job(corpus)).metadata.tally
    parts = []
    for number in (1, 2, 3):
        shard = CountJob([str(corpus)], PATTERN, ReadOptions(on_error="skip"), Shard(number, 3))
        parts.append(count_to(tmp_path / f"part-{number}", shard).metadata.tally)
    assert parts[0] + parts[1] + parts[2] == whole


def test_another_way_of_errors_is_another_job(corpus, small_blocks, tmp_path, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(runs._Run, "_add_up", lambda self: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            count_to(tmp_path / "c", job(corpus))
    with pytest.raises(CorpusError, match="holds an interrupted count with other on error"):
        count_to(tmp_path / "c", CountJob([str(corpus)], PATTERN))


def test_a_count_of_nothing_says_why(tmp_path):
    for names, reason in ([], "no corpus is named"), (["x", "x"], "named twice"), ([""], "is empty: give a file"):
        with pytest.raises(CorpusError, match=reason):
            count_to(tmp_path / "c", CountJob(names, PATTERN))
    (tmp_path / "a.jsonl").write_text('{"body": 1}\n')
    with pytest.raises(CorpusError, match=r"has no text in column 'text' in any row \(\S+/a.jsonl line 1 has: body\)"):
        count_to(tmp_path / "c", CountJob([str(tmp_path / "a.jsonl")], PATTERN))
    assert not (tmp_path / "c").exists()
