"""llama.cpp on GGUF files: each of its pre-tokenizers against our split, and what only it runs."""

import pytest
from helpers.cli import run
from helpers.gguf_files import CONTROL, NORMAL, UNKNOWN, USER_DEFINED, gguf_bytes

import vocab
from vocab.errors import SourceError
from vocab.formats import llama_cpp_runtime
from vocab.formats.gguf_pre_tokenizers import PRE_TOKENIZERS
from vocab.formats.gguf_tokenizer import GgufTokenizer
from vocab.formats.llama_cpp_runtime import LlamaCppRuntime
from vocab.formats.runtime_tokenizer import RuntimeTokenizer
from vocab.formats.tokenizer_json import merges_of
from vocab.hard_texts import HARD_TEXTS
from vocab.interop import verify
from vocab.splitting.byte_alphabet import to_characters
from vocab.vocabulary import Provenance, Vocabulary

needs_llama_cpp = pytest.mark.skipif(not llama_cpp_runtime.is_installed(), reason="xllamacpp is not installed")
N_TOKENS = 20_000
SPLITS = {PRE_TOKENIZERS[name].steps: name for name in sorted(PRE_TOKENIZERS)}
TEXTS = [
    *HARD_TEXTS,
    "I'm HERE, you'RE there: we'Ve a'lL  12345 x=1;\r\n\r\n\ttabs  \n two",
    "Größe ÉCOLE helloÉcole Ünïcödé naïve İstanbul ΑΒΓαβγ Привет, МИР! 12 345,67 ½ ² ٣٤٥",
    "日本語のテキスト、中文文本123。 한국어 텍스트 हिन्दी में पाठ ภาษาไทย עברית العربية",
    "a_b <tool> (x) [y] {z} `code` ~/path --flag $HOME 😀👩‍👩‍👧 \u200b\u00a0 end  ",
    "<sentinel:12> IMGIMGABZ    four  two\n\n\nthree 1 22 333 4444 55555 666666 7777777",
]


@pytest.fixture(scope="module")
def keys(cl100k) -> dict:
    """A byte-level tokenizer whose tokens tell where text is cut."""
    tokens = list(cl100k.tokens())[:N_TOKENS]
    merges, _ = merges_of(Vocabulary.from_tokens(tokens, cl100k.pattern, provenance=Provenance("small")))
    return {
        "general.architecture": "llama",
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": [*map(to_characters, tokens), "<|begin|>", "<tool>"],
        "tokenizer.ggml.token_type": [NORMAL] * N_TOKENS + [CONTROL, USER_DEFINED],
        "tokenizer.ggml.merges": [f"{left} {right}" for left, right in merges],
        "tokenizer.ggml.bos_token_id": N_TOKENS,
        "tokenizer.ggml.eos_token_id": N_TOKENS,
    }


def written(folder, keys, pre):
    path = folder / "small.gguf"
    path.write_bytes(gguf_bytes(keys | {"tokenizer.ggml.pre": pre}))
    return path


@needs_llama_cpp
@pytest.mark.slow
@pytest.mark.parametrize("pre", sorted(SPLITS.values()))
def test_each_pre_tokenizer_gives_the_ids_of_llama_cpp(pre, keys, tmp_path):
    path = written(tmp_path, keys, pre)
    runtime, ours = LlamaCppRuntime(GgufTokenizer.read(path)), vocab.load(path)
    for text, ids in zip(TEXTS, runtime.encode_all(TEXTS), strict=True):
        assert ours.encode(text) == ids, text


WORDS = ["[UNK]", "[CLS]", "[SEP]", "▁the", "▁cat", "s", "▁a"]


def word_pieces(folder):
    path = folder / "words.gguf"
    kinds = [UNKNOWN, CONTROL, CONTROL] + [NORMAL] * (len(WORDS) - 3)
    given = {"model": "bert", "tokens": WORDS, "token_type": kinds, "unknown_token_id": 0, "cls_token_id": 1}
    more = {"bos_token_id": 1, "seperator_token_id": 2, "padding_token_id": 0}
    path.write_bytes(gguf_bytes({f"tokenizer.ggml.{key}": value for key, value in (given | more).items()}))
    return path


@needs_llama_cpp
@pytest.mark.slow
def test_what_only_llama_cpp_runs_is_measured(tmp_path):
    loaded = vocab.load(word_pieces(tmp_path))
    assert isinstance(loaded, RuntimeTokenizer)
    assert loaded.encode_batch(["The cats", "", "a dog"]) == [[3, 4, 5], [], [6, 0]]
    assert (loaded.unknown, loaded[4], loaded.n_ids) == ("[UNK]", b" cat", len(WORDS))
    assert "the kind 'bert', which is not read" in loaded.obstacle


def test_without_llama_cpp_it_is_refused_with_a_hint(tmp_path, monkeypatch):
    monkeypatch.setattr(llama_cpp_runtime, "is_installed", lambda: False)
    with pytest.raises(SourceError, match=r"'bert', which is not read; .* pip install 'vocabkit\[llamacpp\]'"):
        vocab.load(word_pieces(tmp_path))


@needs_llama_cpp
@pytest.mark.slow
def test_verify_takes_a_file_and_tells_differences(keys, tmp_path, monkeypatch):
    path = written(tmp_path, keys, "qwen2")
    done = verify(path, TEXTS)
    assert [check.runtime for check in done.checks] == ["vocab", "llama.cpp"]
    assert done.agrees
    assert done.checks[1].n_default_texts > len(HARD_TEXTS)
    assert run("verify", path, "--megabytes", 0, where=tmp_path).returncode == 0
    known = GgufTokenizer.read(path)
    other = GgufTokenizer(path, known.keys | {"tokenizer.ggml.pre": "gpt-2"}, known.tokens, known.kinds)
    monkeypatch.setattr("vocab.interop.conversion.llama_cpp_peer.LlamaCppRuntime", lambda _: LlamaCppRuntime(other))
    assert verify(path, TEXTS).checks[1].n_different > 0


@needs_llama_cpp
@pytest.mark.slow
def test_what_llama_cpp_does_not_load_is_said(keys, tmp_path):
    path = written(tmp_path, keys, "gpt-2")
    known = GgufTokenizer.read(path)
    unknown = GgufTokenizer(path, known.keys | {"tokenizer.ggml.pre": "none of them"}, known.tokens, known.kinds)
    with pytest.raises(SourceError, match=r"does not load the tokenizer of .*small\.gguf: .*none of them"):
        LlamaCppRuntime(unknown)
