"""Steps of a datatrove pipeline: killed tasks, bounded memory, and the same rows as on one machine."""

import gzip
import importlib
import json
import os
import random
import re
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from vocab.corpus.count_job import CountJob, Shard
from vocab.corpus.count_table import CountTable, read_part
from vocab.corpus.count_to_folder import count_to
from vocab.corpus.counting import count
from vocab.corpus.merging import merge_count_tables
from vocab.errors import CorpusError, MissingExtraError, OutputError, SourceError, TargetError
from vocab.splitting import CL100K_REGEX, GPT2_REGEX, SplitPattern

try:
    from datatrove.data import Document
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.readers import JsonlReader
except ImportError:
    HAS_DATATROVE = False
else:
    HAS_DATATROVE = True

from vocab.corpus.distributed import CountPretokens, MergeCounts

needs_datatrove = pytest.mark.skipif(not HAS_DATATROVE, reason="pip install 'vocabkit[distributed]'")

PATTERN = SplitPattern(CL100K_REGEX)
TASKS = 4
N_FILES = 6
TINY = 300_000  # less than two empty tables take, so that every 300 kB of text become a run

# Counts a corpus with four tasks on two workers. Once, one of them is killed in the middle of its documents.
SCRIPT = """
import os, signal
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.readers import JsonlReader
from vocab.corpus.distributed import CountPretokens

HERE = Path(__file__).parent


def die_once(data, rank=0, world_size=1):
    for k, document in enumerate(data):
        if rank == 1 and k == 100 and not (HERE / "died").exists():
            (HERE / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield document


if __name__ == "__main__":
    count = CountPretokens(str(HERE / "tables"), memory_bytes=30_000, scratch=HERE / "scratch")
    pipeline = [JsonlReader(str(HERE / "corpus")), count, die_once]
    # Forked workers need not import everything again.
    LocalPipelineExecutor(pipeline, 4, 2, logging_dir=str(HERE / "logs"), start_method="fork").run()
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, nasty) -> Path:
    """JSON lines in six files, one of them packed, with a document without text."""
    folder = tmp_path_factory.mktemp("distributed") / "corpus"
    folder.mkdir()
    rng = random.Random(8)
    words = [word for text in nasty for word in text.split(" ")]
    for k in range(N_FILES):
        texts = [" ".join(rng.choices(words, k=rng.randint(1, 60))) for _ in range(120)]
        lines = "".join(json.dumps({"text": text}) + "\n" for text in [*texts, *rng.sample(nasty, 5), ""])
        if k:
            (folder / f"{k}.jsonl").write_text(lines, encoding="utf-8")
        else:
            (folder / f"{k}.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    return folder


@pytest.fixture(scope="module")
def undisturbed(corpus) -> Path:
    """Where the tables of four tasks are, and their sum."""
    folder = corpus.parent / "undisturbed"
    run([JsonlReader(str(corpus)), CountPretokens(str(folder / "tables"))], folder / "logs")
    run([MergeCounts(folder / "tables", folder / "counts.parquet", tasks=TASKS)], folder / "logs-merge", tasks=1)
    return folder


def run(pipeline: list, logs: Path, tasks: int = TASKS) -> None:
    LocalPipelineExecutor(pipeline, tasks=tasks, workers=1, logging_dir=str(logs)).run()


def counted(texts: list[str], folder: Path | str, rank: int = 0, world_size: int = 1, **options) -> "CountPretokens":
    step = CountPretokens(folder, **options)
    documents = [Document(text=text, id=f"d{k}") for k, text in enumerate(texts)]
    assert list(step.run(documents, rank, world_size)) == documents
    return step


def merge(*arguments, **options) -> None:
    assert list(MergeCounts(*arguments, **options).run()) == []


def rows(part) -> list[dict[bytes, tuple[int, int]]]:
    """Count and number of documents of each pre-token, on both sides."""
    sides = (part.train, part.held_out)
    return [
        dict(zip(s.pretokens(), zip(s.counts.tolist(), s.document_counts.tolist(), strict=True), strict=True))
        for s in sides
    ]


# The whole pipeline


@needs_datatrove
def test_sum_has_the_rows_of_one_machine(undisturbed, corpus):
    total = undisturbed / "counts.parquet"
    whole = count(str(corpus), PATTERN).parts[0]
    part = read_part(total, PATTERN)
    assert rows(part) == rows(whole)
    assert all(rows(part))
    # What differs: datatrove's readers leave documents without text out.
    assert whole.tally.n_documents - part.tally.n_documents == sum(
        not json.loads(line)["text"]
        for path in corpus.iterdir()
        for line in (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8")
    )
    assert part.tally.n_bytes_read == whole.tally.n_bytes_read
    assert part.tally.n_documents_held_out > 0


@needs_datatrove
def test_sum_has_the_rows_of_merged_shards(undisturbed, corpus, tmp_path):
    shards = [count_to(tmp_path / f"{k}", CountJob([str(corpus)], PATTERN, shard=Shard(k, 2))).path for k in (1, 2)]
    merge_count_tables(shards, tmp_path / "counts.parquet")
    assert pq.read_table(undisturbed / "counts.parquet").equals(pq.read_table(tmp_path / "counts.parquet"))


@pytest.mark.slow
@needs_datatrove
def test_task_that_is_killed_and_run_again(undisturbed, corpus, tmp_path):
    (tmp_path / "pipeline.py").write_text(SCRIPT)
    (tmp_path / "corpus").symlink_to(corpus)
    (tmp_path / "scratch").mkdir()
    command = [sys.executable, str(tmp_path / "pipeline.py")]
    finished = run_until_one_task_died(command, tmp_path)
    left = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "tables").iterdir()}
    assert sorted(left) == finished  # nothing half-written of the task that died, though it had runs on disk
    assert list((tmp_path / "scratch").glob("vocab-count-00001-*/run-*.parquet"))

    again = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    tables = sorted((tmp_path / "tables").iterdir())
    assert [path.name for path in tables] == [f"{rank:05d}.parquet" for rank in range(TASKS)]
    for path in tables:
        assert path.read_bytes() == (undisturbed / "tables" / path.name).read_bytes()
        assert left.get(path.name, path.stat().st_mtime_ns) == path.stat().st_mtime_ns  # finished tasks were skipped
    merge(str(tmp_path / "tables"), str(tmp_path / "counts.parquet"), tasks=TASKS)
    assert (tmp_path / "counts.parquet").read_bytes() == (undisturbed / "counts.parquet").read_bytes()


def run_until_one_task_died(command: list[str], folder: Path) -> list[str]:
    """Names of the tables of the other tasks. Datatrove's local executor waits for the dead one: it is ended too."""
    others = [f"{rank:05d}" for rank in range(TASKS) if rank != 1]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while (
            not all((folder / "logs" / "completions" / name).exists() for name in others)
            or not (folder / "died").exists()
        ):
            assert process.poll() is None, (folder / "output").read_text()
            assert time.monotonic() < deadline, (folder / "output").read_text()
            time.sleep(0.05)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return [f"{name}.parquet" for name in others]


