"""Encode a corpus into token shards: in parallel by blocks, written in the order of the corpus."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vocab.choices import Side
from vocab.corpus.blocks import Block
from vocab.corpus.counting import HELD_OUT_RULE, are_held_out
from vocab.corpus.read_options import ReadOptions
from vocab.corpus.readers import read_blocks
from vocab.corpus.sources import list_corpora
from vocab.errors import CorpusError
from vocab.model.data.shards import ShardMetadata, ShardWriter, end_of_text, fingerprint, write_metadata
from vocab.vocabulary import Vocabulary
from vocab.writing import staged_folder

# llm.c's header counts tokens in an int32; files of this size are also handy to copy.
SHARD_TOKENS = 100_000_000
SIDES: tuple[Side, Side] = ("train", "held_out")


@dataclass(frozen=True)
class _Encoded:
    """Documents of one block.

    Attributes:
        ids: of all documents end to end, end-of-text before each.
        starts: int64[n_documents + 1], where each document begins in `ids`, and the end.
        n_bytes: int64[n_documents], bytes of text of each.
        held_out: bool[n_documents], whether each is held out.
        left_out: int64[4]: documents left out and repaired because they are not UTF-8, documents left out because they
            hold text of a benchmark, and the bytes of these.
        n_stored_bytes: bytes of the block on disk.
    """

    ids: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]
    n_bytes: npt.NDArray[np.int64]
    held_out: npt.NDArray[np.bool_]
    left_out: npt.NDArray[np.int64]
    n_stored_bytes: int

    def side(self, held_out: bool) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Ids, starts and bytes of the documents of one side, as `ShardWriter.add` takes them."""
        chosen = self.held_out == held_out
        sizes = np.diff(self.starts)
        ids = self.ids[np.repeat(chosen, sizes)]
        return ids, np.cumsum(sizes[chosen]) - sizes[chosen], self.n_bytes[chosen]


def encode_block(block: Block, vocabulary: Vocabulary, options: ReadOptions, end: int | None) -> _Encoded:
    """Encode the documents of a block that are not empty; `end` is the id of end-of-text, put before each."""
    batch = block.batch(options)
    sizes = np.diff(batch.starts)
    kept = sizes > 0
    starts = np.concatenate([batch.starts[:-1][kept], batch.starts[-1:]])
    ids, firsts = np.empty(0, dtype=np.int32), np.zeros(1, dtype=np.int64)
    if kept.any():
        ids, firsts = vocabulary.encode_documents(batch.text, starts)
    if end is not None:
        ids = np.insert(ids, firsts[:-1], end).astype(np.int32)
        firsts = firsts + np.arange(firsts.size)
    left_out = np.array([batch.n_skipped, batch.n_repaired, batch.n_of_benchmarks, batch.n_bytes_of_benchmarks])
    return _Encoded(ids, firsts, sizes[kept], are_held_out(batch)[kept], left_out, block.n_stored_bytes)


def make_shards(
    vocabulary: Vocabulary,
    corpus: Sequence[str],
    out: Path,
    *,
    options: ReadOptions | None = None,
    n_threads: int = 1,
    shard_tokens: int = SHARD_TOKENS,
    force: bool = False,
    on_progress: Callable[[int], None] | None = None,
) -> ShardMetadata:
    """Write the shards of a corpus to a folder, all or nothing.

    Args:
        vocabulary: encodes the text.
        corpus: files, folders, globs or data sets, as `vocab.count` takes them.
        out: folder for the shards.
        options: how to read the corpus. What is left out is added to their `skipped`.
        n_threads: blocks to encode at a time; the result does not depend on it.
        shard_tokens: tokens of a file, about.
        force: whether to replace earlier shards in `out`.
        on_progress: is called for each block with its bytes on disk.

    Returns:
        The content of shards.json. Documents are held out by the rule of `vocab count`.

    Raises:
        CorpusError: for a corpus that cannot be read or has no document to train on.
        OutputError: for a folder that may not be written.
    """
    options = options or ReadOptions()
    vocabulary.encoder  # noqa: B018 - built once, before threads need it
    with staged_folder(out, force=force) as staging:
        n_ids = vocabulary.max_id + 1
        writers = {side: ShardWriter(staging, side, n_ids, shard_tokens) for side in SIDES}
        left_out = np.zeros(4, dtype=np.int64)
        for block in _encoded(vocabulary, corpus, options, n_threads):
            for side, writer in writers.items():
                writer.add(*block.side(side == "held_out"))
            left_out += block.left_out
            if on_progress:
                on_progress(block.n_stored_bytes)
        for writer in writers.values():
            writer.flush()
        n_skipped, n_repaired, n_of_benchmarks, n_bytes_of_benchmarks = left_out.tolist()
        metadata = ShardMetadata(
            vocabulary=vocabulary.name,
            fingerprint=fingerprint(vocabulary),
            n_ids=n_ids,
            end_of_text=end_of_text(vocabulary),
            held_out_rule=HELD_OUT_RULE,
            corpus=list(corpus),
            train=tuple(writers["train"].files),
            held_out=tuple(writers["held_out"].files),
            n_documents_skipped=n_skipped,
            n_documents_repaired=n_repaired,
            n_documents_of_benchmarks=n_of_benchmarks,
            n_bytes_of_benchmarks=n_bytes_of_benchmarks,
            without=options.without.for_report() if options.without else None,
            n_rows_without_text=options.skipped.n_rows_without_text,
            n_rows_skipped=options.skipped.n_rows_skipped,
            n_files_skipped=len(options.skipped.files),
        )
        if not metadata.train:
            raise CorpusError(f"corpus {', '.join(corpus)} has no document to train on: give more text")
        write_metadata(staging, metadata)
    return metadata


def _encoded(vocabulary: Vocabulary, corpus: Sequence[str], options: ReadOptions, n_threads: int) -> Iterator[_Encoded]:
    """Encode blocks on threads and yield them in the order of the corpus; only a few wait at a time."""
    corpora = list_corpora(corpus, dict.fromkeys(corpus, options))
    sources = [source for listed in corpora.values() for source in listed]
    end = end_of_text(vocabulary)
    waiting: deque[Future[_Encoded]] = deque()
    with ThreadPoolExecutor(n_threads) as pool:
        for block in read_blocks(sources, options):
            waiting.append(pool.submit(encode_block, block, vocabulary, options, end))
            if len(waiting) > 2 * n_threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
