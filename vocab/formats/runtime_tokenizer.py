"""`RuntimeTokenizer`: a tokenizer run by its own runtime, to be measured, inspected and compared, and for nothing else.

What can be pruned is a `Vocabulary`, which we encode ourselves. Everything else is encoded by the program that it
belongs to, text by text, so that its counts are that program's.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vocab.errors import SourceError
from vocab.splitting import SplitPattern
from vocab.utf8 import utf8
from vocab.vocabulary import Provenance


class Runtime(Protocol):
    """The program that encodes. Texts are free of lone surrogates."""

    @property
    def name(self) -> str:
        """What people know it by."""

    def count_all(self, texts: Iterable[str], unknown: int | None) -> Iterator[tuple[int, int]]:
        """(tokens, unknown ones) of each text; special tokens are not recognised and none are added."""

    def encode_all(self, texts: Iterable[str]) -> Iterator[list[int]]:
        """Ids of each text; special tokens are not recognised and none are added."""

    def encode_with_special(self, text: str) -> list[int]:
        """Ids of a text; special tokens are recognised where the program can do that, and none are added."""

    def decode(self, ids: list[int]) -> str:
        """A text of ids."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class RuntimeTokenizer:
    """A tokenizer run by its own runtime.

    It can be measured, inspected and compared (`vocab.measured.MeasuredTokenizer`). It is not a `Vocabulary`: its ids
    need not give the text back, and it cannot be pruned.

    Attributes:
        inference: the inference method, or the kind of model.
        pattern: a split pattern that cuts text only where the runtime does in any case; None where none is known, and
            whole documents go to the runtime.
        split_description: how text is prepared and split, for people to read.
        split_sha256: digest of how text is prepared and split; None where it is not known.
        special_tokens: id of each special token by its text; `unknown` is one of them.
        unknown: the token for text that no token spells; None without one.
        pieces: bytes of the ordinary tokens by id, rising; None where the runtime does not give them.
        size: number of ids where `pieces` is None; None when it is not known either.
        runtime: the program that encodes.
        obstacle: why it cannot be pruned, as a sentence without its full stop.
        notes: what else its figures must be read with, as sentences.
        provenance: where it came from.
    """

    inference: str
    pattern: SplitPattern | None = None
    split_description: str
    split_sha256: str | None
    special_tokens: Mapping[str, int]
    unknown: str | None
    pieces: Mapping[int, bytes] | None
    size: int | None = None
    runtime: Runtime
    obstacle: str
    notes: tuple[str, ...] = ()
    provenance: Provenance

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RuntimeTokenizer):
            return NotImplemented
        ours, theirs = self.provenance.sha256, other.provenance.sha256
        return self is other or (ours is not None and ours == theirs)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<RuntimeTokenizer {self.name}: {self.inference}, run by {self.runtime.name}>"

    @property
    def name(self) -> str:
        """The name or path that it was loaded by."""
        return self.provenance.name

    @property
    def n_tokens(self) -> int:
        """Number of ordinary tokens; raises SourceError when it is not known."""
        return self.n_ids - len(self.special_tokens) if self.pieces is None else len(self.pieces)

    @property
    def n_ids(self) -> int:
        """Number of ordinary and special tokens; raises SourceError when it is not known."""
        if self.pieces is not None:
            return len(self.pieces) + len(self.special_tokens)
        if self.size is None:
            raise SourceError(f"{self.name} does not tell the size of its vocabulary: give `n_ids`")
        return self.size

    @property
    def max_id(self) -> int:
        """The highest id in use; raises SourceError when it is not known."""
        if self.pieces is None:
            return self.n_ids - 1
        return max([*self.pieces, *self.special_tokens.values()], default=-1)

    @cached_property
    def token_ids(self) -> dict[bytes, int]:
        """Id of each ordinary token by its bytes; of two with the same bytes the higher."""
        return {token: k for k, token in self._known_pieces().items()}

    def __getitem__(self, token_id: int) -> bytes:
        """Bytes of an ordinary token; raises IndexError for an id that is none."""
        try:
            return self._known_pieces()[token_id]
        except KeyError:
            raise IndexError(f"no token has id {token_id}") from None

    def tokens(self) -> Iterator[bytes]:
        """Bytes of the ordinary tokens in the order of ids; raises SourceError where they are not known."""
        return iter(self._known_pieces().values())

    def _known_pieces(self) -> Mapping[int, bytes]:
        if self.pieces is None:
            raise SourceError(
                f"{self.name} does not give the bytes of its tokens, which inspecting and comparing need: give `tokens`"
            )
        return self.pieces

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """Token ids of `text` as the runtime gives them, without those that it puts around a text."""
        valid = utf8(text).decode()
        return self.runtime.encode_with_special(valid) if allow_special else next(self.runtime.encode_all([valid]))

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, special tokens not recognised."""
        return list(self.runtime.encode_all(utf8(text).decode() for text in texts))

    def count_tokens(self, text: str) -> int:
        """Number of tokens of `text`, special tokens not recognised."""
        return len(self.encode(text))

    def count_pretokens(
        self, blob: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], n_threads: int = 1
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """As in `MeasuredTokenizer`, each pre-token or document a text of its own; the runtime chooses its threads."""
        raw = blob.tobytes()
        texts = (raw[a:b].decode() for a, b in itertools.pairwise(starts.tolist()))
        unknown = None if self.unknown is None else self.special_tokens[self.unknown]
        counted = np.array(list(self.runtime.count_all(texts, unknown)), dtype=np.int32).reshape(-1, 2)
        return counted[:, 0], counted[:, 1]

    def decode(self, ids: Iterable[int]) -> str:
        """A text of `ids` as the runtime writes it, which need not be the one that was encoded."""
        return self.runtime.decode(list(ids))


def counted(encoded: Iterable[Sequence[int]], unknown: int | None) -> Iterator[tuple[int, int]]:
    """(tokens, unknown ones) of encoded texts."""
    return ((len(ids), 0 if unknown is None else list(ids).count(unknown)) for ids in encoded)


def batches(texts: Iterable[str], most_texts: int, most_characters: int) -> Iterator[list[str]]:
    """Lists of texts in their order, of at most `most_texts`; the text that reaches `most_characters` ends one."""
    batch: list[str] = []
    n_characters = 0
    for text in texts:
        batch.append(text)
        n_characters += len(text)
        if len(batch) == most_texts or n_characters >= most_characters:
            yield batch
            batch, n_characters = [], 0
    if batch:
        yield batch
