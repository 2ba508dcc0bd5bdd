"""Corpus to counts: every thread splits and counts blocks, and a tenth of the documents is held out."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vocab.arrays import frozen
from vocab.corpus.batch import Batch
from vocab.corpus.blocks import BLOCK_BYTES, Block, Position, TextBlock
from vocab.corpus.read_options import ReadOptions
from vocab.corpus.readers import read_blocks
from vocab.corpus.skipped import Skipped, SkippedSummary
from vocab.corpus.sources import check_distinct, list_corpora
from vocab.corpus.tally import Tally
from vocab.errors import CorpusError
from vocab.pretokens.counts import PretokenCounts, from_tables
from vocab.pretokens.merged_counts import MergedCounts
from vocab.pretokens.table import PretokenTable
from vocab.splitting import SplitPattern
from vocab.splitting.splits import Splits

HELD_OUT_ONE_IN = 10
HELD_OUT_RULE = f"a document is held out when XXH64 (seed 0) of its UTF-8 text is divisible by {HELD_OUT_ONE_IN}"


@dataclass(frozen=True)
class CorpusPart:
    """Counts of one named part of a corpus.

    Attributes:
        name: of the part.
        train: counts of training documents, which selection sees.
        held_out: counts of held-out documents, which selection never sees.
        tally: sums over its documents.
        skipped: the files and rows that were left out.
        weight: multiplies the counts when parts are put together. Figures of a part never use it.
        held_out_rule: which documents are held out.
    """

    name: str
    train: PretokenCounts
    held_out: PretokenCounts
    tally: Tally = field(default=Tally())
    skipped: SkippedSummary = field(default=SkippedSummary())
    weight: int = 1
    held_out_rule: str = HELD_OUT_RULE

    @classmethod
    def of(
        cls,
        name: str,
        train: PretokenCounts,
        held_out: PretokenCounts,
        tally: Tally,
        options: ReadOptions | None = None,
    ) -> CorpusPart:
        """A part of weight 1. Where chance held out every document, they are trained on and none is held out.

        Raises CorpusError for an empty corpus. `options` are those that it was read with.
        """
        if train.n_pretokens == 0:
            train, held_out = held_out, train
        options = options or ReadOptions()
        if train.n_pretokens == 0:
            raise CorpusError(options.skipped.nothing_to_count(name, options.column))
        return cls(name, train, held_out, tally, options.skipped.summary())


@dataclass(frozen=True)
class CorpusCounts:
    """A counted corpus in named parts.

    Attributes:
        parts: the parts.
        prior: how many training tokens the source's own rank order is worth for each token counted, 0 for none.
        is_builtin: whether it is the profile in the package and not a user's corpus.
        notes: sentences for reports.
    """

    parts: tuple[CorpusPart, ...]
    prior: float = 0.0
    is_builtin: bool = False
    notes: tuple[str, ...] = field(default=())

    def without_added(self) -> CorpusCounts:
        """The same without the rows of added tokens, which each count table sums up; itself where there are none."""
        return self.with_tables(PretokenCounts.without_added)

    def with_tables(self, changed: Callable[[PretokenCounts], PretokenCounts]) -> CorpusCounts:
        """The same with other count tables; itself where none is another."""
        tables = [(changed(part.train), changed(part.held_out)) for part in self.parts]
        pairs = list(zip(self.parts, tables, strict=True))
        if all(train is part.train and held is part.held_out for part, (train, held) in pairs):
            return self
        return replace(self, parts=tuple(replace(part, train=a, held_out=b) for part, (a, b) in pairs))

    def merge(self, n_threads: int) -> None:
        """Make `merged` on several threads; without this the first use makes it on one."""
        if "merged" not in self.__dict__:
            self.__dict__["merged"] = MergedCounts.of(self._sides, n_threads)

    @cached_property
    def merged(self) -> MergedCounts:
        """Training counts of all parts and then their held-out counts, as one list of distinct pre-tokens."""
        return MergedCounts.of(self._sides)

    @property
    def _sides(self) -> list[PretokenCounts]:
        return [*(part.train for part in self.parts), *(part.held_out for part in self.parts)]

    @property
    def _weights(self) -> list[int]:
        return [part.weight for part in self.parts]

    @cached_property
    def train(self) -> PretokenCounts:
        """Weighted training counts of all parts, which selection works on."""
        if self._weights == [1]:
            return self.parts[0].train
        return self.merged.total(range(len(self.parts)), self._weights)

    @cached_property
    def held_out(self) -> PretokenCounts:
        """Held-out counts of all parts, with the same weights."""
        if self._weights == [1]:
            return self.parts[0].held_out
        return self.merged.total(range(len(self.parts), 2 * len(self.parts)), self._weights)


@dataclass(frozen=True)
class CountProgress:
    """Progress of counting.

    Attributes:
        n_stored_bytes: bytes of files on disk that were read.
        n_bytes_read: bytes of text.
        n_pretokens: distinct pre-tokens in memory, summed over threads.
    """

    n_stored_bytes: int
    n_bytes_read: int
    n_pretokens: int


OnCountProgress = Callable[[CountProgress], None]


def count(
    inputs: str | Path | Iterable[str | Path],
    pattern: SplitPattern,
    *,
    options: ReadOptions | None = None,
    n_threads: int = 1,
    on_progress: OnCountProgress | None = None,
) -> CorpusCounts:
    """Count the pre-tokens of one or more corpora, each a part of that name.

    Memory: for each thread the distinct pre-tokens of a corpus (about 60 bytes each), and a few blocks of 1 MB.

    Args:
        inputs: a file, folder, glob pattern, "-" (standard input) or "hf://dataset[:split]", or several of these.
        pattern: the split pattern.
        options: how they are read. What is left out is added to their `skipped`.
        n_threads: threads to count with. The counts do not depend on it.
        on_progress: called with a `CountProgress` after each block.

    Returns:
        The counts, one part for each input.

    Raises:
        CorpusError: a corpus cannot be read, is empty, or is named twice, or none is named.
    """
    names, options = distinct_names(inputs), options or ReadOptions()
    own = {name: replace(options, skipped=Skipped()) for name in names}
    sources = list_corpora(names, own)
    parts = []
    for name, listed in sources.items():
        blocks = read_blocks(listed, own[name])
        parts.append(count_blocks(blocks, name, pattern, own[name], n_threads, on_progress))
        options.skipped.extend(own[name].skipped)
    return CorpusCounts(tuple(parts))


def distinct_names(inputs: str | Path | Iterable[str | Path]) -> list[str]:
    """Names of corpora; raises CorpusError when one is named twice."""
    names = [str(inputs)] if isinstance(inputs, (str, Path)) else [str(name) for name in inputs]
    check_distinct(names)
    return names


def count_documents(
    documents: Iterable[str],
    name: str,
    pattern: SplitPattern,
    n_threads: int = 1,
    on_progress: OnCountProgress | None = None,
) -> CorpusPart:
    """Count documents given as strings. The counts do not depend on `n_threads`."""
    return count_blocks(as_blocks(documents, name), name, pattern, ReadOptions(), n_threads, on_progress)


def as_blocks(documents: Iterable[str], name: str) -> Iterable[Block]:
    """Blocks of documents given as strings."""
    pending: list[str] = []
    n_characters = 0
    for document in documents:
        pending.append(document)
        n_characters += len(document)
        if n_characters >= BLOCK_BYTES:
            yield _string_block(pending, name)
            pending, n_characters = [], 0
    yield _string_block(pending, name)


def _string_block(documents: list[str], name: str) -> Block:
    """A block of strings; its bytes are valid UTF-8 unless a string holds a lone surrogate."""
    try:
        encoded, is_utf8 = [document.encode() for document in documents], True
    except UnicodeEncodeError:
        encoded, is_utf8 = [document.encode(errors="surrogatepass") for document in documents], False
    return TextBlock(Position(), sum(map(len, encoded)), encoded, [name] * len(encoded), is_utf8)


def count_blocks(
    blocks: Iterable[Block],
    name: str,
    pattern: Splits,
    options: ReadOptions,
    n_threads: int,
    on_progress: OnCountProgress | None = None,
) -> CorpusPart:
    """Count blocks as one part of that name; the counts do not depend on `n_threads`."""
    with ThreadedCounter(pattern, options, n_threads) as counter:
        for block in blocks:
            counter.count(block)
            if on_progress:
                on_progress(counter.progress)
        counter.wait()
        if on_progress:
            on_progress(counter.progress)
        train, held_out = (from_tables(tables, pattern.sha256) for tables in counter.tables())
        return CorpusPart.of(name, train, held_out, counter.tally, options)


class ThreadedCounter(AbstractContextManager["ThreadedCounter"]):
    """Counts blocks on several threads, each into tables of its own.

    With one thread the caller does the work. The sum of the tables does not depend on which thread got a block.
    """

    def __init__(self, pattern: Splits, options: ReadOptions, n_threads: int) -> None:
        self._pattern = pattern
        self._options = options
        self._local = threading.local()
        self._tables: list[_ThreadTables] = []
        self._under_way: deque[Future[None]] = deque()
        self._most_under_way = n_threads + 2
        self._pool = ThreadPoolExecutor(n_threads) if n_threads > 1 else None
        self._n_stored_bytes = 0

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def count(self, block: Block) -> None:
        """Count a block, now or soon; raises the error of an earlier block."""
        self._n_stored_bytes += block.n_stored_bytes
        if self._pool is None:
            self._work(block)
            return
        if len(self._under_way) >= self._most_under_way:
            self._under_way.popleft().result()
        self._under_way.append(self._pool.submit(self._work, block))

    def wait(self) -> None:
        """Wait until every block is counted; raises the error of one."""
        while self._under_way:
            self._under_way.popleft().result()

    def _work(self, block: Block) -> None:
        if not hasattr(self._local, "tables"):
            self._local.tables = _ThreadTables(self._pattern)
            self._tables.append(self._local.tables)
        self._local.tables.add(block.batch(self._options))

    @property
    def tally(self) -> Tally:
        """Sums over all blocks since the beginning."""
        return sum((tables.tally for tables in self._tables), Tally())

    @property
    def progress(self) -> CountProgress:
        """Progress since the beginning."""
        n_pretokens = sum(tables.train.n_entries + tables.held_out.n_entries for tables in self._tables)
        return CountProgress(self._n_stored_bytes, self.tally.n_bytes_read, n_pretokens)

    @property
    def n_bytes_held(self) -> int:
        """Memory of all tables in bytes."""
        return sum(tables.train.n_bytes_held + tables.held_out.n_bytes_held for tables in self._tables)

    def tables(self) -> tuple[Sequence[PretokenTable], Sequence[PretokenTable]]:
        """The threads' tables of training and of held-out documents. Call `wait` first."""
        every = self._tables or [_ThreadTables(self._pattern)]
        return [tables.train for tables in every], [tables.held_out for tables in every]

    def take_tables(self) -> tuple[Sequence[PretokenTable], Sequence[PretokenTable]]:
        """The same, and replace them by empty ones. The tally is kept. Call `wait` first."""
        taken = self.tables()
        for tables in self._tables:
            tables.train, tables.held_out = _new_tables()
        return taken


