"""Too little memory, and sentences that stay short."""

import pyarrow as pa
import pyarrow.parquet as pq
from helpers.cli import fails


def test_too_little_memory_is_one_sentence(tmp_path, monkeypatch):
    def take_all(*_: object) -> None:
        raise pa.ArrowMemoryError("malloc of size 4193700032 failed")

    monkeypatch.setattr("vocab.sizes.sizes_near", take_all)
    assert "there is not enough memory for this" in fails(tmp_path, "sizes", "--near", 1000)


def test_of_many_columns_the_first_are_named(tmp_path):
    pq.write_table(pa.table({f"column-{k}": ["x"] for k in range(2000)}), tmp_path / "a.parquet")
    said = fails(tmp_path, "count", "--corpus", "a.parquet", "--out", "out")
    assert "(it has: column-0, column-1," in said
    assert len(said) < 600