@pytest.mark.slow
@needs_datatrove
def test_scripts_of_the_documentation(undisturbed, corpus, tmp_path, monkeypatch):
    text = (Path(__file__).parents[2] / "docs/distributed.md").read_text(encoding="utf-8")
    scripts = {body.split()[1].rstrip(":"): body for body in re.findall(r"```python\n(.*?)```", text, re.DOTALL)}
    assert sorted(scripts) == ["local.py", "ray_job.py", "slurm.py", "stages.py"]
    ours = {
        "s3://my-bucket/vocab": str(tmp_path / "place"),
        "s3://my-bucket/corpus": str(corpus),
        "*.jsonl.gz": "*.jsonl*",
        "TASKS = 256": f"TASKS = {TASKS}",
        "workers=8": "workers=1",
    }
    for name, body in scripts.items():
        compile(body, name, "exec")
        for theirs, mine in ours.items():
            body = body.replace(theirs, mine)
        (tmp_path / name).write_text(body, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        runpy.run_path(str(tmp_path / "local.py"), run_name="__main__")
    finally:
        sys.modules.pop("stages", None)
    found, expected = (pq.read_table(folder / "counts.parquet") for folder in (tmp_path / "place", undisturbed))
    assert found.equals(expected)


# One task


@needs_datatrove
def test_memory_changes_no_byte(nasty, tmp_path):
    rng = random.Random(5)
    texts = [f"{rng.random()} {text}" * 40 for text in nasty * 20]
    few = counted(texts, tmp_path / "few")
    many = counted(texts, tmp_path / "many", memory_bytes=TINY, scratch=tmp_path)
    one = counted(texts[:40], tmp_path / "one", memory_bytes=1)
    assert n_runs(few) == 2
    assert n_runs(many) > 6
    assert n_runs(one) == 40  # more than are read side by side
    assert (tmp_path / "few/00000.parquet").read_bytes() == (tmp_path / "many/00000.parquet").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["few", "many", "one"]  # no runs left behind


def n_runs(step) -> int:
    return step.stats["runs"].total


@needs_datatrove
def test_step_that_fails_leaves_nothing(tmp_path):
    documents = (Document(text="text", id=f"{k}") if k < 9 else 1 / 0 for k in range(10))
    with pytest.raises(ZeroDivisionError):
        list(CountPretokens(tmp_path / "tables", memory_bytes=1, scratch=tmp_path).run(documents))
    assert list(tmp_path.iterdir()) == []


@needs_datatrove
def test_lone_surrogates_are_repaired_as_everywhere(tmp_path):
    counted(["a \ud800 b"], tmp_path)
    table = CountTable(tmp_path / "00000.parquet")
    assert table.metadata.tally.n_documents_repaired == 1
    assert b" \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" in pq.read_table(table.path)["pretoken"].to_pylist()


@needs_datatrove
@pytest.mark.parametrize("text", [None, 5, b"bytes"])
def test_document_that_holds_no_text(tmp_path, text):
    with pytest.raises(CorpusError, match=f"document d0 holds {type(text).__name__} and not text"):
        counted([text], tmp_path)


@needs_datatrove
def test_other_file_systems_and_patterns(tmp_path):
    counted(["First document."], "memory://vocab-test/tables", 0, 2, split_pattern=GPT2_REGEX, corpus="two")
    counted([], "memory://vocab-test/tables", 1, 2, split_pattern=GPT2_REGEX, corpus="two")  # fewer files than tasks
    merge("memory://vocab-test/tables", ("memory://vocab-test/sum.parquet", {}), tasks=2)
    merge("memory://vocab-test/tables", tmp_path / "deep/er/sum.parquet", tasks=2)
    facts = CountTable(tmp_path / "deep/er/sum.parquet").metadata
    assert facts.split_pattern == GPT2_REGEX
    assert facts.corpus == ({"place": "two (tasks: 2)", "n_tasks": 2},)
    stored = JsonlReader("memory://vocab-test").data_folder.cat_file("sum.parquet")
    assert stored == (tmp_path / "deep/er/sum.parquet").read_bytes()


@needs_datatrove
@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"split_pattern": "("}, SourceError, "not a regular expression"),
        ({"split_pattern": r"\w{1,3}+"}, SourceError, "possessive"),
        ({"memory_bytes": 0}, TargetError, "0 bytes of memory are too few"),
    ],
)
def test_wrong_options_are_refused_before_anything_runs(tmp_path, options, error, sentence):
    with pytest.raises(error, match=sentence):
        CountPretokens(tmp_path, **options)


