"""Files written and read: the same ids in tiktoken, tokenizers and transformers, and bad files that must be named."""

import base64
import hashlib
import importlib.metadata
import json
import os
import random
import re
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest
import tiktoken
import tiktoken.load
import tokenizers
from helpers.byte_level import byte_level_bpe, stored
from helpers.oracles import METHODS as ALL_METHODS
from helpers.oracles import SINGLE_BYTES
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

import vocab
from vocab.errors import OutputError, SourceError
from vocab.formats import load_lossless, named
from vocab.formats.known_ranks import CL100K_SHA256
from vocab.prune.card import _LOADING
from vocab.splitting import CL100K_REGEX, GPT2_REGEX, SplitPattern
from vocab.splitting.byte_alphabet import BYTE_TO_CHARACTER, to_bytes, to_characters
from vocab.vocabulary import Provenance, Vocabulary
from vocab.writing import MARK, staged_folder

METHODS = [method for method in ALL_METHODS if method != "ungreedy"]  # no tokenizer.json: test_ungreedy.py
N_TOKENS = 31_995
SPECIAL = ["<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|endofprompt|>"]
N_BYTES = 4_000_000


@dataclass
class Written:
    """A vocabulary and what others read from its files."""

    vocabulary: Vocabulary
    folder: Path
    peer: Tokenizer

    @property
    def name(self) -> str:
        return self.vocabulary.name

    def peer_ids(self, text: str) -> list[int]:
        return self.peer.encode(as_tiktoken_reads(text), add_special_tokens=False).ids


