"""Which tensors follow, by name and shape: heads of every kind, packed ones, and rows that agree by chance."""

import math

import pytest

from vocab.errors import SourceError
from vocab.interop.transplants.safetensors_file import BITS, Tensor
from vocab.interop.transplants.vocabulary_tensors import vocabulary_tensors

N, WIDTH = 512, 8
LLAMA = {"model.embed_tokens.weight": ("F16", (N, WIDTH)), "lm_head.weight": ("F16", (N, WIDTH))}
EMBEDDING = {"model.embed_tokens.weight": ("F16", (N, WIDTH))}
CONFIG = {"model_type": "llama", "vocab_size": N, "hidden_size": WIDTH}


def found(tensors, config=CONFIG, n_old=424, **options):
    made = [
        Tensor(name, dtype, shape, 0, math.prod(shape) * BITS[dtype] // 8) for name, (dtype, shape) in tensors.items()
    ]
    return vocabulary_tensors(made, config, n_old, **options)


def refusal(tensors, config=CONFIG, **options) -> str:
    with pytest.raises(SourceError) as caught:
        found(tensors, config, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Heads and embeddings under other names

FOLLOW = [
    "medusa_head.0.1.weight",
    "medusa_head.3.2.weight",
    "lm_heads.1.weight",
    "model.layers.61.shared_head.head.weight",
    "model.layers.61.embed_tokens.weight",
    "mtp.lm_head.weight",
    "eagle.lm_head.weight",
    "hydra_lm_head.0.weight",
    "proj_out.weight",
    "output.weight",
    "lm_head.out_proj.weight",
    "head.decoder.weight",
    "language_model.output.weight",
    "head.weight",
    "decoder.weight",
    "transformer.output_layer.weight",
    "lm_loss.weight",
    "vocab_projector.weight",
    "output_projection.weight",
    "model.embeddings.tok_embeddings.weight",
    "backbone.embeddings.weight",
    "cls.predictions.decoder.weight",
    "encoder.embed_tokens.weight",
    "shared.weight",
    "model.language_model.embed_tokens_per_layer.weight",
    "transformer.word_embedding.weight",
    "text_model.embeddings.token_embedding.weight",
    "model.vision_language_model.lm_head.weight",
]


@pytest.mark.parametrize("name", FOLLOW)
def test_embeddings_and_heads_follow_under_every_name(name):
    for shape in ((N, WIDTH), (N, 3)):
        result = found(LLAMA | {name: ("BF16", shape)})
        assert set(result.by_id) == {*LLAMA, name}
        assert result.by_id[name].axis == 0
        assert result.left_alone == []


@pytest.mark.parametrize(
    "name",
    ["lm_head.bias", "cls.predictions.bias", "cls.predictions.decoder.bias", "decoder.bias", "x.vocab_projector.bias"],
)
def test_biases_of_heads_follow(name):
    assert set(found(LLAMA | {name: ("F32", (N,))}).by_id) == {*LLAMA, name}
    assert found(LLAMA | {"model.final_logits_bias": ("F32", (1, N))}).by_id["model.final_logits_bias"].axis == 1


# Rows that agree by chance

CHANCE = [
    "vision_tower.embeddings.position_embedding.weight",
    "vision_tower.vision_model.embeddings.patch_embedding.weight",
    "model.vision_model.gated_positional_embedding.embedding",
    "visual.pos_embed.weight",
    "visual.merger.mlp.0.weight",
    "model.visual.blocks.3.mlp.linear_fc1.weight",
    "audio_tower.embed_positions.weight",
    "audio_tower.embeddings.weight",
    "audio_encoder.head.weight",
    "speech_encoder.adapter.weight",
    "model.image_newline",
    "model.protein_encoder.model.embeddings.table.weight",
    "gen_vision_model.quantize.embedding.weight",
    "image_encoder.head.weight",
    "qformer.embeddings.position_embeddings.weight",
    "model.embed_vision.embedding.weight",
    "multi_modal_projector.linear_1.weight",
    "talker.codec_head.weight",
    "model.encoder.embed_positions.weight",
    "transformer.wpe.weight",
    "bert.embeddings.position_ids",
    "model.layers.4.mlp.gate_up_proj.weight",
    "model.layers.4.self_attn.qkv_proj.weight",
    "model.layers.4.mlp.experts.7.w1.weight",
    "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
    "encoder.block.0.layer.1.DenseReluDense.wi_0.weight",
    "backbone.layers.0.mixer.in_proj.weight",
    "h.0.attn.bias",
    "model.norm.weight",
]


@pytest.mark.parametrize("name", CHANCE)
def test_rows_that_agree_by_chance_stay_and_are_named(name):
    result = found(LLAMA | {name: ("F16", (N, WIDTH))})
    assert set(result.by_id) == {*LLAMA}
    assert result.left_alone == [name]


def test_text_embeddings_of_another_size_in_a_tower_are_no_fault():
    tensors = LLAMA | {
        "qformer.embeddings.word_embeddings.weight": ("F16", (30, 8)),
        "talker.lm_head.weight": ("F16", (9, 8)),
    }
    assert set(found(tensors).by_id) == {*LLAMA}


@pytest.mark.parametrize("name", ["model.thing.weight", "score.weight", "model.layers.2.extra.weight", "table"])
def test_a_tensor_that_no_rule_knows_is_refused_by_name_until_the_caller_decides(name):
    tensors = LLAMA | {name: ("F16", (N, WIDTH))}
    message = refusal(tensors)
    assert message.startswith(f"{name} of shape [512, 8] may have a row for each id")
    assert "`also_follow`" in message
    assert "`leave`" in message
    assert set(found(tensors, also_follow=[name]).by_id) == {*LLAMA, name}
    left = found(tensors, leave=[name])
    assert (set(left.by_id), left.left_alone) == ({*LLAMA}, [name])
    assert "is in `also_follow` and in `leave`" in refusal(tensors, also_follow=[name], leave=[name])


def test_names_that_the_caller_gives_must_be_there_and_have_rows():
    assert "has no tensor 'x'" in refusal(LLAMA, leave=["x"])
    tensors = LLAMA | {"model.norm.weight": ("F16", (WIDTH,))}
    assert "has no dimension of 512" in refusal(tensors, also_follow=["model.norm.weight"])


def test_parts_of_layers_stay_where_the_width_equals_the_vocabulary():
    tensors = dict.fromkeys((*LLAMA, "model.layers.0.mlp.up_proj.weight", "model.norm.weight"), ("F16", (N, N)))
    result = found(tensors | {"embed_dense.weight": ("F16", (N, N))}, CONFIG | {"hidden_size": N})
    assert set(result.by_id) == {*LLAMA}
    assert len(result.left_alone) == 3


# Packed heads: what is in `lm_head` beside a plain embedding

PACKED = {
    "GPTQ": {
        "qweight": ("I32", (1, N)),
        "qzeros": ("I32", (1, N // 8)),
        "scales": ("F16", (1, N)),
        "g_idx": ("I32", (8,)),
    },
    "AWQ": {"qweight": ("I32", (8, N // 8)), "qzeros": ("I32", (1, N // 8)), "scales": ("F16", (1, N))},
    "bitsandbytes 4 bit": {
        "weight": ("U8", (N * WIDTH // 2, 1)),
        "weight.absmax": ("F32", (64,)),
        "weight.quant_map": ("F32", (16,)),
        "weight.quant_state.bitsandbytes__nf4": ("U8", (90,)),
    },
    "fp8 in blocks": {"weight": ("F8_E4M3", (N, WIDTH)), "weight_scale_inv": ("F32", (4, 1))},
    "compressed-tensors": {
        "weight_packed": ("I32", (N, 1)),
        "weight_scale": ("BF16", (N, 1)),
        "weight_shape": ("I64", (2,)),
    },
    "HQQ": {"W_q": ("U8", (N // 2, WIDTH)), "scale": ("F16", (64, 1)), "zero": ("F16", (64, 1)), "meta": ("U8", (9,))},
    "EETQ": {"weight": ("I8", (WIDTH, N)), "weight_scales": ("F16", (N,))},
    "quanto": {"weight._data": ("I8", (N, WIDTH)), "weight._scale": ("F16", (N, 1))},
    "torchao": {"_weight_qdata": ("I8", (N, WIDTH)), "_weight_scale": ("F16", (N, 1))},
    "EXL2": {"q_weight": ("I32", (4, N)), "q_scale": ("I32", (1, N // 8)), "q_groups": ("I16", (2,))},
    "EXL3": {"trellis": ("I16", (1, 32, 48)), "suh": ("F16", (8,)), "svh": ("F16", (N,))},
    "AQLM": {"codes": ("I8", (N, 1, 1)), "codebooks": ("F16", (1, 256, 1, 8)), "scales": ("F16", (N, 1, 1, 1))},
    "NVFP4": {"weight": ("U8", (N, 4)), "weight_scale": ("F8_E4M3", (N, 1)), "weight_scale_2": ("F32", ())},
    "MXFP4": {"weight_blocks": ("U8", (N, 1, 4)), "weight_scales": ("U8", (N, 1))},
    "MLX": {"weight": ("U32", (N, 1)), "scales": ("F16", (N, 1)), "biases": ("F16", (N, 1))},
    "fbgemm": {"weight": ("F8_E4M3", (N, WIDTH)), "weight_scale": ("F32", (N // 4, 1))},
}


@pytest.mark.parametrize("module", ["lm_head", "model.embed_tokens", "medusa_head.0.1", "output", "proj_out"])
@pytest.mark.parametrize("scheme", PACKED)
def test_a_packed_embedding_or_head_is_refused_with_its_scheme(scheme, module):
    plain = {name: shape for name, shape in LLAMA.items() if not name.startswith(module)}
    tensors = plain | {f"{module}.{part}": shape for part, shape in PACKED[scheme].items()}
    method = {"GPTQ": "gptq", "AWQ": "awq"}.get(scheme, "fbgemm")
    message = refusal(tensors, CONFIG | {"quantization_config": {"quant_method": method}})
    assert message.startswith(f"{module}.")
    assert f"is packed ({scheme}" in message
    assert "dequantise the model, or quantise it again without" in message


@pytest.mark.parametrize("scheme", PACKED)
def test_packed_layers_beside_a_plain_embedding_and_head_are_no_fault(scheme):
    layers = {f"model.layers.0.mlp.up_proj.{part}": shape for part, shape in PACKED[scheme].items()}
    assert set(found(LLAMA | layers, CONFIG | {"quantization_config": {"quant_method": "x"}}).by_id) == {*LLAMA}


def test_an_unknown_packing_is_refused_by_the_numbers_it_is_made_of():
    assert "lm_head.mystery is packed (newquant" in refusal(
        EMBEDDING | {"lm_head.mystery": ("U8", (99,))}, CONFIG | {"quantization_config": {"quant_method": "newquant"}}
    )
    assert "is packed (an unknown scheme" in refusal(
        EMBEDDING | {"lm_head.weight": ("U8", (64, 8)), "lm_head.key": ("F16", (9,))}
    )
    assert "lm_head.weight is packed (bitnet)" in refusal(
        EMBEDDING | {"lm_head.weight": ("U8", (N, 2))}, CONFIG | {"quantization_config": {"quant_method": "bitnet"}}
    )
    assert "lm_head.weight is packed (F4)" in refusal(EMBEDDING | {"lm_head.weight": ("F4", (N, 8))})


@pytest.mark.parametrize(
    "part", ["lora_A.weight", "lora_embedding_B", "base_layer.weight", "modules_to_save.default.weight"]
)
def test_an_adapter_in_the_weights_is_refused(part):
    assert "model.embed_tokens is an adapter" in refusal(LLAMA | {f"model.embed_tokens.{part}": ("F16", (N, 4))})


# Rows of whole numbers with a scale each stay exact

EXACT = {
    "a scale a row": ({"weight": ("F8_E4M3", (N, WIDTH)), "weight_scale": ("F32", (N, 1))}, {"weight", "weight_scale"}),
    "one scale": (
        {"weight": ("F8_E4M3", (N, WIDTH)), "weight_scale": ("F32", ()), "input_scale": ("F32", (1,))},
        {"weight"},
    ),
    "bitsandbytes": (
        {"weight": ("I8", (N, WIDTH)), "SCB": ("F32", (N,)), "weight_format": ("U8", ()), "bias": ("F16", (N,))},
        {"weight", "SCB", "bias"},
    ),
    "zero points": (
        {"weight": ("I8", (N, WIDTH)), "weight_scale": ("BF16", (N, 1)), "weight_zero_point": ("I8", (N, 1))},
        {"weight", "weight_scale", "weight_zero_point"},
    ),
    "no scale": ({"weight": ("F8_E5M2", (N, WIDTH))}, {"weight"}),
}


@pytest.mark.parametrize("kind", EXACT)
def test_rows_of_whole_numbers_with_their_own_scales_follow(kind):
    parts, following = EXACT[kind]
    result = found(EMBEDDING | {f"lm_head.{part}": shape for part, shape in parts.items()})
    assert set(result.by_id) == {*EMBEDDING, *(f"lm_head.{part}" for part in following)}
    assert all(one.axis == 0 for one in result.by_id.values())


# Checkpoints with ids of their own


@pytest.mark.parametrize("name", ["d2t", "t2d", "model.d2t", "token_map", "draft_id_to_target_id", "hot_token_ids"])
def test_tensors_whose_numbers_are_ids_are_refused(name):
    assert f"{name} says which ids a draft model has" in refusal(LLAMA | {name: ("I64", (32,))})


def test_tables_by_id_inside_layers_follow_or_are_refused():
    """DeepSeek V4 chooses experts by id; hashes of ids cannot be cut."""
    name = "model.layers.0.mlp.gate.tid2eid"
    assert set(found(LLAMA | {name: ("I64", (N, 6))}).by_id) == {*LLAMA, name}
    other = "model.layers.0.mlp.gate.table"
    assert f"{other} of shape [512, 6] may have a row" in refusal(LLAMA | {other: ("I64", (N, 6))})
    for name in ("model.ngram_embeddings.0.weight", "encoder_hash_tok_embedding.weight"):
        assert f"{name} embeds hashes of ids" in refusal(LLAMA | {name: ("F16", (9, 8))})


def test_a_draft_head_and_embeddings_in_two_parts_are_refused():
    assert "draft_vocab_size 32" in refusal(LLAMA, CONFIG | {"draft_vocab_size": 32})
    name = "model.embed_tokens.additional_embedding.weight"
    assert f"{name} holds ids from vocab_size upwards" in refusal(LLAMA | {name: ("F16", (2, 8))})


def test_of_several_vocabulary_sizes_the_embedding_tells_which_is_the_text():
    config = {"vocab_size": 500, "text_config": {"vocab_size": N}, "audio_config": {"vocab_size": 9}}
    assert found(LLAMA, config).size == N
    assert found(LLAMA, {"thinker_config": {"text_config": {"vocab_size": N}}}).size == N


def test_ids_beyond_the_head_need_an_embedding_that_is_longer_than_the_head():
    longer = LLAMA | {"model.embed_tokens.weight": ("F16", (N + 8, WIDTH))}
    assert found(longer, n_old=N + 1).has_shorter_head(CONFIG)
    assert "a source of 513 ids" in refusal(LLAMA, n_old=N + 1)
    assert "a source of 521 ids" in refusal(longer, n_old=N + 9)
    both = dict.fromkeys(LLAMA, ("F16", (N + 8, WIDTH)))
    assert not found(both, n_old=N).has_shorter_head(CONFIG)
    assert "a source of 513 ids" in refusal(both, n_old=N + 1)
