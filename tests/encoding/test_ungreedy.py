"""TokenMonster's look-ahead: against TokenMonster itself, past the cuts of segments, and in its YAML files.

Twins in plain Python are compared in test_inference.py and test_pricing.py, where `ungreedy` is one method of four.
"""

import hashlib
import itertools
import random
from contextlib import suppress
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers import oracles
from helpers.oracles import METHODS, SINGLE_BYTES
from helpers.strategies import corpora, pieces, vocabularies
from hypothesis import given
from hypothesis import strategies as st

import vocab
from vocab.analysis.evaluation import Evaluator
from vocab.encoding.encoder import LOOKS_AHEAD, Encoder
from vocab.encoding.lattice import Segments, TokenTrie
from vocab.errors import SourceError
from vocab.formats.tokenmonster_yaml import WHOLE_TEXT_REGEX, read_tokenmonster_yaml, write_tokenmonster_yaml
from vocab.pretokens.counts import PretokenCounts
from vocab.prune import prune
from vocab.splitting import CL100K_REGEX, SplitPattern
from vocab.vocabulary import Provenance, Vocabulary

WHOLE_TEXT = SplitPattern(WHOLE_TEXT_REGEX)
TARGET = 2000


def flat(items: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    starts = np.array([0, *accumulate(map(len, items))], dtype=np.int64)
    return np.frombuffer(b"".join(items), dtype=np.uint8), starts


def encode_pretokens(encoder: Encoder, items: list[bytes]) -> list[list[int]]:
    blob, starts = flat(items)
    ids, sizes = encoder.encode_pretokens(blob, starts)
    return [ids[a : a + n].tolist() for a, n in zip(starts, sizes, strict=False)]


def ungreedy(tokens, pattern: SplitPattern = WHOLE_TEXT, **more) -> Vocabulary:
    return Vocabulary.from_tokens(tokens, pattern, inference="ungreedy", **more)


# Tokens


def test_tokens_equal_those_of_tokenmonster_itself():
    """The digest is of what go/tokenmonster.go (ea8fd60) makes of the same vocabulary, read from YAML, and texts.

    Of every kind of first byte the vocabulary has many tokens, so that TokenMonster's majorities are our fixed kinds.
    """
    letters = [b"a", b"b", b" ", b".", b"1", b"_"]
    longer = [b"".join(parts) for n in (2, 3, 4) for parts in itertools.product(letters, repeat=n)]
    longer = [token for token in longer if int(hashlib.sha256(token).hexdigest(), 16) % (len(token) + 1) == 0]
    rng = random.Random(7)
    texts = [b"".join(rng.choices(letters, [4, 4, 2, 1, 1, 1], k=rng.randint(1, 60))) for _ in range(1000)]
    found = encode_pretokens(ungreedy([*SINGLE_BYTES, *longer]).encoder, texts)
    assert sum(map(len, found)) == 14_408
    assert (
        hashlib.sha256(repr(found).encode()).hexdigest()
        == "4e7e709ebe13fd053481cd7ff3150a85639a9e490fb64eff8e1aa7cbd8fb7f17"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" Reunderstanding", [" Re", "und", "er", "stand", "ing"]),  # from the left it were ers·ta·nd
        (" uncategorizedly", [" ", "unc", "ategor", "ized", "ly"]),
        (" overdecoded", [" over", "de", "code", "d"]),
        (" everythingelse", [" everything", "else"]),
    ],
)
def test_words_are_cut_as_tokenmonster_cuts_them(cl100k, text, expected):
    """With the first 8,000 ranks of cl100k_base; checked with go/tokenmonster.go (ea8fd60)."""
    small = ungreedy(t for k, t in enumerate(cl100k.tokens()) if len(t) == 1 or k < 8000)
    assert [small[k].decode() for k in small.encode(text)] == expected


def test_tokens_that_tokenmonster_would_leave_out_never_come_up():
    tokens = [*SINGLE_BYTES, b"a" * 40, b"a" * 41]
    assert encode_pretokens(ungreedy(tokens).encoder, [b"a" * 41, b"a" * 80]) == [[256, 97], [256, 256]]


# Segments


def segments_of(tokens: list[bytes], counts: dict[bytes, int], **more) -> Segments:
    table = PretokenCounts.from_mapping(counts, "digest")
    return Segments.build(TokenTrie.build(*flat(tokens)), table.blob, table.starts, table.counts, **more)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@given(tokens=vocabularies(most=8), counts=corpora())
def test_segments_are_encoded_as_the_pretokens_they_come_from(method, tokens, counts):
    """Token by token; for methods that look ahead, because their pre-tokens are left whole."""
    cut = segments_of(tokens, counts, keep_whole=method in LOOKS_AHEAD)
    encoder = Encoder(*flat(tokens), WHOLE_TEXT, method)
    parts = [cut.blob[a:b].tobytes() for a, b in itertools.pairwise(cut.starts.tolist())]
    encoded = encode_pretokens(encoder, parts)
    table = PretokenCounts.from_mapping(counts, "digest")
    for w, (a, b) in enumerate(itertools.pairwise(table.starts.tolist())):
        entries = cut.entries[cut.firsts[w] : cut.firsts[w + 1]]
        whole = table.blob[a:b].tobytes()
        assert b"".join(parts[k] for k in entries) == whole
        if method == "merges" and entries.size > 1:
            continue  # merges look whole pre-tokens up, and segments not: test_pricing.py
        assert list(itertools.chain(*(encoded[k] for k in entries))) == encode_pretokens(encoder, [whole])[0]


