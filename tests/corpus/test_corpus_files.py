"""Which files a corpus is: folders, links, patterns, packings, and what is not text. Nothing is left out unsaid."""

import bz2
import errno
import gzip
import io
import itertools
import json
import lzma
import os
import re
import sys
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from vocab.corpus import text_documents as documents_of_text
from vocab.corpus.counting import count
from vocab.corpus.documents import read_documents
from vocab.corpus.read_options import ReadOptions
from vocab.corpus.text_documents import text_documents
from vocab.errors import CorpusError
from vocab.splitting import CL100K_REGEX, SplitPattern

PATTERN = SplitPattern(CL100K_REGEX)
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256))


def read(place: object, **how: str) -> tuple[list[str], list[str]]:
    """The documents of a corpus, and the sentences on what was left out."""
    options = ReadOptions(**how)
    return list(read_documents(str(place), options)), options.skipped.sentences()


def refusal(place: object, **how: str) -> str:
    """The sentence with which a corpus is refused."""
    with pytest.raises(CorpusError) as caught:
        count(str(place), PATTERN, options=ReadOptions(**how))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# Links and patterns


def test_linked_folders_and_files_are_followed_once_each(tmp_path):
    data = tmp_path / "data"
    write(data / "a.txt", "a")
    write(tmp_path / "elsewhere" / "0.txt", "0")
    write(tmp_path / "elsewhere" / "deep" / "1.txt", "1")
    write(tmp_path / "one.txt", "2")
    (data / "linked").symlink_to(tmp_path / "elsewhere")
    (data / "again").symlink_to(tmp_path / "elsewhere" / "deep")
    (data / "cycle").symlink_to(data)
    (data / "file.txt").symlink_to(tmp_path / "one.txt")
    (data / "same.txt").symlink_to("a.txt")
    assert read(data) == (["a", "1", "2", "0"], [])
    (tmp_path / "entry").symlink_to(data)
    assert sorted(read(tmp_path / "entry")[0]) == ["0", "1", "2", "a"]


def test_a_file_is_listed_by_its_own_name_before_those_of_links(tmp_path):
    write(tmp_path / "z" / "a.txt", "a")
    (tmp_path / "b").symlink_to(tmp_path / "z")
    write(tmp_path / "m.txt", "m")
    assert read(tmp_path)[0] == ["m", "a"]


def test_a_link_that_leads_nowhere_is_named(tmp_path):
    write(tmp_path / "a.txt", "a")
    (tmp_path / "gone.txt").symlink_to(tmp_path / "none")
    assert refusal(tmp_path).startswith(f"{tmp_path / 'gone.txt'} is a link that leads nowhere")
    said = [f"1 file was left out: {tmp_path / 'gone.txt'} is a link that leads nowhere."]
    assert read(tmp_path, on_error="skip") == (["a"], said)
    assert refusal(tmp_path / "gone.txt") == f"corpus {tmp_path / 'gone.txt'} is a link that leads nowhere"


def test_folders_that_a_pattern_matches_are_searched(tmp_path):
    write(tmp_path / "part-1" / "a.txt", "1")
    write(tmp_path / "part-2" / "deep" / "b.txt", "2")
    write(tmp_path / "part-3.txt", "3")
    write(tmp_path / "part-4.bin", PNG)
    assert read(tmp_path / "part-*")[0] == ["1", "2", "3"]
    assert read(tmp_path / "**")[0] == ["1", "2", "3"]
    assert read(tmp_path / "part-*")[1] == [f"1 file was left out: {tmp_path / 'part-4.bin'} is a PNG image."]


def test_hidden_files_are_counted_and_never_all_there_is(tmp_path):
    write(tmp_path / ".hidden.txt", "hidden")
    write(tmp_path / ".git" / "config", "hidden")
    assert refusal(tmp_path).startswith(f"corpus {tmp_path}: the folder holds hidden files only, such as .git: name")
    write(tmp_path / "a.txt", "a")
    assert read(tmp_path) == (["a"], ["2 hidden files or folders were left out."])
    assert read(tmp_path / ".hidden.txt") == (["hidden"], [])


