"""RWKV's own file: the ids of its package, before pruning and after, and lines that are wrong."""

import random
from importlib import import_module
from pathlib import Path

import pytest
from helpers.counts import count_documents_of
from helpers.files import packaged

import vocab
from vocab.errors import SourceError
from vocab.formats.rwkv_file import FILE_NAME, can_hold, write_rwkv
from vocab.interop import verify
from vocab.prune import prune
from vocab.prune.candidates.prior import says_how_frequent
from vocab.vocabulary import Vocabulary

WORDS = [
    "\n",
    "\n\n",
    " the",
    "the",
    " 12",
    "12",
    "),",
    "'s",
    "。\n",
    "世",
    "界",
    " 世",
    "é",
    " é",
    "\t\t",
    "  ",
    "²",
    "’a",
]
PARTS = [*WORDS, "a", "1", "。", "\r\n", " ", "☃", "\x00", "e\u0301", "\u3000", "1x", "x1", "。\n\n x", "'"]


def line(id_: int, token: bytes) -> str:
    try:
        literal = repr(token.decode())
    except UnicodeDecodeError:
        literal = repr(token)
    return f"{id_} {literal} {len(token)}"


def written(tokens: list[bytes], path: Path) -> Path:
    path.write_bytes("".join(f"{line(k, token)}\r\n" for k, token in enumerate(tokens, 1)).encode())
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A file of the single bytes, in RWKV's order, and some tokens, parts of characters among them."""
    longer = {word.encode() for word in WORDS if len(word.encode()) > 1} | {b"\xe4\xb8", b" \xe4\xb8", b"\xb8\x96"}
    tokens = [bytes([k]) for k in range(256)] + sorted(longer, key=lambda token: (len(token), token))
    return written(tokens, tmp_path_factory.mktemp("rwkv") / FILE_NAME)


def their_ids(path: Path, texts: list[str]) -> list[list[int]]:
    peer = import_module("rwkv.rwkv_tokenizer").TRIE_TOKENIZER(str(path))
    return [peer.encode(text) for text in texts]


def some_texts(seed: int, n: int = 300) -> list[str]:
    rng = random.Random(seed)
    return ["", *("".join(rng.choices(PARTS, k=rng.randint(1, 30))) for _ in range(n))]


def test_ids_are_those_of_the_package(small):
    source = vocab.load(small)
    assert (source.inference, source.first_id, source.special_tokens) == ("longest-prefix", 1, {"<|endoftext|>": 0})
    texts = some_texts(1)
    assert source.encode_batch(texts) == their_ids(small, texts)
    assert [source.decode(source.encode(text)) for text in texts] == texts


def test_what_is_written_is_what_was_read(small, tmp_path):
    source = vocab.load(small)
    write_rwkv(source, tmp_path / FILE_NAME)
    assert (tmp_path / FILE_NAME).read_bytes() == small.read_bytes().replace(b"\r\n", b"\n")
    assert vocab.load(tmp_path / FILE_NAME) == source
    assert vocab.load(tmp_path) == source


@pytest.mark.slow
def test_a_pruned_file_has_its_ids_in_every_runtime(small, tmp_path):
    source = vocab.load(small)
    result = prune(source, source.n_ids - 6, corpus=count_documents_of(some_texts(2), source.pattern), certify=True)
    assert (result.report.inference, result.vocabulary.special_tokens) == ("longest-prefix", {"<|endoftext|>": 0})
    result.save(tmp_path / "out")
    verification = verify(tmp_path / "out", some_texts(3))
    assert verification.agrees
    assert {"tokenizers", "AutoTokenizer", "rwkv"} <= {check.runtime for check in verification.checks}
    alone = vocab.load(tmp_path / "out" / FILE_NAME)
    assert alone.encode_batch(some_texts(3)) == result.vocabulary.encode_batch(some_texts(3))
    again = prune(tmp_path / "out", source.n_ids - 9, corpus=count_documents_of(some_texts(2), source.pattern))
    assert again.report.inference == "longest-prefix"


@pytest.mark.slow
def test_the_released_file_is_pruned(real_text, nasty, tmp_path):
    path = packaged("rwkv", "rwkv_vocab_v20230424.txt")
    source = vocab.load(path)
    assert (source.n_ids, source.n_tokens) == (65_530, 65_529)
    texts = [*nasty, *real_text[:100_000].split("\n\n"), real_text[:50_000]]
    assert source.encode_batch(texts) == their_ids(path, texts)
    write_rwkv(source, tmp_path / "again.txt")
    assert (tmp_path / "again.txt").read_bytes() == path.read_bytes().replace(b"\r\n", b"\n")
    assert not says_how_frequent(source)
    result = prune(source, 8192, corpus=count_documents_of(real_text[:200_000].split("\n\n"), source.pattern))
    result.save(tmp_path / "out")
    short = [text for text in nasty if len(text) <= 2000]  # tokenizers is cubic in the length of a text without cuts
    assert verify(tmp_path / "out", [*short, *real_text[-20_000:].split("\n")]).agrees


def test_only_what_the_file_can_say_is_written(small, cl100k):
    source = vocab.load(small)
    assert can_hold(source)
    assert not can_hold(cl100k)
    more = source.subset(
        source.ranks_of(source.rank_ids), ["<|endoftext|>", "<new>"], "longest-prefix", source.provenance
    )
    assert not can_hold(more)
    assert not can_hold(source.subset(source.ranks_of(source.rank_ids), ["<|endoftext|>"], "merges", source.provenance))


BYTES = [line(k + 1, bytes([k])) for k in range(256)]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([*BYTES, "257 __import__('os').getcwd() 1"], "line 257 is no id of its own, token and length"),
        ([*BYTES, "257 'a' + 'b' 2"], "line 257 is no id"),
        ([*BYTES, "257 'ab' 3"], "line 257 is no id"),
        ([*BYTES, "256 'ab' 2"], "line 257 is no id"),
        ([*BYTES, "257 '' 0"], "line 257 is no id"),
        ([*BYTES, "257 '\\ud800' 3"], "line 257 is no id"),
        ([*BYTES, "257 f'ab' 2"], "line 257 is no id"),
        ([*BYTES, "-1 'ab' 2"], "line 257 is no id"),
        ([*BYTES, "257 'a b' 3"], "in another order than in RWKV's own file"),
        ([*BYTES, "257 b'a\\xe4' 2"], "in another order than in RWKV's own file"),
    ],
)
def test_lines_that_are_wrong_are_refused(lines, sentence, tmp_path):
    path = tmp_path / FILE_NAME
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(SourceError, match=sentence):
        vocab.load(path)


def test_a_file_without_all_bytes_cannot_encode(tmp_path):
    source: Vocabulary = vocab.load(written([b"a", b"b", b"ab"], tmp_path / FILE_NAME))
    with pytest.raises(SourceError, match="lacks"):
        source.encode("abc")
