"""`vocab compare`: the study that it writes, its answers, and a whole comparison that is gone on with."""

import json
import pydoc_data.topics
import re
from dataclasses import replace

import pytest
from helpers.cli import fails, run

from vocab.errors import StudyError
from vocab.experiments import comparison_spec
from vocab.experiments.comparison_answer import answer_of_counts, answer_of_training
from vocab.experiments.comparison_spec import arms_of, counting_study, study_toml, training_study
from vocab.experiments.loss.loss_analysis import ArmFinding, Estimate, LossFinding
from vocab.experiments.ngram.ngram_analysis import NgramFinding
from vocab.experiments.spec import load_spec
from vocab.vocabulary import Vocabulary

BASELINE = NgramFinding("a", 0, 1000, "merges", 4.0, 2.0)
BETTER = NgramFinding("b", 0, 900, "merges", 5.0, 1.98, -0.01, -0.015, -0.005, 0.001)
WORSE = NgramFinding("c", 0, 900, "merges", 4.0, 2.02, 0.01, 0.005, 0.015, 0.001)
OPEN = NgramFinding("e", 0, 900, "merges", 4.0, 2.01, 0.0046, -0.0002, 0.0083, 0.04)
SAME = NgramFinding("d", 0, 900, "merges", 4.0, 2.001, 0.0005, -0.004, 0.005, 0.8)


@pytest.mark.parametrize(
    ("others", "says"),
    [
        ([WORSE, BETTER], "b is better than a: 1.00% fewer bits per byte, 95% interval -1.50% to -0.50%."),
        ([OPEN], "No clear difference between a and e (0.46% more bits per byte, 95% interval -0.02% to +0.83%)."),
        ([WORSE], "a is best: c has 1.00% more bits per byte, 95% interval +0.50% to +1.50%."),
        (
            [WORSE, SAME],
            "No clear difference between a and d (0.05% more bits per byte, 95% interval -0.40% to +0.50%).",
        ),
    ],
)
def test_the_answer_of_counts(others, says):
    verdict, lengths, *notes = answer_of_counts([BASELINE, *others], 400)
    assert verdict == says
    assert len(notes) == 1
    assert ("b -20.00%" in lengths) == (BETTER in others)
    assert "Only 7 documents" in answer_of_counts([BASELINE, *others], 7)[-1]


def test_the_answer_of_training_has_a_sentence_for_each_protocol():
    none, less, more = Estimate(0.0, 0.0), Estimate(-0.02, 0.001), Estimate(0.001, 0.02)
    loss = {"bytes": none, "flops": none}
    first = ArmFinding("a", 1000, "merges", 4.0, 1.0, 10, 5, loss, {"bytes": none, "flops": none})
    other = replace(first, arm="b", n_ids=900, change={"bytes": less, "flops": more})
    finding = LossFinding(("a", 1000), (first, other), {"bytes": 100.0, "flops": 1e6}, ())
    assert answer_of_training(finding) == [
        "At equal text, bits per byte against a: b better (-2.00% ± 0.10%).",
        "At equal compute, bits per byte against a: b not told apart (+0.10% ± 2.00%).",
    ]


def test_the_study_is_read_back_from_its_file(tmp_path, cl100k):
    Vocabulary.from_tokens(list(cl100k.tokens())[:500], cl100k.pattern).save(tmp_path / 'odd "name"')
    arms = arms_of(["cl100k_base", str(tmp_path / 'odd "name"')])
    for study in (counting_study("x", arms, 2.5), training_study("x", arms, 0.4, 3.0, "micro", 2)):
        (tmp_path / "x.toml").write_text(study_toml(study), encoding="utf-8")
        assert load_spec(tmp_path / "x.toml") == study
    assert arms_of(["p/small", "q/small"])[1].name == "small (2)"
    with pytest.raises(StudyError, match="two vocabularies"):
        arms_of(["cl100k_base", "cl100k_base"])


@pytest.fixture
def work(tmp_path, cl100k):
    pytest.importorskip("torch")
    pytest.importorskip("altair")
    for n in (600, 3000):
        Vocabulary.from_tokens(list(cl100k.tokens())[:n], cl100k.pattern).save(tmp_path / f"first-{n}")
    texts = [part for topic in pydoc_data.topics.topics.values() for part in topic.split("\n\n") if len(part) > 50]
    (tmp_path / "text.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return tmp_path


def test_a_folder_with_other_files_and_a_file_are_refused(work):
    (work / "mine").mkdir()
    (work / "mine/notes.txt").write_text("my notes")
    (work / "file").write_text("mine too")
    for out, says in (("mine", "mine holds other files"), ("file", "file is a file")):
        assert says in fails(work, "compare", "first-600", "first-3000", "--corpus", "text.jsonl", "--out", out)


@pytest.mark.slow
def test_a_comparison_by_counts_is_gone_on_with(work):
    command = ("compare", "first-600", "first-3000", "--corpus", "text.jsonl", "--out", "out")
    done = run(*command, where=work)
    assert re.match(r"first-3000 is better than first-600: \d+\.\d+% fewer bits per byte", done.stdout), done.stderr
    folder = work / "out"
    assert "first-3000 is better than first-600" in (folder / "study.md").read_text().split("## ")[0]
    assert (folder / "study.html").is_file()
    rows = (folder / "out.jsonl").read_bytes()
    (folder / "out.jsonl").write_bytes(rows[: rows.index(b"\n") + 20])  # killed while the second row was written
    assert run(*command, where=work).stdout == done.stdout
    assert len((folder / "out.jsonl").read_bytes().splitlines()) == 2
    other = fails(work, "compare", "first-3000", "first-600", *command[3:])
    assert "out holds another comparison: name another folder with --out" in other


@pytest.mark.slow
def test_a_comparison_by_trained_models(work, monkeypatch):
    for name, value in {"cycles": 2, "marks": 2, "held_out_megabytes": 0.003}.items():
        monkeypatch.setitem(comparison_spec._TRAINING, name, value)
    settings = ("--train", "--seeds", "2", "--megabytes", "0.02")
    done = run("compare", "first-600", "first-3000", "--corpus", "text.jsonl", *settings, "--out", "out", where=work)
    said = re.sub(r"\s+", " ", done.stdout)
    assert said.count("bits per byte against first-600: first-3000") == 4, done.stderr
    assert "At equal text" in said
    assert "At equal compute" in said
