"""`vocab transplant` with real architectures: the same logits for kept ids, bit by bit, and models that generate."""

import json

import numpy as np
import pytest

import vocab
from vocab.corpus.counting import CorpusCounts, count_documents
from vocab.interop.transplants.float_rows import decode, encode
from vocab.interop.transplants.safetensors_file import read_header
from vocab.interop.transplants.transplant import transplant
from vocab.prune import Candidates, prune
from vocab.vocabulary import Provenance, Vocabulary

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.slow

N_OLD, TARGET, NEW_SPECIAL = 3003, 1200, "<|tool|>"
SPECIAL = {"<|endoftext|>": 3000, "<|begin|>": 3001, "<|pad|>": 3002}
SMALL = {"vocab_size": N_OLD, "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
SMALL |= {"intermediate_size": 80, "num_key_value_heads": 2, "head_dim": 12}
IDS = {"bos_token_id": 3001, "eos_token_id": 3000, "pad_token_id": 3002}
GPT2 = {"vocab_size": N_OLD, "n_embd": 48, "n_layer": 2, "n_head": 4, "n_positions": 128}
NEOX = {key: SMALL[key] for key in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")}
MODELS = {
    "llama": ("Llama", SMALL, False),
    "llama tied": ("Llama", SMALL, True),
    "mistral": ("Mistral", SMALL, False),
    "qwen2 tied": ("Qwen2", SMALL, True),
    "gemma tied": ("Gemma", SMALL, True),
    "gpt2 tied": ("GPT2", GPT2, True),
    "gptneox": ("GPTNeoX", NEOX | {"intermediate_size": 80}, False),
}
CLASSES = {"GPT2": "GPT2LMHeadModel"}


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def source(cl100k):
    tokens = list(cl100k.tokens())[:3000]
    return Vocabulary.from_tokens(tokens, cl100k.pattern, SPECIAL, provenance=Provenance("small"))


@pytest.fixture(scope="module")
def pruned(source, real_text):
    """With tokens that the source lacks, a new special token, and ranks in another order than the source's."""
    texts = [real_text[k : k + 2000] for k in range(0, 300_000, 2000)]
    corpus = CorpusCounts((count_documents(texts, "texts", source.pattern, 1),))
    wanted = Candidates(others=("corpus",), min_documents=5)
    result = prune(source, TARGET, corpus=corpus, candidates=wanted, special=[NEW_SPECIAL], ranks="reorder")
    assert result.new_ids.size > 10
    assert (np.diff(result.kept_ids[result.kept_ids >= 0]) < 0).any()
    return result


@pytest.fixture(scope="module")
def vocabulary(pruned, tmp_path_factory):
    folder = tmp_path_factory.mktemp("vocabulary") / "small-1200"
    pruned.save(folder)
    return folder


def built(kind, source, folder, dtype="float32", shard="400KB", **settings):
    """A random checkpoint with its tokenizer."""
    name, sizes, tied = MODELS[kind]
    torch.manual_seed(3)
    config = getattr(transformers, f"{name}Config")(**(sizes | IDS | {"tie_word_embeddings": tied} | settings))
    model = getattr(transformers, CLASSES.get(name, f"{name}ForCausalLM"))(config).to(getattr(torch, dtype))
    source.save(folder)
    model.save_pretrained(folder, max_shard_size=shard)
    return loaded(folder)  # casting the model itself would have rounded its rotary frequencies too


def loaded(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype="auto").eval()


@pytest.fixture(scope="module")
def kept_text(pruned, real_text):
    """Old and new ids of a real text that is cut the same way by both."""
    ids, old_ids, new_ids = pruned.id_map, [], []
    for line in real_text[:400_000].splitlines(keepends=True):
        old = pruned.source.encode(line)
        new = [ids.get(k) for k in old]
        if None not in new and new == pruned.vocabulary.encode(line):
            old_ids, new_ids = old_ids + old, new_ids + new
    assert len(set(old_ids)) > 50
    return old_ids[:100], new_ids[:100]


def rows_of(folder, ending):
    """The rows of the one tensor whose name has this ending, read without any library."""
    for path in sorted(folder.glob("*.safetensors")):
        file = read_header(path)
        for tensor in file.tensors:
            if tensor.name.endswith(ending):
                raw = path.read_bytes()[file.data_start + tensor.begin : file.data_start + tensor.end]
                return np.frombuffer(raw, dtype=np.uint8).reshape(tensor.shape[0], -1), tensor.dtype
    raise AssertionError(ending)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", MODELS)
def test_logits_of_kept_ids_are_the_same_bit_by_bit(kind, dtype, source, pruned, vocabulary, kept_text, tmp_path):
    model = built(kind, source, tmp_path / "model", dtype)
    before = {p.name: p.read_bytes() for p in (tmp_path / "model").iterdir()}
    done = transplant(tmp_path / "model", vocabulary, tmp_path / "out", pad_to_multiple_of=64)
    assert {p.name: p.read_bytes() for p in (tmp_path / "model").iterdir()} == before
    follower = loaded(tmp_path / "out")
    old, new = kept_text
    ids = pruned.id_map
    kept = sorted(ids)
    with torch.no_grad():
        expected = model(torch.tensor([old])).logits[..., kept]
        found = follower(torch.tensor([new])).logits
    assert found.dtype == getattr(torch, dtype)
    assert found.shape[-1] == follower.config.vocab_size == 1216
    assert torch.equal(found[..., [ids[k] for k in kept]], expected)
    assert (found[..., TARGET:].max(-1).values < found[..., :TARGET].max(-1).values).all()  # padding never wins
    rows = done.record["rows"]
    assert rows == {"kept": len(kept), "spelt": pruned.new_ids.size, "new_special": 1, "padding": 16}
    assert len(done.record["tensors"]) == (1 if MODELS[kind][2] else 2)


@pytest.mark.parametrize("shard", ["100KB", "400KB", "1GB"])
def test_a_model_generates_with_its_tokenizer_and_ids(shard, source, pruned, vocabulary, tmp_path):
    built("llama", source, tmp_path / "model", shard=shard)
    done = transplant(tmp_path / "model", vocabulary, tmp_path / "out")
    n_shards = len(list((tmp_path / "model").glob("*.safetensors")))
    assert len(list((tmp_path / "out").glob("*.safetensors"))) == n_shards
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    text = "def main(self):\n    return the_end"
    assert tokenizer(text).input_ids == pruned.vocabulary.encode(text)
    model = loaded(tmp_path / "out")
    special = pruned.vocabulary.special_tokens
    assert model.config.bos_token_id == model.generation_config.bos_token_id == special["<|begin|>"]
    assert model.config.eos_token_id == tokenizer.eos_token_id == special["<|endoftext|>"]
    assert model.config.pad_token_id == tokenizer.pad_token_id == special["<|pad|>"]
    out = model.generate(**tokenizer(text, return_tensors="pt"), max_new_tokens=8, do_sample=False)
    assert out.max() < TARGET
    if n_shards > 1:
        index = json.loads((tmp_path / "out/model.safetensors.index.json").read_text())
        tensors = [t for p in (tmp_path / "out").glob("*.safetensors") for t in read_header(p).tensors]
        assert index["metadata"]["total_size"] == sum(t.n_bytes for t in tensors) == done.record["n_bytes"]["new"]
        assert set(index["weight_map"]) == {t.name for t in tensors}
        assert index["metadata"]["total_parameters"] == sum(p.numel() for p in model.parameters())


def test_new_rows_may_begin_as_the_first_row_that_spells_them(source, vocabulary, tmp_path):
    built("llama", source, tmp_path / "model", "bfloat16")
    done = transplant(tmp_path / "model", vocabulary, tmp_path / "out", init="first")
    assert done.record["init"] == "first"
    added = json.loads((vocabulary / "id_map.json").read_text())["added"]
    for ending in ("embed_tokens.weight", "lm_head.weight"):
        (old, _), (new, _) = rows_of(tmp_path / "model", ending), rows_of(tmp_path / "out", ending)
        assert all(np.array_equal(new[int(one)], old[spelling[0]]) for one, spelling in added.items())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
def test_new_rows_are_means_of_what_spells_them(dtype, source, pruned, vocabulary, tmp_path):
    built("llama", source, tmp_path / "model", dtype)
    transplant(tmp_path / "model", vocabulary, tmp_path / "out", pad_to_multiple_of=32)
    added = {int(k): v for k, v in json.loads((vocabulary / "id_map.json").read_text())["added"].items()}
    for ending in ("embed_tokens.weight", "lm_head.weight"):
        (old_raw, name), (new_raw, same) = rows_of(tmp_path / "model", ending), rows_of(tmp_path / "out", ending)
        assert same == name
        old, new = (torch.from_numpy(r.copy()).view(getattr(torch, dtype)).double() for r in (old_raw, new_raw))
        for one, spelling in added.items():
            expected = old[spelling].mean(0).float().to(getattr(torch, dtype)).double()
            if dtype == "float64":
                expected = old[spelling].mean(0)
            assert torch.allclose(new[one], expected, rtol=1e-15, atol=0)
            assert pruned.vocabulary[one] == b"".join(source[k] for k in spelling)
        mean = old[sorted(pruned.id_map)].mean(0)
        assert torch.equal(new[TARGET:], new[-1:].expand(len(new) - TARGET, -1))
        assert torch.equal(new[pruned.vocabulary.special_tokens[NEW_SPECIAL]], new[-1])
        assert torch.allclose(new[-1], mean, rtol=1e-2, atol=1e-6)


def test_rounding_to_bfloat16_is_that_of_torch():
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 2**32, 200_000, dtype=np.uint64).astype(np.uint32)
    values = np.concatenate([bits.view(np.float32), np.float32([0, -0.0, np.inf, -np.inf, 3.4e38, -3.4e38])])
    values = values[~np.isnan(values)][None]
    expected = torch.from_numpy(values.copy()).to(torch.bfloat16)
    found = encode(values.astype(np.float64), "BF16")
    assert np.array_equal(found, expected.view(torch.uint8).numpy())
    assert np.array_equal(decode(found, "BF16"), expected.double().numpy())
    assert np.isnan(decode(encode(np.array([[np.nan]]), "BF16"), "BF16")).all()


def test_a_width_equal_to_the_vocabulary_is_told_apart_by_name(cl100k, tmp_path):
    """vocab_size = hidden_size = rows of MLP: only names can tell."""
    source = Vocabulary.from_tokens(list(cl100k.tokens())[:500], cl100k.pattern, provenance=Provenance("tiny"))
    result = prune(source, 400, method="rank")
    result.save(tmp_path / "small")
    sizes = {"hidden_size": 500, "intermediate_size": 500, "num_attention_heads": 2, "head_dim": 8}
    sizes |= {"vocab_size": 500, "num_hidden_layers": 1, **dict.fromkeys(IDS)}
    model = built("llama", source, tmp_path / "model", shard="1GB", **sizes)
    done = transplant(tmp_path / "model", tmp_path / "small", tmp_path / "out")
    shapes = {t["name"]: t["new_shape"] for t in done.record["tensors"]}
    assert shapes == {key: [400, 500] for key in ("model.embed_tokens.weight", "lm_head.weight")}
    follower = loaded(tmp_path / "out")
    ids, old = result.id_map, source.encode("in the\n")
    with torch.no_grad():
        expected = model(torch.tensor([old])).logits[..., list(ids)]
        found = follower(torch.tensor([[ids[k] for k in old]])).logits
        assert torch.equal(found[..., list(ids.values())], expected)


def test_a_mistral_model_follows_its_sentencepiece_vocabulary(tmp_path):
    """The folder has a tokenizer.model alone; the new one has that and a tokenizer.json."""
    from helpers.files import mistral_file

    path = mistral_file("tokenizer.model.v1")
    whole = vocab.load(path)
    result = prune(whole, 4000, method="frequency")
    result.save(tmp_path / "small")
    config = transformers.MistralConfig(**(SMALL | {"vocab_size": 32000, "sliding_window": 64}))
    transformers.MistralForCausalLM(config).save_pretrained(tmp_path / "model")
    (tmp_path / "model/tokenizer.model").write_bytes(path.read_bytes())
    done = transplant(tmp_path / "model", tmp_path / "small", tmp_path / "out")
    assert done.record["tokens_compared_with_the_model"] == 4000
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    text = "The people of the world, naïve 語."
    assert tokenizer(text, add_special_tokens=False).input_ids == result.vocabulary.encode(text)
    assert tokenizer(text).input_ids[0] == tokenizer.bos_token_id == 1
    model = loaded(tmp_path / "out")
    assert model.generate(**tokenizer(text, return_tensors="pt"), max_new_tokens=3).max() < 4000
