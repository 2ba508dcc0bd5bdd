"""`DocumentCorpus`: whole documents, for tokenizers of which no split pattern is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from vocab.corpus.batch import Batch
from vocab.corpus.blocks import Block
from vocab.corpus.counting import as_blocks, distinct_names
from vocab.corpus.read_options import ReadOptions
from vocab.corpus.readers import read_blocks
from vocab.corpus.skipped import Skipped
from vocab.corpus.sources import list_sources

# Called after each block with the bytes of files on disk, and those of text, that were read since the last call.
OnBlock = Callable[[int, int], None]


@dataclass(frozen=True)
class DocumentPart:
    """Documents of one named part of a corpus.

    Attributes:
        name: of the part.
        blocks: reads its blocks, from the beginning each time, by the options that it is given.
        options: how they are read. What the latest reading left out stands in their `skipped`.
        share: its share of the bytes; None to add the part up with the others as it is.
    """

    name: str
    blocks: Callable[[ReadOptions], Iterable[Block]]
    options: ReadOptions
    share: float | None = None

    def batches(self, on_block: OnBlock | None = None) -> Iterator[Batch]:
        """The documents, about 1 MB at a time; raises CorpusError as `vocab.count` does."""
        self.options.skipped.clear()
        for block in self.blocks(self.options):
            batch = block.batch(self.options)
            yield batch
            if on_block:
                on_block(block.n_stored_bytes, batch.n_bytes_read)


class DocumentCorpus:
    """Documents of files, read anew each time they are asked for, so that memory is bounded."""

    parts: tuple[DocumentPart, ...]

    def __init__(
        self,
        inputs: str | Path | Iterable[str | Path],
        *,
        options: ReadOptions | None = None,
        shares: Sequence[float | None] | None = None,
    ) -> None:
        """Name the documents; nothing is read yet.

        Args:
            inputs: what `vocab.count` takes; each is a part.
            options: how they are read.
            shares: each part's share of the bytes, like the weights of `vocab eval --corpus`; None to add parts up.

        Raises:
            CorpusError: a corpus is named twice.
        """
        names, how = distinct_names(inputs), options or ReadOptions()
        given = [None] * len(names) if shares is None else shares
        self.parts = tuple(
            DocumentPart(name, partial(_blocks, name), replace(how, skipped=Skipped()), share)
            for name, share in zip(names, given, strict=True)
        )

    @classmethod
    def of_texts(cls, texts: Iterable[str], name: str = "texts") -> DocumentCorpus:
        """Documents given as strings, which are held in memory."""
        documents, corpus = list(texts), cls([])
        corpus.parts = (DocumentPart(name, lambda _: as_blocks(documents, name), ReadOptions()),)
        return corpus


def _blocks(name: str, options: ReadOptions) -> Iterator[Block]:
    return read_blocks(list_sources(name, options), options)
