"""Several parts of a corpus in a fixed ratio: which part each sequence of training is taken from.

The choice is a pure function of the position, so that resuming needs no state. It goes round evenly: after any number
of sequences each part has given its share of them, to within one sequence for each part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from vocab.errors import TrainingError
from vocab.model.data.sampling import Batch, Sampler

# Positions after which the order of parts repeats; shares are right to one in so many.
_PERIOD = 4096


def shares_of_bytes(n_bytes: Sequence[int], weights: Sequence[float | None]) -> list[float]:
    """Each part's share of the bytes to train on; they add up to 1.

    Args:
        n_bytes: bytes of text of each part.
        weights: what parts stand to one another in. None counts as 1 beside others; where all are None, parts keep the
            shares that they have.

    Raises:
        TrainingError: a weight is not above 0.
    """
    if any(weight is not None and not 0 < weight < 1e9 for weight in weights):
        raise TrainingError("the weight of a part must be above 0, like the 7 of web/:7")
    if all(weight is None for weight in weights):
        wanted = [float(n) for n in n_bytes]
    else:
        wanted = [1.0 if weight is None else weight for weight in weights]
    return [one / sum(wanted) for one in wanted]


@dataclass(frozen=True)
class MixedSampler:
    """Sequences of several samplers, each of which gives its share; a part that is used up begins anew.

    Attributes:
        samplers: of the parts.
        shares: of the bytes, one a part; they add up to 1.

    Raises:
        TrainingError: a share is too small to be met.
    """

    samplers: tuple[Sampler, ...]
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(set(self._order.tolist())) < len(self.samplers):
            raise TrainingError(f"a part has a share of less than one in {_PERIOD:,} sequences: raise its weight")

    @property
    def n_sequences(self) -> int:
        """Sequences of all parts."""
        return sum(sampler.n_sequences for sampler in self.samplers)

    @cached_property
    def _order(self) -> npt.NDArray[np.int64]:
        """The part of each position of a period: always the one that lags most behind its share."""
        # A sequence has as many tokens in any part, and so more bytes where tokens are longer.
        per_token = [sampler.stream.bytes_per_token for sampler in self.samplers]
        of_tokens = np.array(self.shares) / per_token
        of_tokens /= of_tokens.sum()
        given, order = np.zeros(len(of_tokens)), np.empty(_PERIOD, dtype=np.int64)
        for k in range(_PERIOD):
            order[k] = np.argmax(of_tokens * (k + 1) - given)
            given[order[k]] += 1
        return order

    @cached_property
    def _before(self) -> npt.NDArray[np.int64]:
        """Sequences of each part before each position of a period, int64[_PERIOD + 1, n_parts]."""
        taken = self._order[:, None] == np.arange(len(self.samplers))
        return np.concatenate([np.zeros((1, len(self.samplers)), dtype=np.int64), np.cumsum(taken, axis=0)])

    def place(self, position: int) -> tuple[int, int]:
        """The part of a position of training, and how many of its sequences come before it."""
        periods, within = divmod(position, _PERIOD)
        part = int(self._order[within])
        return part, int(periods * self._before[-1, part] + self._before[within, part])

    def sequence(self, position: int, seed: int) -> tuple[int, int]:
        """The part of a position of training, and the number of the sequence in it."""
        part, before = self.place(position)
        return part, self.samplers[part].sequence(before, seed)

    def batch(self, first: int, n: int, seed: int) -> Batch:
        """The sequences at positions first … first + n - 1, with the part of each."""
        places = [self.sequence(position, seed) for position in range(first, first + n)]
        rows = [self.samplers[part].at([k * self.samplers[part].seq_len]) for part, k in places]
        numbers = None
        if all(row.documents is not None for row in rows):
            numbers = np.concatenate([row.documents for row in rows if row.documents is not None])
        ids, targets = (np.concatenate([getattr(row, name) for row in rows]) for name in ("ids", "targets"))
        return Batch(ids, targets, numbers, np.array([part for part, _ in places]))
