"""GGUF files as sources: ids against tokenizers and sentencepiece, and files that are broken in every way."""

import json
import os
import struct
from pathlib import Path

import pytest
import sentencepiece
from helpers.files import mistral_file
from helpers.gguf_files import BYTE, CONTROL, NORMAL, UNKNOWN, UNUSED, USER_DEFINED, Raw, gguf_bytes
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

import vocab
from vocab.errors import SourceError
from vocab.formats import llama_cpp_runtime
from vocab.formats.gguf_pre_tokenizers import PRE_TOKENIZERS, name_of
from vocab.formats.gguf_tokenizer import GgufTokenizer
from vocab.formats.split_json import split_pattern
from vocab.splitting.byte_alphabet import to_characters
from vocab.splitting.known_patterns import LLAMA3_REGEX

MERGES = ["t h", "th e", "Ġ the", "i n", "1 2", "12 3", "Ġ in", "c a", "ca t"]
SINGLES = [to_characters(bytes([k])) for k in range(256)]
TOKENS = ["<|begin|>", *SINGLES, *(merge.replace(" ", "") for merge in MERGES), "<tool>", "<|im_end|>", "[PAD268]"]
KINDS = [CONTROL] + [NORMAL] * (len(TOKENS) - 4) + [USER_DEFINED, NORMAL, UNUSED]
TEXTS = ["the cat in the hat", "in 12345 <tool> the", "", " \n the\n", "é中🦙", "a<|begin|>b <|im_end|>"]


def byte_level(pre: str = "gpt-2", **more) -> dict:
    """Keys of a small byte-level tokenizer."""
    keys = {"model": "gpt2", "pre": pre, "tokens": TOKENS, "token_type": KINDS, "merges": MERGES, "bos_token_id": 0}
    return {"general.architecture": "llama", **{f"tokenizer.ggml.{key}": value for key, value in (keys | more).items()}}


def write(folder: Path, keys: dict, **options) -> Path:
    path = folder / "small.gguf"
    path.write_bytes(gguf_bytes(keys, **options))
    return path


def with_tokenizers(pre: str) -> Tokenizer:
    """The same tokenizer, put together by hand."""
    ids = {token: k for k, token in enumerate(TOKENS) if KINDS[k] == NORMAL}
    tokenizer = Tokenizer(
        models.BPE(ids, [tuple(merge.split(" ")) for merge in MERGES], ignore_merges=pre == "llama-bpe")
    )
    splits = {
        "gpt-2": [pre_tokenizers.ByteLevel(add_prefix_space=False)],
        "smollm": [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)],
        "llama-bpe": [
            pre_tokenizers.Split(Regex(LLAMA3_REGEX), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ],
    }[pre]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(splits)
    tokenizer.add_tokens(["<tool>"])
    return tokenizer


@pytest.mark.parametrize(("key", "names"), [(0, {"bos_token": "<|begin|>"}), (len(TOKENS), {}), (5, {})])
def test_a_role_is_a_special_token_of_the_list(key, names, tmp_path):
    assert GgufTokenizer.read(write(tmp_path, byte_level(bos_token_id=key))).roles == names


@pytest.mark.parametrize("pre", ["gpt-2", "smollm", "llama-bpe"])
def test_byte_level_ids_are_those_of_tokenizers(pre, tmp_path):
    loaded, peer = vocab.load(write(tmp_path, byte_level(pre))), with_tokenizers(pre)
    at = TOKENS.index("<tool>")
    moved = {peer.token_to_id("<tool>"): at}
    for text in TEXTS:
        assert loaded.encode(text) == [moved.get(k, k) for k in peer.encode(text).ids], text
    assert dict(loaded.special_tokens) == {"<|begin|>": 0, "<tool>": at, "<|im_end|>": at + 1}
    assert loaded.user_defined == {"<tool>"}
    assert loaded.provenance.format == "gguf"
    assert loaded.max_id == at + 1  # the filler is left out