def _new_tables() -> tuple[PretokenTable, PretokenTable]:
    """Tables for training and for held-out documents. They begin large, since growing costs time."""
    return PretokenTable(1 << 16), PretokenTable(1 << 14)


class _ThreadTables:
    """The tables and the tally of one thread."""

    def __init__(self, pattern: Splits) -> None:
        self.pattern = pattern
        self.train, self.held_out = _new_tables()
        self.tally = Tally()

    def add(self, batch: Batch) -> None:
        held_out = are_held_out(batch)
        text, starts = self.pattern.prepared_documents(batch.text, batch.starts)
        ends, firsts = self.pattern.ends_of_documents(text, starts)
        self.train.add_documents(text, starts, ends, firsts, ~held_out)
        self.held_out.add_documents(text, starts, ends, firsts, held_out)
        self.tally += Tally(
            n_documents=batch.n_documents,
            n_documents_held_out=int(held_out.sum()),
            n_documents_repaired=batch.n_repaired,
            n_documents_skipped=batch.n_skipped,
            n_documents_of_benchmarks=batch.n_of_benchmarks,
            n_bytes_of_benchmarks=batch.n_bytes_of_benchmarks,
            n_bytes_read=batch.n_bytes_read,
            n_rows_without_text=batch.n_without_text,
            n_rows_skipped=batch.n_rows_skipped,
        )


def document_hashes(batch: Batch) -> npt.NDArray[np.uint64]:
    """XXH64 of each document, uint64[n_documents]."""
    from vocab.corpus.hashing_kernels import hash_documents

    hashes = np.empty(batch.n_documents, dtype=np.uint64)
    hash_documents(frozen(batch.text), frozen(batch.starts), hashes)
    return hashes


def are_held_out(batch: Batch) -> npt.NDArray[np.bool_]:
    """Whether each document is held out, bool[n_documents]. It depends on the text alone, so copies are on one side."""
    held_out: npt.NDArray[np.bool_] = document_hashes(batch) % np.uint64(HELD_OUT_ONE_IN) == 0
    return held_out


def is_held_out(text: bytes) -> bool:
    """Whether one document is held out, given its UTF-8 text."""
    return bool(are_held_out(Batch.of_utf8([text]))[0])