@pytest.mark.skipif(sys.platform == "win32", reason="pipes have names on POSIX systems only")
def test_pipes_and_devices(tmp_path):
    write(tmp_path / "a.txt", "a")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    documents, said = read(tmp_path)
    assert documents == ["a"]
    assert said[0].startswith("2 files were left out: ")
    assert said[0].count("is a pipe, socket or device, not a file") == 2
    assert "give - to read standard input" in refusal(tmp_path / "pipe")
    assert "is a pipe, socket or device" in refusal("/dev/zero")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_named(tmp_path):
    write(tmp_path / "a.txt", "a")
    write(tmp_path / "closed" / "b.txt", "b")
    write(tmp_path / "c.txt", "c").chmod(0)
    (tmp_path / "closed").chmod(0)
    try:
        assert "Permission denied" in refusal(tmp_path)
        documents, said = read(tmp_path, on_error="skip")
    finally:
        (tmp_path / "closed").chmod(0o700)
    assert documents == ["a"]
    assert said[0].count("Permission denied") == 2


@pytest.mark.parametrize("pattern", ["*/*.txt", "**/*.txt", "**", "[abc]/*", "b/x*"])
def test_a_closed_folder_that_a_pattern_leads_to_is_named(tmp_path, monkeypatch, pattern):
    for name in "abc":
        write(tmp_path / name / "x.txt", name)
    scan = os.scandir

    def denied(folder):
        if Path(folder) == tmp_path / "b":
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", denied)
    place = tmp_path / pattern
    assert f"{tmp_path / 'b'} cannot be read: Permission denied: mend it, or set `on_error`" in refusal(place)
    documents, said = read(place, on_error="skip")
    assert documents == ([] if pattern.startswith("b") else ["a", "c"])
    assert said == [f"1 file was left out: {tmp_path / 'b'} cannot be read: Permission denied."]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may enter everything")
def test_a_folder_that_may_be_listed_and_not_entered(tmp_path):
    write(tmp_path / "a/x.txt", "a")
    write(tmp_path / "b/x.txt", "b").parent.chmod(0o600)
    try:
        assert f"{tmp_path / 'b'} cannot be entered: Permission denied" in refusal(tmp_path / "*/x.txt")
    finally:
        (tmp_path / "b").chmod(0o700)


def test_the_same_file_in_two_corpora(tmp_path):
    write(tmp_path / "books" / "a.txt", "a")
    with pytest.raises(CorpusError, match=r"a\.txt is in both .*; its documents would count twice"):
        count([tmp_path, tmp_path / "books"], PATTERN)


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name(name):
    assert refusal(name).startswith("the name of a corpus is empty")


def test_no_corpus_at_all():
    with pytest.raises(CorpusError, match="no corpus is named"):
        count([], PATTERN)


# What is not text


NOT_TEXT = {
    "picture": (PNG, "is a PNG image"),
    "report": (b"%PDF-1.7\n%text", "is a PDF document"),
    "c.txt": (gzip.compress(b"text"), "is packed by gzip: end its name in .gz"),
    "d.jsonl": (bz2.compress(b"{}"), "is packed by bzip2: end its name in .bz2"),
    "e.csv": (b"PK\x03\x04....", "is a zip archive"),
    "f.txt": ("Grüße\n".encode("utf-16"), "is UTF-16: convert it to UTF-8 first"),
    "g.jsonl": ('{"text": "a"}\n'.encode("utf-16-be"), "looks like UTF-16 without a byte order mark"),
    "h.txt": (b"\xff\xfe\0\0a\0\0\0", "is UTF-32"),
    "i": (b"\x7fELF\2\1\1" + bytes(50), "is a program (ELF)"),
    "j.dat": (bytes(range(256)) * 20, "is not text: more than a fifth"),
    "k.docx": (b"anything", "is a document of an office program"),
    "l.tar.gz": (gzip.compress(b"anything"), "is an archive: unpack it first"),
    "m.parquet.gz": (b"anything", "is a packed .parquet file: unpack it first"),
    "n.txt.lz4": (b"anything", "is packed in a way that is not read"),
    "o.txt": (b"WARC/1.0\r\nWARC-Type: response\r\n", "is a web archive"),
}