@pytest.mark.slow
def test_cutting_would_change_ungreedy():
    """No token crosses the middle, and still the way before it depends on what follows: hence `keep_whole`."""
    tokens = [*SINGLE_BYTES, b"aa", b"ab", b" a"]
    encoder = ungreedy(tokens).encoder
    found = {
        whole
        for n in (3, 4, 5)
        for whole in map(bytes, itertools.product(b"ab .", repeat=n))
        if len(entries := (cut := segments_of(tokens, {whole: 1})).entries) > 1
        and encode_pretokens(encoder, [whole])[0]
        != list(
            itertools.chain(
                *encode_pretokens(encoder, [cut.blob[cut.starts[k] : cut.starts[k + 1]].tobytes() for k in entries])
            )
        )
    }
    assert found


# Pruning


@pytest.fixture(scope="module")
def texts(real_text) -> list[str]:
    return [real_text[k : k + 2000] for k in range(0, 400_000, 2000)]


@pytest.fixture(scope="module")
def result(cl100k, texts, tmp_path_factory):
    place = tmp_path_factory.mktemp("corpus") / "texts.txt"
    place.write_text("".join(texts), encoding="utf-8")
    return prune(cl100k, TARGET, corpus=vocab.count(place, cl100k.pattern), inference="ungreedy")


def test_pruned_for_ungreedy_is_better_than_the_first_ranks(result):
    rows = {row.name: row.train.n_tokens for row in result.report.rows}
    assert rows["distill"] < min(rows["frequency"], rows["leaf"], rows["rank"])
    assert result.report.n_unreachable == 0


@pytest.mark.slow
def test_figures_are_those_of_the_vocabulary_that_is_loaded(result, texts, tmp_path):
    paths = result.save(tmp_path / "out")
    assert {path.name for path in paths} == {
        "unnamed-2000.tokenmonster.yaml",
        "id_map.json",
        "report.json",
        "README.md",
    }
    loaded = vocab.load(tmp_path / "out")
    assert (loaded, loaded.inference) == (result.vocabulary, "ungreedy")
    row = result.report.result
    assert loaded.count_tokens("".join(texts)) == row.train.n_tokens + row.held_out.n_tokens
    card = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    assert "tokenmonster.new(" in card
    assert "AutoTokenizer" not in card
    result.save(tmp_path / "out", force=True)


def test_other_files_cannot_hold_it(result):
    with pytest.raises(SourceError, match=r"tokenizer\.json cannot hold ungreedy"):
        result.vocabulary.to_tokenizers()
    with pytest.raises(SourceError, match=r"tiktoken cannot hold .*: it only runs merges"):
        result.vocabulary.to_tiktoken()


def test_a_cut_corpus_is_refused(cl100k, tmp_path):
    (tmp_path / "a.txt").write_text("some text")
    corpus = vocab.count(tmp_path / "a.txt", cl100k.pattern)
    with pytest.raises(ValueError, match="whole pre-tokens"):
        Evaluator(cl100k.encoder.trie, corpus).evaluate(np.ones(cl100k.n_tokens, dtype=np.bool_), "ungreedy")


# YAML


@pytest.mark.slow
def test_all_of_cl100k_comes_back(cl100k, tmp_path):
    special = dict(cl100k.special_tokens)
    whole = ungreedy(cl100k.tokens(), cl100k.pattern, special_tokens=special, provenance=Provenance("cl100k"))
    (path,) = whole.save(tmp_path / "out")
    assert vocab.load(path) == vocab.load(tmp_path / "out") == whole
    assert vocab.load(path).name == "cl100k"


