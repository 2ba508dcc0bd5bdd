"""GGUF files without weights: read back with the gguf package, and what llama.cpp's converter needs to know."""

import json
import re
import shutil
import unicodedata

import numpy as np
import pytest
from helpers.cli import check_refusal, run
from helpers.files import llama_file, mistral_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers.pre_tokenizers import ByteLevel, Digits, Split

import vocab
from vocab.errors import MissingExtraError, OutputError, SourceError
from vocab.formats import llama_cpp_runtime
from vocab.formats.gguf_pre_tokenizers import PRE_TOKENIZERS
from vocab.formats.tokenizer_json import merges_of
from vocab.hard_texts import HARD_TEXTS
from vocab.interop import verify
from vocab.interop.serving import gguf_package
from vocab.interop.serving.gguf_file import write_gguf
from vocab.interop.serving.llama_cpp import CHECK_TEXT, check_hash, n_without_merges
from vocab.prune import prune
from vocab.splitting import SplitPattern
from vocab.splitting.byte_alphabet import to_bytes, to_characters
from vocab.splitting.patterns import GPT2_REGEX, O200K_REGEX, QWEN2_REGEX
from vocab.vocabulary import Provenance, Vocabulary

gguf = pytest.importorskip("gguf")

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)


def read(path) -> dict[str, object]:
    """All keys of a file and their values."""
    return {key: field.contents() for key, field in gguf.GGUFReader(path).fields.items()}


@pytest.fixture(scope="module")
def folder(cl100k, tmp_path_factory):
    place = tmp_path_factory.mktemp("gguf") / "cl100k-2000"
    prune(cl100k, 2000, method="frequency").save(place)
    return place


@pytest.fixture(scope="module")
def mistral(tmp_path_factory):
    place = tmp_path_factory.mktemp("gguf") / "mistral-4000"
    prune(vocab.load(mistral_file("tokenizer.model.v1")), 4000, method="frequency").save(place)
    return place


@pytest.mark.parametrize(
    ("file", "first_id", "expected"),
    [
        (llama_file("llama3"), 128000, "0ef9807a4087ebef797fc749390439009c3b9eda9ad1a097abbe738f486c01e5"),
        (mistral_file("tekken_240718.json"), 1, "63b97e4253352e6f357cc59ea5b583e3a680eaeaf2632188c2b952de2588485e"),
    ],
)
def test_the_hash_of_released_files_is_the_one_that_the_converter_lists(file, first_id, expected):
    """`get_vocab_base_pre` has these for Meta-Llama-3-8B and Mistral-Nemo, whose tokenizers begin with an id."""
    assert check_hash([first_id, *vocab.load(file).encode(CHECK_TEXT)]) == expected


@pytest.mark.slow
def test_byte_level_tokens_types_and_merges(folder, tmp_path):
    made = write_gguf(folder, tmp_path / "x.gguf")
    found, loaded = read(tmp_path / "x.gguf"), vocab.load(folder)
    assert (made.model, made.pre, made.notes) == ("gpt2", "llama-bpe", ())
    assert (found["tokenizer.ggml.model"], found["tokenizer.ggml.pre"]) == ("gpt2", "llama-bpe")
    assert found["llama.vocab_size"] == made.n_rows == 2000
    tokens = found["tokenizer.ggml.tokens"]
    assert [to_bytes(piece) for piece in tokens[: loaded.n_tokens]] == list(loaded.tokens())
    assert {tokens[k]: k for k in range(loaded.n_tokens, 2000)} == dict(loaded.special_tokens)
    kinds = found["tokenizer.ggml.token_type"]
    assert kinds == [NORMAL] * loaded.n_tokens + [CONTROL] * len(loaded.special_tokens)
    settings = json.loads((folder / "tokenizer.json").read_text())
    assert found["tokenizer.ggml.merges"] == [" ".join(pair) for pair in settings["model"]["merges"]]
    end = loaded.special_tokens["<|endoftext|>"]
    assert found["tokenizer.ggml.eos_token_id"] == found["tokenizer.ggml.bos_token_id"] == end
    assert (found["tokenizer.ggml.add_bos_token"], found["tokenizer.ggml.add_eos_token"]) == (False, False)


