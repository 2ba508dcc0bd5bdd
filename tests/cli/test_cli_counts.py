"""`vocab count`, `vocab counts`, and what the other commands make of count tables and mixtures."""

import json
import re
from pathlib import Path

import pytest
from helpers.cli import run

from vocab.cli.corpora import path_and_weight
from vocab.errors import CorpusError
from vocab.vocabulary import Provenance, Vocabulary


@pytest.fixture(scope="module")
def folder(tmp_path_factory, cl100k, real_text) -> Path:
    """A small source and two corpora: code, and sentences in many scripts."""
    made = tmp_path_factory.mktemp("counts")
    small = Vocabulary.from_tokens(list(cl100k.tokens())[:2000], cl100k.pattern, provenance=Provenance("small"))
    small.save(made / "small")
    for name, text in (("code", real_text[:200_000]), ("other", real_text[-100_000:])):
        lines = [json.dumps({"text": text[k : k + 3000]}) for k in range(0, len(text), 3000)]
        (made / f"{name}.jsonl").write_text("\n".join(lines))
    return made


@pytest.fixture
def vocab(folder):
    """Runs the command in `folder`; returns (exit code, screen, errors)."""

    def run_here(*arguments: object) -> tuple[int, str, str]:
        done = run(*arguments, where=folder)
        return done.returncode, done.stdout, done.stderr

    return run_here


@pytest.fixture
def counted(vocab, folder) -> Path:
    for name in ("code", "other"):
        if not (folder / name).exists():
            assert vocab("count", "--corpus", f"{name}.jsonl", "--source", "small", "--out", name)[0] == 0
    return folder


def tokens_of(path: Path) -> dict[str, int]:
    return json.loads((path / "tokenizer.json").read_text())["model"]["vocab"]


def test_count_says_what_it_did(vocab, folder):
    code, screen, errors = vocab("count", "--corpus", "code.jsonl", "--out", "said", "--min-count", "2")
    assert (code, errors) == (0, "")
    report = json.loads((folder / "said" / "report.json").read_text())
    for number in (report["tally"]["n_bytes_read"], report["n_pretokens"], report["left_out"]["n_occurrences"]):
        assert f"{number:,}" in screen
    assert "fewer than 2" in screen
    assert "Next: vocab prune --counts said" in screen
    assert max(map(len, screen.splitlines())) <= 120


def test_prune_from_counts_gives_what_the_text_gives(vocab, counted):
    shared = ("--source", "small", "--target", 800)
    assert vocab("prune", *shared, "--corpus", "code.jsonl", "--out", "of-text")[0] == 0
    assert vocab("prune", *shared, "--counts", "code", "--out", "of-counts")[0] == 0
    assert vocab("prune", *shared, "--counts", "code/counts.parquet", "--out", "of-file")[0] == 0
    names = ("of-text", "of-counts", "of-file")
    assert tokens_of(counted / names[0]) == tokens_of(counted / names[1]) == tokens_of(counted / names[2])
    reports = [json.loads((counted / name / "report.json").read_text()) for name in names]
    assert reports[0]["rows"] == [
        row | {"parts": {"code.jsonl": next(iter(row["parts"].values()))}} for row in reports[1]["rows"]
    ]


def test_a_mixture_shows_each_part(vocab, counted):
    arguments = ("--corpus", "code.jsonl:1", "--counts", "other:3", "--source", "small", "--target", 900)
    code, screen, _ = vocab("prune", *arguments, "--out", "mixed")
    assert code == 0
    parts = json.loads((counted / "mixed" / "report.json").read_text())["corpus"]["parts"]
    assert [part["name"] for part in parts] == ["code.jsonl", "other.jsonl"]
    assert [part["share"] for part in parts] == pytest.approx([0.25, 0.75], abs=0.001)
    lines = {line.split()[0]: line for line in screen.splitlines() if line.startswith((" code.jsonl", " other.jsonl"))}
    assert "25.0%" in lines["code.jsonl"]
    assert "75.0%" in lines["other.jsonl"]
    assert tokens_of(counted / "mixed")


