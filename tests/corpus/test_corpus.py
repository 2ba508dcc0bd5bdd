"""Documents from every kind of place, counts against a Counter, and bad input that must be named."""

import gzip
import io
import json
import random
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
import zstandard
from helpers import oracles
from helpers.strategies import corpora
from hypothesis import given
from hypothesis import strategies as st

from vocab.corpus import counting, readers, sources, text_documents
from vocab.corpus.counting import CountProgress, count, count_documents, is_held_out
from vocab.corpus.documents import read_documents
from vocab.corpus.read_options import ReadOptions
from vocab.corpus.text_documents import MAX_DOCUMENT_BYTES, TEXT_BLOCK_BYTES
from vocab.errors import CorpusError, MissingExtraError
from vocab.pretokens.counts import PretokenCounts, merge
from vocab.splitting import CL100K_REGEX, GPT2_REGEX, SplitPattern

PATTERN = SplitPattern(CL100K_REGEX)
TEXTS = [
    "First document, it's short.\n",
    "Zweites Dokument: äöü ß\n",
    "第三个文档。\n\n",
    "4 4 4\r\n",
    "",
    "last",
]


def read(place: object, column: str = "text") -> list[str]:
    return list(read_documents(str(place), ReadOptions(column=column)))


def as_counter(counts: PretokenCounts) -> Counter[bytes]:
    return Counter(dict(zip(counts.pretokens(), counts.counts.tolist(), strict=True)))


def documents_of(counts: PretokenCounts) -> Counter[bytes]:
    return Counter(dict(zip(counts.pretokens(), counts.document_counts.tolist(), strict=True)))


def json_lines(texts: list[str], column: str = "text") -> bytes:
    return b"".join(json.dumps({"id": 1, column: text}).encode() + b"\n" for text in texts)


def write_parquet(path: Path, texts: list, column: str = "text") -> Path:
    pq.write_table(pa.table({"id": range(len(texts)), column: texts}), path)
    return path


def refusal(place: object, **how: str) -> str:
    """The sentence with which a corpus is refused."""
    with pytest.raises(CorpusError) as caught:
        count(str(place), PATTERN, options=ReadOptions(**how))
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


# Places and formats


@pytest.mark.parametrize("ending", ["", ".gz", ".zst", ".GZ"])
@pytest.mark.parametrize("name", ["corpus.txt", "corpus", "corpus.py"])
def test_text(tmp_path, name, ending):
    text = "".join(TEXTS)
    pack = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}[ending.lower()]
    path = tmp_path / (name + ending)
    path.write_bytes(pack(text.encode()))
    assert read(path) == [text]


@pytest.mark.parametrize("name", ["c.jsonl", "c.ndjson", "c.json", "c.jsonl.gz", "c.json.zst", "a.b.JSONL"])
def test_json_lines(tmp_path, name):
    raw = json_lines(TEXTS).replace(b"\n", b"\n\n", 1)
    pack = {".gz": gzip.compress, ".zst": zstandard.compress}.get(name[name.rindex(".") :], bytes)
    (tmp_path / name).write_bytes(pack(raw))
    assert read(tmp_path / name) == TEXTS


def test_json_lines_by_another_column(tmp_path):
    (tmp_path / "c.jsonl").write_bytes(json_lines(TEXTS, "content"))
    assert read(tmp_path / "c.jsonl", "content") == TEXTS


def test_parquet_of_many_row_groups(tmp_path):
    texts = [f"row {k} äöü" for k in range(1000)]
    table = pa.table({"id": range(1000), "content": texts})
    pq.write_table(table, tmp_path / "c.parquet", row_group_size=130)
    assert read(tmp_path / "c.parquet", "content") == texts


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gz", "zst"])
def test_packed_files_of_several_members(tmp_path, pack):
    path = tmp_path / ("c.txt.gz" if pack is gzip.compress else "c.txt.zst")
    path.write_bytes(pack(b"one\n") + pack(b"two\n"))
    assert "".join(read(path)) == "one\ntwo\n"


