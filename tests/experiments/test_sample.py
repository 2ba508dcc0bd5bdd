"""A study's text: as much as was asked for, the same documents every time, and smaller samples in larger ones."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vocab.corpus.read_options import ReadOptions
from vocab.errors import CorpusError
from vocab.experiments.loss.sample import sample_corpus


def texts_of(path) -> list[str]:
    return [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()]


@given(sizes=st.lists(st.integers(20, 3000), min_size=5, max_size=60), share=st.floats(0.05, 0.95))
def test_a_sample_ends_with_the_document_that_fills_it(sizes, share, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    texts = [f"{k:04d} é" + "x" * size for k, size in enumerate(sizes)]
    corpus = folder / "corpus.jsonl"
    corpus.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    wanted = share * sum(len(text.encode()) for text in texts) / 1e6
    found = sample_corpus([str(corpus)], folder / "sample.jsonl", wanted)
    chosen = texts_of(found.path)
    assert chosen == [text for text in texts if text in set(chosen)]
    assert found.n_documents == len(chosen)
    assert found.n_bytes == sum(len(text.encode()) for text in chosen) >= wanted * 1e6
    assert found.n_bytes - max(len(text.encode()) for text in chosen) < wanted * 1e6
    smaller = sample_corpus([str(corpus)], folder / "smaller.jsonl", wanted / 2)
    assert set(texts_of(smaller.path)) <= set(chosen)
    assert sample_corpus([str(corpus)], folder / "again.jsonl", wanted).sha256 == found.sha256


def test_too_little_text_is_said_and_nothing_is_written(tmp_path):
    (tmp_path / "corpus.txt").write_text("short\n")
    with pytest.raises(CorpusError, match=r"corpus\.txt has 0\.0 MB, and the study needs 2: give more"):
        sample_corpus([str(tmp_path / "corpus.txt")], tmp_path / "sample.jsonl", 2)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus.txt"]


def test_a_sample_says_what_was_left_out_whenever_it_is_asked_for(tmp_path):
    place = tmp_path / "text"
    place.mkdir()
    (place / "a.jsonl").write_text('{"body": "one"}\n{"body": 5}\n{"body": null}\n')
    (place / "b.pdf").write_bytes(b"%PDF-1.7")
    options = ReadOptions("body", on_error="skip")
    found = [sample_corpus([str(place)], tmp_path / "s.jsonl", 2e-6, options) for _ in range(2)]
    assert found[0] == found[1]
    assert texts_of(found[0].path) == ["one"]
    assert [sentence.partition(",")[0].partition(":")[0] for sentence in found[0].left_out] == [
        "1 file was left out",
        "1 row without text was left out",
        "1 bad row was left out",
    ]
    with pytest.raises(CorpusError, match=r"give more \(1 file was left out: .*b\.pdf is a document"):
        sample_corpus([str(place)], tmp_path / "more.jsonl", 2, options)