@given(
    tokens=st.lists(st.binary(min_size=2, max_size=45) | st.text(min_size=2).map(str.encode), unique=True),
    special=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), unique=True, max_size=5),
    holes=st.integers(0, 3),
)
def test_any_tokens_come_back_and_any_yaml_reader_agrees(tmp_path_factory, tokens, special, holes):
    tokens = SINGLE_BYTES + [token for token in tokens if len(token) > 1]
    ids = {text: len(tokens) + holes + k for k, text in enumerate(special)}
    written = ungreedy(tokens, SplitPattern(CL100K_REGEX), special_tokens=ids)
    path = tmp_path_factory.mktemp("yaml") / "any.tokenmonster.yaml"
    write_tokenmonster_yaml(written, path)
    assert vocab.load(path) == written
    plain = yaml.load(path.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    texts = [entry["token"] for entry in plain["tokens"] + plain.get("special", [])]
    assert [as_tokenmonster_reads(text) for text in texts] == tokens + [text.encode() for text in ids]
    assert (plain["capcode"], plain["charset"], plain["normalization"]) == (0, "none", "none")


def as_tokenmonster_reads(text: str) -> bytes:
    inner = text.removeprefix("TokenMonsterHexEncode{")
    return bytes.fromhex(inner.removesuffix("}")) if inner != text and inner.endswith("}") else text.encode()


ENTRIES = "".join(f'  - token: "TokenMonsterHexEncode{{{b:02x}}}"\n    id: {b}\n' for b in range(256))
GOOD = f"charset: utf-8\ncapcode: 0\nnormalization: none\ntokens:\n{ENTRIES}  - {{token: ' the', id: 256}}\n"


def test_what_tokenmonster_exports_is_cut_whole(tmp_path):
    (tmp_path / "exported.yaml").write_text(GOOD + "special:\n    - token: '<end>'\n      id: 300\n")
    loaded = vocab.load(tmp_path / "exported.yaml")
    assert (loaded.n_tokens, loaded.special_tokens, loaded.pattern) == (257, {"<end>": 300}, WHOLE_TEXT)
    assert loaded.encode("a the the") == [97, 256, 256]


BAD = {
    "capcode": (GOOD.replace("capcode: 0", "capcode: 2"), "has capcode 2, which changes text"),
    "normalization": (GOOD.replace("none", "nfd"), "has normalization nfd, which changes text"),
    "charset": (GOOD.replace("utf-8", "utf-16"), "for the charset utf-16"),
    "deletes": (GOOD + "delete:\n  - id: 3\n", r"changes a vocabulary \(delete\)"),
    "renumbers": ("reset-token-ids: true\n" + GOOD, r"changes a vocabulary \(reset-token-ids\)"),
    "no id": (GOOD + "  - token: ab\n", "number 258 of tokens, b'ab', has no id"),
    "odd id": (GOOD + "  - token: ab\n    id: -1\n", "has the id '-1', which is not a number"),
    "empty token": (GOOD + '  - token: ""\n    id: 257\n', "number 258 of tokens has no token"),
    "odd digits": (GOOD + "  - {token: 'TokenMonsterHexEncode{4}', id: 257}\n", "not in hexadecimal digits"),
    "hole": (GOOD + "  - token: ab\n    id: 259\n", "no ordinary token has the id 257"),
    "same id": (GOOD + "  - token: ab\n    id: 256\n", "two have the id 256"),
    "same token": (GOOD + "  - token: ' the'\n    id: 257\n", "has the token b' the' twice"),
    "missing bytes": ("tokens:\n  - {token: a, id: 0}\n", "lacks 255 of the 256 single bytes, first 0"),
    "special below": (GOOD + "special:\n  - {token: '<x>', id: 4}\n", "special token '<x>' has id 4"),
    "odd special": (GOOD + "special:\n  - {token: 'TokenMonsterHexEncode{ff}', id: 400}\n", "is not text"),
    "no tokens": ("charset: none\n", "has no list of tokens"),
    "no list": ("tokens: all\n", "tokens is not a list"),
    "a list": ("- a: b\n", "in line 1: names with values must be there"),
    "nested": ("tokens:\n  - token: [a]\n", "in line 2: a value must be there"),
    "an alias": ("a: &x 1\ntokens:\n  - *x\n", "in line 3: an entry with a token must be there"),
    "named twice": (GOOD + "capcode: 0\n", "capcode appears twice"),
    "cut short": (GOOD[:-9], "is not a TokenMonster vocabulary in YAML in line"),
    "tabs": ("tokens:\n\t- a: b\n", "in line 2: found character"),
    "odd pattern": ("split-pattern: '['\n" + GOOD, "split pattern is not a regular expression"),
    "deep": ("a: " + "[" * 100_000, "is not a TokenMonster vocabulary in YAML"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_bad_files_are_one_sentence(tmp_path, text, message):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(SourceError, match=message) as caught:
        vocab.load(path)
    assert str(path) in str(caught.value) or "special token" in message or "pattern" in message
    assert "\n" not in str(caught.value)


@given(place=st.integers(0, len(GOOD) - 1), junk=st.binary(max_size=4), gone=st.integers(0, 8))
def test_damaged_files_never_crash(tmp_path_factory, place, junk, gone):
    path: Path = tmp_path_factory.mktemp("damaged") / "bad.yaml"
    raw = GOOD.encode()
    path.write_bytes(raw[:place] + junk + raw[place + gone :])
    with suppress(SourceError):
        read_tokenmonster_yaml(path)


def test_folders_with_other_yaml_are_left_alone(cl100k, tmp_path):
    (tmp_path / "mkdocs.yaml").write_text("site: x\n")
    with pytest.raises(vocab.OutputError, match="holds other files"):
        ungreedy(SINGLE_BYTES).save(tmp_path, force=True)


@given(tokens=vocabularies(), text=pieces(1, 40))
def test_decoding_gives_the_bytes_back(tokens, text):
    vocabulary = ungreedy(tokens)
    ids = encode_pretokens(vocabulary.encoder, [text])[0]
    assert vocabulary.decode_bytes(ids) == text
    assert len(ids) >= len(oracles.encode("least-tokens", oracles.ranks_of(tokens), text))
