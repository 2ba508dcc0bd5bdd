"""Files of rows: one process at a time, and what another one holds stays."""

import resource
from dataclasses import replace

import pytest

from vocab.errors import OutputError
from vocab.experiments.rows import RowFile, StudyRow, read_rows

ROW = StudyRow("a study", {"kind": "cycle", "cycle": 0}, {"seconds": {"256": 0.5}}, {})


def test_a_second_process_that_is_refused_leaves_the_file_of_the_first(tmp_path):
    path = tmp_path / "rows.jsonl"
    with RowFile(path) as rows:
        with pytest.raises(OutputError, match="another run"):
            RowFile(path)
        rows.add(ROW)
    assert read_rows([path]) == [ROW]


def test_a_file_that_was_removed_while_it_was_opened_is_made_again(tmp_path, monkeypatch):
    path = tmp_path / "rows.jsonl"
    removed = []

    def hold(descriptor: int, target: object) -> None:
        if not removed:  # as a run does that ends without a row
            removed.append(path)
            path.unlink()

    monkeypatch.setattr("vocab.experiments.rows.hold_file", hold)
    with RowFile(path) as rows:
        rows.add(ROW)
    assert read_rows([path]) == [ROW]
    assert removed


def test_a_full_disk_is_one_sentence_and_the_rows_before_stay(tmp_path):
    path = tmp_path / "rows.jsonl"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(OutputError, match="cannot be written: File too large"), RowFile(path) as rows:  # noqa: PT012
            rows.add(ROW)
            resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, before[1]))
            rows.add(replace(ROW, key={"kind": "cycle", "cycle": 1}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with RowFile(path) as rows:
        assert rows.rows == [ROW]


def test_a_file_without_rows_is_not_left(tmp_path):
    with RowFile(tmp_path / "rows.jsonl"):
        pass
    assert list(tmp_path.iterdir()) == []
