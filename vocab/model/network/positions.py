"""Positions: RoPE's rotations and ALiBi's slopes."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def rope_tables(seq_len: int, head_dim: int, base: float) -> tuple[Tensor, Tensor]:
    """RoPE's cosines and sines, each (seq_len, head_dim) float32; the two halves of a row are equal, as in Llama.

    Su et al. 2021, arXiv 2104.09864.
    """
    # float32 throughout, like Hugging Face's Llama, so that exported models give the same logits.
    frequency = 1.0 / base ** (torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
    angle = torch.arange(seq_len, dtype=torch.float32)[:, None] * frequency
    angle = torch.cat([angle, angle], dim=-1)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the halves of each head: x (B, H, T, D), tables (T, D) of the dtype of x."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


def alibi_slopes(n_heads: int) -> list[float]:
    """ALiBi's slope of each head: 2^(-8k/n) for k = 1 … n, when n is a power of two.

    For other n: the slopes of the next lower power of two, then every other slope of the next higher one, as in the
    authors' code. Press et al. 2021, arXiv 2108.12409.
    """
    lower = 1 << int(math.log2(n_heads))
    slopes = [2.0 ** (-8 * k / lower) for k in range(1, lower + 1)]
    between = [2.0 ** (-4 * k / lower) for k in range(1, 2 * lower + 1, 2)]
    return slopes + between[: n_heads - lower]
