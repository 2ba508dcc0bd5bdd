"""Rows of JSON, CSV, Parquet and Arrow: paths to nested text, rows without text, and bad rows."""

import gzip
import io
import json
import random
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from helpers import oracles
from hypothesis import given
from hypothesis import strategies as st

from vocab.corpus import blocks, json_values, readers, row_units, sources
from vocab.corpus.counting import count
from vocab.corpus.documents import read_documents
from vocab.corpus.read_options import ReadOptions
from vocab.errors import CorpusError
from vocab.splitting import CL100K_REGEX, SplitPattern

PATTERN = SplitPattern(CL100K_REGEX)
ROWS = [
    {"id": k, "text": text} for k, text in enumerate(["a", "Grüße\n第三", "", 'quoted "text", with a comma', "z\0z"])
]
TEXTS = [row["text"] for row in ROWS]
CHAT = [
    {
        "messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}],
        "doc": {"text": "one"},
    },
    {"messages": [], "doc": {"text": None}},
    {"messages": [{"role": "tool", "content": None}, {"role": "user", "content": "bye"}], "doc": None},
    {"messages": None, "doc": {"text": "four"}},
]


def read(place: object, column: str = "text", **how: str) -> list[str]:
    return list(read_documents(str(place), ReadOptions(column, **how)))


def left_out(place: object, column: str = "text", **how: str) -> tuple[list[str], int, int]:
    """The documents, the number of rows without text, and that of bad rows."""
    options = ReadOptions(column, **how)
    documents = list(read_documents(str(place), options))
    return documents, options.skipped.n_rows_without_text, options.skipped.n_rows_skipped


def refusal(place: object, column: str = "text", **how: str) -> str:
    """The sentence with which a corpus is refused."""
    with pytest.raises(CorpusError) as caught:
        count(str(place), PATTERN, options=ReadOptions(column, **how))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def json_lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def write_rows(path: Path, rows: list[Any]) -> Path:
    """Rows in the format that the name says."""
    table = pa.Table.from_pylist(rows)
    if path.suffix == ".jsonl":
        return write(path, json_lines(rows))
    if path.suffix == ".json":
        return write(path, json.dumps(rows, indent=1))
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=3)
    elif path.suffix == ".feather":
        feather.write_feather(table, path)
    else:
        with pa.ipc.new_stream(path, table.schema) as stream:
            stream.write_table(table, max_chunksize=3)
    return path


FORMATS = ["c.jsonl", "c.json", "c.parquet", "c.feather", "c.arrow"]


# Formats


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        json.dumps(ROWS, ensure_ascii=False, separators=("\r\n,\t", " : ")),
        json.dumps(TEXTS),
        json_lines(ROWS),
        "\n" + json_lines(ROWS).replace("\n", "\r\n\r\n"),
        json_lines(TEXTS),
        "\n".join(json.dumps(row, indent=2) for row in ROWS),
        json.dumps(ROWS[:2]) + "\n" + json.dumps(ROWS[2:], indent=1),
        json_lines([{"id": 1, "text": "x" * 100_000}]) + json_lines(ROWS),
    ],
    ids=["array", "indented", "spaced", "strings", "lines", "blank", "line-strings", "objects", "arrays", "long"],
)
def test_json_by_its_content(tmp_path, content):
    texts = TEXTS if "x" * 100 not in content else ["x" * 100_000, *TEXTS]
    assert read(write(tmp_path / "c.json", content)) == texts
    assert read(write(tmp_path / "c.json.gz", gzip.compress(b"\xef\xbb\xbf" + content.encode()))) == texts


@pytest.mark.parametrize("rows", [ROWS[0], ROWS[1:2], []])
def test_json_of_one_value(tmp_path, rows):
    write(tmp_path / "more.txt", "more")
    expected = [row["text"] for row in ([rows] if isinstance(rows, dict) else rows)]
    for indent in (None, 2):
        write(tmp_path / "c.json", json.dumps(rows, indent=indent))
        assert read(tmp_path) == [*expected, "more"]


