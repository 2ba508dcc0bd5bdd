"""Bits per byte on held-out documents: windows end to end, special tokens masked, shared by all processes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vocab.model.data.sampling import Batch
from vocab.model.data.shards import TokenStream
from vocab.model.network.head import IGNORED, LanguageModel, bits_per_byte
from vocab.model.training.parallel import Workers


@dataclass(frozen=True)
class Evaluation:
    """Sums over the text that was scored; nats of special tokens are in none of them."""

    nats: float
    n_tokens: int
    n_bytes: int

    @property
    def bits_per_byte(self) -> float:
        """Bits a byte of source text."""
        return bits_per_byte(self.nats, self.n_bytes)

    @property
    def nats_per_token(self) -> float:
        """Nats an ordinary token; means nothing across vocabularies."""
        return self.nats / self.n_tokens if self.n_tokens else float("nan")


def windows(stream: TokenStream, seq_len: int, n_tokens: int) -> list[tuple[int, int]]:
    """Begin and number of targets of the windows that cover the first `n_tokens` of a stream, none twice."""
    last = min(len(stream) - 1, n_tokens)
    return [(first, min(seq_len, last - first)) for first in range(0, last, seq_len)]


def window_batch(stream: TokenStream, rows: list[tuple[int, int]], n_rows: int, seq_len: int, *, masked: bool) -> Batch:
    """Windows as a batch of exactly (n_rows, seq_len), what is left over ignored."""
    ids = np.zeros((n_rows, seq_len), dtype=np.int64)
    targets = np.full((n_rows, seq_len), IGNORED, dtype=np.int64)
    numbers = np.full((n_rows, seq_len), -1, dtype=np.int32)
    for k, (first, n) in enumerate(rows):
        tokens = stream.read(first, n + 1)
        ids[k, :n], targets[k, :n] = tokens[:-1], tokens[1:]
        numbers[k, :n] = stream.document_numbers(first, n)
    return Batch(ids, targets, numbers if masked else None)


def evaluate(
    model: LanguageModel,
    stream: TokenStream,
    token_bytes: npt.NDArray[np.int32],
    workers: Workers,
    *,
    seq_len: int,
    micro_batch: int,
    n_tokens: int,
    precision: torch.dtype,
    masked: bool = False,
) -> Evaluation:
    """Score the first `n_tokens` of a stream. Every process runs as many batches, as sharded models need."""
    every = windows(stream, seq_len, n_tokens)
    per_round = micro_batch * workers.world
    nats = n_scored = n_bytes = 0.0
    was_training = model.training
    model.eval()
    with torch.no_grad(), autocast(workers.device, precision):
        for first in range(0, len(every), per_round):
            at = first + workers.rank * micro_batch
            batch = window_batch(
                stream, every[at : min(at + micro_batch, first + per_round)], micro_batch, seq_len, masked=masked
            )
            sums = _scored(model, batch, token_bytes, workers.device)
            nats, n_scored, n_bytes = nats + sums[0], n_scored + sums[1], n_bytes + sums[2]
    model.train(was_training)
    nats, n_scored, n_bytes = workers.total(nats, n_scored, n_bytes)
    return Evaluation(nats, int(n_scored), int(n_bytes))


def _scored(
    model: LanguageModel, batch: Batch, token_bytes: npt.NDArray[np.int32], device: torch.device
) -> tuple[float, float, float]:
    """Nats, tokens and bytes of the ordinary targets."""
    sizes = text_bytes(batch.targets, token_bytes)
    targets = np.where(sizes > 0, batch.targets, IGNORED)
    ids, after, numbers = on_device(Batch(batch.ids, targets, batch.documents), device)
    total = model(ids, after, numbers).total.item()
    return total, float((sizes > 0).sum()), float(sizes.sum())


def text_bytes(targets: npt.NDArray[np.int64], token_bytes: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Bytes of text behind each target, int64, 0 for special and ignored ones."""
    found = token_bytes[np.maximum(targets, 0)].astype(np.int64)
    found[targets == IGNORED] = 0
    return found


def on_device(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor, Tensor | None]:
    """Ids, targets and documents of a batch as tensors, through pinned memory on a GPU."""
    arrays = [batch.ids, batch.targets, batch.documents]
    tensors = [None if array is None else torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]
    if device.type == "cuda":
        tensors = [None if x is None else x.pin_memory().to(device, non_blocking=True) for x in tensors]
    ids, targets, numbers = tensors
    assert ids is not None
    assert targets is not None
    return ids, targets, numbers


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """Products in bfloat16 when asked for; nothing for float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == torch.bfloat16)
