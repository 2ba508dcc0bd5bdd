"""Attention back ends behind one interface, chosen by name or `auto` when a model is prepared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType
from typing import Protocol, TypedDict, Unpack, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it
from torch.nn.attention import SDPBackend, sdpa_kernel

from vocab.choices import Position
from vocab.errors import TrainingError

_HALF = (torch.float16, torch.bfloat16)


class Situation(TypedDict):
    """What attention is asked to do."""

    device: torch.device
    dtype: torch.dtype
    head_dim: int
    position: Position
    documents: bool  # attention stays inside documents
    backward: bool


@runtime_checkable
class AttentionBackend(Protocol):
    """One way to compute causal attention. Each equals `Reference` in outputs and gradients, up to rounding."""

    name: str

    def supports(self, **situation: Unpack[Situation]) -> str | None:
        """None, or the reason why not."""
        ...

    def prepare(self, *, heads: int, max_seq: int, slopes: Tensor | None, device: torch.device) -> object:
        """What is computed once for a model: `slopes` (H,) float32 of ALiBi, None for RoPE."""
        ...

    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, state: object, *, causal: bool = True, documents: Tensor | None = None
    ) -> Tensor:
        """Attend with q (B, H, T, D), k and v (B, Hkv, T, D), `documents` (B, T) int32; returns (B, H, T, D)."""
        ...


def visible(seq_len: int, documents: Tensor | None, device: torch.device, *, causal: bool) -> Tensor:
    """Which key (last axis) each query (second last) sees, bool, (T, T), or (B, 1, T, T) with documents."""
    seen = torch.ones(seq_len, seq_len, dtype=torch.bool, device=device)
    if causal:
        seen = seen.tril()
    if documents is None:
        return seen
    return seen & (documents[:, None, :, None] == documents[:, None, None, :])


class Reference:
    """Every score in float64: slow, and what the others are tested against."""

    name = "reference"

    def supports(self, **situation: Unpack[Situation]) -> str | None:
        if situation["device"].type == "mps":
            return "it needs float64, which MPS lacks"
        return None

    def prepare(self, *, heads: int, max_seq: int, slopes: Tensor | None, device: torch.device) -> object:
        return slopes

    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, state: object, *, causal: bool = True, documents: Tensor | None = None
    ) -> Tensor:
        seq_len, shared = q.shape[2], q.shape[1] // k.shape[1]
        keys, values = (x.double().repeat_interleave(shared, dim=1) for x in (k, v))
        scores = q.double() @ keys.transpose(-1, -2) / math.sqrt(q.shape[3])  # (B, H, T, T)
        if isinstance(state, Tensor):
            at = torch.arange(seq_len, device=q.device)
            scores = scores + state.double()[:, None, None] * (at[None, :] - at[:, None])
        scores = scores.masked_fill(~visible(seq_len, documents, q.device, causal=causal), -math.inf)
        return (scores.softmax(dim=-1) @ values).to(q.dtype)


class Sdpa:
    """torch's scaled_dot_product_attention: its own choice of kernel, or one that is forced."""

    def __init__(self, name: str = "sdpa", kernel: SDPBackend | None = None) -> None:
        self.name = name
        self._kernel = kernel

    def supports(self, **situation: Unpack[Situation]) -> str | None:
        if situation["position"] == "alibi":
            return "its fast kernels take no bias: use sdpa-alibi"
        if self._kernel is None:
            return None
        if situation["documents"]:
            return f"the {self.name} kernel takes no mask: use sdpa or flex"
        if self._kernel is SDPBackend.CUDNN_ATTENTION and situation["device"].type != "cuda":
            return "cuDNN needs an NVIDIA GPU"
        if situation["device"].type == "cuda" and situation["dtype"] not in _HALF:
            return f"the kernel needs float16 or bfloat16, not {situation['dtype']}"
        return None

    def prepare(self, *, heads: int, max_seq: int, slopes: Tensor | None, device: torch.device) -> object:
        return None

    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, state: object, *, causal: bool = True, documents: Tensor | None = None
    ) -> Tensor:
        if self._kernel is None:
            return _sdpa(q, k, v, None, causal=causal, documents=documents)
        with sdpa_kernel([self._kernel]):
            return _sdpa(q, k, v, None, causal=causal, documents=documents)