def test_a_json_array_of_any_length_is_streamed(tmp_path, monkeypatch):
    monkeypatch.setattr(json_values, "BLOCK_BYTES", 50)
    monkeypatch.setattr(row_units, "BLOCK_BYTES", 300)
    rng = random.Random(5)
    texts = ["".join(rng.choices('ab"\\ é漢😀\n{}[],\0', k=rng.randrange(200))) for _ in range(300)]
    for ascii_only in (True, False):
        raw = json.dumps([{"n": [1.5, {}], "text": text} for text in texts], ensure_ascii=ascii_only)
        path = write(tmp_path / "c.json", raw)
        assert read(path) == texts
        made = list(readers.read_blocks(sources.list_sources(str(path)), ReadOptions()))
        assert len(made) > 20
        again = readers.read_blocks(sources.list_sources(str(path)), ReadOptions(), made[9].end)
        tail = [text for block in again for text in block.batch(ReadOptions()).documents()]
        assert tail == texts[-len(tail) :]
        assert 0 < len(tail) < len(texts)


@pytest.mark.parametrize("name", ["c.jsonlines", "c.JSONL", "c.ndjson.gz", "c.ldjson"])
def test_json_lines_by_every_name(tmp_path, name):
    raw = json_lines(ROWS).encode()
    assert read(write(tmp_path / name, gzip.compress(raw) if name.endswith(".gz") else raw)) == TEXTS


def test_an_array_under_the_name_of_json_lines(tmp_path):
    assert read(write(tmp_path / "c.jsonl", json.dumps(ROWS, indent=1))) == TEXTS
    path = write(tmp_path / "d.jsonl", '["id", "text"]\n["1", "one"]\n')
    assert refusal(path).startswith(f"{path} line 1 holds a list where an object with columns is expected: mend it")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('[{"text": "a"}, {"text" "b"}]', "item 2 is not JSON (Expecting ':' delimiter after "),
        ('[{"text": "a"} {"text": "b"}]', "item 1 is followed by '{' where a comma or ] is expected"),
        ('[{"text": "a"}, {"text": "b"}', "item 2 is followed by the end of the file: it is cut short"),
        ('[{"text": "a"},', "item 2 is not JSON (Expecting value"),
        ('[{"text": "a"}, {"text": "b', "item 2 is not JSON (Unterminated string"),
        ("[" * 100_000, "item 1 nests lists and objects too deeply: mend it"),
        ('[{"text": "a"}, 5]', "item 2 holds a number where an object with columns is expected"),
        ('{\n "text": "a",\n}', "item 1 is not JSON"),
    ],
)
def test_json_that_is_wrong(tmp_path, content, problem):
    path = write(tmp_path / "c.json", content)
    assert refusal(path).startswith(f"{path} {problem}")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("c.csv", 'id,text\n1,a\n\n2,"two ""lines""\nwith, comma"\r\n3,Grüße\n'),
        ("c.csv", 'id;text\n1;a\n2;"two ""lines""\nwith, comma"\n3;Grüße'),
        ("c.csv", '"text",id\r\na,1\r\n"two ""lines""\nwith, comma",2\r\nGrüße,3\r\n'),
        ("c.tsv", 'id\ttext\n1\ta\n2\t"two ""lines""\nwith, comma"\n3\tGrüße\n'),
    ],
)
def test_csv(tmp_path, name, content):
    texts = ["a", 'two "lines"\nwith, comma', "Grüße"]
    assert read(write(tmp_path / name, content)) == texts
    assert read(write(tmp_path / f"{name}.gz", gzip.compress(content.encode()))) == texts


def test_csv_of_long_fields(tmp_path):
    texts = ["x" * 3_000_000, "y\n" * 500_000, "z"]
    assert read(write(tmp_path / "c.csv", "text\n" + "".join(f'"{text}"\n' for text in texts))) == texts


def test_csv_that_is_wrong(tmp_path):
    path = write(tmp_path / "c.csv", "id,body\n1,a\n")
    expected = f"{path} has no column 'text' in its first line (it has: id, body); name one with `column`"
    assert refusal(path) == expected
    path = write(tmp_path / "c.csv", 'id,text\n1,"a\nb"\n2,b,c\n3\n4,"d" e\n5,\n6,f\n')
    assert refusal(path).startswith(f"{path} line 4 has 3 fields where the first line names 2: mend it")
    assert left_out(path, on_error="skip") == (["a\nb", "f"], 1, 3)
    path = write(tmp_path / "c.csv", 'text\na\n"never closed\nb\n')
    assert refusal(path).startswith(f"{path} line 3 is not CSV (unexpected end of data)")
    assert refusal(write(tmp_path / "c.csv", "")) == f"corpus {path} is empty: there is no text to count"


