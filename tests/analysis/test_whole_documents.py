"""Whole documents: counted by part, by side and with weights as pre-tokens are, and streamed."""

import json
import tracemalloc

import numpy as np
import pytest
from helpers.cli import run
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

import vocab
from vocab.analysis import compare
from vocab.analysis.whole_documents import measure_documents
from vocab.cli.corpora import corpus_of
from vocab.corpus import DocumentCorpus
from vocab.corpus.counting import is_held_out
from vocab.corpus.profile import builtin_profile
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
    assert figures(measure_documents([letters], DocumentCorpus.of_texts(texts)).compressions[0]) == sides(texts)


def test_weights_are_those_of_counts(letters, cl100k, tmp_path):
    a = write(tmp_path / "a.jsonl", [f"{k} some words" for k in range(100)])
    b = write(tmp_path / "b.jsonl", [f"{k} other, longer words é" * 9 for k in range(50)])
    named = [f"{a}:1", f"{b}:2.5"]
    corpus = DocumentCorpus([a, b], shares=[1, 2.5])
    rows = compare([cl100k, letters], lambda p: corpus_of(named, None, p, ReadOptions(), 1), corpus=corpus)
    assert (rows[0].train.n_bytes, rows[0].held_out.n_bytes) == (rows[1].train.n_bytes, rows[1].held_out.n_bytes)
    added = measure_documents([letters], DocumentCorpus([a, b])).compressions[0]
    assert added[0].n_bytes < rows[1].train.n_bytes


def test_where_all_documents_are_held_out_they_are_trained_on(letters):
    text = next(f"text {k}" for k in range(100) if is_held_out(f"text {k}".encode()))
    train, held_out = measure_documents([letters], DocumentCorpus.of_texts([text])).compressions[0]
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
    assert measure_documents([letters], DocumentCorpus(tmp_path / "bad.txt")).compressions[0][0].n_tokens == 30


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


@pytest.fixture(scope="module")
def changing(tmp_path_factory):
    """A byte-level tokenizer that normalizes, with an ordinary token added, as we and as tokenizers run it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(["some words of a text, and more words"], trainer)
    tokenizer.add_tokens(["New York"])
    folder = tmp_path_factory.mktemp("changing")
    tokenizer.save(str(folder / "tokenizer.json"))
    return vocab.load(folder), tokenizer


CHANGED = [f"ﬁne words Å{k} ① in New York, more" * (k % 5 + 1) for k in range(200)]


def expected(tokenizer) -> list[tuple[int, int]]:
    held = np.array([is_held_out(text.encode()) for text in CHANGED])
    n_bytes = np.array([len(text.encode()) for text in CHANGED])
    n_tokens = np.array([len(e) for e in tokenizer.encode_batch_fast(CHANGED, add_special_tokens=False)])
    return [(int(n_bytes[side].sum()), int(n_tokens[side].sum())) for side in (~held, held)]


def test_what_changes_text_has_the_tokens_of_tokenizers_and_the_bytes_of_the_text(changing, cl100k, letters, tmp_path):
    tokenizer, theirs = changing
    assert isinstance(tokenizer, vocab.Vocabulary)
    path = write(tmp_path / "a.jsonl", CHANGED)

    def count(pattern):
        return vocab.count(path, pattern)

    corpus = DocumentCorpus(path)
    for others, given in (([cl100k], None), ([cl100k], corpus), ([letters], corpus), ([], corpus)):
        row = compare([tokenizer, *others], count, corpus=given)[0]
        assert figures((row.train, row.held_out)) == expected(theirs)
        assert not row.is_text_changed
    row = compare([tokenizer], count)[0]
    assert row.is_text_changed
    assert (row.train.n_tokens, row.held_out.n_tokens) == tuple(n for _, n in expected(theirs))
    assert row.train.n_bytes != expected(theirs)[0][0]


@pytest.mark.slow
def test_the_built_in_profile_has_the_bytes_of_its_text(changing, cl100k):
    alone, beside = (compare([changing[0], *more], builtin_profile)[0] for more in ([], [cl100k]))
    assert alone.train == beside.train
    assert alone.train.n_bytes == compare([cl100k], builtin_profile)[0].train.n_bytes


def test_eval_says_where_bytes_are_those_of_changed_text(changing, tmp_path):
    folder = tmp_path / "src"
    changing[0].save(folder)
    text = "\n".join(CHANGED)
    done = run("eval", folder, "--corpus", "-", where=tmp_path, given=text)
    assert "src changes text, and its bytes are those of the changed text." in done.stdout
    (tmp_path / "text.txt").write_text(text)
    done = run("eval", folder, "--corpus", "text.txt", where=tmp_path)
    assert "changed text" not in done.stdout