def test_folder_is_read_in_sorted_order_without_hidden_and_binary_files(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / "b" / "2.txt").write_text("two")
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(json_lines(["three"])))
    (tmp_path / ".hidden").write_text("no")
    (tmp_path / ".git" / "config").write_text("no")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\0\0")
    write_parquet(tmp_path / "d.parquet", ["four"])
    options = ReadOptions()
    assert list(read_documents(str(tmp_path), options)) == ["one", "two", "three", "four"]
    assert [file.path for file in options.skipped.files] == [tmp_path / "picture.png"]
    assert sorted(options.skipped.hidden) == [tmp_path / ".git", tmp_path / ".hidden"]
    assert count(tmp_path, PATTERN).parts[0].skipped == options.skipped.summary()


def test_glob(tmp_path):
    for name in ("x/1.txt", "x/y/2.txt", "x/3.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    assert read(tmp_path / "x" / "*.txt") == ["x/1.txt"]
    assert read(tmp_path / "**" / "*.txt") == ["x/1.txt", "x/y/2.txt"]


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("Grüße\n".encode())))
    assert read("-") == ["Grüße\n"]


@pytest.fixture
def dataset(monkeypatch):
    """`datasets.load_dataset` streams the rows it is given; the fixture returns what it was asked."""
    datasets = pytest.importorskip("datasets")
    asked = []

    class Stream:
        def __init__(self, rows):
            self.rows = rows

        def skip(self, n):
            return Stream(self.rows[n:])

        def __iter__(self):
            for row in self.rows:
                if isinstance(row, Exception):
                    raise row
                yield row

    def stream(rows):
        def load_dataset(name, **settings):
            asked.append((name, settings))
            return Stream(rows)

        monkeypatch.setattr(datasets, "load_dataset", load_dataset)
        return asked

    return stream


def test_hugging_face_dataset_is_streamed(dataset):
    asked = dataset([{"text": text, "id": 3} for text in TEXTS])
    assert read("hf://org/name") == TEXTS
    assert read("hf://org/name:validation") == TEXTS
    assert asked == [
        ("org/name", {"split": "train", "streaming": True}),
        ("org/name", {"split": "validation", "streaming": True}),
    ]


def test_hugging_face_dataset_without_the_column(dataset):
    dataset([{"body": "x", "id": 3}] * 300)
    sentence = "hf://org/name row 0 has no column 'text' (it has: body, id), nor has any of the 256 rows from there"
    assert refusal("hf://org/name") == f"{sentence}; name one with `column`"


def test_rows_of_a_hugging_face_dataset_without_text(dataset):
    dataset([{"text": "fine"}, {"body": "x", "id": 3}, {"text": None}, {"text": "also"}])
    options = ReadOptions()
    assert list(read_documents("hf://org/name", options)) == ["fine", "also"]
    assert options.skipped.n_rows_without_text == 2


def test_hugging_face_dataset_that_goes_on_after_a_block(dataset):
    dataset([{"text": f"row {k}"} for k in range(600)])
    (source,) = sources.list_sources("hf://org/name")
    blocks = list(readers.read_blocks([source], ReadOptions()))
    again = list(readers.read_blocks([source], ReadOptions(), blocks[0].end))
    texts = [block.batch(ReadOptions()).documents() for block in again]
    assert [text for part in texts for text in part] == [f"row {k}" for k in range(256, 600)]


@pytest.mark.parametrize("error", [FileNotFoundError("no such\ndataset"), ConnectionError(), ValueError("")])
def test_hugging_face_dataset_that_fails(dataset, error):
    dataset([{"text": "fine"}, error])
    assert refusal("hf://org/name").startswith("hf://org/name cannot be read")


def test_hugging_face_dataset_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'vocabkit\[datasets\]'"):
        read("hf://org/name")


# Documents


def test_text_is_cut_after_line_ends_into_documents_of_about_one_block(tmp_path):
    rng = random.Random(31)
    lines = ["".join(rng.choices("abc äß漢 ", k=rng.randint(0, 300))) + "\n" for _ in range(3000)]
    (tmp_path / "c.txt").write_text("".join(lines) + "no end", encoding="utf-8", newline="")
    found = read(tmp_path / "c.txt")
    sizes = [len(text.encode()) for text in found]
    assert "".join(found) == "".join(lines) + "no end"
    assert all(text.endswith("\n") for text in found[:-1])
    assert max(sizes) < 2 * TEXT_BLOCK_BYTES
    assert min(sizes[:-1]) > TEXT_BLOCK_BYTES // 2


