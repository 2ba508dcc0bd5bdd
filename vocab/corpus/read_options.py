"""The options of reading a corpus."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vocab.choices import DocumentUnit, EncodingErrors, OnError
from vocab.corpus.skipped import Skipped

if TYPE_CHECKING:
    from vocab.corpus.benchmark_text import BenchmarkText


@dataclass(frozen=True)
class ReadOptions:
    """How a corpus is read.

    Attributes:
        column: the column that holds the text in JSON, CSV, Parquet and Arrow. A dot leads into nested values, as in
            "messages.content"; a column of that very name goes first.
        documents: what one document of a plain text file is: a block of about 64 KiB of whole lines, the file, or the
            text between blank lines.
        encoding_errors: what becomes of invalid UTF-8: replace it, skip the document, or refuse the corpus.
        on_error: whether a row or file that cannot be read stops the reading, or is skipped and counted.
        without: text of benchmarks; documents that hold some of it are left out.
        skipped: what was left out. Reading adds to it.
    """

    column: str = "text"
    documents: DocumentUnit = "block"
    encoding_errors: EncodingErrors = "replace"
    on_error: OnError = "stop"
    without: BenchmarkText | None = None
    skipped: Skipped = field(default_factory=Skipped, compare=False)