def _sdpa(q: Tensor, k: Tensor, v: Tensor, scale: float | None, *, causal: bool, documents: Tensor | None) -> Tensor:
    mask = None if documents is None else visible(q.shape[2], documents, q.device, causal=causal)
    shared = q.shape[1] != k.shape[1]
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=causal and mask is None, scale=scale, enable_gqa=shared
    )


class SdpaAlibi:
    """Exact ALiBi through the same kernels, by four dimensions more (FlashBias, Wu et al. 2025, arXiv 2505.12044).

    Softmax ignores what all scores of a query share, so the bias m·(j − i) may be m·j: a product of m / scale in the
    query with j in the key. j is split into 128·⌊j / 128⌋ and j mod 128, both exact in bfloat16; m / scale into what
    bfloat16 holds of it and the rest, which is 0 where scale is a power of two. Heads are padded to a multiple of 8.
    """

    name = "sdpa-alibi"

    def supports(self, **situation: Unpack[Situation]) -> str | None:
        return None if situation["position"] == "alibi" else "it adds ALiBi, which the model does not use: use sdpa"

    def prepare(self, *, heads: int, max_seq: int, slopes: Tensor | None, device: torch.device) -> object:
        if slopes is None:
            raise TrainingError("sdpa-alibi needs the slopes of ALiBi")
        at = torch.arange(max_seq, device=device)
        high, low = at // 128 * 128, at % 128
        return slopes, torch.stack([high, low, high, low], dim=-1).float()  # (H,), (T, 4)

    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, state: object, *, causal: bool = True, documents: Tensor | None = None
    ) -> Tensor:
        assert isinstance(state, tuple)
        slopes, places = state
        n_batch, n_heads, seq_len, head_dim = q.shape
        scale = 1 / math.sqrt(head_dim)
        n_more = -(-(head_dim + 4) // 8) * 8 - head_dim
        coarse = (slopes / scale).bfloat16().float()
        fine = slopes / scale - coarse
        weights = F.pad(torch.stack([coarse, coarse, fine, fine], dim=-1), (0, n_more - 4)).to(q.dtype)  # (H, more)
        keys = F.pad(places[:seq_len], (0, n_more - 4)).to(q.dtype)  # (T, more)
        longer_q = torch.cat([q, weights[None, :, None].expand(n_batch, n_heads, seq_len, n_more)], dim=-1)
        longer_k = torch.cat([k, keys.expand(n_batch, k.shape[1], seq_len, n_more)], dim=-1)
        longer_v = F.pad(v, (0, n_more))
        mixed = _sdpa(longer_q, longer_k, longer_v, scale, causal=causal, documents=documents)
        return mixed[..., :head_dim]


def backends() -> Mapping[str, AttentionBackend]:
    """Every back end by name, in the order in which `auto` tries them."""
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


def choose(wanted: AttentionBackend | str, **situation: Unpack[Situation]) -> AttentionBackend:
    """The back end of that name, or the first that can for "auto".

    Raises TrainingError that says why one asked for cannot, or what the names are.
    """
    if not isinstance(wanted, str):
        _refuse(wanted, situation)
        return wanted
    known = backends()
    if wanted != "auto":
        if wanted not in known:
            raise TrainingError(f"there is no attention back end {wanted!r}; there are: auto, {', '.join(known)}")
        _refuse(known[wanted], situation)
        return known[wanted]
    # On a GPU a dense mask of documents costs its square, and FlexAttention skips what nobody sees.
    masked_on_gpu = situation["documents"] and situation["device"].type == "cuda"
    order = ["flex", *known] if masked_on_gpu else list(known)
    return next(known[name] for name in order if known[name].supports(**situation) is None)


def _refuse(backend: AttentionBackend, situation: Situation) -> None:
    if reason := backend.supports(**situation):
        raise TrainingError(f"attention back end {backend.name} cannot be used here: {reason}")


def missing(module: str, install: str) -> str | None:
    """None when a module can be imported, else the sentence that says how to install it."""
    try:
        found = find_spec(module) is not None
    except ModuleNotFoundError:
        found = False
    return None if found else f"it is not installed: {install}"