def test_line_without_end_is_cut_between_characters(tmp_path, monkeypatch):
    monkeypatch.setattr(text_documents, "_MAX_TEXT_BLOCK_BYTES", 2 * TEXT_BLOCK_BYTES)
    for lead in range(4):
        text = "x" * lead + "漢😀é" * 40_000
        (tmp_path / "c.txt").write_text(text, encoding="utf-8")
        found = read(tmp_path / "c.txt")
        assert len(found) > 2
        assert "".join(found) == text


def test_a_text_file_as_one_document(tmp_path):
    (tmp_path / "a.txt").write_text("line\n" * 50_000)
    (tmp_path / "b.txt").write_text("second\n\nstill second\n")
    found = list(read_documents(str(tmp_path), ReadOptions(documents="file")))
    assert found == ["line\n" * 50_000, "second\n\nstill second\n"]


def test_blank_lines_between_documents(tmp_path):
    text = "\none\nstill one\n\n \t\ntwo\r\n\r\n\n" + "three is long\n" * 20_000 + "\n\n\nfour\n\n"
    (tmp_path / "c.txt").write_bytes(text.encode())
    found = list(read_documents(str(tmp_path), ReadOptions(documents="blank-line")))
    assert "".join(found) == text
    assert [part[:4] for part in found] == ["\none", "two\r", "thre", "four"]
    assert all(re.search(r"\n[ \t\r]*\n$", part) for part in found)


def test_a_file_too_large_for_one_document(tmp_path, monkeypatch):
    monkeypatch.setattr(text_documents, "MAX_DOCUMENT_BYTES", 100_000)
    (tmp_path / "c.txt").write_text("x\n" * 60_000)
    assert refusal(tmp_path / "c.txt", documents="file").endswith("leave `documents` at block")
    assert "a document of" in refusal(tmp_path / "c.txt", documents="blank-line")
    (tmp_path / "c.jsonl").write_text(json.dumps({"text": "x" * 9_000_000}))
    assert refusal(tmp_path / "c.jsonl").startswith(f"a line of {tmp_path / 'c.jsonl'} has more than 100,000 bytes")
    assert MAX_DOCUMENT_BYTES > 10**9


def test_small_files_share_a_block(tmp_path):
    for k in range(30):
        (tmp_path / f"{k:02}.txt").write_text(f"file {k}\n" * 500)
    blocks = list(readers.read_blocks(sources.list_sources(str(tmp_path)), ReadOptions()))
    assert len(blocks) == 1
    assert blocks[0].batch(ReadOptions()).n_documents == 30
    assert blocks[0].n_stored_bytes == sum(p.stat().st_size for p in tmp_path.iterdir())


INVALID = {
    "c.txt": b"good \xff\xfe bad\n",
    "c.jsonl": b'{"text": "good \xff\xfe bad\\n"}\n',
    "surrogate.jsonl": rb'{"text": "good \ud800 bad\n"}' + b"\n",
}


@pytest.mark.parametrize("name", INVALID)
def test_invalid_utf8_is_repaired_left_out_or_refused(tmp_path, name):
    fine = b"fine\n" if name == "c.txt" else b'{"text": "fine"}\n'
    (tmp_path / ("a-" + name)).write_bytes(fine)
    (tmp_path / name).write_bytes(INVALID[name])
    part = count(tmp_path, PATTERN).parts[0]
    assert (part.tally.n_documents_repaired, part.tally.n_documents_skipped, part.tally.n_documents) == (1, 0, 2)
    repaired = as_counter(part.train) + as_counter(part.held_out)
    assert any("\ufffd".encode() in piece for piece in repaired)
    part = count(tmp_path, PATTERN, options=ReadOptions(encoding_errors="skip")).parts[0]
    assert (part.tally.n_documents_repaired, part.tally.n_documents_skipped, part.tally.n_documents) == (0, 1, 1)
    kept = as_counter(part.train) + as_counter(part.held_out)
    assert kept == oracles.count(PATTERN, ["fine\n" if name == "c.txt" else "fine"])
    sentence = refusal(tmp_path, encoding_errors="refuse")
    assert sentence.startswith(f"{tmp_path / name} ")
    assert "is not UTF-8 at its byte" in sentence
    assert sentence.endswith("set `encoding_errors` to replace or skip")