def as_tiktoken_reads(text: str) -> str:
    """Lone surrogates replaced as tiktoken replaces them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def smaller(source: Vocabulary, inference: str) -> Vocabulary:
    """Half first ranks, half any ranks: many tokens have lost the tokens that they were merged from."""
    rng = random.Random(11)
    singles = {source.token_ids[byte] for byte in SINGLE_BYTES}
    first = [k for k in range(source.n_tokens) if k not in singles][: N_TOKENS // 2]
    others = [k for k in range(first[-1] + 1, source.n_tokens) if k not in singles]
    kept = sorted([*singles, *first, *rng.sample(others, N_TOKENS - len(singles) - len(first))])
    special = {text: N_TOKENS + k for k, text in enumerate(SPECIAL)}
    tokens = [source[k] for k in kept]
    return Vocabulary.from_tokens(tokens, source.pattern, special, inference, Provenance("half-32000"))


@pytest.fixture(scope="module", params=METHODS)
def written(request, cl100k, tmp_path_factory) -> Written:
    vocabulary = smaller(cl100k, request.param)
    folder = tmp_path_factory.mktemp("formats") / "out"
    vocabulary.save(folder)
    return Written(vocabulary, folder, Tokenizer.from_file(str(folder / "tokenizer.json")))


@pytest.fixture(scope="module")
def auto(written):
    """What transformers loads from the folder, with no network to ask."""
    patch = pytest.MonkeyPatch()
    patch.setenv("HF_HUB_OFFLINE", "1")
    patch.setenv("TRANSFORMERS_OFFLINE", "1")
    from transformers import AutoTokenizer

    yield AutoTokenizer.from_pretrained(written.folder, local_files_only=True)
    patch.undo()


@pytest.fixture(scope="module")
def documented(written) -> tiktoken.Encoding:
    """The encoding that the line in the model card builds from the two files."""
    if written.vocabulary.inference != "merges":
        pytest.skip("tiktoken runs merges only")
    return run_documented_line(written.folder, written.name)


def run_documented_line(folder: Path, name: str) -> tiktoken.Encoding:
    text = _LOADING["merges"].format(name=name)
    line = next(line.strip() for line in text.splitlines() if "tiktoken.Encoding(" in line)
    here = Path.cwd()
    scope: dict = {}
    os.chdir(folder)
    try:
        exec(f"import base64, json, tiktoken\n{line}", scope)
    finally:
        os.chdir(here)
    return scope["encoding"]


@pytest.fixture(scope="module")
def documents(real_text) -> list[str]:
    """4 MB: 3 MB of conftest's text and the sources of the standard library's packages, a document a file."""
    found, n_bytes = [real_text], len(real_text.encode())
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*/**/*.py")):
        if n_bytes > N_BYTES:
            break
        if "site-packages" not in path.parts and "dist-packages" not in path.parts:
            found.append(path.read_text(encoding="utf-8", errors="replace"))
            n_bytes += len(found[-1].encode())
    if n_bytes < N_BYTES:  # a Python without its tests
        found *= N_BYTES // n_bytes + 1
    return found


def drawn_texts(vocabulary: Vocabulary, n: int) -> list[str]:
    rng = random.Random(3)
    tokens = list(vocabulary.tokens())
    joined = (b"".join(rng.choices(tokens, k=rng.randint(1, 8))) for _ in range(n))
    return [text.decode(errors="replace") for text in joined]


# The same ids everywhere


@pytest.mark.slow
def test_loading_what_was_saved_gives_the_same_vocabulary(written):
    assert vocab.load(written.folder) == written.vocabulary
    assert vocab.load(written.folder / "tokenizer.json") == written.vocabulary
    assert vocab.load(written.folder).max_id == 31_999


def test_files_are_those_that_runtimes_look_for(written):
    names = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"}
    if written.vocabulary.inference == "merges":
        names |= {"half-32000.tiktoken", "half-32000.json"}
        assert vocab.load(written.folder / "half-32000.tiktoken") == written.vocabulary
    assert {path.name for path in written.folder.iterdir()} == names | {MARK}


@pytest.mark.slow
def test_real_text_has_the_same_ids(written, documents):
    encodings = written.peer.encode_batch_fast(documents, add_special_tokens=False)
    ours = [written.vocabulary.encode(text) for text in documents]
    assert [e.ids for e in encodings] == ours
    if written.vocabulary.inference == "merges":
        built = run_documented_line(written.folder, written.name)
        assert built.encode_ordinary_batch(documents, num_threads=2) == ours
        assert written.vocabulary.to_tiktoken().encode_ordinary(documents[0]) == ours[0]


@pytest.mark.slow
def test_texts_drawn_from_the_vocabulary_have_the_same_ids(written):
    texts = drawn_texts(written.vocabulary, 3000)
    ours = [written.vocabulary.encode(text) for text in texts]
    assert [e.ids for e in written.peer.encode_batch_fast(texts, add_special_tokens=False)] == ours
    if written.vocabulary.inference == "merges":
        assert run_documented_line(written.folder, written.name).encode_ordinary_batch(texts) == ours


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\ud83d\ude00 \ude00\ud83d", "\x00", "\x00" * 50, ""])
def test_odd_characters_have_the_same_ids(written, text):
    ours = written.vocabulary.encode(text)
    assert written.peer_ids(text) == ours
    assert written.vocabulary.decode(ours) == as_tiktoken_reads(text)
    if written.vocabulary.inference == "merges":
        assert written.vocabulary.to_tiktoken().encode_ordinary(text) == ours


def test_nasty_texts_have_the_same_ids(written, nasty):
    if written.vocabulary.inference == "longest-prefix":  # WordPiece is cubic in the length of a pre-token
        nasty = [text for text in nasty if len(text) < 2000]
    plain = [text for text in nasty if not any(special in text for special in SPECIAL)]
    for text in plain:
        assert written.peer_ids(text) == written.vocabulary.encode(text), text
        assert written.peer.decode(written.vocabulary.encode(text), skip_special_tokens=False) == text
    if written.vocabulary.inference == "merges":
        built = run_documented_line(written.folder, written.name)
        for text in nasty:
            assert built.encode_ordinary(text) == written.vocabulary.encode(text), text


@pytest.mark.slow
@pytest.mark.parametrize(("character", "n"), [("a", 1_000_000), (" ", 50_000), ("=", 50_000), ("語", 50_000)])
def test_a_million_equal_characters_have_the_same_ids(written, character, n):
    if written.vocabulary.inference == "longest-prefix":  # WordPiece is cubic in the length of a pre-token
        n = 200
    text = character * n
    ours = written.vocabulary.encode(text)
    assert written.peer_ids(text) == ours
    assert written.vocabulary.decode(ours) == text
    if written.vocabulary.inference == "merges":
        assert written.vocabulary.to_tiktoken().encode_ordinary(text) == ours


@pytest.mark.slow
@pytest.mark.parametrize("separator", ["", " "])
def test_every_code_point_has_the_same_ids(written, separator):
    if written.vocabulary.inference == "longest-prefix" and not separator:
        pytest.skip("WordPiece is cubic in the length of a pre-token")
    every = [chr(k) for k in range(0x110000) if not 0xD800 <= k < 0xE000]
    if separator:  # again, each by itself, as far as characters have been assigned
        every = [c for c in every if c < "\U00034000" or "\U000e0000" <= c < "\U000e0200"]
    if written.vocabulary.inference != "merges":  # splitting is the same: these are to spell characters
        every = [c for c in every if c < "\U00011000"] + every[0x11000::16]
    texts = [separator.join(every[k : k + 1024]) for k in range(0, len(every), 1024)]
    ours = [written.vocabulary.encode(text) for text in texts]
    assert [e.ids for e in written.peer.encode_batch_fast(texts, add_special_tokens=False)] == ours
    assert [written.vocabulary.decode(ids) for ids in ours] == texts
    if written.vocabulary.inference == "merges":
        assert written.vocabulary.to_tiktoken().encode_ordinary_batch(texts, num_threads=2) == ours


@pytest.mark.slow
def test_transformers_gives_the_same_ids(written, auto, documents, nasty):
    assert len(auto) == written.vocabulary.n_ids
    some = [*documents[1:200], *drawn_texts(written.vocabulary, 1000), *(t for t in nasty if len(t) < 2000)]
    found = auto(some, add_special_tokens=False)["input_ids"]
    assert found == [written.vocabulary.encode(text, allow_special=True) for text in some]
    assert auto.decode(found[0]) == some[0]


@pytest.mark.slow
def test_transformers_knows_the_special_tokens(written, auto):
    assert (auto.bos_token, auto.eos_token, auto.pad_token) == ("<|endoftext|>",) * 3
    assert auto.eos_token_id == 31_995
    assert set(auto.all_special_tokens) == set(SPECIAL)
    assert auto.convert_tokens_to_ids(SPECIAL) == list(range(31_995, 32_000))
    ids = auto("Hello world" + auto.eos_token)["input_ids"]
    assert ids == written.vocabulary.encode("Hello world<|endoftext|>", allow_special=True)
    assert auto.decode(ids, skip_special_tokens=True) == "Hello world"


def test_the_documented_line_gives_a_whole_encoding(written, documented):
    assert documented.name == "half-32000"
    assert documented.n_vocab == 32_000
    assert documented.special_tokens_set == set(SPECIAL)
    assert documented._mergeable_ranks == written.vocabulary.token_ids
    assert documented._special_tokens == dict(written.vocabulary.special_tokens)


def test_tiktoken_reads_the_file_itself(written, documented):
    path = str(written.folder / "half-32000.tiktoken")
    assert tiktoken.load.load_tiktoken_bpe(path) == documented._mergeable_ranks


def test_special_tokens_have_the_same_ids(written):
    texts = ["<|endoftext|>", "a<|fim_prefix|> b <|endofprompt|>\n<|endoftext|><|endoftext|>", "<|endoftext", *SPECIAL]
    for text in texts:
        ours = written.vocabulary.encode(text, allow_special=True)
        assert written.peer_ids(text) == ours
        if written.vocabulary.inference == "merges":
            assert written.vocabulary.to_tiktoken().encode(text, allowed_special="all") == ours
            ordinary = written.vocabulary.to_tiktoken().encode(text, disallowed_special=())
            assert ordinary == written.vocabulary.encode(text)
    assert [written.peer.token_to_id(text) for text in SPECIAL] == list(range(31_995, 32_000))
    assert written.peer.get_vocab_size() == 32_000


def test_no_id_is_missing_or_twice(written):
    assert sorted(written.peer.get_vocab().values()) == list(range(32_000))


def test_without_special_tokens(cl100k, tmp_path):
    tokens = list(cl100k.tokens())[:1000]
    plain = Vocabulary.from_tokens(tokens, cl100k.pattern, provenance=Provenance("plain"))
    plain.save(tmp_path / "plain")
    assert vocab.load(tmp_path / "plain") == plain
    assert vocab.load(tmp_path / "plain/plain.tiktoken") == plain
    assert run_documented_line(tmp_path / "plain", "plain").n_vocab == 1000


@pytest.mark.parametrize("method", METHODS)
def test_small_vocabularies_have_the_same_ids(method, small):
    pattern = SplitPattern(GPT2_REGEX)
    rng = random.Random(8)
    for tokens in small:
        ours = Vocabulary.from_tokens(tokens, pattern, inference=method)
        peer = ours.to_tokenizers()
        for _ in range(50):
            text = "".join(rng.choices("abc ", k=rng.randint(0, 20)))
            assert peer.encode(text, add_special_tokens=False).ids == ours.encode(text)


def test_a_name_that_is_no_file_name_is_made_one(tmp_path):
    odd = Vocabulary.from_tokens(SINGLE_BYTES, SplitPattern(GPT2_REGEX), provenance=Provenance("../a b/c:d"))
    names = [path.name for path in odd.save(tmp_path / "out")]
    assert names[-2:] == ["c-d.tiktoken", "c-d.json"]


def test_holes_in_ids_cannot_be_written_for_hugging_face(cl100k, tmp_path):
    with pytest.raises(SourceError, match="holes in its ids"):
        cl100k.save(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_possessive_repeats_cannot_be_written_for_hugging_face(tmp_path):
    odd = Vocabulary.from_tokens(SINGLE_BYTES, SplitPattern(r"\p{N}{1,2}+|\D+"))
    with pytest.raises(SourceError, match=r"possessive \{m,n\}\+"):
        odd.save(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_the_byte_alphabet_is_gpt2s():
    assert sorted(BYTE_TO_CHARACTER.values()) == sorted(pre_tokenizers.ByteLevel.alphabet())
    assert to_bytes(to_characters(bytes(range(256)))) == bytes(range(256))


# By name


def test_cl100k_base_needs_no_network(no_network, cl100k):
    loaded = vocab.load("cl100k_base")
    assert loaded == cl100k
    assert loaded.provenance == Provenance("cl100k_base", CL100K_SHA256)
    assert loaded.pattern.regex == CL100K_REGEX


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    def refuse(place):
        raise OSError(f"no route to {place}\nand a second line")

    monkeypatch.setattr(tiktoken.load, "read_file", refuse)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "no-cache"))


def sentence(error: pytest.ExceptionInfo) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert "Traceback" not in text
    assert len(text) < 700
    return text


@pytest.mark.parametrize("name", ["o200k_base", "gpt2", "p50k_base"])
def test_a_name_that_is_not_cached_cannot_be_loaded_without_network(no_network, name):
    with pytest.raises(SourceError, match=f"{name} is neither in tiktoken's cache nor could it be fetched") as error:
        vocab.load(name)
    sentence(error)


def test_cl100k_base_without_its_package_comes_from_tiktoken(no_network, monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", missing)
    with pytest.raises(SourceError, match="cl100k_base is neither in tiktoken's cache") as error:
        vocab.load("cl100k_base")
    sentence(error)


def test_a_name_from_tiktokens_own_constructors(monkeypatch):
    from tiktoken import registry

    registry.list_encoding_names()
    ranks = {token: k for k, token in enumerate([*SINGLE_BYTES, b"ab"])}
    settings = {"name": "x", "pat_str": GPT2_REGEX, "mergeable_ranks": ranks, "special_tokens": {"<|end|>": 257}}
    monkeypatch.setitem(registry.ENCODING_CONSTRUCTORS, "gpt2", lambda: settings)
    loaded = vocab.load("gpt2")
    assert list(loaded.tokens()) == list(ranks)
    assert (loaded.pattern.regex, loaded.special_tokens) == (GPT2_REGEX, {"<|end|>": 257})
    ranks[b"abc"] = 300
    theirs = tiktoken.Encoding(**settings)
    assert vocab.load("gpt2").encode("abc ab abcab") == theirs.encode("abc ab abcab") == [300, 32, 256, 32, 300, 256]


@pytest.mark.parametrize("name", ["cl1000k", "gpt-2", "", "a.b", "no/such/folder"])
def test_an_unknown_name_is_named(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError) as error:
        vocab.load(name)
    assert name in sentence(error)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(SourceError, match=r"cl100k_base.*gpt2.*o200k_base"):
        vocab.load("nonsense")


@pytest.mark.parametrize("change", [lambda raw: raw[:-100], lambda raw: raw + b"IQ== 100256\n", lambda raw: b""])
def test_the_packages_file_is_checked_against_its_digest(change, monkeypatch, tmp_path):
    damaged = tmp_path / "cl100k_base.tiktoken"
    damaged.write_bytes(change(named._offline_file().read_bytes()))
    monkeypatch.setattr(named, "_offline_file", lambda: damaged)
    with pytest.raises(SourceError, match=r"is not OpenAI's cl100k_base.*reinstall") as error:
        vocab.load("cl100k_base")
    sentence(error)


# .tiktoken files


@pytest.fixture
def pair(tmp_path) -> Path:
    """A good pair of files, to be damaged."""
    tokens = [*SINGLE_BYTES, b"ab", b"abc", b" a"]
    Vocabulary.from_tokens(tokens, SplitPattern(GPT2_REGEX), {"<|end|>": 259}, provenance=Provenance("t")).save(
        tmp_path / "t"
    )
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        (tmp_path / "t" / name).unlink()
    return tmp_path / "t/t.tiktoken"


def test_a_pair_of_files_is_read_from_path_or_folder(pair):
    loaded = vocab.load(pair)
    assert loaded == vocab.load(pair.parent) == vocab.load(str(pair))
    assert loaded.provenance == Provenance("t", hashlib.sha256(pair.read_bytes()).hexdigest(), "tiktoken")
    assert loaded.encode("abc<|end|>", allow_special=True) == [257, 259]


def test_cl100k_base_is_known_by_its_digest_wherever_it_lies(tmp_path, cl100k):
    path = tmp_path / "renamed.tiktoken"
    path.write_bytes(named._offline_file().read_bytes())
    assert vocab.load(path) == cl100k


def test_a_special_token_between_the_ranks_is_a_hole_in_them_and_no_other_is(pair):
    """As in p50k_base, whose <|endoftext|> is below its runs of spaces."""
    lines = pair.read_text(encoding="utf-8").splitlines()
    pair.write_text("\n".join([*lines[:257], lines[257].replace("257", "258"), lines[258].replace("258", "259")]))
    settings = pair.with_suffix(".json")
    content = json.loads(settings.read_text(encoding="utf-8")) | {"special_tokens": {"<|end|>": 257}}
    settings.write_text(json.dumps(content), encoding="utf-8")
    loaded, text = vocab.load(pair), "abc ab<|end|> a abc"
    theirs = tiktoken.Encoding(**content, mergeable_ranks=loaded.token_ids)
    assert loaded.encode(text, allow_special=True) == theirs.encode(text, allowed_special="all")
    assert loaded.decode(loaded.encode(text, allow_special=True)) == text
    assert loaded.encode(text, allow_special=True) == loaded.to_tokenizers().encode(text).ids

    settings.write_text(json.dumps(content | {"special_tokens": {"<|end|>": 260}}), encoding="utf-8")
    with pytest.raises(SourceError, match="line 258 has rank 258 where 257 must follow"):
        vocab.load(pair)


DAMAGES = {
    "cut in the last line": (lambda raw: raw[:-4], "line 259"),
    "cut before the last rank": (lambda raw: raw[: raw.rindex(b" ")], "line 259"),
    "cut after a line": (lambda raw: raw[: raw.rindex(b"\n", 0, -1) + 1], "258 tokens|truncated|damaged|cut"),
    "ranks swapped": (lambda raw: raw.replace(b" 7\n", b" 8\n", 1), "line 9 has rank 8 where 9 must follow"),
    "a rank left out": (lambda raw: raw.replace(b"AA== 0\n", b""), "line 1 has rank 1 where 0 must follow"),
    "not base64": (lambda raw: raw.replace(b"AA==", b"A*=="), "line 1 is not a base64 token"),
    "a rank that is no number": (lambda raw: raw.replace(b" 3\n", b" x\n"), "line 4 is not a base64 token"),
    "three columns": (lambda raw: raw.replace(b" 3\n", b" 3 3\n"), "line 4 is not a base64 token"),
    "empty": (lambda raw: b"", "is empty"),
    "white space": (lambda raw: b"  \n\n", "is empty"),
    "not text": (lambda raw: bytes(range(128, 256)) * 9, "not a base64 token"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_tiktoken_file_is_named(pair, damage):
    change, message = DAMAGES[damage]
    pair.write_bytes(change(pair.read_bytes()))
    with pytest.raises(SourceError, match=message) as error:
        vocab.load(pair)
    assert "t.tiktoken" in sentence(error)


def test_a_file_of_another_kind_is_not_asked_for_its_pattern(tmp_path):
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    with pytest.raises(SourceError, match="base64"):
        vocab.load(tmp_path / "picture.png")


def test_a_token_that_repeats_is_refused_when_used(pair):
    raw = pair.read_bytes()
    pair.write_bytes(raw.replace(base64.b64encode(b"abc"), base64.b64encode(b"ab")))
    with pytest.raises(SourceError, match="t cannot encode every text"):
        vocab.load(pair).encode("abc")


def test_a_missing_settings_file_is_asked_for(pair):
    pair.with_suffix(".json").unlink()
    with pytest.raises(SourceError, match=r"holds no split pattern: put t\.json beside it"):
        vocab.load(pair)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        "{}",
        '{"pat_str": 5}',
        '{"pat_str": "a", "special_tokens": ["<|end|>"]}',
        '{"pat_str": "a", "special_tokens": {"<|end|>": "259"}}',
        '{"pat_str": "a", "special_tokens": null}',
    ],
)
def test_a_damaged_settings_file_is_named(pair, text):
    pair.with_suffix(".json").write_text(text)
    with pytest.raises(SourceError, match=r"t\.json is not a JSON object with pat_str"):
        vocab.load(pair)


def test_a_special_token_with_an_ordinary_id_is_refused(pair):
    pair.with_suffix(".json").write_text(json.dumps({"pat_str": "a", "special_tokens": {"<|end|>": 3}}))
    with pytest.raises(SourceError, match="id 3"):
        vocab.load(pair)


def test_a_pattern_that_is_no_regular_expression_is_refused(pair):
    pair.with_suffix(".json").write_text(json.dumps({"pat_str": "(a", "special_tokens": {}}))
    with pytest.raises(SourceError, match="not a regular expression"):
        vocab.load(pair).encode("a")


def test_a_folder_with_nothing_to_read(tmp_path, pair):
    with pytest.raises(SourceError, match="holds neither"):
        vocab.load(tmp_path)
    (pair.parent / "second.tiktoken").write_bytes(pair.read_bytes())
    with pytest.raises(SourceError, match="holds neither"):
        vocab.load(pair.parent)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(pair):
    pair.chmod(0)
    with pytest.raises(SourceError, match="cannot be read: Permission denied"):
        vocab.load(pair)


def test_a_file_that_fails_while_it_is_read(pair, monkeypatch):
    def fail(self):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(SourceError, match="cannot be read: Input/output error"):
        vocab.load(pair)


# tokenizer.json of others


@pytest.mark.parametrize("pattern", [None, CL100K_REGEX, SplitPattern(CL100K_REGEX).portable])
def test_a_trained_byte_level_bpe_has_the_same_ids(pattern, tmp_path, real_text, nasty):
    portable = SplitPattern(pattern).portable if pattern else None  # Oniguruma reads {1,3}+ as something else
    peer = byte_level_bpe(3000, portable)
    loaded = vocab.load(stored(peer, tmp_path / "own"))
    assert loaded.n_ids == peer.get_vocab_size()
    assert dict(loaded.special_tokens) == {"<|endoftext|>": loaded.n_tokens, "<|pad|>": loaded.n_tokens + 1}
    assert loaded.name == "own"
    as_tiktoken = loaded.to_tiktoken()
    for text in [real_text[:300_000], *nasty]:
        ids = loaded.encode(text, allow_special=True)
        assert peer.encode(text).ids == ids
        assert as_tiktoken.encode(text, allowed_special="all") == ids


def test_merges_as_one_string_are_read(tmp_path):
    def old_style(settings):
        settings["model"]["merges"] = [" ".join(pair) for pair in settings["model"]["merges"]]

    peer = byte_level_bpe()
    assert vocab.load(stored(peer, tmp_path, old_style)) == vocab.load(stored(peer, tmp_path))


def test_a_trained_byte_level_bpe_is_pruned_and_saved(tmp_path, real_text):
    from vocab.prune import prune

    (tmp_path / "text.txt").write_text(real_text[:200_000], encoding="utf-8")
    source = vocab.load(stored(byte_level_bpe(3000), tmp_path / "own"))
    corpus = vocab.count(tmp_path / "text.txt", source.pattern)
    result = prune(source, 1000, corpus=corpus)
    result.save(tmp_path / "out")
    peer = Tokenizer.from_file(str(tmp_path / "out/tokenizer.json"))
    built = run_documented_line(tmp_path / "out", "own-1000")
    ids = result.vocabulary.encode(real_text[:300_000])
    assert peer.encode(real_text[:300_000]).ids == ids
    assert built.encode_ordinary(real_text[:300_000]) == ids
    assert peer.get_vocab_size() == built.n_vocab == 1000
    assert vocab.load(tmp_path / "out") == result.vocabulary


def bpe_with(**settings) -> Tokenizer:
    tokens = {"a": 0, "b": 1, "ab": 2, "<unk>": 3}
    return Tokenizer(models.BPE(tokens, [("a", "b")], **settings))


def trained(model: models.Model, trainer: trainers.Trainer) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator(["hello hello world, hello words"] * 5, trainer)
    return tokenizer


def sentencepiece_like() -> Tokenizer:
    tokens = {f"<0x{b:02X}>": b for b in range(256)} | {"▁": 256, "a": 257, "▁a": 258}
    tokenizer = Tokenizer(models.BPE(tokens, [("▁", "a")], byte_fallback=True, fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return tokenizer


OTHER_KINDS = {
    "Unigram": lambda: trained(models.Unigram(), trainers.UnigramTrainer(show_progress=False, unk_token="<unk>")),
    "WordLevel": lambda: trained(models.WordLevel(unk_token="?"), trainers.WordLevelTrainer(show_progress=False)),
    "SentencePiece": sentencepiece_like,
    "continued words": lambda: Tokenizer(models.BPE({"a": 0}, [], continuing_subword_prefix="##")),
    "ends of words": lambda: bpe_with(end_of_word_suffix="</w>"),
    "dropout": lambda: bpe_with(dropout=0.1),
}


MESSAGES = {
    "Unigram": "has no piece ▁",
    "WordLevel": "a model of the type WordLevel",
    "SentencePiece": "splits text with ByteLevel",
    "continued words": "is not byte-level BPE: its pieces have the affix '##'",
    "ends of words": "is not byte-level BPE: its pieces have the affix '</w>'",
    "dropout": r"leaves out merges at random \(dropout 0.1\)",
}


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_models_of_another_kind_are_refused(kind, tmp_path):
    def byte_level(settings):
        settings["pre_tokenizer"] = json.loads(byte_level_bpe().to_str())["pre_tokenizer"]

    with pytest.raises(SourceError, match=MESSAGES[kind]) as error:
        load_lossless(stored(OTHER_KINDS[kind](), tmp_path, byte_level))
    sentence(error)


def change_of(where: str, value):
    def change(settings):
        *outer, last = where.split(".")
        for key in outer:
            settings = settings[key]
        settings[last] = value

    return change


def swap_merges(settings):
    merges = settings["model"]["merges"]
    merges[0], merges[-1] = merges[-1], merges[0]


def shuffled_ids(settings):
    """Ids that follow no merges, as RoBERTa's follow frequency."""
    vocabulary = settings["model"]["vocab"]
    special = {token["content"] for token in settings["added_tokens"]}
    pieces = [piece for piece in vocabulary if piece not in special]
    ids = [vocabulary[piece] for piece in pieces]
    random.Random(3).shuffle(ids)
    vocabulary.update(zip(pieces, ids, strict=True))