def test_invalid_utf8_in_rows_read_one_by_one(tmp_path):
    for name, raw in {"c.csv": b"text\nx\xffy\n", "c.json": b'["x\xffy"]', "c.jsonl": b'{"text": "x\xffy"}'}.items():
        path = write(tmp_path / name, raw)
        assert read(path) == ["x\ufffdy"]
        assert "is not UTF-8 at its byte 1" in refusal(path, encoding_errors="refuse")


@pytest.mark.parametrize("name", ["c.feather", "c.arrow", "c.parquet"])
def test_arrow(tmp_path, name):
    path = write_rows(tmp_path / name, ROWS)
    assert read(path) == TEXTS
    assert refusal(path, "body") == f"{path} has no column 'body' (it has: id, text); name one with `column`"
    assert refusal(path, "id").startswith(f"{path} has no text in column 'id', which holds int64")


@pytest.mark.parametrize("kept", [0, 5, 30, 200, -200])
@pytest.mark.parametrize("name", ["c.feather", "c.arrow"])
def test_arrow_cut_short(tmp_path, name, kept):
    path = write_rows(tmp_path / name, [{"text": f"row {k}"} for k in range(100)])
    write(path, path.read_bytes()[:kept])
    assert refusal(path).startswith(f"{path} cannot be read")


def test_arrow_whose_offsets_lead_outside(tmp_path):
    """An untrusted file: refused and not followed."""
    path = tmp_path / "c.arrow"
    offsets = pa.py_buffer(bytes.fromhex("00000000 ffffff3f 05000000".replace(" ", "")))
    array = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"hello")])
    with pa.ipc.new_stream(path, pa.schema([("text", pa.string())])) as stream:
        stream.write_batch(pa.record_batch([array], ["text"]))
    assert refusal(path).startswith(f"{path} cannot be read")


@pytest.mark.parametrize("is_dict", [False, True])
def test_a_data_set_saved_to_disk(tmp_path, is_dict):
    datasets = pytest.importorskip("datasets")
    saved = datasets.Dataset.from_list([*ROWS, {"id": 9, "text": None}])
    if is_dict:
        saved = datasets.DatasetDict(train=saved, test=datasets.Dataset.from_list([{"id": 1, "text": "held"}]))
    saved.save_to_disk(tmp_path / "saved")
    folder = tmp_path / "saved" / "train" if is_dict else tmp_path / "saved"
    write(folder / "cache-1234.arrow", (folder / "data-00000-of-00001.arrow").read_bytes())
    options = ReadOptions()
    assert list(read_documents(str(tmp_path), options)) == [*(["held"] if is_dict else []), *TEXTS]
    assert options.skipped.n_rows_without_text == 1
    said = options.skipped.sentences()
    assert (
        said[0] == f"{tmp_path / 'saved'} is a saved dataset with the splits train, test: all are read." or not is_dict
    )
    assert any(f"{folder / 'cache-1234.arrow'} is not among the files of the saved dataset" in text for text in said)
    (folder / "data-00000-of-00001.arrow").unlink()
    assert "is missing, though state.json lists it" in refusal(tmp_path)


# Columns


@pytest.mark.parametrize("name", FORMATS)
def test_paths_to_nested_text(tmp_path, name):
    path = write_rows(tmp_path / name, CHAT)
    assert left_out(path, "messages.content") == (["hello\nhi", "bye"], 2, 0)
    assert left_out(path, "doc.text") == (["one", "four"], 2, 0)
    assert "messages.none" in refusal(path, "messages.none")
    assert "(it has: messages, doc)" in refusal(path, "messages.none").replace("c.jsonl line 1 has:", "(it has:") or (
        "has: messages, doc" in refusal(path, "messages.none")
    )


@pytest.mark.parametrize("name", FORMATS)
def test_a_column_with_a_dot_in_its_name_goes_first(tmp_path, name):
    path = write_rows(tmp_path / name, [{"a.b": "literal", "a": {"b": "nested", "c.d": {"e": "deep"}}}] * 5)
    assert read(path, "a.b") == ["literal"] * 5
    assert read(path, "a.c.d.e") == ["deep"] * 5