def test_surrogate_pairs_of_json_are_characters(tmp_path):
    (tmp_path / "c.jsonl").write_bytes(rb'{"text": "a\ud800b"}' + b"\n" + rb'{"text": "\ud83d\ude00"}')
    first, second = read(tmp_path / "c.jsonl")
    assert first.startswith("a\ufffd")
    assert second == "😀"


@pytest.mark.parametrize("column", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_parquet_text_in_every_form(tmp_path, column):
    pq.write_table(pa.table({"text": pa.array(TEXTS, pa.string()).cast(column)}), tmp_path / "c.parquet")
    assert read(tmp_path / "c.parquet") == TEXTS


def test_a_file_that_is_written_while_it_is_read(tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_bytes(json_lines(["one"]))
    (source,) = sources.list_sources(str(path))
    path.write_bytes(json_lines(["one", "two"]))
    with pytest.raises(CorpusError, match="changed while it was read"):
        list(readers.read_blocks([source], ReadOptions()))
    (source,) = sources.list_sources(str(path))
    blocks = readers.read_blocks([source], ReadOptions())
    next(blocks)
    path.write_bytes(b"")
    with pytest.raises(CorpusError, match="changed while it was read"):
        next(blocks)
    path.unlink()
    with pytest.raises(CorpusError, match="cannot be read: No such file"):
        list(readers.read_blocks([source], ReadOptions()))


# Counting


def held_out_by_the_rule(text: str) -> bool:
    return xxhash.xxh64_intdigest(text.encode()) % 10 == 0


def corpus_texts(real_text: str) -> list[str]:
    rng = random.Random(32)
    edges = sorted(rng.sample(range(400_000), 300))
    return [real_text[a:b] for a, b in zip([0, *edges], edges, strict=False)]


def test_counts_equal_a_counter(real_text):
    texts = corpus_texts(real_text)
    part = count_documents(texts, "c", PATTERN)
    train = [text for text in texts if not held_out_by_the_rule(text)]
    held_out = [text for text in texts if held_out_by_the_rule(text)]
    assert as_counter(part.train) == oracles.count(PATTERN, train)
    assert as_counter(part.held_out) == oracles.count(PATTERN, held_out)
    assert documents_of(part.train) == oracles.count_documents(PATTERN, train)
    assert documents_of(part.held_out) == oracles.count_documents(PATTERN, held_out)
    assert (part.tally.n_documents, part.tally.n_documents_held_out) == (len(texts), len(held_out))
    assert 10 < len(held_out) < 60


def test_every_byte_is_counted_on_one_side(real_text):
    texts = corpus_texts(real_text)
    part = count_documents(texts, "c", PATTERN)
    n_bytes = sum(len(text.encode()) for text in texts)
    assert part.train.n_bytes + part.held_out.n_bytes == part.tally.n_bytes_read == n_bytes
    assert part.held_out.n_bytes == sum(len(text.encode()) for text in texts if is_held_out(text.encode()))
    assert part.tally.n_documents == len(texts)


@pytest.mark.parametrize("n_threads", [2, 3, 8])
def test_counts_do_not_depend_on_threads(real_text, monkeypatch, n_threads):
    monkeypatch.setattr(counting, "BLOCK_BYTES", 5000)
    items = corpus_texts(real_text)
    one = count_documents(items, "c", PATTERN)
    many = count_documents(items, "c", PATTERN, n_threads)
    for a, b in ((one.train, many.train), (one.held_out, many.held_out)):
        assert np.array_equal(a.blob, b.blob)
        assert np.array_equal(a.starts, b.starts)
        assert np.array_equal(a.counts, b.counts)
        assert np.array_equal(a.document_counts, b.document_counts)
    assert one.tally == many.tally


def test_progress_hears_every_byte(real_text, monkeypatch):
    monkeypatch.setattr(counting, "BLOCK_BYTES", 5000)
    items = corpus_texts(real_text)
    heard: list[CountProgress] = []
    part = count_documents(items, "c", PATTERN, 2, heard.append)
    assert heard[-1].n_bytes_read == heard[-1].n_stored_bytes == part.tally.n_bytes_read
    assert heard[-1].n_pretokens >= part.train.n_pretokens
    assert len(heard) > 20


def test_one_document_in_ten_is_held_out():
    sides = [is_held_out(b"%d" % k) for k in range(20_000)]
    assert 1800 < sum(sides) < 2200
    assert sides[:500] == [held_out_by_the_rule(str(k)) for k in range(500)]


def test_several_corpora_are_parts_and_add_up(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text(f"text of {name}, text of {name}\n")
    counts = count([tmp_path / "a", tmp_path / "b"], PATTERN)
    assert [part.name for part in counts.parts] == [str(tmp_path / "a"), str(tmp_path / "b")]
    together = as_counter(counts.train) + as_counter(counts.held_out)
    assert together == oracles.count(PATTERN, ["text of a, text of a\n", "text of b, text of b\n"])


def test_a_corpus_named_twice_is_refused(tmp_path):
    (tmp_path / "a").write_text("a")
    with pytest.raises(CorpusError, match="twice"):
        count([tmp_path / "a", str(tmp_path / "a")], PATTERN)


def test_pretokens_stand_in_byte_order(real_text):
    part = count_documents([real_text[-50_000:]], "c", PATTERN)
    counts = part.train
    assert counts.pretokens() == sorted(set(counts.pretokens()))
    assert (counts.blob.dtype, counts.starts.dtype, counts.counts.dtype) == (np.uint8, np.int64, np.uint64)
    assert counts.n_occurrences == len(PATTERN.split(real_text[-50_000:]))


# Count tables


@given(
    tables=st.lists(corpora(), min_size=1, max_size=5),
    weights=st.lists(st.integers(1, 9), min_size=5, max_size=5),
)
def test_merging_adds_and_is_associative(tables, weights):
    made = [PretokenCounts.from_mapping(table, "p") for table in tables]
    expected = Counter()
    for table, weight in zip(tables, weights, strict=False):
        expected.update({piece: n * weight for piece, n in table.items()})
    weighted = merge(made, weights[: len(made)])
    assert as_counter(weighted) == expected
    assert weighted.pretokens() == sorted(expected)
    assert as_counter(merge([merge(made[:1]), merge(made)])) == as_counter(merge([merge([made[0], *made])]))


def test_counts_above_32_bits_are_kept():
    big = PretokenCounts.from_mapping({b"a": 2**40, b"bc": 2**62}, "p")
    assert as_counter(merge([big, big])) == {b"a": 2**41, b"bc": 2**63}
    assert big.n_occurrences == 2**40 + 2**62
    assert PretokenCounts.from_mapping({b"abc": 2**40}, "p").n_bytes == 3 * 2**40


def test_counts_of_different_patterns_are_not_mixed():
    digests = [SplitPattern(regex).sha256 for regex in (CL100K_REGEX, GPT2_REGEX)]
    tables = [PretokenCounts.from_mapping({b"a": 1}, digest) for digest in digests]
    with pytest.raises(CorpusError, match="different split patterns"):
        merge(tables)


def test_no_counts_at_all():
    empty = PretokenCounts.from_mapping({}, "p")
    assert (empty.n_pretokens, empty.n_occurrences, empty.n_bytes, empty.pretokens()) == (0, 0, 0, [])
    assert merge([empty, empty]).n_pretokens == 0


@pytest.mark.parametrize("value", [-1, 2**64])
def test_counts_that_do_not_fit_are_refused(value):
    with pytest.raises(OverflowError):
        PretokenCounts.from_mapping({b"a": value}, "p")


# Bad input


def test_missing_path(tmp_path):
    assert refusal(tmp_path / "none.txt") == f"corpus {tmp_path / 'none.txt'}: no such file or folder"
    assert "no such file or folder" in refusal(tmp_path / "*.txt")


def test_empty_folder(tmp_path):
    assert refusal(tmp_path) == f"corpus {tmp_path}: the folder holds no files"


@pytest.mark.parametrize("name", ["c.txt", "c.jsonl", "c.txt.gz", "c.txt.zst"])
def test_empty_file(tmp_path, name):
    pack = {".gz": gzip.compress, ".zst": zstandard.compress}.get(Path(name).suffix, bytes)
    (tmp_path / name).write_bytes(pack(b""))
    assert refusal(tmp_path / name) == f"corpus {tmp_path / name} is empty: there is no text to count"


def test_parquet_without_rows(tmp_path):
    path = tmp_path / "c.parquet"
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), path)
    assert "is empty" in refusal(path)


def test_binary_file(tmp_path):
    (tmp_path / "c.bin").write_bytes(b"\x89PNG\r\n\0\0\0")
    assert refusal(tmp_path / "c.bin").startswith(f"{tmp_path / 'c.bin'} is a PNG image: give text, ")


def test_binary_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"ab\0")))
    assert refusal("-").startswith("standard input is not text: more than a fifth of its beginning is NUL bytes or")


