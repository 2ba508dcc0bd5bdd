"""`UnitCuts`: units of text cut where no token crosses, so that long units become few distinct segments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vocab.arrays import frozen
from vocab.encoding import lattice_kernels
from vocab.encoding.lattice import TokenTrie
from vocab.splitting import SplitPattern


@dataclass(frozen=True)
class UnitCuts:
    """A split pattern whose pre-tokens are cut further, wherever no token of a trie crosses.

    Every inference method that does not look ahead encodes such segments independently, so that their tokens add up to
    those of whole units. Only the look-up of a whole pre-token, which merges begins with, sees the difference.

    Attributes:
        units: the split pattern.
        trie: the tokens.
    """

    units: SplitPattern
    trie: TokenTrie

    @property
    def sha256(self) -> str:
        """Digest of the split pattern."""
        return self.units.sha256

    def prepared_documents(
        self, text: npt.NDArray[np.uint8], doc_starts: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """Documents as `ends_of_documents` must have them, as the split pattern makes them."""
        return self.units.prepared_documents(text, doc_starts)

    def ends_of_documents(
        self, text: npt.NDArray[np.uint8], doc_starts: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Ends of the segments of documents; arguments and result are those of `SplitPattern.ends_of_documents`."""
        ends, _ = self.units.ends_of_documents(text, doc_starts)
        starts = np.concatenate([doc_starts[:1], ends])
        is_end = np.zeros(text.size, dtype=np.bool_)
        trie = self.trie
        table = (trie.table, trie.root)
        lattice_kernels.mark_cuts(frozen(text), frozen(starts), 0, ends.size, text.size + 1, False, *table, is_end)
        segment_ends = np.flatnonzero(is_end) + 1
        return segment_ends, np.searchsorted(segment_ends, doc_starts, side="right")
