"""Keys and values of a text that are kept, so that each further token costs one token's work."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from vocab.model.network.decoder import Block, Decoder
from vocab.model.network.positions import alibi_slopes


class KeyValueCache:
    """The first tokens of one sequence as a prepared decoder saw them, up to the longest that it takes.

    Logits equal those of the decoder on the whole sequence, up to rounding.
    """

    def __init__(self, decoder: Decoder) -> None:
        config, weight = decoder.config, decoder.embedding.weight
        self._decoder = decoder
        shape = (config.n_layers, 2, 1, config.n_kv_heads, config.max_seq, config.head_dim)
        self._kept = torch.empty(shape, device=weight.device, dtype=weight.dtype)  # keys and values of each block
        self.n_tokens = 0
        self._slopes = None
        if config.position == "alibi":
            self._slopes = torch.tensor(alibi_slopes(config.n_heads), device=weight.device)[:, None, None]

    def clear(self) -> None:
        """Forget all tokens."""
        self.n_tokens = 0

    def logits(self, ids: list[int]) -> Tensor:
        """Append one token or more; logits (n_ids,) of what follows. Raises TrainingError past the longest sequence."""
        decoder, first = self._decoder, self.n_tokens
        n_tokens = first + len(ids)
        decoder.check_length(n_tokens)
        x = decoder.embed(torch.tensor([ids], device=self._kept.device))
        cos, sin = decoder.rotations(first, len(ids))
        bias = self._bias(first, n_tokens).to(x.dtype)
        for block, kept in zip(decoder.blocks, self._kept, strict=True):
            assert isinstance(block, Block)
            q, k, v = block.attention.project(block.attention_norm(x), cos, sin)
            kept[0, :, :, first:n_tokens], kept[1, :, :, first:n_tokens] = k, v
            keys, values = kept[:, :, :, :n_tokens].to(x.dtype)
            mixed = F.scaled_dot_product_attention(q, keys, values, attn_mask=bias, enable_gqa=True)
            x = x + block.attention.merge(mixed)
            x = x + block.ffn(block.ffn_norm(x))
        self.n_tokens = n_tokens
        found: Tensor = F.linear(decoder.norm(x[0, -1]), decoder.head_weight)
        return found

    def _bias(self, first: int, n_tokens: int) -> Tensor:
        """What is added to scores (1 or H, n_tokens - first, n_tokens): ALiBi, and -inf for what comes later."""
        at = torch.arange(n_tokens, device=self._kept.device)
        distance = at[None, :] - at[first:, None]
        bias = torch.zeros(1, *distance.shape, device=at.device) if self._slopes is None else self._slopes * distance
        return bias.masked_fill(distance > 0, -math.inf)