@pytest.mark.parametrize("kept", [1, 3, 10, 1000, 20_000, -1])
@pytest.mark.parametrize("name", ["c.txt.gz", "c.txt.zst", "c.jsonl.gz", "c.jsonl.zst"])
def test_truncated_packed_file(tmp_path, name, kept):
    rng = random.Random(34)
    texts = ["".join(rng.choices("abcdefghijklmnop ", k=80)) for _ in range(2000)]
    raw = json_lines(texts) if "jsonl" in name else "\n".join(texts).encode()
    packed = gzip.compress(raw) if name.endswith(".gz") else zstandard.compress(raw)
    (tmp_path / name).write_bytes(packed[:kept])
    refused = refusal(tmp_path / name)
    cut_line = "jsonl" in name and refused.startswith(f"{tmp_path / name} line ")
    assert cut_line or refused.startswith(f"{tmp_path / name} cannot be read")


@pytest.mark.parametrize("name", ["c.txt.gz", "c.txt.zst"])
def test_file_that_is_not_packed_as_its_name_says(tmp_path, name):
    (tmp_path / name).write_text("plain text")
    assert refusal(tmp_path / name).startswith(f"{tmp_path / name} cannot be read")


def test_packed_file_damaged_within(tmp_path):
    rng = random.Random(35)
    packed = bytearray(gzip.compress(rng.randbytes(5000).hex().encode()))
    packed[2000:2010] = b"0123456789"
    (tmp_path / "c.txt.gz").write_bytes(packed)
    assert refusal(tmp_path / "c.txt.gz").startswith(f"{tmp_path / 'c.txt.gz'} cannot be read")


