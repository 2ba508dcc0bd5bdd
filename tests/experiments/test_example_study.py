"""Examples of studies run as they are, and the rows that come with vocab are found."""

import json
from pathlib import Path

import pytest
from helpers.cli import fails, run

from vocab.errors import StudyError
from vocab.experiments.example_study import new_study
from vocab.experiments.spec import builtin_studies, load_spec
from vocab.experiments.study_places import rows_of, shipped_rows

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("kind", ["ngram", "loss", "speed"])
def test_an_example_is_a_study_with_the_name_of_its_file(tmp_path, kind):
    done = run("study", "new", "mine.toml", "--kind", kind, where=tmp_path)
    assert done.stdout.startswith("Wrote mine.toml. Run it: vocab study run mine.toml")
    study = load_spec(tmp_path / "mine.toml")
    assert (study.name, study.kind) == ("mine", kind)
    assert "NAME" not in (tmp_path / "mine.toml").read_text()
    assert "is there already" in fails(tmp_path, "study", "new", "mine.toml")


@pytest.mark.parametrize("name", ["mine.txt", 'a".toml', "NUL\0.toml"])
def test_a_file_that_names_no_study_is_refused(tmp_path, name):
    with pytest.raises(StudyError, match="is no name for a study"):
        new_study(tmp_path / name)


def test_the_page_explains_each_setting_of_the_examples():
    page = (ROOT / "docs" / "study-files.md").read_text(encoding="utf-8")
    for study in builtin_studies():
        for values in study.settings.values():
            assert [key for key in values if f"`{key}`" not in page and f".{key}]" not in page] == []
            nested = [*values.get("arms", ()), *values.get("timings", ())]
            assert [key for one in nested for key in one if f"`{key}`" not in page] == []


def test_the_list_names_the_files(tmp_path):
    listed = json.loads(run("study", "list", "--json", "--quiet", where=tmp_path).stdout)
    files = {one["name"]: one["files"] for one in listed}
    assert all(Path(spec).is_file() for spec, _ in files.values())
    assert [name for name, (_, rows) in files.items() if rows] == ["hamming-cpu", "ngram-cpu", "vocabulary-cpu"]


def test_own_rows_go_before_those_that_come_with_vocab(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert rows_of("hamming-cpu") == shipped_rows("hamming-cpu")
    own = Path("study-hamming-cpu") / "hamming-cpu.jsonl"
    own.parent.mkdir()
    own.write_bytes(b"")
    assert rows_of("hamming-cpu") == own
    with pytest.raises(StudyError, match="has no rows in study-hamming-gpu"):
        rows_of("hamming-gpu")


@pytest.mark.slow
def test_shipped_studies_are_reported_as_the_tour_says(tmp_path):
    pytest.importorskip("altair")
    done = run("study", "report", "hamming-cpu", "vocabulary-cpu", "--out", "report", where=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "report" / "study.html").is_file()
