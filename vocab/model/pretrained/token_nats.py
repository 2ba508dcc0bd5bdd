"""Nats of each token of whole documents: windows that overlap, batches of one length, float64 sums.

A document longer than the context is cut into windows that begin `stride` tokens apart. Each token is scored once, in
the first window that reaches it, so that it has at least `context - stride` tokens before it, or all there are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vocab.arrays import Tokens
from vocab.choices import ProductPrecision
from vocab.model.pretrained.causal_model import CausalModel, Start

Nats = npt.NDArray[np.float64]
_POSITIONS = 256  # whose logits are in float32 at once


@dataclass(frozen=True)
class Window:
    """A part of a document, as positions in its ids with the start before them.

    Attributes:
        document: number of the document.
        begin: first position that is read.
        end: the position after the last one read; the token there is the last one that is predicted.
        first: the first position that is predicted here.
    """

    document: int
    begin: int
    end: int
    first: int


def windows(n_positions: int, context: int, stride: int, document: int = 0) -> Iterator[Window]:
    """Windows of a document with `n_positions` ids, start included; position 0 is never predicted."""
    first, begin = 1, 0
    while first < n_positions:
        end = min(begin + context, n_positions - 1)
        yield Window(document, begin, end, first)
        first, begin = end + 1, begin + stride


def token_nats(
    model: CausalModel,
    documents: Sequence[Tokens],
    start: Start,
    *,
    context: int,
    stride: int,
    batch_tokens: int,
    precision: ProductPrecision = "float32",
) -> list[Nats]:
    """Nats of each token of each document, float64, of the lengths of `documents`.

    Args:
        model: the model.
        documents: ids of each document, int32, without the start.
        start: what is before each document.
        context: positions of a window at most.
        stride: positions from the beginning of a window to that of the next, 1 to `context`.
        batch_tokens: positions that are computed at once, padding included, but one window at least.
        precision: what products are computed in.
    """
    rows, nats = [], []
    for ids in documents:
        rows.append(ids if start.id is None else np.concatenate([[start.id], ids]))
        nats.append(np.full(ids.size, math.log(model.n_rows)))
    cut = [w for d, row in enumerate(rows) for w in windows(row.size, context, stride, d)]
    n_before = 0 if start.id is None else 1
    for batch in _batches(cut, batch_tokens):
        for window, found in zip(batch, _batch_nats(model, batch, rows, precision), strict=True):
            nats[window.document][window.first - n_before : window.end + 1 - n_before] = found
    return nats


def _batches(cut: list[Window], batch_tokens: int) -> Iterator[list[Window]]:
    """Windows of about one length together, longest first."""
    ordered = sorted(cut, key=lambda w: (w.begin - w.end, w.document, w.begin))
    while ordered:
        n = max(1, batch_tokens // (ordered[0].end - ordered[0].begin))
        yield ordered[:n]
        ordered = ordered[n:]


def _batch_nats(
    model: CausalModel, batch: list[Window], rows: Sequence[npt.NDArray[np.integer]], precision: ProductPrecision
) -> Iterator[Nats]:
    """Nats of what each window predicts."""
    longest = max(window.end - window.begin for window in batch)
    ids = np.zeros((len(batch), longest), dtype=np.int64)
    for k, window in enumerate(batch):
        ids[k, : window.end - window.begin] = rows[window.document][window.begin : window.end]
    with torch.inference_mode():
        logits = model.logits(torch.from_numpy(ids).to(model.device), precision)
        for k, window in enumerate(batch):
            targets = torch.from_numpy(rows[window.document][window.first : window.end + 1].astype(np.int64))
            scored = logits[k, window.first - 1 - window.begin : window.end - window.begin]
            yield nats_of(scored, targets.to(model.device)).cpu().numpy()


def nats_of(logits: Tensor, targets: Tensor) -> Tensor:
    """Nats of targets (n,) under logits (n, n_rows), float64; a block of float32 logits at a time."""
    parts = []
    for first in range(0, targets.numel(), _POSITIONS):
        block = logits[first : first + _POSITIONS].float()
        chosen = block.gather(1, targets[first : first + _POSITIONS, None]).squeeze(1)
        parts.append(block.logsumexp(dim=1).double() - chosen.double())
    return torch.cat(parts)
