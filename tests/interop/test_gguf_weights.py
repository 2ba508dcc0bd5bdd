"""`vocab gguf --weights`: transformers reads the file back with the same logits; what is no plain Llama is refused."""

import json

import numpy as np
import pytest
from helpers.cli import run
from safetensors.numpy import load_file, save_file

from vocab.errors import SourceError
from vocab.interop import write_gguf
from vocab.vocabulary import Provenance, Vocabulary

gguf = pytest.importorskip("gguf")

N, SPECIAL = 600, {"<|end|>": 600, "<|start|>": 601}
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 608,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "rope_parameters": {"rope_theta": 5000.0, "rope_type": "default"},
}
LAYER = {
    "input_layernorm": (32,),
    "post_attention_layernorm": (32,),
    "self_attn.q_proj": (32, 32),
    "self_attn.k_proj": (16, 32),
    "self_attn.v_proj": (16, 32),
    "self_attn.o_proj": (32, 32),
    "mlp.gate_proj": (48, 32),
    "mlp.up_proj": (48, 32),
    "mlp.down_proj": (32, 48),
}
SHAPES = {"model.embed_tokens.weight": (608, 32), "model.norm.weight": (32,), "lm_head.weight": (608, 32)}
SHAPES |= {f"model.layers.{k}.{name}.weight": shape for k in range(2) for name, shape in LAYER.items()}


def made(folder, cl100k, config=None, changed=None):
    tokens = list(cl100k.tokens())[:N]
    Vocabulary.from_tokens(tokens, cl100k.pattern, SPECIAL, provenance=Provenance("small")).save(folder)
    (folder / "config.json").write_text(json.dumps(CONFIG | (config or {})))
    rng = np.random.default_rng(4)
    shapes = {name: shape for name, shape in (SHAPES | (changed or {})).items() if shape}
    weights = {name: rng.normal(size=shape).astype(np.float32) * 0.2 for name, shape in shapes.items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_tensors_and_settings_are_those_of_the_model(cl100k, tmp_path):
    folder = made(tmp_path / "model", cl100k)
    written = write_gguf(folder, tmp_path / "m.gguf", weights=True)
    assert written.n_rows == 608
    reader, weights = gguf.GGUFReader(tmp_path / "m.gguf"), load_file(folder / "model.safetensors")
    tensors = {one.name: one.data for one in reader.tensors}
    assert len(tensors) == len(weights)
    assert np.array_equal(tensors["token_embd.weight"], weights["model.embed_tokens.weight"])
    assert np.array_equal(tensors["output.weight"], weights["lm_head.weight"])
    assert np.array_equal(tensors["blk.1.ffn_down.weight"], weights["model.layers.1.mlp.down_proj.weight"])
    assert np.array_equal(tensors["blk.0.attn_v.weight"], weights["model.layers.0.self_attn.v_proj.weight"])
    # Rows 0 and 4 of a head of 8 are a pair in transformers, rows 0 and 1 in llama.cpp.
    for part, name in (("attn_q", "q_proj"), ("attn_k", "k_proj")):
        was, now = weights[f"model.layers.0.self_attn.{name}.weight"], tensors[f"blk.0.{part}.weight"]
        for head in range(was.shape[0] // 8):
            assert np.array_equal(now[8 * head : 8 * head + 8], was[8 * head + np.array([0, 4, 1, 5, 2, 6, 3, 7])])
    keys = {"rope.freq_base": 5000.0, "attention.head_count_kv": 2, "rope.dimension_count": 8, "vocab_size": 608}
    for key, value in keys.items():
        assert reader.fields[f"llama.{key}"].contents() == value


@pytest.mark.slow
def test_transformers_reads_it_back_with_the_same_logits(cl100k, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate", reason="transformers reads GGUF with accelerate alone")
    folder = made(tmp_path / "model", cl100k)
    write_gguf(folder, tmp_path / "m.gguf", weights=True)
    old = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    new = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="m.gguf").eval()
    ids = torch.randint(0, 602, (2, 20), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.allclose(old(ids).logits, new(ids).logits, atol=1e-5)


WRONG = {
    "another architecture": ({"architectures": ["Qwen2ForCausalLM"]}, {}, "it is of the architecture"),
    "scaled positions": ({"rope_parameters": {"rope_type": "llama3"}}, {}, "no plain Llama (it scales its positions)"),
    "a bias": ({}, {"model.layers.0.self_attn.q_proj.bias": (32,)}, "has no place in llama.cpp's Llama"),
    "a layer too few": ({"num_hidden_layers": 3}, {}, "has not the tensors that its settings say, such as blk.2."),
    "a tensor too few": ({}, {"model.norm.weight": None}, "such as output_norm.weight"),
    "heads": ({"num_attention_heads": 3}, {}, "is not of 3 heads"),
    "no size": ({"hidden_size": None}, {}, "config.json has no hidden_size"),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG)
def test_what_is_no_plain_llama_is_refused(fault, cl100k, tmp_path):
    config, changed, message = WRONG[fault]
    folder = made(tmp_path / "model", cl100k, config, changed)
    with pytest.raises(SourceError) as error:
        write_gguf(folder, tmp_path / "m.gguf", weights=True)
    assert message in str(error.value)
    assert not (tmp_path / "m.gguf").exists()


def test_the_command(cl100k, tmp_path):
    made(tmp_path / "model", cl100k)
    done = run("gguf", "model", "--weights", "--out", "m.gguf", where=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "get_vocab_base_pre" not in done.stdout
