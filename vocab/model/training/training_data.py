"""What a training run reads: the parts of its corpus, as shards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vocab.model.data.mixing import MixedSampler, shares_of_bytes
from vocab.model.data.sampling import Sampler
from vocab.model.data.shards import (
    ShardMetadata,
    TokenStream,
    check_vocabulary,
    open_stream,
    read_metadata,
    token_bytes,
)
from vocab.vocabulary import Vocabulary


@dataclass(frozen=True)
class DataPart:
    """One part of a corpus.

    Attributes:
        name: of the part.
        share: of the bytes to train on and of those to score, 0 to 1.
        train: tokens to train on.
        held_out: tokens of the documents that are only scored.
    """

    name: str
    share: float
    train: TokenStream
    held_out: TokenStream


@dataclass(frozen=True)
class TrainingData:
    """What a run reads.

    Attributes:
        parts: of the corpus; their shares add up to 1.
        token_bytes: int32[n_ids], the bytes of text of each id; 0 for special tokens.
        fingerprint: of the vocabulary, the text and its order; a run resumes only with the same.
    """

    parts: tuple[DataPart, ...]
    token_bytes: npt.NDArray[np.int32]
    fingerprint: str

    @property
    def has_held_out(self) -> bool:
        """Whether there is a token to predict in any document that is held out."""
        return any(len(part.held_out) > 1 for part in self.parts)

    def sampler(self, seq_len: int, *, masked: bool) -> Sampler | MixedSampler:
        """Draws batches from all parts; raises TrainingError for one that is shorter than a sequence."""
        samplers = tuple(Sampler(part.train, seq_len, masked) for part in self.parts)
        return MixedSampler(samplers, tuple(part.share for part in self.parts)) if len(samplers) > 1 else samplers[0]


def open_data(
    shards: Mapping[Path, float | None], vocabulary: Vocabulary, begins_with: str = "", *, verify: bool = True
) -> TrainingData:
    """Open the shards of each part of a corpus.

    Args:
        shards: folders that `make_shards` wrote, with the weights of their bytes, as `shares_of_bytes` takes them.
        vocabulary: the one that they were made with.
        begins_with: digest of the model that training begins with, if any.
        verify: whether to read every byte once and compare digests.

    Raises:
        TrainingError: shards are of another vocabulary, missing or damaged.
    """
    stored = {folder: read_metadata(folder) for folder in shards}
    for metadata in stored.values():
        check_vocabulary(metadata, vocabulary)
    shares = shares_of_bytes([one.n_bytes("train") for one in stored.values()], list(shards.values()))
    parts = tuple(
        DataPart(
            ", ".join(metadata.corpus),
            share,
            open_stream(folder, metadata, "train", verify=verify),
            open_stream(folder, metadata, "held_out", verify=verify),
        )
        for (folder, metadata), share in zip(stored.items(), shares, strict=True)
    )
    return TrainingData(parts, token_bytes(vocabulary), _fingerprint(list(stored.values()), shares, begins_with))


def _fingerprint(stored: list[ShardMetadata], shares: list[float], begins_with: str) -> str:
    """Of the text, of its order and of what training begins with: the digests of all files, and the shares."""
    listed = [stored[0].fingerprint[:16]]
    for metadata in stored:
        listed += [file.sha256[:16] for file in (*metadata.train, *metadata.held_out)]
    listed += [f"{share:.9g}" for share in shares] if len(shares) > 1 else []
    return "-".join([*listed, *([begins_with[:16]] if begins_with else [])])
