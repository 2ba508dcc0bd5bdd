"""How many rows each tensor gets, and where they come from.

Embedding and head may differ in length: in Llama 3.2 Vision the image token is the id vocab_size, and the embedding has
eight rows more than the head. Gemma 3n's embeddings of layers end before the ids of images and sound.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from vocab.formats.id_map import IdMap
from vocab.interop.transplants.tensor_rows import RowPlan
from vocab.interop.transplants.vocab_sizes import own_rows
from vocab.interop.transplants.vocabulary_tensors import VocabularyTensor, VocabularyTensors
from vocab.sizes import padded


class RowPlans:
    """A plan for the rows of each tensor that follows.

    Attributes:
        new_size: the new vocab_size: rows of the head.
        n_extra: rows that the embedding has beyond the head, before and after.
    """

    def __init__(self, ids: IdMap, found: VocabularyTensors, config: Mapping[str, Any], multiple_of: int) -> None:
        self.ids, self.config = ids, config
        self.n_extra = found.n_rows - found.size if found.has_shorter_head(config) else 0
        self._longest = found.n_rows
        self.new_size = padded(ids.n_new - self._at_the_end(found.size), multiple_of)
        self._plan = cache(self._made)

    def _at_the_end(self, size: int) -> int:
        """How many new ids at the end are those of old ones beyond the head; 0 where others lie between."""
        beyond = {new for old, new in self.ids.kept.items() if old >= size}
        is_end = beyond == set(range(self.ids.n_new - len(beyond), self.ids.n_new))
        return len(beyond) if is_end and len(beyond) <= self.n_extra else 0

    def plan(self, one: VocabularyTensor) -> RowPlan:
        """The origin of each new row of a tensor."""
        is_longer = self.n_extra and one.n_rows == self._longest
        n_new = max(self.new_size + self.n_extra, self.ids.n_new) if is_longer else self.new_size
        # What the network reads for an id beyond these rows: see Gemma3nTextModel in transformers.
        beyond = (0,) if own_rows(one.tensor.name, self.config) == one.n_rows else ()
        return self._plan(one.n_rows, n_new, beyond)

    def _made(self, n_old: int, n_new: int, beyond: tuple[int, ...]) -> RowPlan:
        sources = [*self.ids.rows(), *[()] * max(0, n_new - self.ids.n_new)][:n_new]
        if n_old >= self.ids.n_old:
            return RowPlan(sources)
        inside = (tuple(old for old in rows if old < n_old) for rows in sources)
        return RowPlan([some or (beyond if rows else ()) for some, rows in zip(inside, sources, strict=True)])
