"""Corpus to counts: blocks are split and counted on every thread, and a tenth of the documents is held out."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vocab.arrays import frozen
from vocab.corpus.batch import Batch
from vocab.corpus.blocks import Block, Position, TextBlock
from vocab.corpus.readers import BLOCK_BYTES, ReadOptions, list_sources, read_blocks
from vocab.errors import CorpusError
from vocab.pretokens.counts import PretokenCounts, from_tables, merge
from vocab.pretokens.table import PretokenTable
from vocab.splitting import SplitPattern

HELD_OUT_ONE_IN = 10
HELD_OUT_RULE = f"a document is held out when XXH64 (seed 0) of its UTF-8 text is divisible by {HELD_OUT_ONE_IN}"


@dataclass(frozen=True)
class Tally:
    """What was read: sums over documents."""

    n_documents: int = 0
    n_documents_held_out: int = 0
    n_documents_repaired: int = 0  # invalid UTF-8 became U+FFFD
    n_documents_skipped: int = 0  # invalid UTF-8, left out
    n_bytes_read: int = 0  # of text, before anything was replaced or skipped

    def __add__(self, other: Tally) -> Tally:
        return Tally(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(Tally)})


@dataclass(frozen=True)
class CorpusPart:
    """Counts of one named part of a corpus: what selection may see, and what it may not.

    `weight` multiplies the training counts when parts are put together; figures on a part never use it.
    `n_files_skipped` are files of a folder that are not text.
    """

    name: str
    train: PretokenCounts
    held_out: PretokenCounts
    tally: Tally = field(default=Tally())
    n_files_skipped: int = 0
    weight: int = 1
    held_out_rule: str = HELD_OUT_RULE

    @classmethod
    def of(
        cls, name: str, train: PretokenCounts, held_out: PretokenCounts, tally: Tally, n_files_skipped: int = 0
    ) -> CorpusPart:
        """A part of weight 1. Where a document or two were all held out by chance, they are there to train on.

        Raises CorpusError when there is no text at all.
        """
        if train.n_pretokens == 0:
            train, held_out = held_out, train
        if train.n_pretokens == 0:
            raise CorpusError(f"corpus {name} is empty: there is no text to count")
        return cls(name, train, held_out, tally, n_files_skipped)


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


@dataclass(frozen=True)
class CountProgress:
    """How far counting has come."""

    n_stored_bytes: int  # bytes of files on disk that were worked through
    n_bytes_read: int  # bytes of text
    n_pretokens: int  # distinct ones in memory, counted once a thread


OnCountProgress = Callable[[CountProgress], None]


def count(
    places: str | Path | Iterable[str | Path],
    pattern: SplitPattern,
    *,
    options: ReadOptions | None = None,
    n_threads: int = 1,
    on_progress: OnCountProgress | None = None,
) -> CorpusCounts:
    """Count the pre-tokens of one or more corpora, each a part named after its place.

    `places` are what `read_documents` takes, read as `options` say. Memory: the distinct pre-tokens of a corpus (about
    60 bytes each) a thread, and a few blocks of 1 MB. Raises CorpusError when a corpus cannot be read or is empty.
    """
    names = [str(places)] if isinstance(places, (str, Path)) else [str(place) for place in places]
    if len(set(names)) < len(names):
        raise CorpusError("a corpus is named twice; its documents would count twice")
    return CorpusCounts(
        tuple(_count_place(name, pattern, options or ReadOptions(), n_threads, on_progress) for name in names)
    )


def _count_place(
    place: str, pattern: SplitPattern, options: ReadOptions, n_threads: int, on_progress: OnCountProgress | None
) -> CorpusPart:
    n_skipped = len(options.skipped)
    blocks = read_blocks(list_sources(place), options)
    return _count_blocks(
        blocks, place, pattern, options, n_threads, on_progress, lambda: len(options.skipped) - n_skipped
    )


def count_documents(
    documents: Iterable[str],
    name: str,
    pattern: SplitPattern,
    n_threads: int = 1,
    on_progress: OnCountProgress | None = None,
) -> CorpusPart:
    """Count documents; the result does not depend on the number of threads."""
    return _count_blocks(_as_blocks(documents, name), name, pattern, ReadOptions(), n_threads, on_progress)


def _as_blocks(documents: Iterable[str], name: str) -> Iterable[Block]:
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
    """A block of strings, which are UTF-8 once they are encoded, unless there are lone surrogates in one."""
    try:
        encoded, is_utf8 = [document.encode() for document in documents], True
    except UnicodeEncodeError:
        encoded, is_utf8 = [document.encode(errors="surrogatepass") for document in documents], False
    return TextBlock(Position(), sum(map(len, encoded)), encoded, [name] * len(encoded), is_utf8)


def _count_blocks(
    blocks: Iterable[Block],
    name: str,
    pattern: SplitPattern,
    options: ReadOptions,
    n_threads: int,
    on_progress: OnCountProgress | None,
    n_files_skipped: Callable[[], int] = lambda: 0,
) -> CorpusPart:
    with ThreadedCounter(pattern, options, n_threads) as pool:
        for block in blocks:
            pool.count(block)
            if on_progress:
                on_progress(pool.progress)
        pool.wait()
        if on_progress:
            on_progress(pool.progress)
        train, held_out = (from_tables(tables, pattern.sha256) for tables in pool.tables())
        return CorpusPart.of(name, train, held_out, pool.tally, n_files_skipped())


class ThreadedCounter(AbstractContextManager["ThreadedCounter"]):
    """Threads that take blocks apart, split and count them, each into tables of its own.

    With one thread everything happens in the caller's. What is counted does not depend on which thread got a block.
    """

    def __init__(self, pattern: SplitPattern, options: ReadOptions, n_threads: int) -> None:
        self._pattern = pattern
        self._options = options
        self._local = threading.local()
        self._counters: list[_Counter] = []
        self._under_way: deque[Future[None]] = deque()
        self._most_under_way = n_threads + 2
        self._pool = ThreadPoolExecutor(n_threads) if n_threads > 1 else None
        self._n_stored_bytes = 0

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def count(self, block: Block) -> None:
        """Have a block counted, now or soon; raises what went wrong in an earlier one."""
        self._n_stored_bytes += block.n_stored_bytes
        if self._pool is None:
            self._work(block)
            return
        if len(self._under_way) >= self._most_under_way:
            self._under_way.popleft().result()
        self._under_way.append(self._pool.submit(self._work, block))

    def wait(self) -> None:
        """Return when every block is counted; raises what went wrong in one."""
        while self._under_way:
            self._under_way.popleft().result()

    def _work(self, block: Block) -> None:
        if not hasattr(self._local, "counter"):
            self._local.counter = _Counter(self._pattern)
            self._counters.append(self._local.counter)
        self._local.counter.add(block.batch(self._options.encoding_errors))

    @property
    def tally(self) -> Tally:
        """Of all blocks since the beginning."""
        return sum((counter.tally for counter in self._counters), Tally())

    @property
    def progress(self) -> CountProgress:
        n_pretokens = sum(counter.train.n_entries + counter.held_out.n_entries for counter in self._counters)
        return CountProgress(self._n_stored_bytes, self.tally.n_bytes_read, n_pretokens)

    @property
    def n_bytes_held(self) -> int:
        """Memory of all tables in bytes."""
        return sum(counter.train.n_bytes_held + counter.held_out.n_bytes_held for counter in self._counters)

    def tables(self) -> tuple[Sequence[PretokenTable], Sequence[PretokenTable]]:
        """The threads' tables: of training and of held-out documents. Call `wait` first."""
        counters = self._counters or [_Counter(self._pattern)]
        return [counter.train for counter in counters], [counter.held_out for counter in counters]

    def take_tables(self) -> tuple[Sequence[PretokenTable], Sequence[PretokenTable]]:
        """The same, and begin with empty ones; the tally goes on. Call `wait` first."""
        taken = self.tables()
        for counter in self._counters:
            counter.train, counter.held_out = _new_tables()
        return taken


def _new_tables() -> tuple[PretokenTable, PretokenTable]:
    """For training and for held-out documents, with room from the start, since growing costs."""
    return PretokenTable(1 << 16), PretokenTable(1 << 14)


class _Counter:
    """The tables of one thread."""

    def __init__(self, pattern: SplitPattern) -> None:
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
            batch.n_documents, int(held_out.sum()), batch.n_repaired, batch.n_skipped, batch.n_bytes_read
        )


def are_held_out(batch: Batch) -> npt.NDArray[np.bool_]:
    """Whether each document is held out, bool[n_documents]: by its text alone, so that copies fall on one side."""
    from vocab.corpus.hashing import hash_documents

    hashes = np.empty(batch.n_documents, dtype=np.uint64)
    hash_documents(frozen(batch.text), frozen(batch.starts), hashes)
    held_out: npt.NDArray[np.bool_] = hashes % np.uint64(HELD_OUT_ONE_IN) == 0
    return held_out


def is_held_out(text: bytes) -> bool:
    """Whether one document is held out, given its UTF-8 text."""
    return bool(are_held_out(Batch.of_utf8([text]))[0])
