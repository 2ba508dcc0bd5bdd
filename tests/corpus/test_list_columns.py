"""A column that holds a list of texts: its elements are one document, joined by line ends, in every kind of file."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vocab.corpus.documents import read_documents
from vocab.corpus.read_options import ReadOptions
from vocab.errors import CorpusError

ROWS = [["one", "two"], ["three"], [], None, ["four", None, "five"], [["six"], ["seven", "eight"]]]
TEXTS = ["one\ntwo", "three", "four\nfive", "six\nseven\neight"]


def test_lists_of_texts_are_joined(tmp_path):
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": row}) + "\n" for row in ROWS))
    assert list(read_documents(str(tmp_path / "a.jsonl"), ReadOptions())) == TEXTS


@pytest.mark.parametrize("kind", [pa.list_(pa.string()), pa.large_list(pa.large_string())])
def test_lists_in_parquet_are_as_in_json(kind, tmp_path):
    pq.write_table(pa.table({"text": pa.array(ROWS[:-1], kind)}), tmp_path / "a.parquet")
    assert list(read_documents(str(tmp_path / "a.parquet"), ReadOptions())) == TEXTS[:-1]


def test_lists_of_numbers_are_refused(tmp_path):
    pq.write_table(pa.table({"text": pa.array([[1, 2]])}), tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text('{"text": [1, 2]}\n')
    for name in ("a.parquet", "a.jsonl"):
        with pytest.raises(CorpusError, match="no text in column 'text'"):
            list(read_documents(str(tmp_path / name), ReadOptions()))


@pytest.mark.parametrize("column", ["messages.content", "messages.content.text"])
def test_messages_of_parts_are_read_beside_plain_ones(column, tmp_path):
    parts = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "x"}}]
    row = {"messages": [{"role": "user", "content": parts}, {"role": "assistant", "content": "a cat"}]}
    (tmp_path / "a.jsonl").write_text(json.dumps(row))
    assert list(read_documents(str(tmp_path / "a.jsonl"), ReadOptions(column))) == ["look\na cat"]
