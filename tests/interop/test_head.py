"""`vocab head`: kept logits are the model's, every list of ids agrees, and what engines read is read by torch."""

import json

import numpy as np
import pytest
from helpers.cli import fails, run
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import vocab
from vocab.errors import SourceError, TargetError
from vocab.interop import cut_head, uses_of_corpus
from vocab.interop.head.kept_ids import always_kept
from vocab.prune import prune
from vocab.vocabulary import Provenance, Vocabulary

SPECIAL = {"<|endoftext|>": 900, "<|end|>": 901}
N_ROWS, WIDTH = 1024, 16  # more rows than ids, as in Qwen


@pytest.fixture(scope="module")
def source(cl100k):
    tokens = list(cl100k.tokens())[:900]
    return Vocabulary.from_tokens(tokens, cl100k.pattern, SPECIAL, provenance=Provenance("small"))


@pytest.fixture(scope="module")
def uses(source, tmp_path_factory):
    text = tmp_path_factory.mktemp("text") / "words.txt"
    text.write_text("the model and the head, and so on: return x + 1\n" * 400, encoding="utf-8")
    return uses_of_corpus(source, vocab.count(text, source.pattern))


def made(folder, source, tensors, **config):
    """A model of these tensors, with the source's tokenizer."""
    source.save(folder)
    (folder / "config.json").write_text(json.dumps({"vocab_size": N_ROWS, "model_type": "llama", **config}))
    save_file(tensors, folder / "model.safetensors")
    return folder


def rows(seed, dtype=np.float32, width=WIDTH):
    values = np.random.default_rng(seed).normal(size=(N_ROWS, width)) * 50
    return values.astype(dtype)


def untied(folder, source):
    tensors = {
        "model.embed_tokens.weight": rows(1),
        "lm_head.weight": rows(2, np.float16),
        "lm_head.bias": rows(3)[:, 0],
    }
    return made(folder, source, tensors, tie_word_embeddings=False)


def test_rows_and_lists_agree(source, uses, tmp_path):
    model = untied(tmp_path / "model", source)
    done = cut_head(model, 300, uses, tmp_path / "out")
    kept, was = load_file(tmp_path / "out/head.safetensors"), load_file(model / "model.safetensors")
    ids = kept["keep_ids"]
    assert ids.tolist() == done.ids.tolist() == sorted(set(ids.tolist()))
    assert ids.size == 300
    assert set(kept) == {"keep_ids", "inv_map", "lm_head.weight", "lm_head.bias"}
    for name in ("lm_head.weight", "lm_head.bias"):
        assert kept[name].dtype == was[name].dtype
        assert kept[name].tobytes() == was[name][ids].tobytes()
    # As an engine computes it: logits of the kept rows, a column below all others, and a gather.
    hidden = np.random.default_rng(4).normal(size=(3, WIDTH)).astype(np.float32)
    cut = hidden @ kept["lm_head.weight"].T.astype(np.float32) + kept["lm_head.bias"]
    full = np.concatenate([cut, np.full((3, 1), -np.inf, dtype=np.float32)], axis=1)[:, kept["inv_map"]]
    whole = hidden @ was["lm_head.weight"].T.astype(np.float32) + was["lm_head.bias"]
    assert full.shape == whole.shape
    assert np.allclose(full[:, ids], whole[:, ids], rtol=1e-5)
    assert np.isneginf(np.delete(full, ids, axis=1)).all()
    record = json.loads((tmp_path / "out/head.json").read_text())
    assert record["ids"] == ids.tolist()
    assert record["rows"] == {"old": N_ROWS, "new": 300}
    with safe_open(tmp_path / "out/head.safetensors", "np") as file:
        assert file.metadata()["head"] == "lm_head"


def test_bytes_and_special_tokens_are_always_in_and_the_most_used_follow(source, uses, tmp_path):
    done = cut_head(untied(tmp_path / "model", source), 262, uses, tmp_path / "out")
    single = {k for token, k in source.token_ids.items() if len(token) == 1}
    assert len(single) == 256
    assert single | set(SPECIAL.values()) == set(always_kept(source).tolist())
    others = sorted(set(done.ids.tolist()) - single - set(SPECIAL.values()))
    counted = uses.counted.sum(axis=0)
    free = [k for k in range(900) if k not in single]
    assert sorted(others) == sorted(sorted(free, key=lambda k: (-counted[k], k))[:4])
    (coverage,) = done.record["coverage"]
    assert coverage["counted"] == pytest.approx(counted[done.ids].sum() / counted.sum())


