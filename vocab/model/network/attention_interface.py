"""What every attention back end offers: whether it can do what a model asks for, its tables, and the product itself."""

from __future__ import annotations

from typing import Protocol, TypedDict, Unpack, runtime_checkable

import torch
from torch import Tensor

from vocab.choices import Position


class AttentionRequest(TypedDict):
    """What a model asks of attention.

    Attributes:
        device: where tensors are.
        dtype: of queries, keys and values.
        head_dim: size of one head.
        position: "rope" or "alibi".
        documents: whether attention stays inside documents.
        backward: whether gradients are needed.
    """

    device: torch.device
    dtype: torch.dtype
    head_dim: int
    position: Position
    documents: bool
    backward: bool


@runtime_checkable
class AttentionBackend(Protocol):
    """One way to compute causal attention. Each equals `Reference` in outputs and gradients, up to rounding.

    Attributes:
        name: by which users choose it.
    """

    name: str

    def supports(self, **request: Unpack[AttentionRequest]) -> str | None:
        """Return None when the request can be served, else the reason why not."""
        ...

    def prepare(self, *, heads: int, max_seq_len: int, slopes: Tensor | None, device: torch.device) -> object:
        """Compute once what every call for a model needs, its state.

        Args:
            heads: heads of queries.
            max_seq_len: most tokens of a sequence.
            slopes: (H,) float32 of ALiBi, None for RoPE.
            device: where the state will be used.
        """
        ...

    def mask(self, state: object, seq_len: int, documents: Tensor | None, device: torch.device) -> object:
        """Compute once a step what the blocks' calls share: which keys are hidden.

        Args:
            state: what `prepare` returned.
            seq_len: tokens of a sequence.
            documents: (B, T) int32, the document of each token; queries see only keys of their own. None for one
                document a sequence.
            device: of the queries.
        """
        ...

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, state: object, mask: object) -> Tensor:
        """Attend; a query sees no keys after its own position.

        Args:
            q: queries (B, H, T, D).
            k: keys (B, Hkv, T, D).
            v: values (B, Hkv, T, D).
            state: what `prepare` returned.
            mask: what `mask` returned.

        Returns:
            (B, H, T, D), of the dtype of `q`.
        """
        ...