def special_between(settings):
    piece = next(piece for piece, k in settings["model"]["vocab"].items() if k == 300)
    settings["added_tokens"].append({**settings["added_tokens"][0], "id": 300, "content": piece})


def hole(settings):
    settings["model"]["merges"].pop()
    settings["model"]["vocab"] = {piece: k + (k > 400) for piece, k in settings["model"]["vocab"].items()}
    for token in settings["added_tokens"]:
        token["id"] += 1


def foreign_character(settings):
    settings["model"]["vocab"] = {piece.replace("!", "字"): k for piece, k in settings["model"]["vocab"].items()}
    settings["model"]["merges"] = [pair for pair in settings["model"]["merges"] if "!" not in "".join(pair)]


def prefix_space(settings):
    settings["pre_tokenizer"]["add_prefix_space"] = True


def removing_split(settings):
    split = {"type": "Split", "pattern": {"Regex": r"\s+"}, "behavior": "Removed", "invert": False}
    settings["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [split, {**settings["pre_tokenizer"], "use_regex": False}],
    }


def unlike_split(settings):
    """A class of hexadecimal digits to Oniguruma, and white space to others."""
    split = {"type": "Split", "pattern": {"Regex": r"\h+"}, "behavior": "Isolated", "invert": False}
    settings["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, settings["pre_tokenizer"]]}


def digits_first(settings):
    """Several splits after each other, as SmolLM and Falcon have them."""
    digits, punctuation = (
        {"type": "Digits", "individual_digits": True},
        {"type": "Punctuation", "behavior": "Contiguous"},
    )
    last = {"type": "Split", "pattern": {"Regex": "[aeiou][aeiou]"}, "behavior": "MergedWithNext", "invert": False}
    settings["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [punctuation, digits, settings["pre_tokenizer"], last],
    }


def several_normalizers(settings):
    steps = [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace("a", "b")]
    tokenizer = byte_level_bpe()
    tokenizer.normalizer = normalizers.Sequence(steps)
    settings["normalizer"] = json.loads(tokenizer.to_str())["normalizer"]


def text_tokens(settings):
    """Added tokens that are text: runs of spaces, and one of each flag."""
    first, last = settings["added_tokens"][0], max(token["id"] for token in settings["added_tokens"])
    flagged = [("    ", {}), ("  ", {}), ("<l>", {"lstrip": True}), ("<r>", {"rstrip": True})]
    flagged += [("<n>", {"normalized": True}), (UNSEEN, {"single_word": True}), ("<think>", {})]
    for k, (text, flags) in enumerate(flagged, last + 1):
        settings["added_tokens"].append({**first, "special": False, "id": k, "content": text, **flags})


UNSEEN = "Qzjq"  # no piece of what is trained here
KEPT = {
    "ids in another order than merges": shuffled_ids,
    "hole in ids": hole,
    "prefix space": prefix_space,
    "several splits": digits_first,
    "several normalizers": several_normalizers,
    "NFC": change_of("normalizer", {"type": "NFC"}),
    "NFKD": change_of("normalizer", {"type": "NFKD"}),
    "a normalizer of nothing": change_of("normalizer", {"type": "Sequence", "normalizers": []}),
    "added tokens that are text": text_tokens,
    "a token that nothing makes": lambda settings: settings["model"]["vocab"].update({"neverMade0000": 20_000}),
}


@pytest.mark.parametrize("what", KEPT)
def test_byte_level_bpe_is_read_and_pruned_as_tokenizers_runs_it(what, tmp_path, real_text, nasty):
    """Ids of the source, counts, and ids of the pruned files are those of tokenizers, added tokens found in text."""
    from vocab.corpus.counting import CorpusCounts, count_documents
    from vocab.prune import prune

    path = stored(byte_level_bpe(3000), tmp_path / "own", KEPT[what])
    source, peer = vocab.load(path), Tokenizer.from_file(str(path))
    spaced = f"  the {UNSEEN}. <think> a  <l>  b <r>   c<n> a{UNSEEN}    {UNSEEN}\n      x"
    texts = [real_text[:100_000], real_text[-3_000:], spaced, "é e\u0301 ﬁ Ａ ½ ①", "    ", *nasty]
    theirs = [encoding.ids for encoding in peer.encode_batch(texts)]
    assert [source.encode(text, allow_special=True) for text in texts] == theirs
    texts = [text for text in texts if not source.has_special(text)]
    theirs = [peer.encode(text).ids for text in texts]
    assert [source.encode(text) for text in texts] == theirs
    assert source.encode_batch(texts) == theirs

    part = count_documents([real_text[:100_000] + spaced], "text", source.pattern)
    result = prune(source, 1000, corpus=CorpusCounts((part,)))
    assert result.report.rows[0].train.n_tokens == len(peer.encode(real_text[:100_000] + spaced).ids)
    result.save(tmp_path / "out")
    pruned = Tokenizer.from_file(str(tmp_path / "out/tokenizer.json"))
    assert [encoding.ids for encoding in pruned.encode_batch(texts)] == result.vocabulary.encode_batch(texts)
    assert vocab.load(tmp_path / "out") == result.vocabulary
    for text, old in zip(texts, theirs, strict=True):
        assert pruned.decode(pruned.encode(text).ids) == peer.decode(old)


REFUSED = {
    "merges before those of their parts": (swap_merges, "but not the merge of"),
    "special token between others": (special_between, "is also made by merges"),
    "character outside the alphabet": (foreign_character, "holds the character '字'"),
    "a split that means something else here": (unlike_split, "in a way that is not understood here"),
    "split that drops text": (removing_split, "drops text where it splits"),
    "no pre-tokenizer": (change_of("pre_tokenizer", None), "goes from characters without byte"),
    "words": (change_of("pre_tokenizer", {"type": "Whitespace"}), "goes from characters without"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_byte_level_bpe_that_cannot_be_pruned_is_refused(reason, tmp_path):
    change, message = REFUSED[reason]
    with pytest.raises(SourceError, match=message) as error:
        load_lossless(stored(byte_level_bpe(), tmp_path, change))
    sentence(error)


@pytest.mark.parametrize("ignore_merges", [True, False])
def test_a_token_without_its_merge_is_refused_or_has_the_same_ids(ignore_merges, tmp_path):
    def lose_a_merge(settings):
        settings["model"]["ignore_merges"] = ignore_merges
        settings["model"]["merges"] = [pair for pair in settings["model"]["merges"] if "".join(pair) != "Ġthe"]

    path = stored(byte_level_bpe(2000), tmp_path, lose_a_merge)
    try:
        loaded = vocab.load(path)
    except SourceError:
        return
    peer = Tokenizer.from_file(str(path))
    for text in (" the", " then", "and the other them"):
        assert loaded.encode(text) == peer.encode(text).ids


@pytest.mark.parametrize(
    "text", ["{", "{}", '{"model": 3}', '{"model": {}}', "{ not JSON", '{"version": "1.0", "model": {"type": "X"}}']
)
def test_json_that_is_no_tokenizer_is_refused(text, tmp_path):
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(SourceError, match=r"is not a tokenizer\.json") as error:
        vocab.load(tmp_path)
    sentence(error)


def test_a_truncated_tokenizer_json_is_refused(tmp_path):
    path = stored(byte_level_bpe(), tmp_path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(SourceError, match=r"is not a tokenizer\.json"):
        vocab.load(path)


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "tokenizer.json").touch()
    with pytest.raises(SourceError, match="is empty"):
        vocab.load(tmp_path / "tokenizer.json")
    with pytest.raises(SourceError, match=re.escape("tokenizer.json")):
        vocab.load(tmp_path)


def test_bytes_without_a_token_are_left_out_as_tokenizers_leaves_them_out(tmp_path):
    tokenizer = Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    loaded = load_lossless(stored(tokenizer, tmp_path))
    assert loaded.encode("axb b\0a") == tokenizer.encode("axb b\0a").ids == [2, 1, 0]
    assert loaded.restored("axb") == "ab"


def test_missing_bytes_are_named_where_they_would_be_unknown(tmp_path):
    tokenizer = Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")], unk_token="a"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    with pytest.raises(SourceError, match="lacks 241 of the 243 bytes of UTF-8"):
        load_lossless(stored(tokenizer, tmp_path)).encode("a")


# All or nothing


TINY = Vocabulary.from_tokens(SINGLE_BYTES, SplitPattern(GPT2_REGEX), provenance=Provenance("tiny"))


def content(folder: Path) -> dict[str, bytes]:
    """Files by their paths, without marks."""
    files = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != MARK)
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


@pytest.fixture
def earlier(tmp_path) -> Path:
    """A folder that an earlier pruning could have written."""
    with staged_folder(tmp_path / "out") as staging:
        (staging / "report.json").write_text("{}")
    return tmp_path / "out"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, ValueError, SourceError])
