"""The documents on which a tokenizer is trained: those that `vocab count` does not hold out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from vocab.corpus.counting import HELD_OUT_RULE, are_held_out
from vocab.corpus.read_options import ReadOptions
from vocab.corpus.readers import read_blocks
from vocab.corpus.sources import list_corpora
from vocab.errors import CorpusError


class TrainingText:
    """The training documents of some corpora, read once, and counts of them.

    Where all documents of a small corpus would be held out by chance, they are training documents, as in `CorpusPart`.
    """

    def __init__(self, inputs: Sequence[str], options: ReadOptions | None = None) -> None:
        self._inputs = list(inputs)
        self._options = options or ReadOptions()
        self._sources = list_corpora(inputs, dict.fromkeys(inputs, self._options))
        self.n_documents = 0
        self.n_documents_held_out = 0
        self.n_bytes = 0

    def __iter__(self) -> Iterator[str]:
        """Documents as strings; raises CorpusError naming file and line, or when there are none."""
        for name in self._inputs:
            yield from self._documents(name)
        if not self.n_bytes:
            raise CorpusError(self._options.skipped.nothing_to_count(", ".join(self._inputs), self._options.column))

    def _documents(self, name: str) -> Iterator[str]:
        held_out: list[bytes] = []
        n_before = self.n_documents
        for block in read_blocks(self._sources[name], self._options):
            batch = block.batch(self._options)
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

    def summary(self) -> dict[str, Any]:
        """The figures of the text for a report, once it is read."""
        return {
            "places": self._inputs,
            "n_documents": self.n_documents,
            "n_documents_held_out": self.n_documents_held_out,
            "n_bytes": self.n_bytes,
            "held_out_rule": HELD_OUT_RULE,
            "n_rows_without_text": self._options.skipped.n_rows_without_text,
            "n_rows_skipped": self._options.skipped.n_rows_skipped,
            "n_documents_skipped": self._options.skipped.n_documents_skipped,
            "n_documents_repaired": self._options.skipped.n_documents_repaired,
            **self._options.skipped.summary().for_report(),
        }