@pytest.mark.parametrize("name", NOT_TEXT)
def test_a_file_that_is_not_text(tmp_path, name):
    """It is refused when it is named, and left out and named in a folder."""
    content, reason = NOT_TEXT[name]
    path = write(tmp_path / name, content)
    assert refusal(path).startswith(f"{path} {reason}")
    assert refusal(tmp_path).startswith(f"corpus {tmp_path} ")
    assert reason in refusal(tmp_path)
    write(tmp_path / "fine.txt", "fine")
    documents, said = read(tmp_path)
    assert documents == ["fine"]
    assert said[0].startswith(f"1 file was left out: {path} {reason}")
    part = count(tmp_path, PATTERN).parts[0]
    assert part.skipped.n_files == 1


@pytest.mark.parametrize("text", ["log line.\n" * 9000 + "\0\n", "a\0b is in source code too\n", "\0" + "x" * 99])
def test_nul_is_text_in_a_file_that_is_text(tmp_path, text):
    write(tmp_path / "c.txt", text)
    write(tmp_path / "d.txt", "d")
    documents, said = read(tmp_path)
    assert "".join(documents) == text + "d"
    assert said == []
    part = count(tmp_path / "c.txt", PATTERN).parts[0]
    assert part.train.n_bytes + part.held_out.n_bytes == len(text)


def test_text_in_another_encoding_with_a_nul_is_no_binary_file(tmp_path):
    write(tmp_path / "c.txt", ("Grüße aus dem Süden, ".encode("latin-1")) * 99 + b"\0")
    assert len(read(tmp_path)[0]) == 1


def test_a_named_file_that_is_not_text_may_be_skipped(tmp_path):
    path = write(tmp_path / "c.png", PNG)
    assert refusal(path, on_error="skip").startswith(
        f"corpus {path} holds no text: 1 file was left out, such as {path}"
    )


# Packings and marks


PACKED = {
    "c.txt.gz": gzip.compress,
    "c.txt.bz2": bz2.compress,
    "c.txt.xz": lzma.compress,
    "c.txt.lzma": lambda raw: lzma.compress(raw, lzma.FORMAT_ALONE),
    "c.txt.zst": zstandard.compress,
}


