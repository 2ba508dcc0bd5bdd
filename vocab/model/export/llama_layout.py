"""Our weights and shape as Hugging Face's Llama has them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from vocab.model.network.config import ModelConfig

# Our shape in config.json, and the module of the class for ALiBi.
SHAPE_FIELD, ALIBI_MODULE = "vocab_decoder", "alibi_transformers"


def llama_names(config: ModelConfig) -> Iterator[tuple[str, tuple[str, ...], tuple[int, ...]]]:
    """Yield for each of our weights its name, Llama's names of its parts in the order of rows, and their rows."""
    kv_width = config.n_kv_heads * config.head_dim
    yield "embedding.weight", ("model.embed_tokens.weight",), (config.n_ids,)
    for k in range(config.n_layers):
        ours, theirs = f"blocks.{k}.", f"model.layers.{k}."
        yield ours + "attention_norm.weight", (theirs + "input_layernorm.weight",), (config.width,)
        parts = tuple(f"{theirs}self_attn.{name}_proj.weight" for name in "qkv")
        yield ours + "attention.qkv.weight", parts, (config.width, kv_width, kv_width)
        yield ours + "attention.out.weight", (theirs + "self_attn.o_proj.weight",), (config.width,)
        yield ours + "ffn_norm.weight", (theirs + "post_attention_layernorm.weight",), (config.width,)
        parts = tuple(f"{theirs}mlp.{name}_proj.weight" for name in ("gate", "up"))
        yield ours + "ffn.gate_up.weight", parts, (config.ffn_width, config.ffn_width)
        yield ours + "ffn.down.weight", (theirs + "mlp.down_proj.weight",), (config.width,)
    yield "norm.weight", ("model.norm.weight",), (config.width,)
    if not config.tied:
        yield "head.weight", ("lm_head.weight",), (config.n_ids,)


def llama_config(config: ModelConfig, end: int | None) -> dict[str, Any]:
    """Content of config.json; `end` is the id of the token between documents."""
    content: dict[str, Any] = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": config.n_ids,
        "hidden_size": config.width,
        "intermediate_size": config.ffn_width,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads,
        "head_dim": config.head_dim,
        "max_position_embeddings": config.max_seq_len,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_base,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": config.tied,
        "bos_token_id": end,
        "eos_token_id": end,
        "torch_dtype": "float32",
        SHAPE_FIELD: asdict(config),
    }
    if config.position == "alibi":
        content |= {
            "architectures": ["AlibiForCausalLM"],
            "model_type": "vocab_alibi",
            "auto_map": {
                "AutoConfig": f"{ALIBI_MODULE}.AlibiConfig",
                "AutoModelForCausalLM": f"{ALIBI_MODULE}.AlibiForCausalLM",
            },
        }
    return content
