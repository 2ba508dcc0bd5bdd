"""The tokens of each step: a pure function of seed, step and rank, so that resuming needs no state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vocab.errors import TrainingError
from vocab.model.data.shards import TokenStream

_N_ROUNDS = 4
_U64 = np.uint64


def _mixed(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Splitmix64's finaliser (Steele et al. 2014)."""
    x = (x ^ (x >> _U64(30))) * _U64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> _U64(27))) * _U64(0x94D049BB133111EB)
    return x ^ (x >> _U64(31))


def permuted(positions: npt.NDArray[np.int64], n: int, seed: int) -> npt.NDArray[np.int64]:
    """Images of `positions`, each from 0 to n - 1, under the permutation of `seed`, computed without a table.

    A Feistel network over the next even number of bits, applied until the image is below n (Black & Rogaway 2002).
    """
    half = max(1, (max(n - 1, 1).bit_length() + 1) // 2)
    mask = _U64((1 << half) - 1)
    keys = _mixed(np.arange(1, _N_ROUNDS + 1, dtype=np.uint64) * _U64(0x9E3779B97F4A7C15) + _U64(seed & (2**64 - 1)))
    images = positions.astype(np.uint64)
    outside = np.ones(images.shape, dtype=np.bool_)
    while outside.any():
        left, right = images[outside] >> _U64(half), images[outside] & mask
        for key in keys:
            left, right = right, left ^ (_mixed(right + key) & mask)
        images[outside] = (left << _U64(half)) | right
        outside = images >= _U64(n)
    return images.astype(np.int64)


@dataclass(frozen=True)
class Batch:
    """Sequences of one micro-batch.

    Attributes:
        ids: (B, T) int64, what the model reads.
        targets: (B, T) int64, the token after each.
        documents: (B, T) int32, the document of each token, when attention stays inside documents.
        parts: (B,) int64, the part of the corpus that each sequence is of; None where all are of one.
    """

    ids: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]
    documents: npt.NDArray[np.int32] | None = None
    parts: npt.NDArray[np.int64] | None = None

    def by_part(self, sizes: npt.NDArray[np.int64], n_parts: int) -> npt.NDArray[np.int64]:
        """Tokens and bytes of each part, int64[n_parts, 2], given the bytes of each target (B, T)."""
        parts = np.zeros(len(sizes), dtype=np.int64) if self.parts is None else self.parts
        sums = np.zeros((n_parts, 2), dtype=np.int64)
        np.add.at(sums, parts, np.stack([np.full(len(sizes), sizes.shape[1]), sizes.sum(axis=1)], axis=1))
        return sums


@dataclass(frozen=True)
class Sampler:
    """Sequences cut end to end from a stream, and shuffled anew each epoch.

    Attributes:
        stream: the tokens.
        seq_len: tokens of a sequence; the token after it is the last target.
        masked: whether batches number the documents, so that attention can stay inside them.

    Raises:
        TrainingError: when the stream is shorter than one sequence.
    """

    stream: TokenStream
    seq_len: int
    masked: bool = False

    def __post_init__(self) -> None:
        if self.n_sequences < 1:
            raise TrainingError(
                f"the corpus has {len(self.stream):,} tokens, fewer than one sequence of {self.seq_len:,} and the "
                "token after it: give more text or lower `seq_len`"
            )

    @property
    def n_sequences(self) -> int:
        """Sequences in an epoch."""
        return (len(self.stream) - 1) // self.seq_len

    def sequence(self, position: int, seed: int) -> int:
        """Number of the sequence at a position of training, which counts over all epochs."""
        epoch, within = divmod(position, self.n_sequences)
        return int(permuted(np.array([within]), self.n_sequences, seed + 0x632BE59B * epoch)[0])

    def batch(self, first: int, n: int, seed: int) -> Batch:
        """The sequences at positions first … first + n - 1."""
        return self.at([self.sequence(k, seed) * self.seq_len for k in range(first, first + n)])

    def at(self, firsts: list[int]) -> Batch:
        """The sequences that begin at the tokens `firsts`."""
        tokens = np.stack([self.stream.read(k, self.seq_len + 1) for k in firsts])
        numbers = None
        if self.masked:
            numbers = np.stack([self.stream.document_numbers(k, self.seq_len) for k in firsts])
        return Batch(tokens[:, :-1], tokens[:, 1:], numbers)


def rank_positions(first: int, n: int, rank: int, world: int) -> tuple[int, int]:
    """First position and number of one rank's share of `n` sequences from `first` on; `world` must divide n."""
    share = n // world
    return first + rank * share, share
