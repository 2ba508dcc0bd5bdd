"""A cache of keys and values, so that each further token costs the work of one token."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from vocab.model.network.decoder import Block, Decoder
from vocab.model.network.positions import alibi_slopes


class KeyValueCache:
    """Keys and values of the tokens of one sequence so far, up to the decoder's longest sequence.

    Logits equal those of the decoder on the whole sequence, up to rounding.

    Args:
        decoder: prepared.
    """

    def __init__(self, decoder: Decoder) -> None:
        config, weight = decoder.config, decoder.embedding.weight
        self._decoder = decoder
        shape = (config.n_layers, 2, 1, config.n_kv_heads, config.max_seq_len, config.head_dim)
        # Keys and values of each block.
        self._stored = torch.empty(shape, device=weight.device, dtype=weight.dtype)
        self.n_tokens = 0
        self._slopes = None
        if config.position == "alibi":
            self._slopes = torch.tensor(alibi_slopes(config.n_heads), device=weight.device)[:, None, None]

    def clear(self) -> None:
        """Forget all tokens."""
        self.n_tokens = 0

    def logits(self, ids: list[int]) -> Tensor:
        """Append tokens and return the logits (n_ids,) of the next; raises TrainingError past the longest sequence."""
        decoder, first = self._decoder, self.n_tokens
        n_tokens = first + len(ids)
        decoder.check_length(n_tokens)
        x = decoder.embed(torch.tensor([ids], device=self._stored.device))
        cos, sin = decoder.rotations(first, len(ids))
        bias = self._bias(first, n_tokens).to(x.dtype)
        for block, stored in zip(decoder.blocks, self._stored, strict=True):
            assert isinstance(block, Block)
            q, k, v = block.attention.project(block.attention_norm(x), cos, sin)
            stored[0, :, :, first:n_tokens], stored[1, :, :, first:n_tokens] = k, v
            keys, values = stored[:, :, :, :n_tokens].to(x.dtype)
            mixed = F.scaled_dot_product_attention(q, keys, values, attn_mask=bias, enable_gqa=True)
            x = x + block.attention.merge(mixed)
            x = x + block.ffn(block.ffn_norm(x))
        self.n_tokens = n_tokens
        logits: Tensor = F.linear(decoder.norm(x[0, -1]), decoder.head_weight)
        return logits

    def _bias(self, first: int, n_tokens: int) -> Tensor:
        """Added to the scores, (1 or H, n_tokens - first, n_tokens): ALiBi, and -inf for later keys."""
        at = torch.arange(n_tokens, device=self._stored.device)
        distance = at[None, :] - at[first:, None]
        bias = torch.zeros(1, *distance.shape, device=at.device) if self._slopes is None else self._slopes * distance
        return bias.masked_fill(distance > 0, -math.inf)
