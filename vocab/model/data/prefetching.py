"""Micro-batches read ahead on a thread, while the device computes."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from vocab.model.data.mixing import MixedSampler
from vocab.model.data.sampling import Batch, Sampler


class BatchRequest(NamedTuple):
    """The sequences of one micro-batch: positions first … first + n - 1 in the order of a seed."""

    first: int
    n: int
    seed: int


class Prefetcher:
    """Gives the batches of a sampler, and reads the one that is said to follow before it is asked for.

    Args:
        sampler: reads the batches. What it gives does not depend on this class.
    """

    def __init__(self, sampler: Sampler | MixedSampler) -> None:
        self._sampler = sampler
        self._pool = ThreadPoolExecutor(1, "prefetch")
        self._following: BatchRequest | None = None
        self._read: Future[Batch] | None = None

    def batch(self, request: BatchRequest, following: BatchRequest | None) -> Batch:
        """The batch that is asked for.

        Args:
            request: what to read, unless it is read already.
            following: what will probably be asked for next, None for nothing.
        """
        read_ahead, is_it = self._read, self._following == request
        batch = read_ahead.result() if read_ahead is not None and is_it else self._sampler.batch(*request)
        self._following = following
        self._read = None if following is None else self._pool.submit(self._sampler.batch, *following)
        return batch
