"""Presets count as the papers do; the decoder against a slow one written out; positions; refusals."""

import math

import pytest
import torch

from vocab.errors import TrainingError
from vocab.model.network.config import PRESETS, ModelConfig, preset
from vocab.model.network.decoder import Decoder
from vocab.model.network.positions import alibi_slopes, rope_tables, rotate

TINY = ModelConfig(n_ids=37, n_layers=2, n_heads=4, n_kv_heads=2, width=32, ffn_width=48, max_seq_len=24)


def build(config: ModelConfig, attention="auto", seed=1, **settings) -> Decoder:
    model = Decoder(config, attention, **settings)
    model.initialise(seed)
    model.prepare(torch.float32)
    return model


@pytest.mark.parametrize(
    ("name", "whole", "without"),
    [
        ("tinyllama-1.1b", 1_100_048_384, 968_976_384),  # TinyLlama's own LlamaForCausalLM has 1,100,048,384
        ("lokilm-1.4b", 1_364_297_728, 1_233_225_728),
        ("gpt2-124m-class", 123_551_232, 84_953_856),
    ],
)
def test_presets_have_the_papers_parameters(name, whole, without):
    shape = PRESETS[name]
    assert shape.n_parameters == whole
    assert shape.n_parameters_without_embeddings == without


def test_the_small_presets_are_about_ten_and_one_million():
    assert 9e6 < PRESETS["nano"].n_parameters < 11e6
    assert 0.7e6 < PRESETS["micro"].n_parameters < 1.5e6


@pytest.mark.parametrize("tied", [True, False])
def test_counts_are_those_of_the_module(tied):
    config = TINY.with_fields({"tied": tied})
    model = Decoder(config)
    assert sum(weight.numel() for weight in model.parameters()) == config.n_parameters
    inside = sum(w.numel() for name, w in model.named_parameters() if not name.startswith(("embedding", "head")))
    assert inside == config.n_parameters_without_embeddings
    norms = (2 * config.n_layers + 1) * config.width
    assert config.n_matmul_parameters == inside - norms + config.n_ids * config.width


def test_flops_of_tinyllama_are_those_of_the_note():
    assert PRESETS["tinyllama-1.1b"].flops_per_token(2048) == pytest.approx(7.31e9, rel=2e-3)
    causal = PRESETS["tinyllama-1.1b"].flops_per_token(2048, causal=True)
    assert causal == pytest.approx(7.31e9 - 6 * 22 * 2048 * 2048, rel=2e-3)


@pytest.mark.parametrize(
    "wrong",
    [{"n_layers": 0}, {"width": 30}, {"n_kv_heads": 3}, {"position": "none"}, {"n_layer": 2}, {"n_heads": 32}],
)
def test_impossible_shapes_are_refused(wrong):
    with pytest.raises(TrainingError):
        TINY.with_fields(wrong)


def test_an_unknown_preset_is_refused():
    with pytest.raises(TrainingError, match="tinyllama"):
        preset("llama")


