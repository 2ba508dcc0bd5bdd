"""Documents of a corpus as strings, one after the other, for those who want to look at them."""

from __future__ import annotations

from collections.abc import Iterator

from vocab.corpus.readers import ReadOptions, list_sources, read_blocks


def read_documents(place: str, options: ReadOptions | None = None) -> Iterator[str]:
    """Documents of a file, folder, glob pattern, "-" (standard input) or "hf://dataset[:split]".

    By the name, packing (.gz, .zst) aside: `.jsonl`, `.ndjson` and `.json` hold a JSON object a line with the text in
    a column; `.parquet` has the text in a column; anything else is text, cut into documents of about 64 KiB after a
    line end unless `options` say otherwise. Folders are read in sorted order, hidden files left out; files in them that
    are not text are left out too and listed in `options.skipped`. Raises CorpusError naming file and line.
    """
    options = options or ReadOptions()
    for block in read_blocks(list_sources(place), options):
        yield from block.batch(options.encoding_errors).documents()
