"""The `vocab` command: what it prints, what it writes, and one sentence for all that goes wrong."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.cli import COMMAND, entries, fails, run, run_process
from tokenizers import Tokenizer

import vocab
from vocab.vocabulary import Provenance, Vocabulary
from vocab.writing import MARK, staged_folder

FILES = {
    "README.md",
    "id_map.json",
    "report.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
}


@pytest.fixture(scope="module")
def work(tmp_path_factory, cl100k, real_text) -> Path:
    """A folder with a small source (quick to load), a corpus, and a result."""
    folder = tmp_path_factory.mktemp("cli")
    special = {"<|endoftext|>": 3000}
    small = Vocabulary.from_tokens(
        list(cl100k.tokens())[:3000], cl100k.pattern, special, provenance=Provenance("small")
    )
    small.save(folder / "small")
    (folder / "corpus.txt").write_text(real_text[:400_000], encoding="utf-8")
    parts = [real_text[k : k + 4000] for k in range(0, 400_000, 4000)]
    (folder / "corpus.jsonl").write_text("".join(json.dumps({"text": part}) + "\n" for part in parts))
    done = run_process(*PRUNE, "--out", "result", where=folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    (folder / "screen.txt").write_text(done.stdout, encoding="utf-8")
    return folder


PRUNE = ("prune", "--source", "small", "--corpus", "corpus.jsonl", "--target", 1000, "--threads", 1)


# What is shown


def test_help_names_every_command(tmp_path):
    done = run_process("--help", where=tmp_path)
    assert done.returncode == 0
    assert all(f"\n  {name} " in done.stdout for name in ("prune", "eval", "inspect", "diff", "frontier"))
    assert run("prune", "--help", where=tmp_path).stdout.startswith("Usage:")


def test_version(tmp_path):
    from importlib.metadata import version

    assert run("--version", where=tmp_path).stdout == f"vocab {version('vocabkit')}\n"


@pytest.mark.parametrize("line", ["import vocab.cli.app", "from vocab.cli.app import app; app(['prune', '--help'])"])
def test_help_loads_nothing_heavy(line):
    heavy = ("numba", "torch", "numpy", "pyarrow", "tiktoken", "tokenizers", "transformers", "datasets")
    code = (
        f"import sys\ntry:\n    {line}\nexcept SystemExit:\n    pass\n"
        f"print(*[name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split() == []


@pytest.mark.parametrize(
    "arguments", [["prune"], ["prune", "--target", "many"], ["prune", "--targets", "5"], ["trim"], ["eval"]]
)
def test_a_wrong_option_is_explained(arguments, tmp_path):
    done = run(*arguments, where=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage:")
    assert "Traceback" not in done.stderr


# Pruning


def test_prune_writes_the_files(work):
    assert {p.name for p in (work / "result").iterdir()} == FILES | {MARK, "small-1000.tiktoken", "small-1000.json"}
    assert not any(name.startswith(".") for name in entries(work))
    loaded = vocab.load(work / "result")
    assert (loaded.n_ids, loaded.max_id) == (1000, 999)
    assert Tokenizer.from_file(str(work / "result/tokenizer.json")).get_vocab_size() == 1000
    report = json.loads((work / "result/report.json").read_text())
    assert (report["target"], report["method"], report["n_unreachable"]) == (1000, "distill", 0)


def test_prune_shows_one_table_of_at_most_100_columns(work):
    screen = (work / "screen.txt").read_text(encoding="utf-8")
    assert max(map(len, screen.splitlines())) <= 100
    report = json.loads((work / "result/report.json").read_text())
    for row in report["rows"]:
        line = next(line for line in screen.splitlines() if re.match(rf" *{row['name']} +[0-9]", line))
        assert f"{row['train']['bytes_per_token']:.3f}" in line
        assert f"{row['held_out_change']:+.2%}" in line
        assert row["held_out"]["n_bytes"] > 0
    assert "0 unreachable" in screen


def test_prune_from_standard_input_gives_what_a_file_gives(work, tmp_path):
    from vocab.prune import prune

    given = (work / "corpus.txt").read_text(encoding="utf-8")
    source = vocab.load(work / "small")
    prune(source, 1000, corpus=vocab.count(work / "corpus.txt", source.pattern)).save(tmp_path / "api")
    done = run(*PRUNE[:3], "--corpus", "-", "--target", 1000, "--out", tmp_path / "out", where=work, given=given)
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("tokenizer.json", "small-1000.tiktoken", "id_map.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "api" / name).read_bytes()
    assert json.loads((tmp_path / "out/report.json").read_text())["corpus"]["parts"][0]["name"] == "-"


@pytest.mark.slow
def test_prune_gives_the_same_files_in_another_process(work, tmp_path):
    done = run_process(*PRUNE[:-2], "--threads", 3, "--out", tmp_path / "out", where=work, PYTHONHASHSEED="7")
    assert done.returncode == 0
    again, first = entries(tmp_path / "out"), entries(work / "result")
    reports = [json.loads(files.pop("report.json")) for files in (again, first)]
    assert again.keys() == first.keys()
    del again[MARK], first[MARK]  # which has digests of the reports
    assert again == first
    for report in reports:
        del report["seconds"]
    assert reports[0] == reports[1]


def test_prune_with_every_option(work, tmp_path):
    (tmp_path / "keep.txt").write_text('ing\n" the"\n"\\n\\n"\n')
    options = ["--method", "leaf", "--inference", "least-tokens", "--keep", tmp_path / "keep.txt"]
    options += ["--special", "<|a|>", "--special", "<|b|>", "--pad-to-multiple-of", "64", "--column", "body"]
    options += ["--corpus", tmp_path / "more.jsonl", "--out", tmp_path / "a/b/out"]
    (tmp_path / "more.jsonl").write_text(json.dumps({"body": "Some more text. " * 50}) + "\n")
    done = run("prune", "--source", "small", "--target", 1000, "--corpus", "corpus.txt", *options, where=work)
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert "multiple of 64: 1,024 (24 unused)" in done.stdout
    loaded = vocab.load(tmp_path / "a/b/out")
    assert loaded.inference == "least-tokens"
    assert {b"ing", b" the", b"\n\n"} <= set(loaded.tokens())
    assert dict(loaded.special_tokens) == {"<|endoftext|>": 997, "<|a|>": 998, "<|b|>": 999}
    assert {p.name for p in (tmp_path / "a/b/out").iterdir()} == FILES | {MARK}


def test_prune_with_force_replaces_an_earlier_result(work, tmp_path):
    arguments = ["prune", "--source", work / "small", "--corpus", work / "corpus.txt", "--method", "rank"]
    assert run(*arguments, "--target", 900, where=tmp_path).returncode == 0
    assert [p.name for p in tmp_path.iterdir()] == ["small-900"]
    done = run(*arguments, "--target", 800, "--out", "small-900", "--force", where=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert vocab.load(tmp_path / "small-900").n_ids == 800
    assert [p.name for p in tmp_path.iterdir()] == ["small-900"]


# What cannot be


@pytest.fixture(scope="module")
def bad(work) -> Path:
    """Corpora, sources and folders that cannot be used."""
    folder = work / "bad"
    folder.mkdir()
    (folder / "empty.txt").touch()
    (folder / "binary.bin").write_bytes(bytes(range(256)) * 100)
    (folder / "broken.jsonl").write_text('{"text": "a"}\n{"text": \n')
    (folder / "broken.gz").write_bytes(b"not packed")
    pq.write_table(pa.table({"body": ["a"]}), folder / "other.parquet")
    (folder / "nothing").mkdir()
    (folder / "foreign").mkdir()
    (folder / "foreign/thesis.tex").write_text("mine")
    (folder / "short.tiktoken").write_bytes((work / "small/small.tiktoken").read_bytes()[:1000])
    (folder / "short.json").write_bytes((work / "small/small.json").read_bytes())
    (folder / "tokenizer.json").write_text("{}")
    (folder / "keep.txt").write_text(" the\nno such token\n")
    (folder / "quoted.txt").write_text('"\\x"\n')
    (folder / "latin.txt").write_bytes(b"\xff\xfe\n")
    return folder


REFUSED = {
    "target 10": (["--target", 10], "target 10 is too small"),
    "target 0": (["--target", 0], "too small"),
    "target -1": (["--target", -1], "too small"),
    "target 10 million": (["--target", 10_000_000], "target 10000000 is above the 3001 ids of small"),
    "target as large as the source": (["--target", 3001], "nothing to prune"),
    "missing corpus": (["--corpus", "nowhere/text.txt"], "nowhere/text.txt: no such file"),
    "glob without files": (["--corpus", "*.nothing"], "no such file"),
    "empty corpus": (["--corpus", "bad/empty.txt"], "is empty"),
    "empty folder": (["--corpus", "bad/nothing"], "holds no files"),
    "binary corpus": (["--corpus", "bad/binary.bin"], "is not text"),
    "broken JSON": (["--corpus", "bad/broken.jsonl"], "line 2 is not JSON"),
    "broken gzip": (["--corpus", "bad/broken.gz"], "cannot be read"),
    "other column": (["--corpus", "bad/other.parquet"], "has no column 'text' (it has: body)"),
    "corpus named twice": (["--corpus", "corpus.jsonl"], "named twice"),
    "missing source": (["--source", "nowhere/small.tiktoken"], "no such file"),
    "unknown source": (["--source", "nonsense"], "no vocabulary is named 'nonsense'"),
    "truncated source": (["--source", "bad/short.tiktoken"], "short.tiktoken"),
    "source of another kind": (["--source", "bad/tokenizer.json"], "is not a tokenizer.json"),
    "source folder with nothing": (["--source", "bad/nothing"], "holds neither"),
    "out in a file": (["--out", "corpus.txt/out"], "cannot be written"),
    "out is a file": (["--out", "corpus.txt"], "is a file"),
    "out is a file, with force": (["--out", "corpus.txt", "--force"], "is a file"),
    "out is an earlier result": (["--out", "result"], "holds an earlier result"),
    "out holds other files": (["--out", "bad/foreign"], "holds other files (thesis.tex)"),
    "out holds other files, with force": (["--out", "bad/foreign", "--force"], "holds other files (thesis.tex)"),
    "out is here": (["--out", ".", "--force"], "holds other files"),
    "keep: no file": (["--keep", "nowhere.txt"], "cannot be read from nowhere.txt: No such file or directory"),
    "keep: a folder": (["--keep", "bad"], "cannot be read from bad"),
    "keep: not UTF-8": (["--keep", "bad/latin.txt"], "cannot be read from bad/latin.txt"),
    "keep: not in the source": (["--keep", "bad/keep.txt"], "is not in small"),
    "keep: quotes that hold no string": (["--keep", "bad/quoted.txt"], "cannot be read from bad/quoted.txt"),
    "special: empty": (["--special", ""], "cannot be empty"),
    "special: there already": (["--special", "<|endoftext|>"], "is there already"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_prune_refuses(reason, work, bad):
    arguments, message = REFUSED[reason]
    assert message in fails(work, *PRUNE, *arguments)


@pytest.mark.slow
@pytest.mark.parametrize("reason", ["missing corpus", "out holds other files, with force", "target 10 million"])
def test_prune_refuses_as_a_process(reason, work, bad):
    arguments, message = REFUSED[reason]
    assert message in fails(work, *PRUNE, *arguments, run=run_process)


def test_empty_standard_input(work):
    assert "is empty" in fails(work, *PRUNE[:3], "--corpus", "-", "--target", 1000, given="")


def test_several_patterns_cannot_read_standard_input(work, tmp_path):
    Vocabulary.from_tokens([bytes([b]) for b in range(256)], vocab.SplitPattern(r"\S+|\s+")).save(tmp_path / "other")
    assert "give a file" in fails(work, "eval", "small", tmp_path / "other", "--corpus", "-", given="some text")


@pytest.mark.parametrize(
    "arguments", [["eval", "nonsense"], ["inspect", "nowhere/x"], ["diff", "small", "bad/nothing"]]
)
def test_other_commands_refuse(arguments, work, bad):
    fails(work, *arguments)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_may_not_be_written(work, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o555)
    assert "Permission denied" in fails(work, *PRUNE, "--out", tmp_path / "locked/out")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="process groups")
def test_ctrl_c_leaves_nothing(work, tmp_path, real_text):
    child = subprocess.Popen(
        [*COMMAND, "prune", "--source", str(work / "small"), "--corpus", "-", "--target", "1000"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        # More than a pipe holds: when it is written, the child is reading.
        child.stdin.write(real_text[:1_000_000].encode())
        child.stdin.flush()
        os.killpg(child.pid, signal.SIGINT)
        code = child.wait(300)  # where kernels were never compiled, those under way are compiled to the end first
        screen, errors = child.stdout.read(), child.stderr.read()
    finally:
        child.kill()
        child.wait()
        for stream in (child.stdin, child.stdout, child.stderr):
            stream.close()
    assert code == 130
    assert (screen, errors.decode().strip()) == (b"", "vocab: stopped; nothing was written")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="process groups")
def test_ctrl_c_while_writing_keeps_the_earlier_result(work, tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\nimport vocab.prune.result as r\nfrom vocab.cli.app import main\n"
        "def stop(*_):\n    raise KeyboardInterrupt\nr.model_card = stop\n"
        f"sys.argv = ['vocab', 'prune', '--source', {str(work / 'small')!r}, '--corpus', {str(work / 'corpus.txt')!r}, "
        "'--target', '900', '--method', 'rank', '--out', 'out', '--force']\nmain()"
    )
    with staged_folder(tmp_path / "out") as staging:
        (staging / "report.json").write_text("earlier")
    before = entries(tmp_path)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "vocab: stopped; nothing was written\n")
    assert entries(tmp_path) == before


# The other commands


def test_eval_gives_the_figures_of_the_report(work):
    done = run("eval", "small", "result", "--corpus", "corpus.jsonl", where=work)
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 100
    report = json.loads((work / "result/report.json").read_text())
    for row, name in zip(report["rows"], ("small", "result"), strict=False):
        line = next(line for line in done.stdout.splitlines() if re.match(rf" *{name} +merges", line))
        assert f"{row['train']['n_tokens']:,}" in line
        assert f"{row['train_change']:+.2%}" in line
        assert f"{row['held_out']['bytes_per_token']:.3f}" in line


@pytest.mark.slow
def test_eval_from_standard_input(work):
    text = (work / "corpus.txt").read_text(encoding="utf-8")
    from_file = run("eval", "small", "result", "--corpus", "corpus.txt", where=work).stdout
    given = run_process("eval", "small", "result", "--corpus", "-", where=work, given=text).stdout
    assert given.splitlines()[1:] == from_file.splitlines()[1:]


def test_inspect(work):
    done = run("inspect", "result", where=work)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1,000 ids, 999 ordinary and 1 special" in done.stdout
    assert re.search(r"single bytes +256 ", done.stdout)
    assert "Hamming weight 6, 3 trailing zeros, divisible by 8" in done.stdout
    assert max(map(len, done.stdout.splitlines()[3:])) <= 100


def test_inspect_names_holes(work):
    done = run("inspect", "cl100k_base", where=work)
    assert done.returncode == 0
    assert "Ids have holes: the highest is 100,276." in done.stdout


def test_diff(work):
    done = run("diff", "small", "result", "--examples", 3, where=work)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"ids +3,001 +1,000\b", done.stdout)
    assert re.search(r"shared tokens +999 +999\b", done.stdout)
    assert re.search(r"tokens only here +2,001 +0\b", done.stdout)
    assert "The split patterns are the same." in done.stdout
    assert "Only in small, first of 2,001:" in done.stdout


def test_diff_of_a_vocabulary_with_itself(work):
    done = run("diff", "small", "small", where=work)
    assert done.returncode == 0
    assert re.search(r"tokens only here +0 +0\b", done.stdout)
    assert "0 of the shared tokens have another id." in done.stdout


@pytest.mark.slow
def test_output_to_a_closed_pipe_is_quiet(work):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*COMMAND, "inspect", "small"], cwd=work, stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert "Traceback" not in done.stderr
    assert done.returncode in (1, 120, 141)
