"""Documents of a corpus as strings, one after the other, for those who want to look at them."""

from __future__ import annotations

from collections.abc import Iterator

from vocab.corpus.readers import Reading, list_sources, read_blocks


def read_documents(place: str, how: Reading | None = None) -> Iterator[str]:
    """Documents of a file, folder, glob pattern, "-" (standard input) or "hf://dataset[:split]".

    By the name, packing (.gz, .zst) aside: `.jsonl`, `.ndjson` and `.json` hold a JSON object a line with the text in
    a column; `.parquet` has the text in a column; anything else is text, cut into documents of about 64 KiB after a
    line end unless `how` says otherwise. Folders are read in sorted order, hidden files left out; files in them that
    are not text are left out too and listed in `how.skipped`. Raises CorpusError naming file and line.
    """
    how = how or Reading()
    for block in read_blocks(list_sources(place), how):
        yield from block.batch(how.encoding_errors).documents()
