"""Documents to train a tokenizer on: those that `vocab count` does not hold out, one after the other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from vocab.corpus.counting import HELD_OUT_RULE, are_held_out
from vocab.corpus.readers import ReadOptions, list_sources, read_blocks
from vocab.errors import CorpusError


class TrainingText:
    """The training documents of some corpora, read once, and what was read.

    Where a document or two of a corpus were all held out by chance, they are there to train on, as in `CorpusPart`.
    """

    def __init__(self, places: Sequence[str], options: ReadOptions | None = None) -> None:
        if len(set(places)) < len(places):
            raise CorpusError("a corpus is named twice; its documents would count twice")
        self._places = list(places)
        self._options = options or ReadOptions()
        self._sources = {place: list_sources(place) for place in places}
        self.n_documents = 0
        self.n_documents_held_out = 0
        self.n_bytes = 0

    def __iter__(self) -> Iterator[str]:
        """Documents as strings; raises CorpusError naming file and line, or when there are none."""
        for place in self._places:
            yield from self._documents(place)
        if not self.n_bytes:
            raise CorpusError(f"corpus {', '.join(self._places)} is empty: there is no text to train on")

    def _documents(self, place: str) -> Iterator[str]:
        held_out: list[bytes] = []
        n_before = self.n_documents
        for block in read_blocks(self._sources[place], self._options):
            batch = block.batch(self._options.encoding_errors)
            raw, edges = batch.text.tobytes(), itertools.pairwise(batch.starts.tolist())
            for (start, stop), is_out in zip(edges, are_held_out(batch).tolist(), strict=True):
                if not is_out:
                    yield self._counted(raw[start:stop])
                    held_out.clear()
                    continue
                self.n_documents_held_out += 1
                if self.n_documents == n_before:
                    held_out.append(raw[start:stop])
        self.n_documents_held_out -= len(held_out)
        yield from map(self._counted, held_out)

    def _counted(self, document: bytes) -> str:
        self.n_documents += 1
        self.n_bytes += len(document)
        return document.decode()

    def facts(self) -> dict[str, Any]:
        """What a report says of the text, once it is read."""
        return {
            "places": self._places,
            "n_documents": self.n_documents,
            "n_documents_held_out": self.n_documents_held_out,
            "n_bytes": self.n_bytes,
            "held_out_rule": HELD_OUT_RULE,
            "n_files_skipped": len(self._options.skipped),
        }
