"""Files that are cut short, damaged, huge, or not what they say: one clear sentence, whatever the reader."""

import json
from dataclasses import replace

import pytest
from helpers.files import mistral_file
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

import vocab
from vocab.errors import SourceError
from vocab.prune import prune
from vocab.vocabulary import Provenance, Vocabulary

# Name of the file in the folder, and the others that it needs beside it.
FILES = {
    "small.tiktoken": ["small.json"],
    "small.json": ["small.tiktoken"],
    "tokenizer.json": [],
    "small.tokenmonster.yaml": [],
    "least/tokenizer.json": [],
    "longest/tokenizer.json": [],
    "pieces/tokenizer.json": [],
    "pieces/tokenizer.model": [],
    "tekken/tekken.json": [],
    "wordpiece/tokenizer.json": [],
    "unigram/tokenizer.json": [],
    "clip/tokenizer.json": [],
}

RUN_ELSEWHERE = ("wordpiece", "unigram", "clip")


@pytest.fixture(scope="module")
def originals(tmp_path_factory, cl100k) -> dict[str, dict[str, bytes]]:
    """A small file of each format, with what it needs beside it, by name."""
    place = tmp_path_factory.mktemp("originals")
    special = {"<|endoftext|>": 300}
    small = Vocabulary.from_tokens(list(cl100k.tokens())[:300], cl100k.pattern, special, provenance=Provenance("small"))
    small.save(place / "a")
    replace(small, inference="ungreedy").save(place / "b")
    replace(small, inference="least-tokens").save(place / "least")
    replace(small, inference="longest-prefix").save(place / "longest")
    pieces = vocab.load(mistral_file("tokenizer.model.v1"))
    prune(pieces, pieces.n_ids - 26_500, method="rank").save(place / "pieces")
    prune(vocab.load(mistral_file("tekken_240718.json")), 1300, method="rank").save(place / "tekken")
    words = Tokenizer(models.WordPiece({"[UNK]": 0, "some": 1, "te": 2, "##xt": 3}, unk_token="[UNK]"))
    words.normalizer, words.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    words.add_special_tokens(["[UNK]", "[SEP]"])
    unigram = Tokenizer(models.Unigram([("<unk>", 0.0), ("▁", -1.0), ("▁some", -2.0), ("t", -3.0)], unk_id=0))
    unigram.normalizer, unigram.pre_tokenizer = normalizers.NFKC(), pre_tokenizers.Metaspace()
    ends = {"<unk>": 0, "t": 1, "e": 2, "t</w>": 3, "e</w>": 4, "te</w>": 5}
    clip = Tokenizer(models.BPE(ends, [("t", "e</w>")], unk_token="<unk>", end_of_word_suffix="</w>"))
    clip.normalizer, clip.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.ByteLevel()
    clip.add_tokens(["some text"])
    for name, tokenizer in {"wordpiece": words, "unigram": unigram, "clip": clip}.items():
        (place / name).mkdir()
        tokenizer.save(str(place / name / "tokenizer.json"))
    found = {}
    for name, others in FILES.items():
        folder = place / ("b" if "yaml" in name else "a") if "/" not in name else place / name.split("/")[0]
        last = name.split("/")[-1]
        found[name] = {file: (folder / file).read_bytes() for file in [last, *others]}
    return found


@st.composite
def damages(draw):
    """What is done to the bytes of a file: cut short, a few bytes changed, a part left out or there twice."""
    place, other = draw(st.floats(0, 1)), draw(st.floats(0, 1))
    values = draw(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4))
    kind = draw(st.sampled_from(["cut", "change", "leave out", "twice", "digit"]))
    return kind, place, other, values


def damaged(raw: bytes, damage) -> bytes:
    kind, place, other, values = damage
    a, b = sorted((int(place * len(raw)), int(other * len(raw))))
    if kind == "cut":
        return raw[:a]
    if kind == "leave out":
        return raw[:a] + raw[b:]
    if kind == "twice":
        return raw[:b] + raw[a:b] + raw[b:]
    changed = bytearray(raw)
    for where, byte in values:
        at = min(int(where * len(raw)), len(raw) - 1)
        changed[at] = ord("0") + byte % 10 if kind == "digit" else byte
    return bytes(changed)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
