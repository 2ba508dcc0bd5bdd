"""Token shards: they decode to the documents, the sides are the product's, damage is found; the order of samples."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vocab.corpus.benchmark_text import read_benchmarks
from vocab.corpus.counting import is_held_out
from vocab.corpus.read_options import ReadOptions
from vocab.errors import CorpusError, OutputError, TrainingError
from vocab.model.data.sampling import Sampler, permuted, rank_positions
from vocab.model.data.sharding import SIDES, make_shards
from vocab.model.data.shards import (
    HEADER_INTS,
    TokenStream,
    check_vocabulary,
    documents_path,
    id_dtype,
    open_stream,
    read_metadata,
    token_bytes,
)
from vocab.vocabulary import Provenance, Vocabulary

TEXTS = ["", "Žluťoučký kůň", "one\n", "two words", "漢字 and 👩‍👩‍👧", "<|endoftext|> is text here"]


@pytest.fixture(scope="module")
def small_vocabulary(cl100k):
    special = {"<|endoftext|>": 1000}
    return Vocabulary.from_tokens(list(cl100k.tokens())[:1000], cl100k.pattern, special, provenance=Provenance("small"))


@pytest.fixture(scope="module")
def documents(real_text):
    return [*(real_text[k : k + 3000] for k in range(0, 600_000, 3000)), *TEXTS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, small_vocabulary, documents):
    place = tmp_path_factory.mktemp("shards")
    for name, part in (("a", documents[:120]), ("b", documents[120:])):
        (place / f"{name}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in part))
    made = make_shards(
        small_vocabulary,
        [str(place / "a.jsonl"), str(place / "b.jsonl")],
        place / "out",
        n_threads=2,
        shard_tokens=50_000,
    )
    assert made == read_metadata(place / "out")
    return place / "out"


@pytest.mark.parametrize("side", ["train", "held_out"])
def test_shards_hold_the_documents_of_their_side_in_order(folder, small_vocabulary, documents, side):
    facts = read_metadata(folder)
    stream = open_stream(folder, facts, side)
    expected: list[int] = []
    for text in documents:
        if text and is_held_out(text.encode()) == (side == "held_out"):
            expected += [1000, *small_vocabulary.encode(text)]
    assert stream.read(0, len(stream)).tolist() == expected
    assert facts.n_tokens(side) == len(expected)
    kept = [text for text in documents if text and is_held_out(text.encode()) == (side == "held_out")]
    assert facts.n_bytes(side) == sum(len(text.encode()) for text in kept)
    assert token_bytes(small_vocabulary)[np.array(expected)].sum() == facts.n_bytes(side)
    assert (np.array(expected)[stream.documents] == 1000).all()
    assert stream.documents.size == len(kept)
    assert stream.document_bytes.tolist() == [len(text.encode()) for text in kept]
    assert side == "held_out" or len(facts.train) > 1


def test_the_header_is_that_of_llm_c(folder):
    facts = read_metadata(folder)
    file = facts.train[0]
    raw = (folder / file.name).read_bytes()
    assert np.frombuffer(raw[:12], dtype="<i4").tolist() == [20240520, 1, file.n_tokens]
    assert len(raw) == 4 * HEADER_INTS + 2 * file.n_tokens
    assert (id_dtype(65_536), id_dtype(65_537)) == (np.uint16, np.uint32)
    rows = np.load(documents_path(folder / file.name))
    assert rows.shape == (file.n_documents, 2)


def test_ids_above_sixteen_bits_are_stored_in_32(tmp_path, cl100k):
    (tmp_path / "corpus.txt").write_text("日本語 größer hello\n" * 9, encoding="utf-8")
    facts = make_shards(cl100k, [str(tmp_path / "corpus.txt")], tmp_path / "out")
    side = "train" if facts.train else "held_out"
    stream = open_stream(tmp_path / "out", facts, side)
    assert stream.files[0].dtype == np.uint32
    assert stream.read(1, len(stream) - 1).tolist() == cl100k.encode("日本語 größer hello\n" * 9)
    assert stream.read(0, 1).tolist() == [100257]


def test_one_thread_and_three_write_the_same(folder, small_vocabulary, tmp_path):
    facts = make_shards(
        small_vocabulary, read_metadata(folder).corpus, tmp_path / "out", n_threads=3, shard_tokens=50_000
    )
    assert facts == read_metadata(folder)


@pytest.mark.parametrize("damage", ["cut", "flip", "gone", "documents", "facts", "header", "parent", "deep"])
def test_damaged_shards_are_refused(folder, tmp_path, damage):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    path = copy / read_metadata(copy).train[0].name
    raw = path.read_bytes()
    if damage == "cut":
        path.write_bytes(raw[:-2])
    elif damage == "flip":
        path.write_bytes(raw[:-2] + bytes([raw[-2] ^ 1, raw[-1]]))
    elif damage == "header":
        path.write_bytes(b"\0" + raw[1:])
    elif damage == "gone":
        path.unlink()
    elif damage == "documents":
        documents_path(path).write_bytes(documents_path(path).read_bytes()[:-8])
    elif damage == "parent":  # the same bytes, by a path that leaves the folder
        named = f'"{path.name}"'
        stated = (copy / "shards.json").read_text()
        (copy / "shards.json").write_text(stated.replace(named, f'"../{folder.name}/{path.name}"'))
    elif damage == "deep":
        (copy / "shards.json").write_text("[" * 100_000)
    else:
        (copy / "shards.json").write_text("{}")
    with pytest.raises(TrainingError, match=r"damaged|cannot be read"):
        open_stream(copy, read_metadata(copy), "train")


def test_shards_of_another_vocabulary_are_refused(folder, cl100k, small_vocabulary):
    check_vocabulary(read_metadata(folder), small_vocabulary)
    with pytest.raises(TrainingError, match="another vocabulary"):
        check_vocabulary(read_metadata(folder), cl100k)


def test_folders_are_replaced_only_when_asked_to(folder, small_vocabulary, tmp_path):
    corpus = read_metadata(folder).corpus
    make_shards(small_vocabulary, corpus, tmp_path / "out")
    with pytest.raises(OutputError, match="or pass `force`"):
        make_shards(small_vocabulary, corpus, tmp_path / "out")
    make_shards(small_vocabulary, corpus, tmp_path / "out", force=True)
    (tmp_path / "out" / "mine.txt").write_text("x")
    with pytest.raises(OutputError, match="other files"):
        make_shards(small_vocabulary, corpus, tmp_path / "out", force=True)


def test_an_empty_corpus_is_refused(small_vocabulary, tmp_path):
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(CorpusError, match="no document to train on"):
        make_shards(small_vocabulary, [str(tmp_path / "empty.txt")], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@given(st.integers(1, 700), st.integers(0, 2**63))
def test_the_order_is_a_permutation(n, seed):
    assert sorted(permuted(np.arange(n), n, seed).tolist()) == list(range(n))


def test_the_order_depends_on_the_seed_and_not_on_what_else_is_asked():
    every = permuted(np.arange(1000), 1000, 7)
    assert permuted(np.array([13]), 1000, 7)[0] == every[13]
    assert (every != permuted(np.arange(1000), 1000, 8)).mean() > 0.9
    assert abs(np.corrcoef(every, np.arange(1000))[0, 1]) < 0.1


def test_an_epoch_sees_every_sequence_once_and_the_next_in_another_order():
    tokens = np.arange(1001, dtype=np.uint16)
    sampler = Sampler(
        TokenStream((tokens[:300], tokens[300:]), np.array([0, 5, 205]), np.ones(3, dtype=np.int64)), 10, masked=True
    )
    assert sampler.n_sequences == 100
    epochs = [sampler.batch(first, 100, seed=3) for first in (0, 100)]
    for epoch in epochs:
        assert np.array_equal(epoch.ids[:, 0] % 10, np.zeros(100))
        assert sorted(epoch.ids[:, 0].tolist()) == list(range(0, 1000, 10))
        assert np.array_equal(epoch.targets, epoch.ids + 1)
    assert not np.array_equal(epochs[0].ids, epochs[1].ids)
    at = epochs[0].ids[:, 0].tolist().index(0)
    assert epochs[0].documents[at].tolist() == [0] * 5 + [1] * 5


def test_ranks_share_the_positions_of_a_step():
    found = []
    for rank in range(3):
        first, n = rank_positions(12, 6, rank, 3)
        found += range(first, first + n)
    assert found == list(range(12, 18))


def test_a_corpus_shorter_than_a_sequence_is_refused():
    with pytest.raises(TrainingError, match="fewer than one sequence"):
        Sampler(TokenStream((np.arange(10, dtype=np.uint16),), np.array([0]), np.array([9])), 10)


def test_documents_with_text_of_a_benchmark_are_left_out_and_counted(folder, small_vocabulary, documents, tmp_path):
    row = " ".join(documents[7].split()[5:40])
    (tmp_path / "benchmark.jsonl").write_text(json.dumps({"prompt": row}) + "\n")
    options = ReadOptions(without=read_benchmarks([tmp_path / "benchmark.jsonl"]))
    corpus = [str(folder.parent / f"{name}.jsonl") for name in "ab"]
    made = make_shards(small_vocabulary, corpus, tmp_path / "out", options=options)
    whole, size = read_metadata(folder), len(documents[7].encode())
    assert (made.n_documents_of_benchmarks, made.n_bytes_of_benchmarks) == (1, size)
    assert made.without["n_rows"] == 1
    assert sum(made.n_bytes(side) for side in SIDES) == sum(whole.n_bytes(side) for side in SIDES) - size
    assert read_metadata(tmp_path / "out") == made