@pytest.mark.slow
def test_the_hash_is_that_of_transformers(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from transformers import AutoTokenizer

    made = write_gguf(folder, tmp_path / "x.gguf")
    assert made.chkhsh == check_hash(AutoTokenizer.from_pretrained(folder).encode(CHECK_TEXT))
    assert made.patch == f'if chkhsh == "{made.chkhsh}": res = "llama-bpe"'


@pytest.mark.slow
def test_sentencepiece_scores_and_types(mistral, tmp_path):
    made = write_gguf(mistral, tmp_path / "x.gguf")
    found, loaded = read(tmp_path / "x.gguf"), vocab.load(mistral)
    assert (made.model, made.pre, made.chkhsh, made.patch) == ("llama", None, None, None)
    pieces = sorted(Tokenizer.from_file(str(mistral / "tokenizer.json")).get_vocab().items(), key=lambda item: item[1])
    assert found["tokenizer.ggml.tokens"] == [piece for piece, _ in pieces]
    assert found["tokenizer.ggml.token_type"] == [UNKNOWN, CONTROL, CONTROL] + [BYTE] * 256 + [NORMAL] * 3741
    assert np.array_equal(np.float32(found["tokenizer.ggml.scores"][3:]), loaded.scores)
    assert found["tokenizer.ggml.unknown_token_id"] == 0
    assert (found["tokenizer.ggml.bos_token_id"], found["tokenizer.ggml.add_bos_token"]) == (1, True)
    assert found["tokenizer.ggml.add_space_prefix"] is True


@pytest.mark.slow
def test_padding_of_a_model_and_its_chat_template(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "model")
    (tmp_path / "model/config.json").write_text('{"vocab_size": 2048}')
    (tmp_path / "model/chat_template.jinja").write_text("{{ messages }}")
    assert write_gguf(tmp_path / "model", tmp_path / "x.gguf").n_rows == 2048
    found = read(tmp_path / "x.gguf")
    assert found["tokenizer.ggml.tokens"][2000:] == [f"[PAD{k}]" for k in range(2000, 2048)]
    assert found["tokenizer.ggml.token_type"][2000:] == [UNUSED] * 48
    assert found["tokenizer.chat_template"] == "{{ messages }}"


@pytest.mark.parametrize(("regex", "pre"), [(QWEN2_REGEX, "qwen2"), (GPT2_REGEX, "gpt-2"), (O200K_REGEX, "gpt-4o")])
def test_names_of_pre_tokenizers_and_tokens_that_need_whole_words(regex, pre, cl100k, tmp_path):
    """abc is there, and neither ab nor bc: only the look-up of whole words makes it."""
    tokens = [bytes([k]) for k in range(256)] + [b"th", b"the", b"xyz"]
    small = Vocabulary.from_tokens(tokens, SplitPattern(regex), {"<|endoftext|>": 259}, provenance=Provenance("small"))
    small.save(tmp_path / "small")
    made = write_gguf(tmp_path / "small", tmp_path / "x.gguf")
    assert (made.pre, read(tmp_path / "x.gguf")["tokenizer.ggml.pre"]) == (pre, pre)
    assert len(made.notes) == (2 if pre == "gpt-4o" else 1)  # that one is only near
    assert made.notes[-1].startswith("1 tokens are made by look-up of whole words only")
    assert n_without_merges(small, "llama-bpe") == 0


@pytest.mark.slow
def test_what_llama_cpp_does_not_run_is_refused(cl100k, folder, tmp_path, monkeypatch):
    prune(cl100k, 1000, method="rank", inference="least-tokens").save(tmp_path / "least")
    with pytest.raises(SourceError, match="was made for least-tokens"):
        write_gguf(tmp_path / "least", tmp_path / "x.gguf")
    tokens = [bytes([k]) for k in range(256)]
    Vocabulary.from_tokens(tokens, SplitPattern(r"\s+|\S+"), provenance=Provenance("odd")).save(tmp_path / "odd")
    with pytest.raises(SourceError, match="name its pre-tokenizer with `pre`"):
        write_gguf(tmp_path / "odd", tmp_path / "x.gguf")
    assert write_gguf(tmp_path / "odd", tmp_path / "odd.gguf", pre="whitespace").pre == "whitespace"
    with pytest.raises(OutputError, match="is there already"):
        write_gguf(folder, tmp_path / "odd.gguf")
    monkeypatch.setattr(gguf_package, "import_module", lambda name: (_ for _ in ()).throw(ImportError(name)))
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'vocabkit[gguf]'")):
        write_gguf(folder, tmp_path / "x.gguf")
    assert not (tmp_path / "x.gguf").exists()


DEEPSEEK3 = [Split(Regex(step.regex), "isolated") for step in PRE_TOKENIZERS["deepseek-v3"].steps]
BEFORE = {
    "smollm": [Digits(individual_digits=True), ByteLevel(add_prefix_space=False)],
    "deepseek-v3": [*DEEPSEEK3, ByteLevel(add_prefix_space=False, use_regex=False)],
    "qwen2": [Split(Regex(QWEN2_REGEX), "isolated"), ByteLevel(add_prefix_space=False, use_regex=False)],
}
TEXTS = [*HARD_TEXTS, "the 12345 <tool>the</s>", "Été à 3 h, 中文 x=1;\r\n\tdone"]


def hugging_face(folder, splits, cl100k, normalizer=None, mask=False):
    """A folder with a tokenizer.json of some splits, an added token that is text, and a beginning of texts."""
    tokens = [to_characters(token) for token in list(cl100k.tokens())[:2000]]
    small = Vocabulary.from_tokens(list(cl100k.tokens())[:2000], cl100k.pattern, provenance=Provenance("small"))
    tokenizer = Tokenizer(models.BPE({t: k for k, t in enumerate(tokens)}, merges_of(small)[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(splits)
    tokenizer.decoder = decoders.ByteLevel()
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.add_special_tokens(["<s>", AddedToken("</s>", lstrip=mask)])
    tokenizer.add_tokens([AddedToken("<tool>", normalized=False)])
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 2000)])
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "special_tokens_map.json").write_text('{"bos_token": "<s>", "eos_token": "</s>"}')
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("pre", BEFORE)
def test_splits_of_several_steps_kinds_of_added_tokens_and_what_is_put_around(pre, cl100k, tmp_path):
    folder = hugging_face(tmp_path / "hf", BEFORE[pre], cl100k, normalizers.NFC() if pre == "qwen2" else None)
    made = write_gguf(folder, folder / "x.gguf")
    assert made.pre == pre
    assert [note.startswith("llama.cpp does not compose") for note in made.notes] == [True] * (pre == "qwen2")
    found, loaded, again = read(folder / "x.gguf"), vocab.load(folder), vocab.load(folder / "x.gguf")
    assert found["tokenizer.ggml.token_type"][2000:] == [CONTROL, CONTROL, USER_DEFINED]
    assert (found["tokenizer.ggml.add_bos_token"], found["tokenizer.ggml.add_eos_token"]) == (True, False)
    same = [text for text in TEXTS if unicodedata.is_normalized("NFC", text)]
    assert [again.encode(text) for text in same] == [loaded.encode(text) for text in same]
    assert (again.user_defined, dict(again.special_tokens)) == (loaded.user_defined, dict(loaded.special_tokens))
    if llama_cpp_runtime.is_installed():
        checks = {check.runtime: check for check in verify(folder, same).checks}
        assert (checks["llama.cpp"].n_different, checks["llama.cpp"].failure) == (0, "")