def test_eval_takes_counts(vocab, counted):
    code, screen, _ = vocab("eval", "small", "--counts", "code")
    assert code == 0
    assert vocab("eval", "small", "--corpus", "code.jsonl")[1].split("small", 1)[1] == screen.split("small", 1)[1]


def test_merge_and_info(vocab, counted):
    code, screen, _ = vocab("counts", "merge", "code", "other/counts.parquet", "--out", "sum.parquet")
    assert code == 0
    assert "Wrote sum.parquet." in screen
    code, screen, _ = vocab("counts", "info", "sum.parquet", "--top", "3")
    assert code == 0
    assert "place code.jsonl" in screen
    assert "Most frequent" in screen
    facts = json.loads(vocab("counts", "info", "sum.parquet", "--json")[1])
    each = [json.loads(vocab("counts", "info", name, "--json")[1]) for name in ("code", "other")]
    assert facts["tally"]["n_documents"] == sum(fact["tally"]["n_documents"] for fact in each)
    code, _, errors = vocab("counts", "merge", "code", "--out", "sum.parquet")
    assert (code, errors) == (
        2,
        "vocab: sum.parquet is there already: name another file, or pass --force\n",
    )
    assert vocab("counts", "merge", "code", "--out", "sum.parquet", "--force")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("count", "--corpus", "none.txt", "--out", "x"), "corpus none.txt: no such file or folder"),
        (("count", "--corpus", "code.jsonl", "--out", "x", "--column", "body"), "has no text in column 'body'"),
        (("count", "--corpus", "code.jsonl", "--out", "code"), "holds a finished count already"),
        (("count", "--corpus", "code.jsonl", "--out", "small"), "small holds other files"),
        (("count", "--corpus", "code.jsonl", "--out", "x", "--memory", "much"), "is not an amount of memory"),
        (("count", "--corpus", "code.jsonl", "--out", "x", "--memory", "1MB"), "1 MB are too few"),
        (("count", "--corpus", "code.jsonl", "--out", "x", "--shard", "2/1"), "is not a shard"),
        (("count", "--corpus", "code.jsonl", "--out", "x", "--source", "none"), "none"),
        (("prune", "--source", "small", "--target", "900", "--counts", "none"), "none cannot be read"),
        (("prune", "--source", "gpt2", "--target", "900", "--counts", "code"), "gpt2"),
        (("prune", "--source", "small", "--target", "900", "--counts", "code:0"), "must be above 0"),
        (("prune", "--source", "small", "--target", "900", "--counts", "code", "--min-count", "99999999"), "is empty"),
        (("counts", "info", "code.jsonl"), "code.jsonl cannot be read"),
        (("counts", "merge", "code", "none", "--out", "y.parquet"), "none cannot be read"),
        (("counts", "merge", "code", "--out", "other"), "other cannot be written: it is a folder"),
    ],
)
def test_what_is_refused(vocab, counted, arguments, sentence):
    before = {path: path.stat().st_mtime_ns for path in counted.rglob("*") if "unfinished" not in str(path)}
    code, screen, errors = vocab(*arguments)
    assert (code, screen) == (2, "")
    assert errors.startswith("vocab: ")
    assert errors.count("\n") == 1
    assert sentence in errors
    left = {path: path.stat().st_mtime_ns for path in counted.rglob("*") if "unfinished" not in str(path)}
    assert {path for path in left.keys() - before.keys() if path.name != "x"} == set()
    assert all(left[path] == before[path] for path in before if path.is_file())


def test_a_weight_is_no_part_of_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd:2").write_text("")
    assert path_and_weight("books:2") == ("books", 2.0)
    assert path_and_weight("hf://a/b:train:0.5") == ("hf://a/b:train", 0.5)
    assert path_and_weight("hf://a/b:train") == ("hf://a/b:train", None)
    (tmp_path / "texts").mkdir()
    for wrong in ("-3", "1e400", "+2"):
        with pytest.raises(CorpusError, match="is no weight: give a number above 0"):
            path_and_weight(f"{tmp_path}/texts:{wrong}")
    assert path_and_weight("odd:2") == ("odd:2", None)
    assert path_and_weight("odd:2:3") == ("odd:2", 3.0)


# What is left out


