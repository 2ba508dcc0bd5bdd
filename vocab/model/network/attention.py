"""Attention back ends behind one interface, chosen by name or `auto` when a model is prepared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Unpack

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it
from torch.nn.attention import SDPBackend, sdpa_kernel

from vocab.errors import TrainingError
from vocab.model.network.attention_interface import AttentionBackend, AttentionRequest

_HALF = (torch.float16, torch.bfloat16)


# Digits of a position: 7 bits each, which bfloat16 holds exactly at any of their places.
_DIGIT, _N_DIGITS = 128, 3


def visible(seq_len: int, documents: Tensor | None, device: torch.device) -> Tensor:
    """Mask of the keys (last axis) that each query (second last) sees: bool (T, T), or (B, 1, T, T) with documents."""
    mask = torch.ones(seq_len, seq_len, dtype=torch.bool, device=device).tril()
    if documents is None:
        return mask
    return mask & (documents[:, None, :, None] == documents[:, None, None, :])


def _mask_of_documents(seq_len: int, documents: Tensor | None, device: torch.device) -> Tensor | None:
    """A mask for what SDPA cannot tell by itself: that attention stays inside documents."""
    return None if documents is None else visible(seq_len, documents, device)


class Reference:
    """Attention with every score in float64: slow, and the standard that tests compare the others with."""

    name = "reference"

    def supports(self, **request: Unpack[AttentionRequest]) -> str | None:
        if request["device"].type == "mps":
            return "it needs float64, which MPS lacks"
        return None

    def prepare(self, *, heads: int, max_seq_len: int, slopes: Tensor | None, device: torch.device) -> object:
        return slopes

    def mask(self, state: object, seq_len: int, documents: Tensor | None, device: torch.device) -> object:
        return visible(seq_len, documents, device)

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, state: object, mask: object) -> Tensor:
        assert isinstance(mask, Tensor)
        seq_len, group_size = q.shape[2], q.shape[1] // k.shape[1]
        keys, values = (x.double().repeat_interleave(group_size, dim=1) for x in (k, v))
        scores = q.double() @ keys.transpose(-1, -2) / math.sqrt(q.shape[3])  # (B, H, T, T)
        if isinstance(state, Tensor):
            at = torch.arange(seq_len, device=q.device)
            scores = scores + state.double()[:, None, None] * (at[None, :] - at[:, None])
        scores = scores.masked_fill(~mask, -math.inf)
        return (scores.softmax(dim=-1) @ values).to(q.dtype)


class Sdpa:
    """torch's scaled_dot_product_attention.

    Args:
        name: by which users choose it.
        kernel: the kernel to force; None leaves the choice to torch.
    """

    def __init__(self, name: str = "sdpa", kernel: SDPBackend | None = None) -> None:
        self.name = name
        self._kernel = kernel

    def supports(self, **request: Unpack[AttentionRequest]) -> str | None:
        if request["position"] == "alibi":
            return "its fast kernels take no bias: use sdpa-alibi"
        if self._kernel is None:
            return None
        if request["documents"]:
            return f"the {self.name} kernel takes no mask: use sdpa or flex"
        if self._kernel is SDPBackend.CUDNN_ATTENTION and request["device"].type != "cuda":
            return "cuDNN needs an NVIDIA GPU"
        if request["device"].type == "cuda" and request["dtype"] not in _HALF:
            return f"the kernel needs float16 or bfloat16, not {request['dtype']}"
        return None

    def prepare(self, *, heads: int, max_seq_len: int, slopes: Tensor | None, device: torch.device) -> object:
        return None

    def mask(self, state: object, seq_len: int, documents: Tensor | None, device: torch.device) -> object:
        return _mask_of_documents(seq_len, documents, device)

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, state: object, mask: object) -> Tensor:
        if self._kernel is None:
            return _sdpa(q, k, v, mask)
        with sdpa_kernel([self._kernel]):
            return _sdpa(q, k, v, mask)


def _sdpa(q: Tensor, k: Tensor, v: Tensor, mask: object, scale: float | None = None) -> Tensor:
    assert mask is None or isinstance(mask, Tensor)
    grouped = q.shape[1] != k.shape[1]
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=mask is None, scale=scale, enable_gqa=grouped
    )


class SdpaAlibi:
    """Exact ALiBi through the same kernels, by six more dimensions (FlashBias, Wu et al. 2025, arXiv 2505.12044).

    Softmax ignores what all scores of a query share, so the bias m·(j − i) may be m·j: a product of m / scale in the
    query with j in the key. Both factors are split, so that bfloat16 holds them exactly: j into three digits to base
    128, each at its place, and m / scale into its bfloat16 value and the rest. Heads are padded to a multiple of 8.
    """

    name = "sdpa-alibi"

    def supports(self, **request: Unpack[AttentionRequest]) -> str | None:
        return None if request["position"] == "alibi" else "it adds ALiBi, which the model does not use: use sdpa"

    def prepare(self, *, heads: int, max_seq_len: int, slopes: Tensor | None, device: torch.device) -> object:
        if slopes is None:
            raise TrainingError("sdpa-alibi needs the slopes of ALiBi")
        if max_seq_len > _DIGIT**_N_DIGITS:
            raise TrainingError(f"sdpa-alibi knows {_DIGIT**_N_DIGITS:,} positions: lower `max_seq_len`")
        at = torch.arange(max_seq_len, device=device)
        places = [_DIGIT**k for k in range(_N_DIGITS)]
        digits = torch.stack([at // place % _DIGIT * place for place in places], dim=-1).float()
        return slopes, digits  # (H,), (T, 3)

    def mask(self, state: object, seq_len: int, documents: Tensor | None, device: torch.device) -> object:
        return _mask_of_documents(seq_len, documents, device)

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, state: object, mask: object) -> Tensor:
        assert isinstance(state, tuple)
        slopes, digits = state
        n_batch, n_heads, seq_len, head_dim = q.shape
        scale = 1 / math.sqrt(head_dim)
        n_used = 2 * _N_DIGITS
        n_more = -(-(head_dim + n_used) // 8) * 8 - head_dim
        coarse = (slopes / scale).bfloat16().float()
        weights = torch.cat([part[:, None].expand(-1, _N_DIGITS) for part in (coarse, slopes / scale - coarse)], dim=-1)
        weights = F.pad(weights, (0, n_more - n_used)).to(q.dtype)  # (H, more)
        keys = F.pad(digits[:seq_len].repeat(1, 2), (0, n_more - n_used)).to(q.dtype)  # (T, more)
        longer_q = torch.cat([q, weights[None, :, None].expand(n_batch, n_heads, seq_len, n_more)], dim=-1)
        longer_k = torch.cat([k, keys.expand(n_batch, k.shape[1], seq_len, n_more)], dim=-1)
        return _sdpa(longer_q, longer_k, F.pad(v, (0, n_more)), mask, scale)[..., :head_dim]


def backends() -> Mapping[str, AttentionBackend]:
    """Every back end by name, in the order in which "auto" tries them."""
    from vocab.model.network.attention_flash import FlashAttention2, FlashAttention4
    from vocab.model.network.attention_flex import Flex

    every: list[AttentionBackend] = [
        Sdpa(),
        SdpaAlibi(),
        Flex(),
        Sdpa("sdpa-flash", SDPBackend.FLASH_ATTENTION),
        Sdpa("sdpa-cudnn", SDPBackend.CUDNN_ATTENTION),
        FlashAttention2(),
        FlashAttention4(),
        Reference(),
    ]
    return MappingProxyType({backend.name: backend for backend in every})


def choose(backend: AttentionBackend | str, **request: Unpack[AttentionRequest]) -> AttentionBackend:
    """The back end of a name, or for "auto" the first that can serve the request.

    Raises:
        TrainingError: for an unknown name, or a back end that cannot serve the request; it says why.
    """
    if not isinstance(backend, str):
        _check_supports(backend, request)
        return backend
    known = backends()
    if backend != "auto":
        if backend not in known:
            raise TrainingError(f"unknown attention back end {backend!r}; there are: auto, {', '.join(known)}")
        _check_supports(known[backend], request)
        return known[backend]
    # On a GPU a dense mask of documents costs memory by the square of the length; FlexAttention skips hidden blocks.
    masked_on_gpu = request["documents"] and request["device"].type == "cuda"
    order = ["flex", *known] if masked_on_gpu else list(known)
    return next(known[name] for name in order if known[name].supports(**request) is None)


def _check_supports(backend: AttentionBackend, request: AttentionRequest) -> None:
    if reason := backend.supports(**request):
        raise TrainingError(f"attention back end {backend.name} cannot be used here: {reason}")
