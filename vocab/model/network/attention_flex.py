"""FlexAttention: ALiBi as a score modification, documents as a block mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Unpack

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from vocab.model.network.attention_interface import AttentionRequest


@dataclass
class _State:
    slopes: Tensor | None
    causal_masks: dict[int, BlockMask] = field(default_factory=dict)  # by length


class Flex:
    """torch's flex_attention (Dong et al. 2024, arXiv 2412.05496), compiled on a GPU."""

    name = "flex"

    def __init__(self) -> None:
        self._compiled: Callable[..., Any] | None = None

    def supports(self, **request: Unpack[AttentionRequest]) -> str | None:
        if request["device"].type == "cuda":
            return "blocks need heads of at least 16" if request["head_dim"] < 16 else None
        if request["backward"]:
            return "off the GPU it has no backward pass: use sdpa, or sdpa-alibi"
        return None

    def prepare(self, *, heads: int, max_seq_len: int, slopes: Tensor | None, device: torch.device) -> object:
        return _State(slopes)

    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, state: object, *, causal: bool = True, documents: Tensor | None = None
    ) -> Tensor:
        assert isinstance(state, _State)
        attend = self._function(q.device)
        mask = _mask(state, q, documents) if causal else None
        mixed: Tensor = attend(
            q, k, v, score_mod=_bias(state.slopes), block_mask=mask, enable_gqa=q.shape[1] != k.shape[1]
        )
        return mixed

    def _function(self, device: torch.device) -> Callable[..., Any]:
        if device.type != "cuda" or torch.compiler.is_compiling():
            return flex_attention
        if self._compiled is None:
            self._compiled = torch.compile(flex_attention)
        return self._compiled


def _bias(slopes: Tensor | None) -> Callable[..., Tensor] | None:
    if slopes is None:
        return None

    def bias(score: Tensor, b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return score + slopes[h] * (j - i)

    return bias


def _mask(state: _State, q: Tensor, documents: Tensor | None) -> BlockMask:
    n_batch, _, seq_len, _ = q.shape
    if documents is not None:

        def same_document(b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
            return (i >= j) & (documents[b, i] == documents[b, j])

        return create_block_mask(same_document, n_batch, None, seq_len, seq_len, device=q.device)
    if seq_len not in state.causal_masks:
        state.causal_masks[seq_len] = create_block_mask(
            lambda b, h, i, j: i >= j, None, None, seq_len, seq_len, device=q.device
        )
    return state.causal_masks[seq_len]
