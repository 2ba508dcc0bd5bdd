"""Whole documents: counted by part, by side and with weights as pre-tokens are, and streamed."""

import json
import tracemalloc

import numpy as np
import pytest

import vocab
from vocab.analysis import compare
from vocab.analysis.whole_documents import measure_documents
from vocab.cli.corpora import corpus_of
from vocab.corpus import DocumentCorpus
from vocab.corpus.counting import is_held_out
from vocab.corpus.read_options import ReadOptions
from vocab.errors import CorpusError
from vocab.formats import measured


class Letters:
    """Every character is a token."""

    def encode(self, text: str) -> np.ndarray:
        return np.zeros(len(text), dtype=np.int64)


@pytest.fixture
def letters():
    return measured(Letters(), "letters")


def write(path, texts: list[str]):
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


def sides(texts: list[str]) -> list[tuple[int, int]]:
    """(bytes, characters) of the texts that are trained on and of those held out."""
    held = [is_held_out(text.encode()) for text in texts]
    return [
        (
            sum(len(t.encode()) for t, h in zip(texts, held, strict=True) if h == side),
            sum(len(t) for t, h in zip(texts, held, strict=True) if h == side),
        )
        for side in (False, True)
    ]


def figures(pair) -> list[tuple[int, int]]:
    return [(side.n_bytes, side.n_tokens) for side in pair]


def test_documents_are_held_out_by_the_same_rule(letters, cl100k, tmp_path):
    texts = [f"text {k} é" * (k % 7 + 1) for k in range(300)]
    path = write(tmp_path / "a.jsonl", texts)
    rows = compare([letters, cl100k], lambda p: vocab.count(path, p), corpus=DocumentCorpus(path))
    assert figures((rows[0].train, rows[0].held_out)) == sides(texts)
    assert (rows[0].train.n_bytes, rows[0].held_out.n_bytes) == (rows[1].train.n_bytes, rows[1].held_out.n_bytes)
    assert figures(measure_documents([letters], DocumentCorpus.of_texts(texts))[0]) == sides(texts)


def test_weights_are_those_of_counts(letters, cl100k, tmp_path):
    a = write(tmp_path / "a.jsonl", [f"{k} some words" for k in range(100)])
    b = write(tmp_path / "b.jsonl", [f"{k} other, longer words é" * 9 for k in range(50)])
    named = [f"{a}:1", f"{b}:2.5"]
    corpus = DocumentCorpus([a, b], shares=[1, 2.5])
    rows = compare([cl100k, letters], lambda p: corpus_of(named, None, p, ReadOptions(), 1), corpus=corpus)
    assert (rows[0].train.n_bytes, rows[0].held_out.n_bytes) == (rows[1].train.n_bytes, rows[1].held_out.n_bytes)
    added = measure_documents([letters], DocumentCorpus([a, b]))[0]
    assert added[0].n_bytes < rows[1].train.n_bytes


def test_where_all_documents_are_held_out_they_are_trained_on(letters):
    text = next(f"text {k}" for k in range(100) if is_held_out(f"text {k}".encode()))
    train, held_out = measure_documents([letters], DocumentCorpus.of_texts([text]))[0]
    assert (train.n_tokens, held_out.n_tokens) == (len(text), 0)


def test_what_cannot_be_read_is_named(letters, tmp_path):
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(CorpusError, match="empty"):
        measure_documents([letters], DocumentCorpus(tmp_path / "empty.txt"))
    with pytest.raises(CorpusError, match="named twice"):
        DocumentCorpus(["a", "a"])
    with pytest.raises(CorpusError, match=r"letters is given whole documents.*name a `corpus`"):
        compare([letters], vocab.count)
    (tmp_path / "bad.txt").write_bytes(b"a\xffb" * 10)
    with pytest.raises(CorpusError, match="not UTF-8"):
        measure_documents(
            [letters], DocumentCorpus(tmp_path / "bad.txt", options=ReadOptions(encoding_errors="refuse"))
        )
    assert measure_documents([letters], DocumentCorpus(tmp_path / "bad.txt"))[0][0].n_tokens == 30


def test_another_corpus_is_noticed(letters, cl100k, tmp_path):
    a, b = write(tmp_path / "a.jsonl", ["some text"] * 9), write(tmp_path / "b.jsonl", ["other"] * 9)
    with pytest.raises(CorpusError, match="changed while it was read"):
        compare([letters, cl100k], lambda p: vocab.count(a, p), corpus=DocumentCorpus(b))


def test_documents_are_read_once_for_all_tokenizers(letters):
    blocks: list[int] = []
    corpus = DocumentCorpus.of_texts(["text"] * 5)
    other = measured(Letters(), "other")
    rows = compare([letters, other, letters], vocab.count, corpus=corpus, on_block=lambda _, n: blocks.append(n))
    assert [row.tokenizer.name for row in rows] == ["letters", "other", "letters"]
    assert len({row.train for row in rows}) == 1
    assert blocks == [20]


class Lengths:
    """Every text is one token."""

    def encode(self, text: str) -> list[int]:
        return [len(text)]


def test_memory_does_not_grow_with_the_corpus(tmp_path):
    peaks = []
    for n in (20, 100):
        write(tmp_path / f"{n}.jsonl", [f"{k} " + "words " * 30_000 for k in range(n)])
        tracemalloc.start()
        measure_documents([measured(Lengths())], DocumentCorpus(tmp_path / f"{n}.jsonl"))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]
