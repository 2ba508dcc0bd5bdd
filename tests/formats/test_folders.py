"""Folders as AutoTokenizer loads them: added tokens of any file, ids as they run, and what surrounds tokens."""

import json
import shutil
from pathlib import Path

import pytest
import transformers
from helpers.byte_level import byte_level_bpe, stored
from helpers.files import mistral_file
from tokenizers import AddedToken, processors
from transformers import AutoTokenizer

import vocab
from vocab.corpus.counting import CorpusCounts, count_documents
from vocab.errors import SourceError
from vocab.formats import load_lossless
from vocab.interop import verify
from vocab.prune import prune

TEXTS = [
    "hello world",
    "  a<think>b</think>  c\n        return x\n",
    "<|user|>\nhi <mask> there<|endoftext|>",
    "x<extra>y  <mask>",
    "",
]


def write(path: Path, content) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def flags(**given) -> dict:
    return {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": True} | given


def source(folder: Path) -> Path:
    """A folder with everything: a template around texts, tokens that are text, flags, and tokens of other files."""
    tokenizer = byte_level_bpe(2000)
    tokenizer.add_special_tokens(["<s>", AddedToken("<mask>", lstrip=True, normalized=False)])
    tokenizer.add_tokens(["        ", "    ", AddedToken("<think>", normalized=False), "</think>"])
    begin = tokenizer.token_to_id("<s>")
    template = processors.TemplateProcessing(single="<s> $A <s>", special_tokens=[("<s>", begin)])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    stored(tokenizer, folder)
    n = tokenizer.get_vocab_size()
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "pad_token": "<|pad|>"}
    config |= {"padding_side": "left", "model_input_names": ["input_ids"], "image_token": "<image>"}
    decoder = {k: flags(content=token.content) for k, token in tokenizer.get_added_tokens_decoder().items()}
    for k, token in tokenizer.get_added_tokens_decoder().items():
        decoder[k] = {name: getattr(token, name) for name in ("content", *flags())}
    decoder |= {n + 7: flags(content="<extra>", special=False), n + 5: flags(content="<|user|>", rstrip=True)}
    write(folder / "tokenizer_config.json", config | {"added_tokens_decoder": decoder})
    return folder


def pruned(folder: Path, out: Path, target: int = 900) -> None:
    loaded = load_lossless(folder)
    counts = CorpusCounts(
        (count_documents([*TEXTS, *["for line in lines:\n    print(line)\n"] * 50], "text", loaded.pattern),)
    )
    prune(loaded, target, corpus=counts).save(out)


def test_a_folder_is_read_as_autotokenizer_loads_it(tmp_path):
    loaded, peer = vocab.load(source(tmp_path / "model")), AutoTokenizer.from_pretrained(tmp_path / "model")
    assert loaded.special_tokens.keys() >= {"<extra>", "<|user|>", "<|im_end|>", "<mask>"}
    for text, id_ in loaded.special_tokens.items():
        assert peer.convert_tokens_to_ids(text) == id_
    assert loaded.max_id == len(peer) - 1
    assert loaded.user_defined == {"        ", "    ", "<think>", "</think>", "<extra>"}
    for text in TEXTS:
        assert loaded.encode(text, allow_special=True) == peer(text, add_special_tokens=False).input_ids