@needs_datatrove
def test_no_scratch_folder(tmp_path):
    with pytest.raises(OutputError, match=r"nowhere cannot be written: No such file"):
        counted(["text"], tmp_path, scratch=tmp_path / "nowhere")


# Adding up


@needs_datatrove
def test_sum_of_tables_that_are_not_all_there(tmp_path):
    for rank in (0, 2):
        counted(["text"], tmp_path / "tables", rank, 4)
    with pytest.raises(CorpusError, match=r"lacks the count tables of 2 of 4 tasks \(00001.parquet, 00003.parquet\)"):
        merge(tmp_path / "tables", tmp_path / "sum.parquet", tasks=4)
    assert not (tmp_path / "sum.parquet").exists()


@needs_datatrove
def test_sum_of_tables_of_another_number_of_tasks(tmp_path):
    for rank in range(2):
        counted(["text"], tmp_path / "tables", rank, 3 - rank)
    with pytest.raises(CorpusError, match=r"holds tables of different jobs \(datatrove \(tasks: 2\) \+ datatrove"):
        merge(tmp_path / "tables", tmp_path / "sum.parquet", tasks=2)
    with pytest.raises(CorpusError, match=r"holds tables of other tasks than 1 \(00001.parquet\)"):
        merge(tmp_path / "tables", tmp_path / "sum.parquet", tasks=1)


@needs_datatrove
def test_sum_of_a_table_that_is_cut_off(tmp_path):
    counted(["text"], tmp_path / "tables")
    table = tmp_path / "tables/00000.parquet"
    table.write_bytes(table.read_bytes()[:-9])
    with pytest.raises(CorpusError, match=r"00000.parquet cannot be read"):
        merge(tmp_path / "tables", tmp_path / "sum.parquet", tasks=1)


@needs_datatrove
def test_sum_of_nothing(tmp_path):
    counted([], tmp_path / "tables")
    with pytest.raises(CorpusError, match="is text_key of the reader the column of text"):
        merge(tmp_path / "tables", tmp_path / "sum.parquet", tasks=1)


@needs_datatrove
def test_sum_is_work_for_one_task_and_a_file(tmp_path):
    with pytest.raises(TargetError, match="give its executor tasks=1"):
        list(MergeCounts(tmp_path, tmp_path / "sum.parquet", tasks=2).run(None, 0, 2))
    with pytest.raises(TargetError, match="name a file for the sum"):
        MergeCounts(tmp_path, f"{tmp_path}/", tasks=2)


# Without datatrove


def test_without_datatrove(monkeypatch, tmp_path):
    for name in [name for name in sys.modules if name.partition(".")[0] == "datatrove"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "datatrove", None)
    monkeypatch.delitem(sys.modules, "vocab.corpus.distributed")
    module = importlib.import_module("vocab.corpus.distributed")
    hint = r"needs the package datatrove, which is not installed: pip install 'vocabkit\[distributed\]'"
    with pytest.raises(MissingExtraError, match=f"CountPretokens {hint}"):
        module.CountPretokens(tmp_path)
    with pytest.raises(MissingExtraError, match=f"MergeCounts {hint}"):
        module.MergeCounts(tmp_path, tmp_path / "sum.parquet", tasks=1)
