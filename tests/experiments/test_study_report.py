"""Reports from rows: protocols by hand, intervals, tables, figures and the page, with rows made up for the purpose."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.timings import cycles

from vocab.errors import OutputError, StudyError
from vocab.experiments.loss.loss_analysis import Estimate, analyse_runs
from vocab.experiments.report.study_report import write_report
from vocab.experiments.rows import RowFile, StudyRow
from vocab.experiments.spec import load_spec
from vocab.writing import with_digest, write_json_lines

ORIGIN = {
    "commit": "c" * 40,
    "versions": {"python": "3", "torch": "2"},
    "machine": {"processor": "P", "n_cores": 2, "n_threads": 2, "system": "Linux"},
    "settings": {},
    "corpus": ["books.jsonl"],
    "n_text_bytes": 400,
    "text_sha256": "0" * 64,
}


def run(arm: str, n_ids: int, seed: int, points: list[tuple[float, float, float]], flops: float = 10.0) -> StudyRow:
    """A row of a run: bytes, tokens and bits per byte at each mark, at `flops` a token."""
    marks = [{"bytes": b, "tokens": t, "bits_per_byte": v} for b, t, v in points]
    facts = {"inference": "merges", "bytes_per_token": points[0][0] / points[0][1], "n_parameters": 1000}
    facts |= {"n_parameters_without_embeddings": 500, "flops_per_token": flops, "tokens_per_step": 10, "points": marks}
    return StudyRow("vocabulary-cpu", {"kind": "run", "arm": arm, "n_ids": n_ids, "seed": seed}, facts, ORIGIN)


A = [(100.0, 50.0, 4.0), (200.0, 100.0, 3.0), (400.0, 200.0, 2.0)]
B = [(100.0, 25.0, 3.9), (200.0, 50.0, 2.9), (400.0, 100.0, 1.9)]


def test_protocols_compare_where_all_have_spent_the_same():
    found = analyse_runs([run("a", 300, 0, A), run("b", 400, 0, B, flops=40.0)], ("a", 300), {300: 1.0, 400: 4.0}, 10)
    assert found.amounts == {"bytes": 400.0, "tokens": 100.0, "flops": 2000.0, "seconds": 20.0}
    a, b = found.arms
    assert a.loss["bytes"].mean == 2.0
    assert b.loss["bytes"].mean == 1.9
    assert a.loss["tokens"].mean == pytest.approx(3.0)
    assert b.loss["tokens"].mean == pytest.approx(1.9)
    # At 2000 FLOPs b has seen 50 tokens: its second mark.
    assert b.loss["flops"].mean == pytest.approx(2.9)
    assert b.loss["seconds"].mean == pytest.approx(2.9)
    assert b.change["bytes"].mean == pytest.approx(1.9 / 2.0 - 1)
    assert a.bytes_per_second == pytest.approx(10 * 2.0 / 1.0)


def test_a_step_of_other_tokens_than_the_timed_one_takes_as_long_for_each():
    found = analyse_runs([run("a", 300, 0, A), run("b", 400, 0, B)], ("a", 300), {300: 1.0, 400: 1.0}, 5)
    assert found.amounts["seconds"] == 20.0  # b's 100 tokens, 5 a second
    assert found.arms[1].bytes_per_second == 5 * 4.0


def test_losses_of_two_texts_are_not_compared():
    other = run("b", 400, 0, B)
    other = StudyRow(other.study, other.key, other.result, {**ORIGIN, "text_sha256": "f" * 64, "corpus": ["code"]})
    with pytest.raises(StudyError, match=r"different texts .* books\.jsonl \(00000000\) and code \(ffffffff\)"):
        analyse_runs([run("a", 300, 0, A), other], ("a", 300), {}, 10)


def test_between_marks_loss_is_linear_in_the_logarithm():
    found = analyse_runs([run("a", 300, 0, A), run("b", 400, 0, B, flops=20.0)], ("a", 300), {}, 10)
    assert "seconds" not in found.amounts
    amount = found.amounts["flops"]
    assert amount == 2000.0
    share = math.log(100 / 50) / math.log(100 / 50)
    assert found.arms[1].loss["flops"].mean == pytest.approx(2.9 - share * 1.0)


def test_what_lies_before_the_first_mark_is_not_guessed():
    found = analyse_runs([run("a", 300, 0, A, flops=1.0), run("b", 400, 0, B, flops=1000.0)], ("a", 300), {}, 10)
    assert math.isnan(found.arms[1].loss["flops"].mean)


def test_changes_are_paired_by_seed():
    rows = []
    for seed, shift in enumerate([0.0, 0.5, 1.0]):
        rows.append(run("a", 300, seed, [(b, t, v + shift) for b, t, v in A]))
        rows.append(run("b", 400, seed, [(b, t, (v + shift) * 0.99) for b, t, v in A]))
    found = analyse_runs(rows, ("a", 300), {}, 10).arms[1].change["bytes"]
    assert found.mean == pytest.approx(-0.01)
    assert found.half_width < 1e-9
    assert found.leaves_out_zero


def test_an_interval_is_students():
    found = Estimate.of([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert found.half_width == pytest.approx(4.302653 * 1.0 / math.sqrt(3), rel=1e-5)
    assert math.isnan(Estimate.of([1.0]).half_width)


def test_runs_that_cannot_be_compared_are_refused():
    with pytest.raises(StudyError, match="no runs yet"):
        analyse_runs([], ("a", 300), {}, 10)
    with pytest.raises(StudyError, match="no run yet of the baseline"):
        analyse_runs([run("b", 400, 0, B)], ("a", 300), {}, 10)
    with pytest.raises(StudyError, match="seed 1, and the baseline was not"):
        analyse_runs([run("a", 300, 0, A), run("b", 400, 1, B)], ("a", 300), {}, 10)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of a study of speed with one timing done, and of a study of loss with timings of steps."""
    folder = tmp_path_factory.mktemp("report")
    speed, loss = load_spec("hamming-cpu"), load_spec("vocabulary-cpu")
    rows = RowFile(folder / "rows.jsonl")
    for row in cycles(0.0, 0):
        key = {**row.key, "timing": speed.timings[0].name}
        rows.add(StudyRow(speed.name, key, row.result, {**ORIGIN, "spec_sha256": speed.sha256}))
    rng = np.random.default_rng(0)
    origin = {**ORIGIN, "spec_sha256": loss.sha256}
    for arm, n_ids, better in (("distill", 4096, 0.0), ("distill", 2048, 0.05), ("rank", 4096, -0.1)):
        for seed in (0, 1, 2):
            points = [(b * 1e5, t * 1e5, v - better + rng.normal(0, 0.002)) for b, t, v in A]
            found = run(arm, n_ids, seed, points)
            rows.add(StudyRow(loss.name, found.key, found.result, origin))
    name = loss.step_timing.name
    for cycle in range(3):
        key = {"kind": "cycle", "timing": name, "machine": "M", "cycle": cycle}
        rows.add(StudyRow(loss.name, key, {"seconds": {"2048": 0.1, "4096": 0.15, "8192": 0.25, "again": 0.1}}, origin))
    return write_report([speed, loss], [rows.path], folder / "out"), folder


