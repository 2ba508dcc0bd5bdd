"""Files of rows: one process at a time, and what another one holds stays."""

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


def test_a_file_without_rows_is_not_left(tmp_path):
    with RowFile(tmp_path / "rows.jsonl"):
        pass
    assert list(tmp_path.iterdir()) == []