def slow_decoder(model: Decoder, ids: list[int]) -> torch.Tensor:
    """Logits of one sequence in float64, a token and a head at a time."""
    config = model.config
    weights = {name: weight.double() for name, weight in model.named_parameters()}

    def norm(x, weight):
        return x / torch.sqrt((x * x).mean() + config.norm_eps) * weight

    def turned(x, position):
        half = config.head_dim // 2
        out = x.clone()
        for k in range(half):
            angle = position / config.rope_base ** (2 * k / config.head_dim)
            a, b = x[k], x[k + half]
            out[k] = a * math.cos(angle) - b * math.sin(angle)
            out[k + half] = b * math.cos(angle) + a * math.sin(angle)
        return out

    slopes = alibi_slopes(config.n_heads)
    stream = [weights["embedding.weight"][i] for i in ids]
    for layer in range(config.n_layers):
        w = {name.split(".", 2)[2]: x for name, x in weights.items() if name.startswith(f"blocks.{layer}.")}
        rows = [
            (w["attention.qkv.weight"] @ norm(x, w["attention_norm.weight"])).split(config.head_dim) for x in stream
        ]
        new = []
        for i, x in enumerate(stream):
            heads = []
            for h in range(config.n_heads):
                shared = config.n_heads + h // (config.n_heads // config.n_kv_heads)
                scores = []
                for j in range(i + 1):
                    q, k = rows[i][h], rows[j][shared]
                    if config.position == "rope":
                        q, k = turned(q, i), turned(k, j)
                    bias = slopes[h] * (j - i) if config.position == "alibi" else 0.0
                    scores.append(q @ k / math.sqrt(config.head_dim) + bias)
                share = torch.stack(scores).softmax(0)
                heads.append(sum(share[j] * rows[j][shared + config.n_kv_heads] for j in range(i + 1)))
            new.append(x + w["attention.out.weight"] @ torch.cat(heads))
        stream = new
        for i, x in enumerate(stream):
            gate, up = (w["ffn.gate_up.weight"] @ norm(x, w["ffn_norm.weight"])).chunk(2)
            stream[i] = x + w["ffn.down.weight"] @ (gate * torch.sigmoid(gate) * up)
    return torch.stack([model.head_weight.double() @ norm(x, weights["norm.weight"]) for x in stream])


@pytest.mark.parametrize("position", ["rope", "alibi"])
@pytest.mark.parametrize("tied", [True, False])
def test_logits_are_those_of_a_slow_decoder(position, tied):
    model = build(TINY.with_fields({"position": position, "tied": tied}))
    ids = torch.randint(0, 37, (2, 9), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours = model.logits(ids)
        for row, sequence in zip(ours, ids.tolist(), strict=True):
            torch.testing.assert_close(row.double(), slow_decoder(model, sequence), atol=2e-5, rtol=1e-4)


def test_activation_checkpointing_changes_no_gradient():
    ids = torch.randint(0, 37, (2, 24), generator=torch.Generator().manual_seed(0))
    found = []
    for flag in (False, True):
        model = build(TINY, activation_checkpointing=flag)
        model(ids).square().mean().backward()
        found.append([weight.grad for weight in model.parameters() if weight.grad is not None])
    assert len(found[0]) == len(found[1]) > 0
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)


def test_initialisation_is_a_function_of_the_seed_and_has_the_stated_spread():
    config = TINY.with_fields({"width": 256, "ffn_width": 512, "n_ids": 500})
    model = build(config, seed=3)
    again, other = build(config, seed=3), build(config, seed=4)
    for (name, a), b in zip(model.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b), name
    assert not torch.equal(model.embedding.weight, other.embedding.weight)
    assert model.embedding.weight.std().item() == pytest.approx(math.sqrt(2 / 5 / 256), rel=0.02)
    assert model.blocks[0].ffn.down.weight.std().item() == pytest.approx(2 / 2 / 16, rel=0.02)


def test_alibi_slopes_are_the_papers():
    assert alibi_slopes(8) == [2.0**-k for k in range(1, 9)]
    assert alibi_slopes(1) == [2.0**-8]
    twelve = alibi_slopes(12)  # from the authors' code for 12 heads
    assert twelve[:8] == alibi_slopes(8)
    assert twelve[8:] == [2.0**-0.5, 2.0**-1.5, 2.0**-2.5, 2.0**-3.5]


def test_rope_depends_on_distance_alone():
    cos, sin = rope_tables(64, 8, 10_000.0)
    q, k = torch.randn(2, 1, 1, 1, 8, generator=torch.Generator().manual_seed(0))
    scores = rotate(q.expand(1, 1, 64, 8), cos, sin) @ rotate(k.expand(1, 1, 64, 8), cos, sin).transpose(-1, -2)
    along = scores[0, 0].diagonal(offset=-5)
    torch.testing.assert_close(along, along[:1].expand_as(along), atol=1e-4, rtol=1e-4)


def test_too_long_a_sequence_is_refused():
    with pytest.raises(TrainingError, match="longest sequence, 24"):
        build(TINY)(torch.zeros(1, 25, dtype=torch.long))