@pytest.mark.parametrize("name", PACKED)
def test_packings(tmp_path, name):
    text = "".join(f"line {k} äöü\n" for k in range(30_000))
    path = write(tmp_path / name, PACKED[name](text.encode()))
    assert "".join(read(path)[0]) == text
    whole = path.read_bytes()
    write(path, whole[: len(whole) // 2])
    assert refusal(path).startswith(f"{path} cannot be read after ")
    if name != "c.txt.lzma":  # which has no mark at its end
        write(path, whole[:-1])
        assert refusal(path).startswith(f"{path} cannot be read")
    write(path, "plain text")
    assert refusal(path).startswith(f"{path} cannot be read")


def long_window(raw: bytes, window_log: int = 31) -> bytes:
    """A zstd frame with a long window, its content in raw blocks: only the header differs from a usual frame."""
    blocks = [raw[k : k + 100_000] for k in range(0, len(raw), 100_000)]
    frame = b"\x28\xb5\x2f\xfd\0" + bytes([(window_log - 10) << 3])
    for k, block in enumerate(blocks):
        is_last = k == len(blocks) - 1
        frame += (is_last | len(block) << 3).to_bytes(3, "little") + block
    return frame


@pytest.mark.parametrize("window_log", [27, 28, 31])
def test_zstd_with_a_long_window(tmp_path, window_log):
    text = "".join(f"line {k} äöü\n" for k in range(30_000))
    frames = long_window(text.encode(), window_log) + long_window(b"more", window_log)
    path = write(tmp_path / "c.txt.zst", frames)
    assert "".join(read(path)[0]) == text + "more"
    for cut in (len(frames) - 1, len(frames) - 12, 200_000):
        write(path, frames[:cut])
        assert refusal(path).startswith(f"{path} cannot be read after ")


MARKED = {
    "c.txt": ("Grüße\n", ["Grüße\n"]),
    "c.jsonl": ('{"text": "a"}\n{"text": "b"}\n', ["a", "b"]),
    "c.json": ('[{"text": "a"}]', ["a"]),
    "c.csv": ("text,id\na,1\n", ["a"]),
    "c.tsv": ("text\tid\na\t1\n", ["a"]),
}


@pytest.mark.parametrize("name", MARKED)
def test_a_byte_order_mark_is_no_text(tmp_path, name):
    content, documents = MARKED[name]
    path = write(tmp_path / name, "\ufeff" + content)
    assert read(path) == (documents, [])
    assert count(path, PATTERN).parts[0].tally.n_bytes_read == sum(len(text.encode()) for text in documents)


def test_a_byte_order_mark_in_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\ufeffGrüße".encode())))
    assert read("-")[0] == ["Grüße"]


# One bad file


def test_a_damaged_file_ends_nothing_when_errors_are_skipped(tmp_path):
    text = "".join(f"line {k}\n" for k in range(50_000))
    for name in ("a.txt.gz", "b.txt.gz", "c.txt.gz"):
        write(tmp_path / name, gzip.compress(text.encode()))
    write(tmp_path / "b.txt.gz", (tmp_path / "b.txt.gz").read_bytes()[:30_000])
    write(tmp_path / "d.parquet", b"PAR1")
    assert refusal(tmp_path).startswith(f"{tmp_path / 'b.txt.gz'} cannot be read after ")
    part = count(tmp_path, PATTERN, options=ReadOptions(on_error="skip"), n_threads=3).parts[0]
    assert part.tally.n_bytes_read > 2 * len(text)  # what comes before the damage is counted
    assert part.skipped.n_files == 2
    assert part.skipped.files[0].startswith(f"{tmp_path / 'b.txt.gz'} cannot be read after ")
    assert part.skipped.files[1].startswith(f"{tmp_path / 'd.parquet'} cannot be read")
    assert json.loads(json.dumps(part.skipped.for_report()))["n_files_skipped"] == 2


# Documents between blank lines


def between_blank_lines(text: bytes) -> list[bytes]:
    """Slowly: the text up to and with each run of blank lines."""
    ends = [blank.end() for blank in re.finditer(rb"\n(?:[ \t\r]*\n)+", text) if blank.end() < len(text)]
    return [part for a, b in itertools.pairwise([0, *ends, len(text)]) if (part := text[a:b])]


@given(st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r", b"\n", b"\n\n"]), max_size=60), st.integers(1, 9))
def test_blank_lines_part_documents_however_the_text_is_read(pieces, size):
    text = b"".join(pieces)
    parts = iter([text[k : k + size] for k in range(0, len(text), size)])
    assert list(text_documents(lambda n: next(parts, b""), "x", "blank-line")) == between_blank_lines(text)


@pytest.mark.parametrize(
    "line", [b"word " * 199 + b"\n", b" " * 1000, b"a" * 1000], ids=["lines", "spaces", "one line"]
)
def test_text_without_blank_lines_is_searched_once(line, monkeypatch):
    """Bytes that the search looks at, as a multiple of the text's: time would tell too, but not on a busy machine."""
    searched = []

    class Counting:
        def finditer(self, text, first):
            searched.append(len(text) - first)
            return pattern.finditer(text, first)

    pattern = documents_of_text._BLANK_LINES
    monkeypatch.setattr(documents_of_text, "_BLANK_LINES", Counting())
    stream = io.BytesIO(line * 4000)
    assert len(list(text_documents(stream.read, "x", "blank-line"))) == 1
    assert sum(searched) < 4 * 4000 * len(line)
