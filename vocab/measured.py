"""`MeasuredTokenizer`: all that measuring, inspecting and comparing tokenizers needs of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vocab.splitting import SplitPattern


class MeasuredTokenizer(Protocol):
    """A tokenizer that can be measured on a corpus, inspected and compared.

    `Vocabulary` is one, and gives every text back. `vocab.formats.RuntimeTokenizer` is another, and need not.
    """

    @property
    def name(self) -> str:
        """The name or path that it was loaded by."""

    @property
    def inference(self) -> str:
        """The inference method."""

    @property
    def pattern(self) -> SplitPattern | None:
        """The split pattern by which text is counted: no token crosses the edge of a pre-token.

        None where no such pattern is known: then whole documents are encoded.
        """

    @property
    def split_description(self) -> str:
        """How text is prepared and split, for people to read."""

    @property
    def split_sha256(self) -> str | None:
        """Digest of how text is prepared and split, equal for tokenizers that do the same; None when not known."""

    @property
    def special_tokens(self) -> Mapping[str, int]:
        """Id of each special token by its text."""

    @property
    def unknown(self) -> str | None:
        """The special token for text that no token spells; None without one."""

    @property
    def n_tokens(self) -> int:
        """Number of ordinary tokens."""

    @property
    def n_ids(self) -> int:
        """Number of ordinary and special tokens: the vocabulary size."""

    @property
    def max_id(self) -> int:
        """The highest id in use; n_ids - 1 when ids have no holes."""

    @property
    def token_ids(self) -> Mapping[bytes, int]:
        """Id of each ordinary token by its bytes."""

    def tokens(self) -> Iterator[bytes]:
        """Bytes of the ordinary tokens in the order of ids."""

    def count_pretokens(
        self, blob: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], n_threads: int = 1
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Count the tokens of pre-tokens, or of documents where there is no `pattern`.

        Args:
            blob: all pre-tokens end to end, uint8.
            starts: int64[n_pretokens + 1]; pre-token w is blob[starts[w] : starts[w + 1]].
            n_threads: threads to use; the result is the same for any number.

        Returns:
            (tokens, unknown), both int32[n_pretokens]: the tokens of each pre-token, and how many are `unknown`.
        """

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """Token ids of `text`; with `allow_special` the texts of special tokens become their ids."""

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, special tokens not recognised."""

    def decode(self, ids: Iterable[int]) -> str:
        """Text of `ids`."""
