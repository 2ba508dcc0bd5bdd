"""Documents of a corpus as strings, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

from vocab.corpus.read_options import ReadOptions
from vocab.corpus.readers import read_blocks
from vocab.corpus.sources import list_sources


def read_documents(name: str, options: ReadOptions | None = None) -> Iterator[str]:
    """Read the documents of a corpus.

    A file is read by the ending of its name, packing aside (.gz, .zst, .bz2, .xz). JSON (`.jsonl`, `.ndjson`,
    `.jsonlines`, `.json`), CSV (`.csv`, `.tsv`), `.parquet` and Arrow (`.arrow`, `.feather`) have the text in a column.
    Anything else is plain text, cut into documents of about 64 KiB after a line end. Folders are read in sorted order,
    linked ones too. Hidden files in them are left out, and so are files that are not text.

    Args:
        name: a file, folder, glob pattern, "-" (standard input) or "hf://dataset[:split]".
        options: how it is read. `options.skipped` says what was left out.

    Raises:
        CorpusError: something cannot be read. The message names file and line.
    """
    options = options or ReadOptions()
    for block in read_blocks(list_sources(name, options), options):
        yield from block.batch(options).documents()
