"""Steps of the optimiser: gradients accumulated over micro-batches, clipped, and summed over all processes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vocab.errors import TrainingError
from vocab.model.data.device_batches import on_device, tensor_on
from vocab.model.data.mixing import MixedSampler
from vocab.model.data.prefetching import BatchRequest, Prefetcher
from vocab.model.data.sampling import Batch, Sampler, rank_positions
from vocab.model.hardware.parallel import Workers, synchronise_gradients, whole
from vocab.model.hardware.precision import autocast, product_dtype
from vocab.model.network.head import Nats
from vocab.model.network.language_model import LanguageModel
from vocab.model.training.held_out_loss import text_bytes
from vocab.model.training.optimiser import Optimisers
from vocab.model.training.settings import TrainSettings

# Nats of a distilled batch from (model, ids, targets, documents), as `vocab.model.training.distillation` computes them.
Distill = Callable[[LanguageModel, Tensor, Tensor, Tensor | None], Nats]


class StepResult(NamedTuple):
    """What a step of the optimiser shows, over all processes.

    Attributes:
        loss: nats a token.
        nats: of ordinary tokens (not special ones); NaN when the head gives only the sum over all tokens.
        by_part: tokens and bytes of text of each part of the corpus, int64[n_parts, 2].
        gradient_norm: before clipping.
        stop: whether a process asked to stop.
    """

    loss: float
    nats: float
    by_part: npt.NDArray[np.int64]
    gradient_norm: float
    stop: bool

    @property
    def n_bytes(self) -> int:
        """Bytes of text."""
        return int(self.by_part[:, 1].sum())


class _Sums(NamedTuple):
    """Sums of one micro-batch. Those of nats stay on the device, so that the next micro-batch need not wait."""

    total: Tensor  # nats of all targets
    nats: Tensor  # of ordinary targets, NaN when unknown
    by_part: npt.NDArray[np.int64]  # tokens and bytes of text


def _added_up(sums: list[_Sums]) -> list[float]:
    """Sums over micro-batches, in their order; this waits for the device."""
    totals, nats, by_part = zip(*sums, strict=True)
    in_parts: list[float] = np.sum(by_part, axis=0).ravel().astype(float).tolist()
    return [sum(torch.stack(totals).tolist()), sum(torch.stack(nats).tolist()), *in_parts]


@dataclass(frozen=True)
class OptimiserSteps:
    """Takes the steps of a run.

    Attributes:
        model: to train.
        optimisers: of its weights.
        sampler: draws the batches.
        token_bytes: int32[n_ids], the bytes of text of each id; 0 for special tokens.
        settings: of the run.
        workers: the processes of the run.
        distill: computes the nats of every `settings.distill_every`-th step.
    """

    model: LanguageModel
    optimisers: Optimisers
    sampler: Sampler | MixedSampler
    token_bytes: npt.NDArray[np.int32]
    settings: TrainSettings
    workers: Workers
    distill: Distill | None

    def take(self, step: int, seed: int, is_stopping: Callable[[], bool]) -> StepResult:
        """Take one step.

        Args:
            step: its number, from 0.
            seed: of the order of samples.
            is_stopping: is called after the step; whether this process asks all to stop.
        """
        plan, settings = self.settings.plan, self.settings
        n_global = int(plan.firsts[step + 1] - plan.firsts[step])
        sums = self._accumulate(step, seed, n_global * settings.seq_len)
        norm = whole(torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip))
        self.optimisers.set_learning_rate(settings.learning_rate_at(step))
        self.optimisers.step()
        self.optimisers.zero_grad()
        total, nats, *in_parts, n_stopped = self.workers.total(*_added_up(sums), float(is_stopping()))
        by_part = np.array(in_parts).astype(np.int64).reshape(-1, 2)
        return StepResult(total / (n_global * settings.seq_len), nats, by_part, float(norm), n_stopped > 0)

    @cached_property
    def _prefetcher(self) -> Prefetcher:
        return Prefetcher(self.sampler)

    @property
    def _n_parts(self) -> int:
        return len(self.sampler.samplers) if isinstance(self.sampler, MixedSampler) else 1

    def _requests(self, step: int, seed: int) -> list[BatchRequest]:
        """The micro-batches of this process in a step, none after the last step."""
        plan, size = self.settings.plan, self.settings.micro_batch
        if step >= plan.n_steps:
            return []
        before, end = plan.firsts[step : step + 2].tolist()
        first, n = rank_positions(before, end - before, self.workers.rank, self.workers.world)
        return [BatchRequest(at, min(size, first + n - at), seed) for at in range(first, first + n, size)]

    def _accumulate(self, step: int, seed: int, n_targets: int) -> list[_Sums]:
        """Gradients of the sequences of this process; `n_targets` is of all processes."""
        scale = self.workers.world / n_targets  # sharded gradients are averaged over processes
        requests = self._requests(step, seed)
        following = [*requests[1:], *self._requests(step + 1, seed)[:1], None]
        sums = []
        for k, request in enumerate(requests):
            batch = self._prefetcher.batch(request, following[k])
            synchronise_gradients(self.model, k + 1 == len(requests))
            sums.append(self._backward(step, batch, scale))
        return sums

    def _backward(self, step: int, batch: Batch, scale: float) -> _Sums:
        """Add the gradients of a micro-batch."""
        n_ids = self.model.decoder.config.n_ids
        if int(batch.ids.max()) >= n_ids or int(batch.targets.max()) >= n_ids:
            raise TrainingError(f"the shards hold an id beyond the {n_ids:,} rows of the embedding")
        device = self.workers.device
        with autocast(device, product_dtype(self.settings.precision)):
            nats = self._nats(step, *on_device(batch, device))
        torch.autograd.backward(nats.total * scale)
        sizes = text_bytes(batch.targets, self.token_bytes)
        total = nats.total.detach()
        by_part = batch.by_part(sizes, self._n_parts)
        if nats.each is None:
            return _Sums(total, torch.full_like(total, math.nan), by_part)
        return _Sums(total, (nats.each * tensor_on(sizes.ravel() > 0, device)).sum(), by_part)

    def _nats(self, step: int, ids: Tensor, targets: Tensor, documents: Tensor | None) -> Nats:
        """Loss of a micro-batch, distilled at every `distill_every`-th step."""
        every = self.settings.distill_every
        if self.distill is not None and every > 0 and step % every == every - 1:
            return self.distill(self.model, ids, targets, documents)
        nats: Nats = self.model(ids, targets, documents)
        return nats