@pytest.mark.slow
def test_what_llama_cpp_would_do_in_another_way_is_noted_or_refused(cl100k, tmp_path):
    lower = hugging_face(tmp_path / "lower", BEFORE["smollm"], cl100k, normalizers.Lowercase())
    with pytest.raises(SourceError, match=r"normalizes text \(Lowercase\)"):
        write_gguf(lower, tmp_path / "x.gguf")
    spaced = hugging_face(tmp_path / "spaced", [ByteLevel(add_prefix_space=True)], cl100k)
    with pytest.raises(SourceError, match="puts a space before each text"):
        write_gguf(spaced, tmp_path / "x.gguf")
    mask = hugging_face(tmp_path / "mask", BEFORE["smollm"], cl100k, mask=True)
    assert write_gguf(mask, tmp_path / "x.gguf").notes[0].startswith("1 added tokens take white space")
    (mask / "special_tokens_map.json").write_text('{"bos_token": "</s>"}')
    with pytest.raises(SourceError, match=r"puts the ids \[2000\] at the begin of a text"):
        write_gguf(mask, tmp_path / "y.gguf")
    assert not (tmp_path / "y.gguf").exists()


@pytest.mark.slow
def test_sizes_that_conversion_takes_for_other_models_are_warned_about(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "model")
    (tmp_path / "model/config.json").write_text('{"vocab_size": 32016}')
    assert "32,016 rows for CodeLlama" in write_gguf(tmp_path / "model", tmp_path / "x.gguf").notes[0]


@pytest.mark.slow
def test_the_command_prints_the_line_for_the_converter(folder, tmp_path):
    done = run("gguf", folder, "--out", "x.gguf", where=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "Wrote x.gguf: 2,000 rows, tokenizer gpt2, pre-tokenizer llama-bpe."
    assert re.fullmatch(r'if chkhsh == "[0-9a-f]{64}": res = "llama-bpe"', lines[-1])
    refused = run("gguf", folder, "--out", "x.gguf", where=tmp_path)
    check_refusal(refused.returncode, refused.stdout, refused.stderr)
    assert run("gguf", folder, "--out", "x.gguf", "--force", where=tmp_path).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["x.gguf"]
    refused = run("gguf", "nowhere", "--out", "y.gguf", where=tmp_path)
    assert refused.stderr == "vocab: nowhere is not a folder\n"
