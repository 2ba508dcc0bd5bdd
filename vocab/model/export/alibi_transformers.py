"""A decoder with RMSNorm, SwiGLU, grouped KV heads and ALiBi for Hugging Face transformers, in one file.

It goes along with exported models and is loaded with `trust_remote_code=True`; it imports nothing of vocab. Tensor
names are Llama's.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast


class AlibiConfig(PretrainedConfig):
    """Llama's fields, without those of RoPE."""

    model_type = "vocab_alibi"

    def __init__(
        self,
        vocab_size: int = 32_000,
        hidden_size: int = 2048,
        intermediate_size: int = 5632,
        num_hidden_layers: int = 24,
        num_attention_heads: int = 32,
        num_key_value_heads: int = 32,
        max_position_embeddings: int = 2048,
        rms_norm_eps: float = 1e-5,
        **more: Any,
    ) -> None:
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.intermediate_size = intermediate_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.num_key_value_heads = num_key_value_heads
        self.max_position_embeddings = max_position_embeddings
        self.rms_norm_eps = rms_norm_eps
        super().__init__(**more)


def _slopes(n_heads: int) -> list[float]:
    """Press et al. 2021, arXiv 2108.12409; for other numbers than powers of two as in the authors' code."""
    lower = 1 << int(math.log2(n_heads))
    slopes = [2.0 ** (-8 * k / lower) for k in range(1, lower + 1)]
    return slopes + [2.0 ** (-4 * k / lower) for k in range(1, 2 * lower + 1, 2)][: n_heads - lower]


class _Attention(nn.Module):
    def __init__(self, config: AlibiConfig) -> None:
        super().__init__()
        width, n_heads, n_kv = config.hidden_size, config.num_attention_heads, config.num_key_value_heads
        self.head_dim, self.shared = width // n_heads, n_heads // n_kv
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, n_kv * self.head_dim, bias=False)
        self.v_proj = nn.Linear(width, n_kv * self.head_dim, bias=False)
        self.o_proj = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        n_batch, seq_len, _ = x.shape
        q, k, v = (
            projection(x).view(n_batch, seq_len, -1, self.head_dim).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        k, v = (y.repeat_interleave(self.shared, dim=1) for y in (k, v))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        projected: Tensor = self.o_proj(mixed.transpose(1, 2).reshape(n_batch, seq_len, -1))
        return projected


class _Mlp(nn.Module):
    def __init__(self, config: AlibiConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        projected: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return projected


class _Layer(nn.Module):
    def __init__(self, config: AlibiConfig) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.self_attn = _Attention(config)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.mlp = _Mlp(config)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), bias)
        added: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return added


class _Model(nn.Module):
    def __init__(self, config: AlibiConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)


class AlibiForCausalLM(PreTrainedModel, GenerationMixin):
    """Logits of ids (B, T); without a cache of keys and values, so that generating costs the square of the length."""

    config_class = AlibiConfig
    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}  # noqa: RUF012 - as transformers has it

    def __init__(self, config: AlibiConfig) -> None:
        super().__init__(config)
        self.model = _Model(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The embedding."""
        return self.model.embed_tokens

    def get_output_embeddings(self) -> nn.Module:
        """The head."""
        return self.lm_head

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, labels: Tensor | None = None, **more: Any
    ) -> CausalLMOutputWithPast:
        """Logits (B, T, vocab_size), and the mean loss where `labels` are given."""
        seq_len, device = input_ids.shape[1], input_ids.device
        at = torch.arange(seq_len, device=device)
        slopes = torch.tensor(_slopes(self.config.num_attention_heads), device=device)
        bias = slopes[:, None, None] * (at[None, :] - at[:, None])
        hidden_keys = at[None, :] > at[:, None]
        if attention_mask is not None and attention_mask.ndim == 2:
            hidden_keys = hidden_keys | (attention_mask[:, None, None, :] == 0) & (at[None, :] != at[:, None])
        bias = bias.masked_fill(hidden_keys, -math.inf)
        x = self.model.embed_tokens(input_ids)
        for layer in self.model.layers:
            x = layer(x, bias)
        logits = self.lm_head(self.model.norm(x))
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten())
        return CausalLMOutputWithPast(loss=loss, logits=logits)

    def prepare_inputs_for_generation(self, input_ids: Tensor, **more: Any) -> dict[str, Any]:  # type: ignore[override]
        """Always the whole text."""
        return {"input_ids": input_ids, "attention_mask": more.get("attention_mask")}
