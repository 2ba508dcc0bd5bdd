"""Specifications and rows of studies: what is read, and what is refused."""

import json
import tomllib
from pathlib import Path

import pytest

from vocab.errors import StudyError
from vocab.experiments.loss.loss_spec import LossStudy
from vocab.experiments.ngram.ngram_spec import NgramStudy
from vocab.experiments.rows import RowFile, StudyRow, read_rows
from vocab.experiments.spec import builtin_studies, load_spec, parse_spec
from vocab.experiments.speed.speed_spec import SpeedStudy

SPEED = """
name = "s"
question = "q"
[speed]
reference = 64
margin = 0.0025
[speed.sets]
a = [64, 65, 66]
[[speed.timings]]
part = "head"
mode = "eager"
preset = "micro"
n_tokens = 4
cycles = 2
"""
LOSS = """
name = "l"
question = "q"
[loss]
preset = "micro"
choosing_megabytes = 2
megabytes = 1
held_out_megabytes = 0.1
marks = 2
batch = 1
seq_len = 8
learning_rate = 0.01
seeds = [0, 1]
baseline = ["a", 300]
[[loss.arms]]
name = "a"
build = "prune"
sizes = [300, 400]
"""


NGRAM = """
name = "s"
question = "q"
[ngram]
order = 3
megabytes = 1.0
baseline = "a"
[[ngram.arms]]
name = "a"
build = "prune"
sizes = [300]
"""


def parse(text: str):
    return parse_spec(tomllib.loads(text), "here.toml")


def test_built_in_studies_are_read():
    studies = builtin_studies()
    kinds = {study.name: type(study) for study in studies}
    assert kinds == {
        "hamming-cpu": SpeedStudy,
        "hamming-gpu": SpeedStudy,
        "vocabulary-cpu": LossStudy,
        "vocabulary-gpu": LossStudy,
        "ngram-cpu": NgramStudy,
    }
    for study in studies:
        assert study.question
        assert load_spec(study.name) == study


def test_sizes_are_those_of_all_sets_and_the_reference():
    text = SPEED.replace("[64, 65, 66]", "[66, 65]\nb = [70, 65]")
    assert parse(text).sizes == (64, 65, 66, 70)


