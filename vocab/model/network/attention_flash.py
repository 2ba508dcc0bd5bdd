"""Back ends from the packages flash-attn (2) and flash-attn-4."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from vocab.environment import missing_package
from vocab.model.network.attention_interface import AttentionRequest

_HALF = (torch.float16, torch.bfloat16)


def _refusal(request: AttentionRequest, least_capability: tuple[int, int]) -> str | None:
    """Why no flash kernel fits the request, None when one does."""
    if request["device"].type != "cuda":
        return "it needs an NVIDIA GPU"
    if torch.cuda.get_device_capability(request["device"]) < least_capability:
        return f"it needs compute capability {least_capability[0]}.{least_capability[1]} or higher"
    if request["dtype"] not in _HALF:
        return f"it needs float16 or bfloat16, not {request['dtype']}"
    if request["documents"]:
        return "masks of documents are not built for it: use flex"
    if request["head_dim"] % 8 or request["head_dim"] > 256:
        return f"it needs heads of a multiple of 8 up to 256, not {request['head_dim']}"
    return None


class FlashAttention2:
    """The package flash-attn (Dao 2023, arXiv 2307.08691), with its own ALiBi."""

    name = "flash-attn-2"

    def supports(self, **request: Unpack[AttentionRequest]) -> str | None:
        absent = missing_package("flash_attn.flash_attn_interface", "pip install flash-attn (needs nvcc)")
        return absent or _refusal(request, (8, 0))

    def prepare(self, *, heads: int, max_seq_len: int, slopes: Tensor | None, device: torch.device) -> object:
        return slopes

    def mask(self, state: object, seq_len: int, documents: Tensor | None, device: torch.device) -> object:
        return None

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, state: object, mask: object) -> Tensor:
        from flash_attn.flash_attn_interface import flash_attn_func

        inputs = (x.transpose(1, 2) for x in (q, k, v))  # (B, T, H, D)
        mixed: Tensor = flash_attn_func(*inputs, causal=True, alibi_slopes=state)
        return mixed.transpose(1, 2)


class FlashAttention4:
    """The package flash-attn-4, with kernels in CuTe's Python."""

    name = "flash-attn-4"

    def supports(self, **request: Unpack[AttentionRequest]) -> str | None:
        if absent := missing_package("flash_attn.cute", "pip install --pre flash-attn-4"):
            return absent
        if request["position"] == "alibi":
            return "ALiBi is not built for it: use sdpa-alibi or flex"
        return _refusal(request, (9, 0))

    def prepare(self, *, heads: int, max_seq_len: int, slopes: Tensor | None, device: torch.device) -> object:
        return None

    def mask(self, state: object, seq_len: int, documents: Tensor | None, device: torch.device) -> object:
        return None

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, state: object, mask: object) -> Tensor:
        from flash_attn.cute import flash_attn_func

        mixed = flash_attn_func(*(x.transpose(1, 2) for x in (q, k, v)), causal=True)
        first: Tensor = mixed[0] if isinstance(mixed, tuple) else mixed
        return first.transpose(1, 2)