@pytest.mark.parametrize("name", FORMATS)
def test_a_path_that_ends_at_no_text(tmp_path, name):
    path = write_rows(tmp_path / name, [{"a": {"n": 3}, "b": [1, 2]}])
    assert refusal(path, "a.n").startswith(str(path))
    assert refusal(path, "b").startswith(str(path))


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
@pytest.mark.parametrize("wrap", [pa.list_, pa.large_list, lambda kind: pa.list_(kind, 2)])
def test_nested_text_in_every_form(tmp_path, kind, wrap):
    rows = [[{"content": f"{k}a"}, {"content": None if k % 3 else f"{k}b"}] for k in range(50)]
    array = pa.array(rows, wrap(pa.struct([("content", pa.string())])))
    array = pa.array(rows, wrap(pa.struct([("content", kind)]))) if not pa.types.is_dictionary(kind) else array
    table = pa.table({"messages": array})
    expected = [f"{k}a" if k % 3 else f"{k}a\n{k}b" for k in range(50)]
    with pa.ipc.new_file(tmp_path / "c.arrow", table.schema) as file:
        file.write_table(table)
    assert read(tmp_path / "c.arrow", "messages.content") == expected
    pq.write_table(table, tmp_path / "c.parquet", row_group_size=7)
    assert read(tmp_path / "c.parquet", "messages.content") == expected


LEAVES = st.one_of(st.none(), st.text(max_size=4), st.integers(-9, 9), st.just("\ud800"))
KEYS = st.sampled_from(["a", "b", "c", "a.b", "b.c"])
NESTED = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))
# Rows that are mostly alike, as those of data sets are, so that Arrow's parser takes some blocks.
ALIKE = st.lists(
    st.fixed_dictionaries(
        {"a": st.lists(st.fixed_dictionaries({"b": st.none() | st.text(max_size=4)}), max_size=3) | st.none()},
        optional={"b": LEAVES, "a.c": LEAVES},
    ),
    min_size=1,
    max_size=5,
)


@given(
    rows=ALIKE | st.lists(st.dictionaries(KEYS, NESTED, max_size=3) | NESTED, min_size=1, max_size=5),
    column=st.sampled_from(["a", "a.b", "a.b.c", "b.c"]),
)
def test_both_parsers_of_json_lines_find_the_same(rows, column):
    """Arrow's, which takes whole blocks, and Python's, which says what is wrong."""
    found = []
    for parse in (blocks.texts_of_lines, lambda *_: None):
        options = ReadOptions(column, on_error="skip")
        block = blocks.LinesBlock(blocks.Position(), 0, "name", 1, json_lines(rows).encode(), options)
        with mock.patch.object(blocks, "texts_of_lines", parse):
            found.append(
                (block.batch(options).documents(), options.skipped.n_rows_without_text, options.skipped.summary())
            )
    assert found[0][:2] == found[1][:2]
    assert found[0][2].rows == found[1][2].rows


def test_arrow_takes_whole_blocks_of_nested_text():
    """Or the comparison above would compare one parser with itself."""
    lines = json_lines([row for row in CHAT if row["messages"]]).encode()
    assert blocks.texts_of_lines(lines, "messages.content").to_pylist() == ["hello\nhi", "bye"]
    assert blocks.texts_of_lines(json_lines(CHAT).encode(), "doc.text").to_pylist() == ["one", None, None, "four"]
    assert blocks.texts_of_lines(lines + b'{"messages.content": "x"}', "messages.content") is None


# Rows without text, and bad rows


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("n_threads", [1, 3])
def test_rows_without_text_are_counted(tmp_path, name, n_threads):
    rows = [{"id": k, "text": None if k % 4 == 1 else f"row {k}"} for k in range(50)]
    if name.startswith("c.json"):
        rows += [{"id": 99}]
    path = write_rows(tmp_path / name, rows)
    n_missing = sum(row.get("text") is None for row in rows)
    part = count(path, PATTERN, n_threads=n_threads).parts[0]
    assert (part.tally.n_documents, part.tally.n_rows_without_text) == (len(rows) - n_missing, n_missing)
    kept = oracles.count(PATTERN, [row["text"] for row in rows if row.get("text") is not None])
    assert sum(kept.values()) == part.train.n_occurrences + part.held_out.n_occurrences


@pytest.mark.parametrize("name", FORMATS)
def test_no_row_has_text(tmp_path, name):
    path = write_rows(tmp_path / name, [{"id": k, "body": "x", "text": None} for k in range(5)])
    said = refusal(path)
    assert said.startswith(f"corpus {path} has no text in column 'text' in any row ({path} ")
    assert said.endswith("has: id, body, text); name one with `column`")