def test_an_interrupted_write_leaves_nothing(tmp_path, stop):
    with pytest.raises(stop), staged_folder(tmp_path / "new") as staging:  # noqa: PT012
        (staging / "report.json").write_text("half")
        raise stop
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interrupted_write_keeps_the_old_folder(earlier, stop):
    expected = OutputError if isinstance(stop, OSError) else stop
    with pytest.raises(expected), staged_folder(earlier, force=True) as staging:  # noqa: PT012
        (staging / "report.json").write_text("half")
        raise stop
    assert content(earlier.parent) == {"out/report.json": b"{}"}


def test_an_interrupted_write_of_files_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(self, text, **_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", interrupted)
    with pytest.raises(KeyboardInterrupt):
        TINY.save(tmp_path / "a/b/c")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
    assert not (tmp_path / "a/b/c").exists()


def test_force_replaces_the_whole_folder(earlier):
    with staged_folder(earlier, force=True) as staging:
        (staging / "new.txt").write_text("new")
    assert content(earlier.parent) == {"out/new.txt": b"new"}


def test_an_earlier_result_is_not_replaced_without_force(earlier):
    with pytest.raises(OutputError, match=r"holds an earlier result.*`force`"):
        TINY.save(earlier)
    assert content(earlier) == {"report.json": b"{}"}


def test_a_saved_vocabulary_is_replaced_with_force_only(tmp_path):
    TINY.save(tmp_path / "out")
    with pytest.raises(OutputError):
        TINY.save(tmp_path / "out")
    TINY.save(tmp_path / "out", force=True)
    assert vocab.load(tmp_path / "out") == TINY


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "out").mkdir()
    TINY.save(tmp_path / "out")
    assert vocab.load(tmp_path / "out") == TINY
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("names", [["thesis.tex"], ["model.safetensors", "tokenizer.json"], [".hidden"], ["sub/x"]])
def test_a_folder_of_others_is_refused_even_with_force(tmp_path, names, force):
    for name in names:
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_text("mine")
    with pytest.raises(OutputError, match=f"holds other files.*{names[0].split('/')[0]}"):
        TINY.save(tmp_path / "out", force=force)
    assert sorted(content(tmp_path / "out")) == sorted(names)


