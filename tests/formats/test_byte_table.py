"""The byte table of a tokenizer: bytes of each id beside the tokenizer's own decoding, and the files that hold it."""

import base64
import json

import numpy as np
import pytest
from helpers.cli import fails, run

from vocab.errors import TargetError
from vocab.formats import byte_table, write_byte_table
from vocab.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def small(cl100k):
    return Vocabulary.from_tokens(list(cl100k.tokens())[:300], cl100k.pattern, {"<|endoftext|>": 305})


def test_ids_give_the_bytes_of_a_text(small):
    table = byte_table(small)
    assert len(table.tokens) == 306
    assert table.tokens[300:] == (None,) * 6
    text = "naïve 中文\n\n  text"
    ids = small.encode(text)
    assert b"".join(table.tokens[k] for k in ids) == text.encode()
    assert int(table.lengths[ids].sum()) == len(text.encode())
    assert table.lengths[305] == 0
    assert table.notes == ()


def test_files_hold_the_same(small, tmp_path):
    table = byte_table(small)
    write_byte_table(table, tmp_path / "bytes.npy")
    write_byte_table(table, tmp_path / "deep" / "bytes.json")
    lengths = np.load(tmp_path / "bytes.npy", allow_pickle=False)
    content = json.loads((tmp_path / "deep" / "bytes.json").read_text())
    assert lengths.dtype == np.int32
    assert lengths.tolist() == content["lengths"] == table.lengths.tolist()
    tokens = [None if coded is None else base64.b64decode(coded) for coded in content["bytes_base64"]]
    assert tuple(tokens) == table.tokens
    assert content["special_tokens"] == {"<|endoftext|>": 305}
    with pytest.raises(TargetError, match=r"must end in \.npy"):
        write_byte_table(table, tmp_path / "bytes.pt")


def test_the_command_writes_and_refuses(tmp_path):
    done = run("bytes", "cl100k_base", "--out", "bytes.npy", where=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "100,277 ids of cl100k_base" in " ".join(done.stdout.split())
    assert np.load(tmp_path / "bytes.npy").size == 100_277
    assert "is there already" in fails(tmp_path, "bytes", "cl100k_base", "--out", "bytes.npy")
    assert "must end in" in fails(tmp_path, "bytes", "cl100k_base", "--out", "bytes.txt")


def test_a_tokenizer_that_loses_text_is_told(tmp_path):
    import tokenizers

    words = {"[UNK]": 0, "the": 1, "cat": 2, "##s": 3}
    lossy = tokenizers.Tokenizer(tokenizers.models.WordPiece(words, unk_token="[UNK]"))
    lossy.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    lossy.normalizer = tokenizers.normalizers.Lowercase()
    lossy.save(str(tmp_path / "tokenizer.json"))
    table = byte_table(tmp_path)
    assert table.lengths.tolist()[1:3] == [3, 3]
    assert "need not give the text back" in table.notes[0]