@pytest.fixture(scope="module")
def holes(folder) -> Path:
    """A corpus with a picture, a hidden file, a row without text, a bad one, and a document that is not UTF-8."""
    place = folder / "holes"
    place.mkdir()
    (place / "picture.png").write_bytes(b"\x89PNG\r\n")
    (place / ".hidden").write_text("no")
    (place / "b.txt").write_bytes(b"caf\xe9 \n" * 20)
    lines = (folder / "code.jsonl").read_text().splitlines()
    (place / "a.jsonl").write_text("\n".join([*lines, '{"text": null}', '{"text": 5}']))
    return place


LEFT_OUT = (
    "1 file was left out: holes/picture.png is an image, sound or video, not text.",
    "1 hidden file or folder was left out.",
    "1 row without text was left out, such as holes/a.jsonl line 68.",
    "1 bad row was left out: holes/a.jsonl line 69 has a number and no text in column 'text'.",
)
REPAIRED = "U+FFFD stands for invalid UTF-8 in 1 document."
SUPERWORDS = ("--superwords", "--inference", "least-tokens")
SKIPPING = ("--corpus", "holes", "--on-error", "skip")


def slow(*command: object):
    return pytest.param(command, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    "command",
    [
        slow("count", *SKIPPING, "--out", "holes-count"),
        ("prune", "--source", "small", *SKIPPING, "--target", 800, "--out", "holes-800"),
        ("eval", "small", "cl100k_base", *SKIPPING),
        ("train-tokenizer", "--style", "cl100k", *SKIPPING, "--size", 400, "--out", "holes-400"),
        slow("prune", "--source", "small", *SKIPPING, *SUPERWORDS, "--target", 800, "--out", "holes-words"),
        ("frontier", "--source", "small", *SKIPPING, "--from", 700, "--to", 900, "--points", 2, "--steps", 0),
        ("sizes", "--source", "small", *SKIPPING, "--near", 800, "--within", 1),
        ("draft", "small", *SKIPPING, "--size", 300, "--format", "sglang", "--out", "holes.pt"),
        ("shards", "--vocab", "small", *SKIPPING, "--out", "holes-shards"),
        slow("convert", "small", *SKIPPING, "--to", "tiktoken", "--out", "holes-tiktoken"),
        slow("verify", "small", *SKIPPING, "--megabytes", 0),
    ],
    ids=lambda command: command[0],
)
def test_every_command_says_what_it_left_out(vocab, holes, command):
    code, screen, errors = vocab(*command)
    assert code == 0, errors
    said = (screen + errors).splitlines()
    for sentence in LEFT_OUT:
        assert said.count(sentence) == 1, said
    if command[0] != "count":  # its table has a row for them
        assert said.count(REPAIRED) == 1, said
    if command[0] in ("count", "prune", "train-tokenizer"):
        report = json.loads((holes.parent / command[-1] / "report.json").read_text())
        part = report["corpus"]["parts"][0] if command[0] == "prune" else report.get("corpus")
        part = report | report["tally"] if command[0] == "count" else part
        assert part["files_skipped"] == ["holes/picture.png is an image, sound or video, not text"]
        assert (part["n_rows_without_text"], part["n_rows_skipped"]) == (1, 1)


def test_a_bad_row_stops_without_the_option(vocab, holes):
    code, _, errors = vocab("count", "--corpus", "holes", "--out", "stopped")
    assert code == 2
    assert errors == (
        "vocab: holes/a.jsonl line 69 has a number and no text in column 'text': name another with --column, "
        "or set --on-error to skip\n"
    )


@pytest.mark.parametrize(
    "command",
    [
        ("count", "--corpus", "", "--out", "none"),
        ("prune", "--source", "small", "--corpus", ":2", "--target", 800),
        ("prune", "--source", "small", "--counts", "", "--target", 800),
        ("eval", "small", "--corpus", ""),
        ("counts", "info", ""),
        ("counts", "merge", "", "--out", "none"),
    ],
)
def test_an_empty_name_is_refused(vocab, command):
    code, _, errors = vocab(*command)
    assert code == 2
    assert re.fullmatch(r"vocab: the name of a (corpus|count table) is empty: give .*\n", errors)