def test_what_is_saved_gives_the_same_ids_and_keeps_template_roles_and_begin_of_text(tmp_path):
    keys = byte_level("smollm", add_bos_token=True) | {"tokenizer.chat_template": "{{ messages }}"}
    loaded = vocab.load(write(tmp_path, keys))
    loaded.save(tmp_path / "saved")
    again = vocab.load(tmp_path / "saved")
    assert [again.encode(text) for text in TEXTS] == [loaded.encode(text) for text in TEXTS]
    assert Tokenizer.from_file(str(tmp_path / "saved/tokenizer.json")).encode("the").ids[0] == 0
    assert json.loads((tmp_path / "saved/tokenizer_config.json").read_text())["chat_template"] == "{{ messages }}"
    assert json.loads((tmp_path / "saved/special_tokens_map.json").read_text())["bos_token"] == "<|begin|>"
    (tmp_path / "alone").mkdir()
    assert vocab.load(write(tmp_path / "alone", keys).parent).encode("the cat") == loaded.encode("the cat")


def test_an_added_token_that_reads_like_a_byte_comes_back_as_text(tmp_path):
    """As in DeepSeek, whose file has "õ" (the character of byte 0xF5) as a text of its own, and no such byte."""
    kinds = [
        USER_DEFINED if token in (to_characters(b"\xf5"), to_characters(b"\xc1")) else kind
        for token, kind in zip(TOKENS, KINDS, strict=True)
    ]
    loaded = vocab.load(write(tmp_path, byte_level(token_type=kinds)))
    loaded.save(tmp_path / "saved")
    again, peer = vocab.load(tmp_path / "saved"), Tokenizer.from_file(str(tmp_path / "saved/tokenizer.json"))
    for text in ["aõb", "õ the Á", "Ãµ é", "the cat"]:
        ids = loaded.encode(text, allow_special=True)
        assert peer.encode(text, add_special_tokens=False).ids == again.encode(text, allow_special=True)
        assert peer.decode(again.encode(text, allow_special=True)) == loaded.decode(ids) == text


def test_a_file_of_the_other_byte_order_and_of_version_2(tmp_path):
    expected = vocab.load(write(tmp_path, byte_level())).encode("the cat")
    for options in ({"order": ">"}, {"version": 2}):
        assert vocab.load(write(tmp_path, byte_level(), **options)).encode("the cat") == expected


def test_a_vocabulary_without_some_bytes_leaves_them_out(tmp_path):
    kept = [k for k, token in enumerate(TOKENS) if token != SINGLES[3]]
    keys = byte_level(tokens=[TOKENS[k] for k in kept], token_type=[KINDS[k] for k in kept])
    loaded = vocab.load(write(tmp_path, keys))
    assert loaded.encoder.lacking == b"\x03"
    assert loaded.restored("the\x03cat") == "thecat"
    assert loaded.encode("the\x03cat") == [token - 1 for token in with_tokenizers("gpt-2").encode("thecat").ids]


@pytest.mark.slow
def test_pieces_are_encoded_as_sentencepiece_does(tmp_path):
    peer = sentencepiece.SentencePieceProcessor(model_file=str(mistral_file("tokenizer.model.v1")))
    n = peer.vocab_size()
    kinds = [UNKNOWN, CONTROL, CONTROL] + [BYTE] * 256 + [NORMAL] * (n - 259)
    keys = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [peer.id_to_piece(k) for k in range(n)] + ["[PAD7]"],
        "tokenizer.ggml.scores": [peer.get_score(k) for k in range(n)] + [0.0],
        "tokenizer.ggml.token_type": [*kinds, UNUSED],
    }
    loaded = vocab.load(write(tmp_path, keys))
    for text in [*TEXTS, "  two  spaces", "Il était une fois, à l'heure"]:
        assert loaded.encode(text) == peer.encode(text), text
    without = vocab.load(write(tmp_path, keys | {"tokenizer.ggml.add_space_prefix": False}))
    assert without.encode("the") != loaded.encode("the")
    assert without.encode(" the") == loaded.encode("the")


@pytest.mark.parametrize("name", sorted(PRE_TOKENIZERS))
def test_each_pre_tokenizer_is_found_again_by_its_split(name):
    """The names of one split are one for us; those that look up whole words have the split of others that do not."""
    frame = {"pre_tokenizer": PRE_TOKENIZERS[name].to_json(), "normalizer": None, "added_tokens": []}
    found = name_of(split_pattern(frame))
    assert found is not None
    assert PRE_TOKENIZERS[found.name].steps == PRE_TOKENIZERS[name].steps
    assert "".join(split_pattern(frame).split("Été 12345\r\n  it's x_y😀 中文")) == "Été 12345\r\n  it's x_y😀 中文"