@pytest.mark.parametrize("kept", [0, 3, 100, -1])
def test_truncated_parquet(tmp_path, kept):
    path = write_parquet(tmp_path / "c.parquet", TEXTS)
    path.write_bytes(path.read_bytes()[:kept])
    assert refusal(path).startswith(f"{path} cannot be read")


def test_parquet_damaged_within(tmp_path):
    path = tmp_path / "c.parquet"
    rng = random.Random(36)
    pq.write_table(pa.table({"text": [rng.randbytes(40).hex() for _ in range(3000)]}), path)
    raw = bytearray(path.read_bytes())
    raw[100:2000] = bytes(1900)
    path.write_bytes(raw)
    assert refusal(path).startswith(f"{path} cannot be read")


def test_parquet_without_the_column(tmp_path):
    path = write_parquet(tmp_path / "c.parquet", TEXTS, "body")
    assert refusal(path) == f"{path} has no column 'text' (it has: id, body); name one with `column`"


def test_parquet_whose_column_is_not_text(tmp_path):
    path = write_parquet(tmp_path / "c.parquet", [1, 2])
    assert refusal(path) == f"{path} has no text in column 'text', which holds int64; name another with `column`"


def test_broken_json_line(tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_bytes(json_lines(["one", "two"]) + b'\n{"text": "three\n' + json_lines(["four"]))
    assert refusal(path).startswith(f"{path} line 4 is not JSON (")


def test_json_nested_too_deep(tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_bytes(json_lines(["one"]) + b"[" * 200_000 + b"\n")
    assert refusal(path).startswith(f"{path} line 2 ")


def test_damaged_file_in_a_folder_is_named(tmp_path):
    (tmp_path / "a.txt").write_text("fine")
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"x" * 9999)[:20])
    assert refusal(tmp_path).startswith(f"{tmp_path / 'b.txt.gz'} cannot be read")


def test_a_thread_that_fails_is_heard():
    class Broken(SplitPattern):
        def ends_of_documents(self, text, doc_starts):
            raise CorpusError("heard")

    with pytest.raises(CorpusError, match="heard"):
        count_documents(["text"] * 3, "c", Broken(CL100K_REGEX), 2)