def test_a_tied_embedding_is_the_head(source, uses, tmp_path):
    model = made(tmp_path / "model", source, {"model.embed_tokens.weight": rows(1), "model.norm.weight": rows(2)[0]})
    done = cut_head(model, 300, uses, tmp_path / "out")
    assert done.record["tied_to_the_embedding"]
    kept = load_file(tmp_path / "out/head.safetensors")
    assert np.array_equal(kept["model.embed_tokens.weight"], rows(1)[done.ids])


def test_torch_loads_one_tensor_of_ids(source, uses, tmp_path):
    """As SGLang and Megatron-Bridge take it."""
    torch = pytest.importorskip("torch")
    done = cut_head(untied(tmp_path / "model", source), 300, uses, tmp_path / "out")
    ids = torch.load(tmp_path / "out/output_token_map.pt", weights_only=True)
    assert (ids.dtype, ids.shape) == (torch.int64, (300,))
    assert ids.tolist() == done.ids.tolist()
    assert not (tmp_path / "out/vllm_ascend_pack.pt").exists()


def test_the_pack_of_a_head_of_ascend(source, uses, tmp_path):
    """What vllm-ascend's maybe_prune_lm_head takes from its pack."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    head = {
        "lm_head.weight": rng.integers(-128, 128, (N_ROWS, WIDTH)).astype(np.int8),
        "lm_head.deq_scale": rng.integers(0, 1 << 40, N_ROWS),
        "lm_head.quant_bias": rng.integers(-999, 999, N_ROWS).astype(np.int32),
        "lm_head.input_scale": np.ones(1, dtype=np.float32),
        "lm_head.input_offset": np.zeros(1, dtype=np.float32),
    }
    model = made(tmp_path / "model", source, {"model.embed_tokens.weight": rows(1), **head}, tie_word_embeddings=False)
    done = cut_head(model, 300, uses, tmp_path / "out")
    pack = torch.load(tmp_path / "out/vllm_ascend_pack.pt", map_location="cpu", weights_only=True)
    assert (pack["mode"], pack["orig_vocab"]) == ("int8", N_ROWS)
    ids = torch.from_numpy(done.ids)
    for part in ("weight", "deq_scale", "quant_bias"):
        was = torch.from_numpy(head[f"lm_head.{part}"])[ids]
        assert pack[part].dtype == was.dtype
        assert torch.equal(pack[part], was)
    assert torch.equal(pack["keep_ids"], ids)
    assert pack["inv_map"].shape == (N_ROWS,)
    assert torch.equal(pack["inv_map"][ids], torch.arange(300))
    assert (pack["inv_map"] == 300).sum() == N_ROWS - 300


def test_a_list_of_ids_and_a_result_are_kept(source, uses, tmp_path):
    model = untied(tmp_path / "model", source)
    (tmp_path / "ids.json").write_text("[500, 700, 500]")
    done = cut_head(model, tmp_path / "ids.json", uses, tmp_path / "a")
    assert set(done.ids.tolist()) == {500, 700, *always_kept(source).tolist()}
    again = cut_head(model, tmp_path / "a/head.json", uses, tmp_path / "b")
    assert again.ids.tolist() == done.ids.tolist()
    result = prune(source, 400, method="rank")
    result.save(tmp_path / "pruned")
    done = cut_head(model, tmp_path / "pruned", uses, tmp_path / "c")
    assert done.ids.tolist() == sorted(result.id_map)


WRONG = {
    "[1, 2": "is not JSON",
    "[]": "is neither a JSON list of ids",
    "[1.5]": "is neither a JSON list of ids",
    "[903]": "names the id 903, which model does not have",
    "[-1]": "is neither a JSON list of ids",
}


@pytest.mark.parametrize("raw", WRONG)
def test_wrong_lists_are_refused(raw, source, uses, tmp_path):
    model = untied(tmp_path / "model", source)
    (tmp_path / "ids.json").write_text(raw)
    with pytest.raises(SourceError) as error:
        cut_head(model, tmp_path / "ids.json", uses, tmp_path / "out")
    assert WRONG[raw] in str(error.value)
    assert not (tmp_path / "out").exists()


def test_models_without_a_head_of_their_own_are_refused(source, uses, tmp_path):
    embedding = {"model.embed_tokens.weight": rows(1)}
    one = made(tmp_path / "one", source, embedding, tie_word_embeddings=False)
    with pytest.raises(SourceError, match="has no output head, and config"):
        cut_head(one, 300, uses, tmp_path / "out")
    two = made(tmp_path / "two", source, embedding | {"lm_head.weight": rows(2)[:800]}, vocab_size=800)
    with pytest.raises(SourceError, match=r"fewer|vocab_size"):
        cut_head(two, 300, uses, tmp_path / "out")
    packed = {"lm_head.qweight": rows(2).astype(np.int32), "lm_head.qzeros": rows(3).astype(np.int32)}
    three = made(tmp_path / "three", source, embedding | packed, tie_word_embeddings=False)
    with pytest.raises(SourceError, match="is packed"):
        cut_head(three, 300, uses, tmp_path / "out")
    with pytest.raises(TargetError, match="has from 259 to 902 ids, bytes and special tokens included, not 258"):
        cut_head(untied(tmp_path / "four", source), 258, uses, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_command_states_coverage_by_domain(source, tmp_path):
    untied(tmp_path / "model", source)
    (tmp_path / "en.txt").write_text("some words of the text\n" * 3000)
    (tmp_path / "cs.txt").write_text("Žluťoučký kůň příliš úpěl ďábelské ódy\n" * 3000, encoding="utf-8")
    corpus = ["--corpus", "en.txt", "--corpus", "cs.txt"]
    done = run("head", "model", "--keep", "0.264k", *corpus, "--out", "cut", "--min-coverage", 0.99, where=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Kept 264 of 1,024 rows of lm_head; 258 of them always." in done.stdout
    assert "vocab: with 264 ids, " in done.stderr
    record = json.loads((tmp_path / "cut/head.json").read_text())
    assert [one["domain"] for one in record["coverage"]] == ["en.txt", "cs.txt", "all"]
    assert "holds an earlier result" in fails(tmp_path, "head", "model", "--keep", 300, *corpus, "--out", "cut")
    assert "one is in the other" in fails(tmp_path, "head", "model", "--keep", 300, *corpus, "--out", "model/cut")


@pytest.mark.slow
@pytest.mark.parametrize("tied", [True, False])
def test_a_real_architecture_keeps_its_logits(tied, source, uses, tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(1)
    config = transformers.Qwen2Config(
        vocab_size=N_ROWS, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, tie_word_embeddings=tied,
    )  # fmt: skip
    model = transformers.Qwen2ForCausalLM(config).eval()
    source.save(tmp_path / "model")
    model.save_pretrained(tmp_path / "model")
    done = cut_head(tmp_path / "model", 400, uses, tmp_path / "out")
    kept = load_file(tmp_path / "out/head.safetensors")
    (weight,) = (value for name, value in kept.items() if name.endswith(".weight"))
    ids = torch.tensor([[1, 500, 899, 42]])
    with torch.no_grad():
        whole = model(ids).logits[..., torch.from_numpy(done.ids)]
        model.lm_head.weight = torch.nn.Parameter(torch.from_numpy(weight))
        cut = model(ids).logits
    assert torch.allclose(cut, whole, atol=1e-6)
    assert torch.equal(cut.argmax(-1), whole.argmax(-1))


def test_a_result_of_another_vocabulary_is_refused(source, uses, cl100k, tmp_path):
    model = untied(tmp_path / "model", source)
    tokens = list(cl100k.tokens())[:901]
    del tokens[400]  # every later id stands for another token than in the model
    other = Vocabulary.from_tokens(tokens, cl100k.pattern, SPECIAL, provenance=Provenance("other"))
    prune(other, 600, method="rank").save(tmp_path / "pruned")
    with pytest.raises(SourceError, match="was pruned from another vocabulary than that of model: id 400 is"):
        cut_head(model, tmp_path / "pruned", uses, tmp_path / "out")
    assert not (tmp_path / "out").exists()
