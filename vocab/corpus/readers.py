"""Sources in, blocks out: documents of plain text are joined to blocks of about 1 MB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from vocab.corpus.blocks import BLOCK_BYTES, Block, Position, TextBlock
from vocab.corpus.read_options import ReadOptions
from vocab.corpus.row_units import Unit
from vocab.corpus.skipped import SkippedFile
from vocab.corpus.sources import LeftOutError, TextSource
from vocab.errors import CorpusError


def read_blocks(sources: Sequence[TextSource], options: ReadOptions, start: Position | None = None) -> Iterator[Block]:
    """Blocks of all sources in order.

    Args:
        sources: what `list_sources` returned.
        options: how they are read. Files that are left out are added to their `skipped`.
        start: the position to continue at, the beginning when None.

    Raises:
        CorpusError: a source cannot be read or changed since it was listed, and `options.on_error` is "stop".
    """
    start = start or Position()
    text = _PendingText()
    for number in range(start.source, len(sources)):
        n_done = start.n_units if number == start.source else 0
        for k, (unit, n_stored_bytes) in enumerate(_units(sources[number], number, options, n_done), n_done + 1):
            end = Position(number, k)
            if isinstance(unit, bytes):
                text.add(unit, f"{sources[number].name} document {k:,}", end, n_stored_bytes)
                if text.n_bytes < BLOCK_BYTES:
                    continue
            if text.n_bytes:
                yield text.block()
                text = _PendingText()
            if not isinstance(unit, bytes):
                yield unit(end, n_stored_bytes)
    if text.n_bytes:
        yield text.block()


def _units(source: TextSource, number: int, options: ReadOptions, n_done: int) -> Iterator[tuple[Unit, int]]:
    """Units of a source until it ends, or until an error after which it is left out."""
    try:
        yield from source.units(options, n_done)
    except LeftOutError as error:
        options.skipped.files.append(SkippedFile(Path(source.name), str(error), number))
    except CorpusError as error:
        if options.on_error == "stop" or not source.is_file:
            raise
        reason = str(error).removeprefix(f"{source.name} ").split(": mend it")[0]
        options.skipped.files.append(SkippedFile(Path(source.name), reason, number))


class _PendingText:
    """Documents of text that will be one block."""

    def __init__(self) -> None:
        self.n_bytes = 0
        self._documents: list[bytes] = []
        self._names: list[str] = []
        self._n_stored_bytes = 0
        self._end = Position()

    def add(self, document: bytes, name: str, end: Position, n_stored_bytes: int) -> None:
        self._documents.append(document)
        self._names.append(name)
        self.n_bytes += len(document)
        self._n_stored_bytes += n_stored_bytes
        self._end = end

    def block(self) -> Block:
        return TextBlock(self._end, self._n_stored_bytes, self._documents, self._names)