@pytest.mark.slow
def test_a_report_holds_its_tables_and_figures(report):
    written, folder = report
    text = (folder / "out" / "study.md").read_text()
    assert "| head-eager-micro-64-16 | 20 |" in text
    assert "| distill | 2,048 | merges |" in text
    assert re.search(r"At equal bytes, beside distill 4,096: better: distill 2,048; worse: rank 4,096\.", text)
    assert "no rows of a GPU" in text
    assert "Text: 400 bytes of `books.jsonl`, a tenth of them held out." in text
    assert "Not finished: step-eager-micro-64-16, 0 of 20 cycles." in text
    assert "arXiv 2407.13623" in text
    assert "the rest of the model takes 50.0 ms" in text
    assert "| 4,096 | 150.0 | 100.0 | 67% |" in text
    for name in re.findall(r"\]\(([^)]+\.svg)\)", text):
        picture = (folder / "out" / name).read_text()
        assert picture.startswith("<svg")
        assert len(picture) > 5000
    assert any("does not matter" in sentence for sentence in written.sentences)


@pytest.mark.slow
def test_the_page_needs_nothing_from_elsewhere(report):
    _, folder = report
    page = (folder / "out" / "study.html").read_text()
    body = page[page.rindex("<body>") :]
    assert 'src="http' not in page
    assert "<table>" in body
    assert body.count('class="chart"') == 4
    for name in re.findall(r'class="chart" id="([^"]+)"', body):
        assert f'"{name}": {{' in body


