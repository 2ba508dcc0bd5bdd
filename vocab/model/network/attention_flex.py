"""FlexAttention: ALiBi as a score modification, documents as a block mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Unpack

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from vocab.model.network.attention_interface import AttentionRequest

_ATTEND: Callable[..., Any] = flex_attention


@dataclass
class _State:
    bias: Callable[..., Tensor] | None  # one function for all calls: each new one would be compiled again
    causal_masks: dict[int, BlockMask] = field(default_factory=dict)  # by length


class Flex:
    """torch's flex_attention (Dong et al. 2024, arXiv 2412.05496), compiled on a GPU."""

    name = "flex"

    def supports(self, **request: Unpack[AttentionRequest]) -> str | None:
        if request["device"].type == "cuda":
            return "blocks need heads of at least 16" if request["head_dim"] < 16 else None
        if request["backward"]:
            return "off the GPU it has no backward pass: use sdpa, or sdpa-alibi"
        return None

    def prepare(self, *, heads: int, max_seq_len: int, slopes: Tensor | None, device: torch.device) -> object:
        return _State(_bias(slopes))

    def mask(self, state: object, seq_len: int, documents: Tensor | None, device: torch.device) -> object:
        assert isinstance(state, _State)
        if documents is not None:
            return _block_mask(_same_document(documents), documents.shape[0], seq_len, device)
        if seq_len not in state.causal_masks:
            state.causal_masks[seq_len] = _block_mask(_not_after, None, seq_len, device)
        return state.causal_masks[seq_len]

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, state: object, mask: object) -> Tensor:
        assert isinstance(state, _State)
        grouped = q.shape[1] != k.shape[1]
        attend = _compiled(flex_attention) if q.is_cuda and not torch.compiler.is_compiling() else _ATTEND
        mixed: Tensor = attend(q, k, v, score_mod=state.bias, block_mask=mask, enable_gqa=grouped)
        return mixed


@cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function compiled for each shape that it meets, in one piece: in parts it would hold all scores."""
    return torch.compile(function, fullgraph=True, dynamic=False)


def _bias(slopes: Tensor | None) -> Callable[..., Tensor] | None:
    if slopes is None:
        return None

    def bias(score: Tensor, b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return score + slopes[h] * (j - i)

    return bias


def _not_after(b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
    return i >= j


def _same_document(documents: Tensor) -> Callable[..., Tensor]:
    def same_document(b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return (i >= j) & (documents[b, i] == documents[b, j])

    return same_document


def _block_mask(sees: Callable[..., Tensor], n_batch: int | None, seq_len: int, device: torch.device) -> BlockMask:
    """Which blocks of keys each block of queries sees; compiled on a GPU, so that (T, T) is never laid out."""
    create = _compiled(create_block_mask) if device.type == "cuda" else create_block_mask
    mask: BlockMask = create(sees, n_batch, None, seq_len, seq_len, device=device)
    return mask
