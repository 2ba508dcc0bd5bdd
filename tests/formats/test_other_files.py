"""Files that are known and not read say what they are."""

import gzip
import io
import zipfile

import pytest

import vocab
from vocab.errors import SourceError


def zipped() -> bytes:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        archive.writestr("tokenizer.json", "{}")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("merges.txt", b"#version: 0.2\ni n\nt h\n", "is a list of merges: name its folder"),
        ("vocab.txt", b"[PAD]\n[unused0]\n[UNK]\nthe\n", "is WordPiece's list of tokens"),
        ("small.tiktoken.gz", gzip.compress(b"YQ== 0\n", mtime=0), "is compressed with gzip"),
        ("small.zip", zipped(), "is a zip archive"),
    ],
)
def test_what_is_known_is_named(tmp_path, name, content, sentence):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=sentence):
        vocab.load(path)