@pytest.mark.slow
def test_a_report_shows_hostile_words_and_obeys_none(tmp_path):
    """Markup, a script, a picture from elsewhere and control characters in a question, a machine and a timing's set."""
    hostile = "</script><script>alert(1)</script> ![x](http://evil/x.png) <!--<script> **b** | \x1b[2J \u202e"
    study = replace(load_spec("hamming-cpu"), question=hostile)
    rows = RowFile(tmp_path / "rows.jsonl")
    machine = {**ORIGIN["machine"], "processor": hostile}
    for row in cycles(0.0, 0):
        key = {**row.key, "timing": study.timings[0].name, "machine": hostile}
        rows.add(StudyRow(study.name, key, row.result, {**ORIGIN, "machine": machine, "spec_sha256": study.sha256}))
    write_report([study], [rows.path], tmp_path / "out")
    page = (tmp_path / "out/study.html").read_text()
    body = page[page.rindex("<body>") :]
    assert body.count("<script>") == body.count("</script>") == 1
    assert "<!--" not in body
    assert "<img" not in body
    assert "<b>" not in body
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in body
    assert "default-src 'none'" in page.partition("<script>")[0]
    text = (tmp_path / "out/study.md").read_text()
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", text + body)
    assert text.count(r"\</script\>\<script\>alert(1)") >= 4  # in the list, the section, the machine's heading and line


def test_a_study_that_has_only_timed_steps_is_not_measured_yet(report, tmp_path):
    lines = (report[1] / "rows.jsonl").read_text().splitlines(keepends=True)
    cycles_of_loss = [line for line in lines if '"study": "vocabulary-cpu", "key": {"kind": "cycle"' in line]
    (tmp_path / "rows.jsonl").write_text("".join(cycles_of_loss))
    assert write_report(["vocabulary-cpu"], [tmp_path / "rows.jsonl"], tmp_path / "out").sentences == []
    assert "Not measured yet" in (tmp_path / "out" / "study.md").read_text()


def test_the_committed_report_is_that_of_the_committed_rows(tmp_path):
    root = Path(__file__).resolve().parents[2]
    names = ["hamming-cpu", "vocabulary-cpu", "ngram-cpu"]
    paths = [root / "vocab" / "experiments" / "results" / f"{name}.jsonl" for name in names]
    write_report(names, paths, tmp_path)
    assert (tmp_path / "study.md").read_text() == (root / "docs" / "study.md").read_text()


def test_a_report_of_rows_of_another_specification_is_refused(report, tmp_path):
    _, folder = report
    text = (folder / "rows.jsonl").read_text().replace(load_spec("hamming-cpu").sha256, "0" * 64)
    write_json_lines(tmp_path / "rows.jsonl", [with_digest(json.loads(line)) for line in text.splitlines()])
    with pytest.raises(StudyError, match="other settings"):
        write_report(["hamming-cpu"], [tmp_path / "rows.jsonl"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_of_a_report_that_are_there_are_replaced_only_with_force(report, tmp_path):
    _, folder = report
    arguments = ["vocabulary-cpu"], [folder / "rows.jsonl"], tmp_path
    (tmp_path / "study.html").write_text("mine")
    with pytest.raises(OutputError, match=r"study.html is there already"):
        write_report(*arguments)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study.html"]
    assert len(write_report(*arguments, force=True).files) > 2
    assert "mine" not in (tmp_path / "study.html").read_text()[:10]