def test_a_file_cut_short_at_any_byte_is_refused(tmp_path):
    whole = gguf_bytes(byte_level())
    path = tmp_path / "cut.gguf"
    for n_bytes in [*range(4, 400), *range(400, len(whole), 37)]:
        path.write_bytes(whole[:n_bytes])
        with pytest.raises(SourceError, match=r"cut short|is GGUF of version"):
            vocab.load(path)


ARRAY = struct.pack("<II", 9, 8)
BROKEN = {
    "a count of tokens": {"tokens": Raw(ARRAY + struct.pack("<Q", 1 << 60))},
    "as many as fit an index": {"tokens": Raw(ARRAY + struct.pack("<Q", (1 << 22) + 1))},
    "numbers beyond the end": {"token_type": Raw(struct.pack("<IIQ", 9, 5, 1 << 20))},
    "a count of numbers": {"token_type": Raw(struct.pack("<IIQ", 9, 5, 1 << 62))},
    "a text beyond the end": {"model": Raw(struct.pack("<IQ", 8, 1 << 60))},
    "an array of arrays": {"tokens": Raw(struct.pack("<IIQ", 9, 9, 1))},
    "a kind of value": {"model": Raw(struct.pack("<I", 99))},
    "tokens that are numbers": {"tokens": [1, 2, 3]},
    "kinds that are texts": {"token_type": ["1"]},
    "few kinds": {"token_type": [1, 1]},
    "merges that are numbers": {"merges": [1]},
    "a merge of one piece": {"merges": ["the"]},
    "a model that is a number": {"model": 3},
    "an unknown model": {"model": "morse"},
    "an unknown pre-tokenizer": {"pre": "none of them"},
    "a token twice": {"tokens": ["a", "a"], "token_type": [1, 1]},
    "no tokens": {"tokens": Raw(ARRAY + struct.pack("<Q", 0))},
    "tokens that are not UTF-8": {"tokens": [b"\xff\xfe", b"a"]},
    "a role that is a text": {"bos_token_id": "zero"},
    "pieces without scores": {"model": "llama"},
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_headers_are_refused_in_one_sentence(what, tmp_path, monkeypatch):
    monkeypatch.setattr(llama_cpp_runtime, "is_installed", lambda: False)
    with pytest.raises(SourceError) as caught:
        vocab.load(write(tmp_path, byte_level(**BROKEN[what])))
    assert "\n" not in str(caught.value)
    assert "small.gguf" in str(caught.value)


def test_keys_that_repeat_or_are_too_many_and_other_versions(tmp_path):
    path = tmp_path / "small.gguf"
    body = gguf_bytes(byte_level())[24:]
    path.write_bytes(gguf_bytes({}, n_keys=2 * len(byte_level())) + body + body)
    with pytest.raises(SourceError, match=r"the key .general\.architecture. twice"):
        vocab.load(path)
    with pytest.raises(SourceError, match=r"has the key 'tokenizer\.ggml\.a\\nb'"):
        vocab.load(write(tmp_path, byte_level(**{"a\nb": 1})))
    with pytest.raises(SourceError, match="cut short"):
        vocab.load(write(tmp_path, byte_level(), n_keys=1 << 60))
    with pytest.raises(SourceError, match="version 1"):
        vocab.load(write(tmp_path, byte_level(), version=1))


GOLDEN = os.environ.get("VOCAB_GGUF_FOLDER")


@pytest.mark.slow
@pytest.mark.skipif(not GOLDEN, reason="VOCAB_GGUF_FOLDER does not name llama.cpp's folder models/")
def test_the_texts_of_llama_cpp_get_its_ids():
    """`ggml-vocab-NAME.gguf` with its texts (.inp) and ids (.out); what only llama.cpp runs is passed over."""
    compared = 0
    for path in sorted(Path(str(GOLDEN)).glob("*.gguf")):
        texts = path.with_name(path.name + ".inp")
        if not texts.is_file():
            continue
        try:
            loaded = vocab.load(path)
        except SourceError as error:
            assert "which is not read" in str(error)  # noqa: PT017
            continue
        expected = path.with_name(path.name + ".out").read_text().split("\n")
        given = texts.read_bytes().decode().split("\n__ggml_vocab_test__\n")
        for text, ids in zip(given, expected, strict=True):
            assert loaded.encode(text) == [int(k) for k in ids.split()], (path.name, text)
        compared += 1
    assert compared > 0