def test_what_is_pruned_does_by_default_what_the_source_did(tmp_path):
    folder = source(tmp_path / "model")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    write(folder / "tokenizer_config.json", config | {"auto_map": {"AutoTokenizer": ["code.Own", None]}})
    pruned(folder, tmp_path / "out")
    lost = json.loads((tmp_path / "out/report.json").read_text())["not_carried"]
    assert lost == ["auto_map, which names code of the model's own"]
    assert "auto_map" not in json.loads((tmp_path / "out/tokenizer_config.json").read_text())
    write(folder / "tokenizer_config.json", config)
    old, new = (AutoTokenizer.from_pretrained(tmp_path / name) for name in ("model", "out"))
    assert len(new) == 900
    for text in TEXTS:
        before, after = old(text).input_ids, new(text).input_ids
        assert after[0] == after[-1] == new.convert_tokens_to_ids("<s>")
        for skip in (False, True):
            assert new.decode(after, skip_special_tokens=skip) == old.decode(before, skip_special_tokens=skip)
    assert new.padding_side == "left"
    assert new.model_input_names == ["input_ids"]
    assert (new.eos_token, new.pad_token, new.image_token) == ("<|im_end|>", "<|pad|>", "<image>")
    assert set(new.all_special_tokens).isdisjoint({"<think>", "</think>", "        ", "<extra>"})
    special = json.loads((tmp_path / "out/special_tokens_map.json").read_text())["additional_special_tokens"]
    assert set(special).isdisjoint({"<think>", "</think>", "        ", "<extra>"})
    added = json.loads((tmp_path / "out/tokenizer.json").read_text())["added_tokens"]
    assert next(token for token in added if token["content"] == "<mask>")["lstrip"]
    assert not list((tmp_path / "out").glob("*.tiktoken"))  # it would split "<think>" apart
    assert vocab.load(tmp_path / "out") == vocab.load(tmp_path / "out/tokenizer.json")