def test_digest_follows_the_settings_and_not_the_words():
    assert parse(SPEED).sha256 == parse(SPEED.replace('question = "q"', 'question = "r"')).sha256
    assert parse(SPEED).sha256 != parse(SPEED.replace("0.0025", "0.003")).sha256
    assert parse(LOSS).sha256 != parse(LOSS.replace("seq_len = 8", "seq_len = 16")).sha256
    # A setting that came later: rows measured before it still count.
    assert parse(LOSS).sha256 == parse(LOSS.replace("seq_len = 8", "seq_len = 8\ncontext_bytes = 0")).sha256
    assert parse(LOSS).sha256 != parse(LOSS.replace("seq_len = 8", "seq_len = 8\ncontext_bytes = 90")).sha256


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (SPEED + "\n[other]\n", "unknown key 'other'"),
        (SPEED.replace("margin", "margins"), "unknown key 'margins'"),
        (SPEED.replace("margin = 0.0025\n", ""), "lacks 'margin'"),
        (SPEED.replace("cycles = 2", "cycles = 2\nspeedy = 1"), "timings 1 has the unknown key 'speedy'"),
        (SPEED.replace('name = "s"', 'name = "../../s"'), "'../../s', which cannot name files"),
        (SPEED.replace('name = "s"', 'name = ".s"'), "'.s', which cannot name files"),
        (LOSS.replace('name = "a"', 'name = "a/b"'), "arm 'a/b' has a name that cannot name files"),
        (SPEED.replace("[64, 65, 66]", "[" * 60 + "]" * 60), "whole numbers from 1"),
        (SPEED.replace("0.0025", "2.0"), "margin is a share"),
        (SPEED.replace("0.0025", '"much"'), "must be a number"),
        (SPEED.replace('"head"', '"tail"'), "part is step or head"),
        (SPEED.replace("cycles = 2", "cycles = 1"), "at least 2 cycles"),
        (SPEED.replace("[64, 65, 66]", "[64, 64]"), "holds a number twice"),
        (SPEED.replace("[64, 65, 66]", "[0]"), "whole numbers from 1"),
        (SPEED.replace("cycles = 2", "cycles = 2\nsizes = [99]"), "size 99, which is in no set"),
        (SPEED.replace('name = "s"\n', ""), "lacks the text 'name'"),
        (LOSS.replace('["a", 300]', '["a", 500]'), "none of the arms"),
        (LOSS.replace('["a", 300]', '["a"]'), "name of an arm and a size"),
        (LOSS.replace("megabytes = 1\n", "megabytes = 3\n"), "part of choosing_megabytes"),
        (LOSS.replace("seeds = [0, 1]", "seeds = []"), "list of whole numbers from 0"),
        (LOSS.replace('"prune"', '"scratch"'), "needs a style"),
        (LOSS.replace('"prune"', '"prune"\nmethod = "guess"'), "method is rank or frequency or"),
        (LOSS.replace('"prune"', '"prune"\ninference = "guess"'), "inference is merges or least-tokens or"),
        (LOSS.replace('"prune"', '"whole"'), "needs sizes, unless"),
        (LOSS + LOSS[LOSS.index("[[loss.arms]]") :], "arm a is listed twice"),
        (SPEED + LOSS[LOSS.index("[loss]") :], "must have one table"),
        (NGRAM.replace("order = 3", "order = 9"), "order must be from 1 to 8"),
        (NGRAM.replace('baseline = "a"', 'baseline = "b"'), "the baseline b is none of the arms"),
        (NGRAM.replace("megabytes = 1.0", "megabytes = 0"), "megabytes must be above 0"),
        ('name = "s"\nquestion = "q"\n', "must have one table of [speed], [loss], [ngram]"),
    ],
)
def test_a_specification_that_cannot_be_is_refused(text, says):
    with pytest.raises(StudyError, match=says.replace("[", r"\[")) as caught:
        parse(text)
    assert "here.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_not_specifications(tmp_path):
    with pytest.raises(StudyError, match="no such file, nor a built-in study"):
        load_spec("nothing-like-it")
    for depth in (60, 5_000):
        (tmp_path / "deep.toml").write_text("a = " + "[" * depth + "]" * depth)
        with pytest.raises(StudyError, match=r"deep\.toml nests lists and objects too deeply"):
            load_spec(tmp_path / "deep.toml")
    (tmp_path / "a.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(StudyError, match="is not TOML"):
        load_spec(tmp_path / "a.toml")


def row(value: int, **key) -> StudyRow:
    return StudyRow("s", {"kind": "run", **key}, {"value": value}, {"spec_sha256": "x"})


def test_rows_come_back_and_a_torn_line_is_written_over(tmp_path):
    path = tmp_path / "deep" / "rows.jsonl"
    with RowFile(path) as file:
        file.add(row(1, seed=0))
        file.add(row(2, seed=1))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"study": "s", "key"')
    assert [r.result["value"] for r in read_rows([path])] == [1, 2]
    again = RowFile(path)
    assert again.has("s", {"seed": 1, "kind": "run"})
    assert not again.has("s", {"seed": 2, "kind": "run"})
    again.add(row(3, seed=2))
    assert path.read_bytes().startswith(whole)
    assert [r.result["value"] for r in read_rows([path], "s")] == [1, 2, 3]
    assert read_rows([path], "other") == []


def test_a_row_is_added_once(tmp_path):
    file = RowFile(tmp_path / "rows.jsonl")
    file.add(row(1, seed=0))
    with pytest.raises(StudyError, match="already"):
        file.add(row(1, seed=0))


def test_rows_that_contradict_each_other_are_named(tmp_path):
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    RowFile(paths[0]).add(row(1, seed=0))
    RowFile(paths[1]).add(row(1, seed=0))
    assert len(read_rows(paths)) == 1
    RowFile(paths[1]).add(row(5, seed=3))
    RowFile(paths[0]).add(row(4, seed=3))
    with pytest.raises(StudyError, match=r"b\.jsonl line 2 contradicts .*a\.jsonl line 2"):
        read_rows(paths)


@pytest.mark.parametrize("line", ["[]", "{}", "nothing", '{"study": 1, "key": {}, "result": {}, "origin": {}}'])
def test_lines_that_are_not_rows_are_named(tmp_path, line):
    path = tmp_path / "rows.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(StudyError, match="line 1 is not a row"):
        read_rows([path])
    with pytest.raises(StudyError, match="cannot be read"):
        read_rows([tmp_path / "missing"])


RESULTS = Path(__file__).resolve().parents[2] / "vocab" / "experiments" / "results"


def test_committed_rows_are_of_the_built_in_specifications():
    """A specification that changed after its rows were measured would show here."""
    paths = sorted(RESULTS.glob("*.jsonl"))
    assert {path.stem for path in paths} == {"hamming-cpu", "ngram-cpu", "vocabulary-cpu"}
    for row in read_rows(paths):
        assert row.origin["spec_sha256"] == load_spec(row.study).sha256, row.study
    assert all(json.loads(line) for path in paths for line in path.read_text().splitlines())


def test_digests_of_built_in_studies_never_change():
    """Rows that users measured with earlier versions still count."""
    assert {study.name: study.sha256[:8] for study in builtin_studies()} == {
        "hamming-cpu": "bddd7c05",
        "hamming-gpu": "4c98c3f6",
        "ngram-cpu": "0c0e7091",
        "vocabulary-cpu": "97afb69b",
        "vocabulary-gpu": "35038140",
    }