@pytest.mark.parametrize("name", ["model.safetensors", "thesis.tex"])
def test_force_never_deletes_what_others_put_beside_a_result(earlier, name):
    (earlier / name).write_text("mine")
    with pytest.raises(OutputError, match=re.escape(name)):
        TINY.save(earlier, force=True)
    assert (earlier / name).read_text() == "mine"


@pytest.mark.parametrize("force", [False, True])
def test_a_file_in_the_place_of_the_folder_is_kept(tmp_path, force):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match="is a file"):
        TINY.save(tmp_path / "out", force=force)
    assert (tmp_path / "out").read_text() == "mine"


def test_a_file_in_the_place_of_the_parent_is_kept(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="cannot be written"):
        TINY.save(tmp_path / "file/out")
    assert content(tmp_path) == {"file": b"mine"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_parent(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o555)
    with pytest.raises(OutputError, match="cannot be written: Permission denied"):
        TINY.save(tmp_path / "locked/out")


def test_a_disk_that_refuses(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("vocab.writing.staging.lock", refuse)
    with pytest.raises(OutputError, match="cannot be written: Permission denied"):
        TINY.save(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_the_folder_has_the_permissions_that_others_have(tmp_path):
    TINY.save(tmp_path / "out")
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_versions_of_peers_are_those_of_the_rules():
    """A newer tokenizers may change what `ignore_merges` or Unigram do: the tests above then say so."""
    assert tuple(map(int, tokenizers.__version__.split(".")[:2])) >= (0, 21)


def test_what_stands_beside_tokens_is_carried(tmp_path, cl100k):
    """Templates with names in a list, one in a file before it, one with CRLF; a role adds its token."""
    special = {"<|end|>": 300, "<|start|>": 301}
    small = Vocabulary.from_tokens(list(cl100k.tokens())[:300], cl100k.pattern, special, provenance=Provenance("small"))
    folder = tmp_path / "a"
    small.save(folder)
    assert vocab.load(folder).provenance.extras["hugging_face"]["model_max_length"] == 10**18
    named = [{"name": "default", "template": "{{ 1 }}"}, {"name": "rag", "template": "{{ 2 }}"}]
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config |= {
        "chat_template": named,
        "eos_token": {"content": "<|end|>"},
        "bos_token": "<begin>",
        "model_max_length": 7.0,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    vocab.load(folder).save(tmp_path / "b")
    settings = json.loads((tmp_path / "b/tokenizer_config.json").read_text())
    assert (settings["chat_template"], settings["model_max_length"]) == (named, 7)
    assert settings["eos_token"] == "<|end|>"
    assert settings["bos_token"] == "<begin>"
    assert vocab.load(tmp_path / "b").special_tokens["<begin>"] == 302
    assert not (tmp_path / "b/chat_template.jinja").exists()
    (folder / "chat_template.jinja").write_bytes(b"{{ 3 }}\r\n")
    vocab.load(folder).save(tmp_path / "c")
    assert (tmp_path / "c/chat_template.jinja").read_bytes() == b"{{ 3 }}\r\n"
    assert "chat_template" not in json.loads((tmp_path / "c/tokenizer_config.json").read_text())
    vocab.load(tmp_path / "c").save(tmp_path / "c", force=True)
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates/rag.jinja").write_text("{{ 4 }}")
    vocab.load(folder).save(tmp_path / "d")
    listed = [{"name": "default", "template": "{{ 3 }}\r\n"}, {"name": "rag", "template": "{{ 4 }}"}]
    assert json.loads((tmp_path / "d/tokenizer_config.json").read_text())["chat_template"] == listed


BAD_COMPANIONS = {
    "tokenizer_config.json": [b"[1]", b"{", b"\xff", b'{"a": ' * 20_000, b'{"chat_template": 5}'],
    "chat_template.jinja": [b"\xff{{ 1 }}"],
    "special_tokens_map.json": [b"nothing"],
}
BAD_COMPANIONS["tokenizer_config.json"] += [b'{"chat_template": "\\ud800"}', b'{"chat_template": [{"name": "x"}]}']


@pytest.mark.parametrize(("name", "content"), [(name, c) for name, all_ in BAD_COMPANIONS.items() for c in all_])
def test_damaged_files_beside_a_tokenizer(name, content, tmp_path, cl100k):
    small = Vocabulary.from_tokens(list(cl100k.tokens())[:256], cl100k.pattern, {"<|end|>": 256})
    small.save(tmp_path / "a")
    (tmp_path / "a" / name).write_bytes(content)
    with pytest.raises(SourceError, match=name.replace(".", r"\.")):
        vocab.load(tmp_path / "a")


def test_a_template_is_not_put_into_tekken_json(tmp_path):
    tokens = [bytes([b]) for b in range(256)] + [b"ab"]
    beside = {"hugging_face": {"chat_template": "{{ 1 }}", "in_file": True, "roles": {"bos_token": "<s>"}}}
    provenance = Provenance("small", None, "tekken", beside | {"version": "v7", "image": {"x": 1}})
    special = {"<unk>": 0, "<s>": 1}
    small = Vocabulary.from_tokens(tokens, SplitPattern(CL100K_REGEX), special, provenance=provenance, first_id=2)
    small.save(tmp_path / "a")
    written = json.loads((tmp_path / "a/tekken.json").read_text())
    assert ("hugging_face" in written, written["image"], written["config"]["version"]) == (False, {"x": 1}, "v7")
    assert (tmp_path / "a/chat_template.jinja").read_text() == "{{ 1 }}"
    assert json.loads((tmp_path / "a/tokenizer_config.json").read_text())["bos_token"] == "<s>"
    (tmp_path / "a/tekken.json").write_text(json.dumps(written | {"hugging_face": 5}))
    assert "hugging_face" not in vocab.load(tmp_path / "a/tekken.json").provenance.extras
