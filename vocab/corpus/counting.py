"""Corpus to counts: documents are split, counted in one table a thread, and a tenth of them is held out."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from vocab.corpus.counts import PretokenCounts, from_table, merge
from vocab.corpus.documents import Document, read_documents
from vocab.errors import CorpusError
from vocab.splitting import SplitPattern
from vocab.splitting.table import PretokenTable

HELD_OUT_ONE_IN = 10
HELD_OUT_RULE = (
    f"a document is held out when blake2b-64 of its UTF-8 text is divisible by {HELD_OUT_ONE_IN}, "
    "unless that would leave nothing to choose tokens by"
)
_BATCH_BYTES = 4 << 20


@dataclass(frozen=True)
class CorpusPart:
    """Counts of one named part of a corpus: what selection may see, and what it may not.

    `weight` multiplies the training counts when parts are put together; figures on a part never use it.
    """

    name: str
    train: PretokenCounts
    held_out: PretokenCounts
    n_documents: int
    n_bytes_read: int
    n_documents_repaired: int = 0
    n_files_skipped: int = 0
    weight: int = 1


@dataclass(frozen=True)
class CorpusCounts:
    """A counted corpus in named parts.

    `prior` is how many training tokens the source's own rank order is worth beside each token counted (0: none);
    `is_builtin` says that this is the profile in the package and not a user's corpus.
    """

    parts: tuple[CorpusPart, ...]
    prior: float = 0.0
    is_builtin: bool = False
    notes: tuple[str, ...] = field(default=())

    @cached_property
    def train(self) -> PretokenCounts:
        """Training counts of all parts, weighted: what selection works on."""
        return merge([part.train for part in self.parts], [part.weight for part in self.parts])

    @cached_property
    def held_out(self) -> PretokenCounts:
        """Held-out counts of all parts, weighted in the same way."""
        return merge([part.held_out for part in self.parts], [part.weight for part in self.parts])


def count(
    places: str | Path | Iterable[str | Path],
    pattern: SplitPattern,
    *,
    column: str = "text",
    n_threads: int = 1,
    on_bytes: Callable[[int], None] | None = None,
) -> CorpusCounts:
    """Count the pre-tokens of one or more corpora, each a part named after its place.

    `places` are what `read_documents` takes. `on_bytes` hears of every batch of bytes read. Memory: the distinct
    pre-tokens of a corpus (about 50 bytes each) a thread, and a few batches of 4 MB. Raises CorpusError when a
    corpus cannot be read or is empty.
    """
    names = [str(places)] if isinstance(places, (str, Path)) else [str(place) for place in places]
    if len(set(names)) < len(names):
        raise CorpusError("a corpus is named twice; its documents would count twice")
    return CorpusCounts(tuple(_count_place(name, pattern, column, n_threads, on_bytes) for name in names))


def _count_place(
    place: str,
    pattern: SplitPattern,
    column: str,
    n_threads: int,
    on_bytes: Callable[[int], None] | None,
) -> CorpusPart:
    skipped: list[Path] = []
    part = count_documents(read_documents(place, column, skipped), place, pattern, n_threads, on_bytes)
    return replace(part, n_files_skipped=len(skipped))


def count_documents(
    documents: Iterable[Document],
    name: str,
    pattern: SplitPattern,
    n_threads: int = 1,
    on_bytes: Callable[[int], None] | None = None,
) -> CorpusPart:
    """Count documents; the result does not depend on the number of threads."""
    counters = [_Counter(pattern) for _ in range(n_threads)]
    with ThreadPoolExecutor(n_threads) as pool:
        under_way: deque[Future[None]] = deque()
        for number, batch in enumerate(_batches(documents)):
            if len(under_way) >= n_threads:  # one batch a counter, or two threads would share a table
                under_way.popleft().result()
            under_way.append(pool.submit(counters[number % n_threads].add, batch))
            if on_bytes:
                on_bytes(sum(document.n_bytes for document in batch))
        for future in under_way:
            future.result()
    if not any(counter.n_bytes_read for counter in counters):
        raise CorpusError(f"corpus {name} is empty: there is no text to count")
    train = _together([c.train for c in counters], pattern)
    held_out = _together([c.held_out for c in counters], pattern)
    if train.n_pretokens == 0:  # a document or two, all of them held out by chance
        train, held_out = held_out, train
    return CorpusPart(
        name=name,
        train=train,
        held_out=held_out,
        n_documents=sum(c.n_documents for c in counters),
        n_bytes_read=sum(c.n_bytes_read for c in counters),
        n_documents_repaired=sum(c.n_documents_repaired for c in counters),
    )


def _together(tables: list[PretokenTable], pattern: SplitPattern) -> PretokenCounts:
    """The sum of the threads' tables, gathered in the first of them and sorted once."""
    whole, *others = tables
    for table in others:
        whole.add(table.blob, table.starts[1:], table.counts)
    return from_table(whole, pattern.sha256)


def is_held_out(text: bytes) -> bool:
    """Whether a document is held out: by its text alone, so that copies of it always fall on the same side."""
    digest = hashlib.blake2b(text, digest_size=8).digest()
    return int.from_bytes(digest, "big") % HELD_OUT_ONE_IN == 0


class _Counter:
    """The tables of one thread."""

    def __init__(self, pattern: SplitPattern) -> None:
        self.pattern = pattern
        self.train = PretokenTable()
        self.held_out = PretokenTable()
        self.n_documents = 0
        self.n_bytes_read = 0
        self.n_documents_repaired = 0

    def add(self, documents: list[Document]) -> None:
        for document in documents:
            text = document.text.encode()
            table = self.held_out if is_held_out(text) else self.train
            table.add(np.frombuffer(text, dtype=np.uint8), self.pattern.ends(text))
            self.n_documents += 1
            self.n_bytes_read += document.n_bytes
            self.n_documents_repaired += document.was_repaired


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    n_bytes = 0
    for document in documents:
        batch.append(document)
        n_bytes += document.n_bytes
        if n_bytes >= _BATCH_BYTES:
            yield batch
            batch, n_bytes = [], 0
    if batch:
        yield batch