def test_default_calls_are_verified(tmp_path):
    pruned(source(tmp_path / "model"), tmp_path / "out")
    checked = verify(tmp_path / "out", TEXTS)
    assert checked.agrees
    assert checked.n_with_special == 2
    assert all(check.n_default_texts > 60 for check in checked.checks[1:])

    settings = json.loads((tmp_path / "out/tokenizer.json").read_text())
    broken = [token for token in settings["added_tokens"] if token["content"] == "<|user|>"]
    broken[0]["rstrip"] = False
    settings["truncation"] = {"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0}
    write(tmp_path / "out/tokenizer.json", settings)
    checked = verify(tmp_path / "out", TEXTS)
    by_name = {check.runtime: check for check in checked.checks}
    assert by_name["tokenizers"].n_default_different > 0  # the flags in tokenizer_config.json go first
    assert by_name["AutoTokenizer"].agrees
    assert checked.notes == ("tokenizer.json cuts texts off after 5 tokens (truncation).",)


def test_padding_and_truncation_follow_with_the_new_ids(tmp_path):
    def pads(settings):
        id_ = next(token["id"] for token in settings["added_tokens"] if token["content"] == "<|pad|>")
        settings["padding"] = {"strategy": {"Fixed": 8}, "direction": "Left", "pad_to_multiple_of": None}
        settings["padding"] |= {"pad_id": id_, "pad_type_id": 0, "pad_token": "<|pad|>"}
        settings["truncation"] = {"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0}

    stored(byte_level_bpe(1500), tmp_path / "model", pads)
    pruned(tmp_path / "model", tmp_path / "out", 700)
    written = json.loads((tmp_path / "out/tokenizer.json").read_text())
    assert written["padding"]["pad_id"] == vocab.load(tmp_path / "out").special_tokens["<|pad|>"]
    assert written["truncation"]["max_length"] == 5


def test_tokens_of_added_tokens_json_join_sentencepiece(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "tokenizer.model").write_bytes(mistral_file("tokenizer.model.v1").read_bytes())
    write(folder / "added_tokens.json", {"<|im_start|>": 32001, "<|im_end|>": 32000})
    write(folder / "tokenizer_config.json", {"eos_token": "<|im_end|>", "bos_token": "<s>", "unk_token": "<unk>"})
    loaded = vocab.load(folder)
    assert loaded.special_tokens["<|im_end|>"] == 32_000
    assert loaded.special_tokens["<|im_start|>"] == 32_001
    write(folder / "added_tokens.json", {"hello": 32000})
    with pytest.raises(SourceError, match="adds the token 'hello', which is one of its pieces already"):
        load_lossless(folder)


@pytest.mark.parametrize("kind", ["GPT2Tokenizer", "Qwen2TokenizerFast", "RobertaTokenizer"])
def test_vocab_json_and_merges_txt_are_read_by_their_class(kind, tmp_path):
    tokenizer = byte_level_bpe(1500)
    tokenizer.add_special_tokens(["<s>", "</s>", "<unk>"])
    settings = json.loads(tokenizer.to_str())
    pieces = settings["model"]["vocab"] | {token["content"]: token["id"] for token in settings["added_tokens"]}
    write(tmp_path / "vocab.json", pieces)
    lines = ["#version: 0.2", *(" ".join(pair) for pair in settings["model"]["merges"]), ""]
    (tmp_path / "merges.txt").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(SourceError, match="load it with AutoTokenizer and save it again"):
        vocab.load(tmp_path)
    roles = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<|pad|>"}
    write(tmp_path / "tokenizer_config.json", {"tokenizer_class": kind, **roles})
    write(tmp_path / "config.json", {"model_type": "gpt2"})
    loaded, peer = vocab.load(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    for text in ["Hello, it's 12345 e\u0301!  \n x", "for k in range(10):\n    pass", "naïve 日本 <s> ok"]:
        assert loaded.encode(text, allow_special=True) == peer(text, add_special_tokens=False).input_ids
    pruned(tmp_path, tmp_path / "out", 800)
    new = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert new.convert_ids_to_tokens(new("x").input_ids) == peer.convert_ids_to_tokens(peer("x").input_ids)


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        ("LlamaTokenizer", None),
        ("BertTokenizerFast", None),
        ("GPT2Tokenizer", None),
        ("CohereTokenizer", None),
        (None, "qwen3"),
        (None, None),
    ],
)
def test_what_a_class_makes_for_a_model_follows(kind, model, tmp_path):
    """The class of a result has other defaults: without segments two texts would become one for a model."""
    stored(byte_level_bpe(600), tmp_path / "model")
    write(tmp_path / "model" / "tokenizer_config.json", {"tokenizer_class": kind} if kind else {})
    write(tmp_path / "model" / "config.json", {"model_type": model} if model else {})
    vocab.load(tmp_path / "model").save(tmp_path / "out")
    new = AutoTokenizer.from_pretrained(tmp_path / "out")
    if kind == "LlamaTokenizer":  # which AutoTokenizer does not use for bytes
        kind = "TokenizersBackend"
    peer = getattr(
        transformers, kind.removesuffix("Fast") if kind else "Qwen2Tokenizer" if model else "TokenizersBackend"
    )
    assert (new.model_input_names, new.padding_side) == (peer.model_input_names, peer.padding_side)


@pytest.mark.parametrize("named", [{}, {"unk_token": None}, {"eos_token": "<pad>"}])
@pytest.mark.parametrize("kind", ["GPT2Tokenizer", "Qwen2Tokenizer", "RobertaTokenizer", "BartTokenizer"])
def test_roles_that_no_file_names_are_those_of_the_class(kind, named, tmp_path):
    pieces = json.loads(byte_level_bpe(600).to_str())["model"]
    texts = ["<|endoftext|>", "<s>", "</s>", "<unk>", "<pad>", "<mask>"]
    write(tmp_path / "vocab.json", pieces["vocab"] | {text: 600 + k for k, text in enumerate(texts)})
    (tmp_path / "merges.txt").write_text("\n".join(map(" ".join, pieces["merges"])), encoding="utf-8")
    write(tmp_path / "tokenizer_config.json", {"tokenizer_class": kind, **named})
    loaded, peer = vocab.load(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    assert dict(loaded.special_tokens) == {token.content: id_ for id_, token in peer.added_tokens_decoder.items()}
    for text in texts:
        text = f"Hello  {text} or{text} "
        assert loaded.encode(text, allow_special=True) == peer(text, add_special_tokens=False).input_ids


@pytest.mark.parametrize(("model", "side"), [(None, "left"), ("llama", "left"), ("internlm2", "right")])
def test_llama_pads_on_the_left_unless_auto_tokenizer_has_another_class(model, side, tmp_path):
    shutil.copy(mistral_file("tokenizer.model.v1"), tmp_path / "tokenizer.model")
    write(tmp_path / "tokenizer_config.json", {"tokenizer_class": "LlamaTokenizer"})
    write(tmp_path / "config.json", {"model_type": model} if model else {})
    carried = vocab.load(tmp_path).provenance.extras["hugging_face"]["settings"]
    assert carried.get("padding_side", "right") == side


@pytest.mark.parametrize("model", ["gpt2", "roberta", "qwen3", "opt"])
def test_the_model_tells_the_class_where_no_file_names_it(model, tmp_path):
    pieces = json.loads(byte_level_bpe(600).to_str())["model"]
    texts = ["<|endoftext|>", "<s>", "</s>", "<unk>", "<pad>", "<mask>"]
    write(tmp_path / "vocab.json", pieces["vocab"] | {text: 600 + k for k, text in enumerate(texts)})
    (tmp_path / "merges.txt").write_text("\n".join(map(" ".join, pieces["merges"])), encoding="utf-8")
    with pytest.raises(SourceError, match="names a class or model, by which text"):
        vocab.load(tmp_path)
    write(tmp_path / "config.json", {"model_type": model})
    loaded, peer = vocab.load(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    for text in ["Hello, 12345 e\u0301!  \n x", "a <mask> b<|endoftext|>"]:
        assert loaded.encode(text, allow_special=True) == peer(text, add_special_tokens=False).input_ids


def test_damaged_files_beside_it_are_named(tmp_path):
    stored(byte_level_bpe(600), tmp_path)
    write(tmp_path / "tokenizer_config.json", {"added_tokens_decoder": {"900": {"lstrip": False}}})
    with pytest.raises(SourceError, match="has an added token without text or id"):
        vocab.load(tmp_path)


def test_special_tokens_below_the_others_stay_there(tmp_path):
    """As in RoBERTa, whose positions are counted from the id of its padding."""

    def special_first(settings):
        texts = ["<s>", "<pad>", "</s>", "<unk>"]
        pieces = settings["model"]["vocab"]
        special = {**settings["added_tokens"][0], "special": True}
        ids = {piece: k for k, piece in enumerate([*texts, *reversed(list(pieces))])}
        settings["model"]["vocab"] = ids
        settings["added_tokens"] = [{**special, "id": k, "content": text} for k, text in enumerate(texts)]
        settings["added_tokens"].append({**special, "id": len(ids), "content": "<mask>", "lstrip": True})

    stored(byte_level_bpe(1500), tmp_path / "model", special_first)
    loaded = vocab.load(tmp_path / "model")
    assert loaded.first_id == 4
    assert loaded.ids is not None
    pruned(tmp_path / "model", tmp_path / "out", 700)
    new = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert new.convert_tokens_to_ids(["<s>", "<pad>", "</s>", "<unk>", "<mask>"]) == [0, 1, 2, 3, 699]
    assert verify(tmp_path / "out", TEXTS).agrees


@pytest.mark.parametrize("with_decoder", [False, True])
def test_the_map_of_special_tokens_goes_before_the_settings_as_for_autotokenizer(with_decoder, tmp_path):
    stored(byte_level_bpe(300), tmp_path)
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<A>", "pad_token": "<PAD>"}
    if with_decoder:
        settings["added_tokens_decoder"] = {"302": {"content": "<new>", "special": True}}
    write(tmp_path / "tokenizer_config.json", settings)
    write(tmp_path / "special_tokens_map.json", {"pad_token": "<pad>", "unk_token": "<u>"})
    peer, read = AutoTokenizer.from_pretrained(tmp_path), load_lossless(tmp_path)
    roles = {role: text for role, text in peer.special_tokens_map.items() if isinstance(text, str)}
    assert read.provenance.extras["hugging_face"]["roles"] == roles
    assert roles["pad_token"] == ("<PAD>" if with_decoder else "<pad>")
    text = "a<A><PAD><pad><u><new>b"
    assert read.encode(text, allow_special=True) == peer(text, add_special_tokens=False).input_ids
