"""Encoding with what earlier calls have left: the same ids as without, whatever the memory, thread or process."""

import multiprocessing
import pickle
import random
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest

from vocab import Vocabulary
from vocab.arrays import end_to_end
from vocab.encoding.encoder import Encoder
from vocab.encoding.inference import INFERENCE_METHODS
from vocab.errors import TargetError
from vocab.hard_texts import HARD_TEXTS
from vocab.markers import marked

METHODS = [method for method in INFERENCE_METHODS if method not in ("unigram", "scored-merges", "wordpiece")]
LEAST_BYTES = 1 << 16


@pytest.fixture
def fresh(cl100k: Vocabulary):
    """The encoder of cl100k_base, which remembers nothing; put back as it was."""
    before = cl100k.encoder._cached.caches
    cl100k.encoder.limit_cache(1 << 20)
    yield cl100k.encoder
    cl100k.encoder._cached.caches = before


def without_cache(encoder: Encoder, text: bytes) -> list[int]:
    """Ids by the lattice alone, each pre-token for itself."""
    ends = encoder.pattern.ends(text)
    starts = np.concatenate([[0], ends])
    ids, sizes = encoder.encode_pretokens(np.frombuffer(text, dtype=np.uint8), starts)
    return [token for start, size in zip(starts, sizes, strict=False) for token in ids[start : start + size].tolist()]


def mixed(rng: random.Random, n: int) -> str:
    """Words that come again, and such as come once; short and long ones; line ends, digits and other scripts."""
    kinds = [
        "the",
        " of",
        " tokenisation",
        "\n\n    ",
        " " * 40,
        "ab" * 150,
        "été",
        "中文" * rng.randint(1, 90),
        "12345",
    ]
    once = ("".join(rng.choices("abcdeé中 \n1", k=rng.randint(1, 30))) for _ in range(n))
    return "".join(rng.choice([rng.choice(kinds), word]) for word in once)


@pytest.mark.parametrize("method", METHODS)
def test_ids_are_those_of_the_lattice(cl100k, method):
    encoder = Encoder(cl100k.blob, cl100k.starts, cl100k.pattern, method)
    encoder.limit_cache(LEAST_BYTES)
    rng = random.Random(method)
    for text in [*HARD_TEXTS, *(mixed(rng, 60) for _ in range(25))]:
        raw = text.encode(errors="replace")
        expected = without_cache(encoder, raw)
        assert [encoder.encode(raw).tolist() for _ in range(2)] == [expected] * 2


def test_a_full_table_is_emptied_and_stays_within_its_bound(fresh, tiktoken_cl100k):
    fresh.limit_cache(LEAST_BYTES)
    rng = random.Random(3)
    for _ in range(20):
        text = mixed(rng, 300)
        assert fresh.encode(text.encode()).tolist() == tiktoken_cl100k.encode_ordinary(text)
    assert 0 < fresh._cached.caches.n_bytes_held <= LEAST_BYTES


def test_too_little_memory_is_refused(fresh):
    with pytest.raises(TargetError, match="`n_bytes` of the cache is 65,535; it must be 65,536 or more"):
        fresh.limit_cache(LEAST_BYTES - 1)


def test_threads_share_an_encoder(fresh, tiktoken_cl100k):
    rng = random.Random(4)
    texts = [mixed(rng, 200) for _ in range(60)]
    expected = [tiktoken_cl100k.encode_ordinary(text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(2):
            assert [ids.tolist() for ids in pool.map(fresh.encode, [text.encode() for text in texts])] == expected
    assert 1 <= len(fresh._cached.caches._free) <= 4


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_documents_on_any_number_of_threads(cl100k, tiktoken_cl100k, n_threads):
    rng = random.Random(5)
    texts = ["", *(mixed(rng, rng.randint(0, 80)) for _ in range(30)), "", "x", ""]
    expected = [tiktoken_cl100k.encode_ordinary(text) for text in texts]
    ids, firsts = cl100k.encode_documents(*end_to_end([text.encode() for text in texts]), n_threads=n_threads)
    assert (ids.dtype, firsts.dtype) == (np.int32, np.int64)
    assert [ids[a:b].tolist() for a, b in pairwise(firsts.tolist())] == expected
    assert cl100k.encode_batch(texts, n_threads) == cl100k.encode_batch(texts) == expected


def test_arrays_lists_and_counts_agree(cl100k):
    for text in HARD_TEXTS:
        ids = cl100k.encode_to_numpy(text)
        assert ids.dtype == np.int32
        assert ids.tolist() == cl100k.encode(text)
        assert cl100k.count_tokens(text) == len(ids)


def test_what_encoding_remembers_is_not_pickled(fresh, cl100k):
    fresh.encode(b"Hello world")
    copy = pickle.loads(pickle.dumps(fresh))
    assert (len(fresh._cached.caches._free), len(copy._cached.caches._free)) == (1, 0)
    assert copy._cached.caches.n_bytes == 1 << 20
    assert copy.encode(b"Hello world").tolist() == cl100k.encode("Hello world")


def _encode_in_child(encoder: Encoder, text: bytes, connection) -> None:
    connection.send(encoder.encode(text).tolist())


@pytest.mark.slow
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
def test_a_forked_process_goes_on(fresh, tiktoken_cl100k):
    text = mixed(random.Random(6), 200)
    fresh.encode(text[:500].encode())
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=_encode_in_child, args=(fresh, text.encode(), there))
    child.start()
    expected = tiktoken_cl100k.encode_ordinary(text)
    assert here.recv() == expected == fresh.encode(text.encode()).tolist()
    child.join()


def test_a_marked_token_is_looked_up_by_its_text(cl100k):
    encoder = Encoder(cl100k.blob, cl100k.starts, cl100k.pattern, "merges", added=["<x>"])
    text = b"a" + marked("<x>") + b"b" + marked("<x>")
    ends = np.array([1, 6, 7, 12], dtype=np.int64)
    n = cl100k.n_tokens
    assert encoder.encode_pieces(text, ends).tolist() == [64, n, 65, n]
    assert encoder.encode_pieces(text, ends).tolist() == [64, n, 65, n]