@given(damage=damages())
def test_a_damaged_file_is_read_or_refused_in_one_sentence(name, originals, tmp_path_factory, damage):
    folder = tmp_path_factory.mktemp("damaged")
    for file, raw in originals[name].items():
        (folder / file).write_bytes(raw)
    last = name.split("/")[-1]
    (folder / last).write_bytes(damaged(originals[name][last], damage))
    for place in (folder, folder / next(iter(FILES[name]), last)):
        assert "\n" not in refusal(place)


@pytest.mark.slow
@pytest.mark.parametrize("value", [None, [], {}, "x", -1, 10**30])
@pytest.mark.parametrize(
    "name", ["tokenizer.json", "small.json", *(f"{kind}/tokenizer.json" for kind in RUN_ELSEWHERE)]
)
def test_values_of_another_kind_are_refused_in_one_sentence(name, value, originals, tmp_path):
    """Each key of the first three levels, one after the other, gets a value of another kind."""
    last = name.split("/")[-1]
    for file, raw in originals[name].items():
        (tmp_path / file).write_bytes(raw)
    settings = json.loads(originals[name][last])
    for path in paths(settings):
        (tmp_path / last).write_text(json.dumps(with_value(settings, path, value)))
        assert "\n" not in refusal(tmp_path / (FILES[name] or [last])[0]), path


def refusal(place) -> str:
    """Why a file is refused, when it is read or first used; empty when it is not. Any other error is a failure."""
    try:
        vocab.load(place).encode("some text\x00 é")
    except SourceError as error:
        return str(error) or "\n"
    return ""


def paths(settings, depth: int = 3) -> list[tuple]:
    """Keys of some levels; of long lists and mappings the first three."""
    keys = list(settings) if isinstance(settings, dict) else range(len(settings)) if isinstance(settings, list) else []
    found = []
    for key in list(keys)[: 40 if len(keys) < 40 else 3]:
        found.append((key,))
        found += [(key, *rest) for rest in paths(settings[key], depth - 1)] if depth > 1 else []
    return found


def with_value(settings, path, value):
    copied = json.loads(json.dumps(settings))
    inner = copied
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return copied


def test_a_huge_file_is_not_read(tmp_path):
    """Sparse: it takes no room on the disk."""
    for head in (b"\n\x0e\n\x05<unk>\x15\x00\x00", b"{", b"IQ== 0\n", b"charset: none\n"):
        with (tmp_path / "huge").open("wb") as file:
            file.write(head)
            file.truncate(1 << 31)
        with pytest.raises(SourceError, match=r"huge has 2,147,483,648 bytes, more than any vocabulary"):
            vocab.load(tmp_path / "huge")


@pytest.mark.parametrize("n", [-1, 10**10])
def test_a_tekken_json_of_special_tokens_without_end_is_refused(tmp_path, n):
    """A file of 250 bytes that asks for ten billion names."""
    config = {"pattern": "a", "default_vocab_size": 10**12, "default_num_special_tokens": n, "version": "v3"}
    entry = {"rank": 0, "token_bytes": "AA==", "token_str": "x"}
    (tmp_path / "tekken.json").write_text(json.dumps({"config": config, "vocab": [entry], "special_tokens": []}))
    with pytest.raises(SourceError, match="files have at most 65,536"):
        vocab.load(tmp_path)


def test_ids_without_end_are_refused(cl100k):
    tokens = list(cl100k.tokens())[:300]
    assert Vocabulary.from_tokens(tokens, cl100k.pattern, {"<s>": (1 << 24) - 1}).max_id == (1 << 24) - 1
    for wrong in (-1, 1 << 24):
        with pytest.raises(SourceError, match="an id is below 0 or above 16,777,215"):
            Vocabulary.from_tokens(tokens, cl100k.pattern, {"<s>": wrong})