def test_a_wrong_column_is_said_at_once(tmp_path):
    write(tmp_path / "a.jsonl", json_lines([{"body": "x" * 1000, "id": k} for k in range(3000)]))
    write(tmp_path / "b.jsonl", "not read")
    said = refusal(tmp_path)
    assert said.startswith(
        f"{tmp_path / 'a.jsonl'} line 1 has no column 'text' (it has: body, id), nor has any of the "
    )
    assert said.endswith(" rows from there; name one with `column`")


BAD_LINES = [
    '{"text": "three',
    '{"text": 5}',
    "[1]",
    '{"text": [["list", 7]]}',
    '{"text": {"of": "x"}}',
    "nul\0",
    "{}{}",
]
BAD_LINES += [json.dumps({"text": value}) for value in (0, False, {})]


@pytest.mark.parametrize("bad", BAD_LINES)
def test_a_bad_line_stops_or_is_skipped(tmp_path, bad):
    path = write(tmp_path / "c.jsonl", f'{{"text": "one"}}\n{bad}\n{{"text": "two"}}\n')
    assert refusal(path).startswith(f"{path} line 2 ")
    assert "set `on_error` to skip" in refusal(path)
    options = ReadOptions(on_error="skip")
    assert list(read_documents(str(path), options)) == ["one", "two"]
    assert options.skipped.n_rows_skipped == 1
    assert options.skipped.sentences()[0].startswith(f"1 bad row was left out: {path} line 2 ")


@pytest.mark.parametrize("n_threads", [1, 4])
def test_the_first_bad_lines_are_named_on_any_number_of_threads(tmp_path, n_threads):
    lines = [json.dumps({"text": "x" * 3000}) if k % 100 else f"bad {k}" for k in range(4000)]
    path = write(tmp_path / "c.jsonl", "\n".join(lines))
    part = count(path, PATTERN, options=ReadOptions(on_error="skip"), n_threads=n_threads).parts[0]
    assert (part.tally.n_documents, part.tally.n_rows_skipped) == (3960, 40)
    assert [text.split(" is not")[0] for text in part.skipped.rows] == [
        f"{path} line {k:,}" for k in range(1, 2000, 100)
    ]


def test_rows_left_out_are_said(tmp_path):
    write(tmp_path / "a.jsonl", '{"text": "one"}\n{"text": null}\n{"id": 3}\n')
    write(tmp_path / "b.json", '{"body": "x"}')
    write(tmp_path / "c.csv", "text,id\n,1\n")
    options = ReadOptions()
    assert list(read_documents(str(tmp_path), options)) == ["one"]
    places = [f"{tmp_path / 'a.jsonl'} line 2", f"{tmp_path / 'b.json'} line 1", f"{tmp_path / 'c.csv'} line 2"]
    assert options.skipped.sentences() == [f"4 rows without text were left out, such as {'; '.join(places)}."]
    assert options.skipped.summary().for_report()["rows_without_text"] == places


def test_json_lines_read_as_plain_text_are_noted(tmp_path, monkeypatch):
    path = write(tmp_path / "c.txt", json_lines(ROWS))
    options = ReadOptions()
    assert list(read_documents(str(path), options)) == [json_lines(ROWS)]
    assert options.skipped.sentences() == [
        f"{path} looks like JSON lines but is read as plain text: put it in a file named .jsonl."
    ]
    write(path, '{"not": JSON}\n')
    assert left_out(path) == (['{"not": JSON}\n'], 0, 0)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json_lines(ROWS).encode())))
    options = ReadOptions()
    assert list(read_documents("-", options)) == [json_lines(ROWS)]
    assert options.skipped.sentences()[0].startswith("standard input looks like JSON lines")


def test_only_bad_lines(tmp_path):
    path = write(tmp_path / "c.jsonl", "bad\nworse\n")
    assert refusal(path, on_error="skip").startswith(f"corpus {path} holds no row that can be read: {path} line 1 ")


@pytest.mark.parametrize("first", ["null", "null\ntrue", "\nnull"])
def test_lines_that_are_null(tmp_path, first):
    """Arrow's parser, given these, ends the process."""
    path = write(tmp_path / "c.jsonl", f'{first}\n{{"text": "one"}}\n')
    documents, n_without_text, n_bad = left_out(path, on_error="skip")
    assert (documents, n_without_text, n_bad) == (["one"], 1, "true" in first)
