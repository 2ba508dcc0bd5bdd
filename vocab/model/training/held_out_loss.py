"""Loss on held-out documents in bits per byte, which compares models of different vocabularies.

Nats a token do not compare: a larger vocabulary encodes the same text in fewer tokens, and each is harder to predict.
So we divide the nats of a text by what no vocabulary changes, its length in bytes:

    bits per byte = Σ nats of ordinary tokens / (ln 2 · Σ bytes of their text)

1. Nats are summed over all tokens and divided once. A mean of means would weigh tokens by the batch they fall into.
2. Each ordinary token counts as many bytes as its text has, whatever its number of characters.
3. Special tokens, such as end of text, stand for no bytes. They are in neither sum: they are fed to the model, but what
   it predicts of them is ignored.

Every vocabulary is scored on the same documents. Windows cover them end to end, so that each token is a target once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from vocab.model.data.device_batches import on_device
from vocab.model.data.sampling import Batch
from vocab.model.data.shards import TokenStream
from vocab.model.hardware.parallel import Workers
from vocab.model.hardware.precision import autocast
from vocab.model.network.head import IGNORED
from vocab.model.network.language_model import LanguageModel


def bits_per_byte(nats: float, n_bytes: int) -> float:
    """Bits a byte of text: `nats` / (ln 2 · `n_bytes`), both of ordinary tokens alone; NaN without text."""
    return nats / (math.log(2) * n_bytes) if n_bytes else math.nan


def text_bytes(targets: npt.NDArray[np.int64], token_bytes: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Bytes of text of each target.

    Args:
        targets: ids, or IGNORED.
        token_bytes: int32[n_ids], the bytes of text of each id; 0 for special tokens.

    Returns:
        int64 of the shape of `targets`; 0 for special and ignored ones.
    """
    sizes = token_bytes[np.maximum(targets, 0)].astype(np.int64)
    sizes[targets == IGNORED] = 0
    return sizes


@dataclass(frozen=True)
class HeldOutLoss:
    """Sums over the ordinary tokens of the text that was scored.

    Attributes:
        nats: cross-entropy of all of them together.
        n_tokens: number of these tokens.
        n_bytes: bytes of their text.
    """

    nats: float = 0.0
    n_tokens: int = 0
    n_bytes: int = 0

    def __add__(self, other: HeldOutLoss) -> HeldOutLoss:
        return HeldOutLoss(self.nats + other.nats, self.n_tokens + other.n_tokens, self.n_bytes + other.n_bytes)

    @property
    def bits_per_byte(self) -> float:
        """Bits a byte of text; compares across vocabularies."""
        return bits_per_byte(self.nats, self.n_bytes)

    @property
    def nats_per_token(self) -> float:
        """Nats an ordinary token; means nothing across vocabularies."""
        return self.nats / self.n_tokens if self.n_tokens else float("nan")


def windows(stream: TokenStream, seq_len: int, n_tokens: int) -> list[tuple[int, int]]:
    """First token and number of targets of the windows that cover the first `n_tokens` of a stream, each once."""
    last = min(len(stream) - 1, n_tokens)
    return [(first, min(seq_len, last - first)) for first in range(0, last, seq_len)]


def window_batch(
    stream: TokenStream, spans: list[tuple[int, int]], n_rows: int, seq_len: int, *, masked: bool
) -> Batch:
    """Windows as a batch of exactly (n_rows, seq_len); the targets of places left over are IGNORED."""
    ids = np.zeros((n_rows, seq_len), dtype=np.int64)
    targets = np.full((n_rows, seq_len), IGNORED, dtype=np.int64)
    numbers = np.full((n_rows, seq_len), -1, dtype=np.int32)
    for k, (first, n) in enumerate(spans):
        tokens = stream.read(first, n + 1)
        ids[k, :n], targets[k, :n] = tokens[:-1], tokens[1:]
        numbers[k, :n] = stream.document_numbers(first, n)
    return Batch(ids, targets, numbers if masked else None)


def score_held_out(
    model: LanguageModel,
    stream: TokenStream,
    token_bytes: npt.NDArray[np.int32],
    workers: Workers,
    *,
    seq_len: int,
    micro_batch: int,
    n_tokens: int,
    dtype: torch.dtype,
    masked: bool = False,
) -> HeldOutLoss:
    """Score the beginning of a stream, shared by all processes.

    Args:
        model: prepared and, for several processes, sharded.
        stream: the held-out tokens.
        token_bytes: int32[n_ids], the bytes of text of each id; 0 for special tokens.
        workers: the processes; each runs as many batches as the others, as sharded models need.
        seq_len: tokens of a window.
        micro_batch: windows that one process holds at a time.
        n_tokens: tokens to score.
        dtype: of products, float32 or bfloat16.
        masked: whether attention stays inside documents.
    """
    spans = windows(stream, seq_len, n_tokens)
    per_round = micro_batch * workers.world
    scored: list[tuple[torch.Tensor, int, int]] = []
    was_training = model.training
    model.eval()
    with torch.no_grad(), autocast(workers.device, dtype):
        for first in range(0, len(spans), per_round):
            at = first + workers.rank * micro_batch
            mine = spans[at : min(at + micro_batch, first + per_round)]
            batch = window_batch(stream, mine, micro_batch, seq_len, masked=masked)
            scored.append(_scored(model, batch, token_bytes, workers.device))
    model.train(was_training)
    nats_on_device, counts = [row[0] for row in scored], [row[1:] for row in scored]
    own = sum(torch.stack(nats_on_device).tolist()) if scored else 0.0
    nats, n_scored, n_bytes = workers.total(own, *np.sum([(0, 0), *counts], axis=0).astype(float).tolist())
    return HeldOutLoss(nats, int(n_scored), int(n_bytes))


def _scored(
    model: LanguageModel, batch: Batch, token_bytes: npt.NDArray[np.int32], device: torch.device
) -> tuple[torch.Tensor, int, int]:
    """Nats, on the device, and tokens and bytes of the ordinary targets of a batch."""
    sizes = text_bytes(batch.targets, token_bytes)
    targets = np.where(sizes > 0, batch.targets, IGNORED)
    total = model(*on_device(Batch(batch.ids, targets, batch.documents), device)).total
    return total, int((sizes > 0).sum()), int(sizes.sum())
