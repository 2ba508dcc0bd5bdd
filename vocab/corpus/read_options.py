"""The options of reading a corpus."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from vocab.choices import DocumentUnit, EncodingErrors


@dataclass(frozen=True)
class ReadOptions:
    """How a corpus is read.

    Attributes:
        column: the column that holds the text in JSON lines and Parquet.
        documents: what one document of a plain text file is: a block of about 64 KiB of whole lines, the file, or the
            text between blank lines.
        encoding_errors: what becomes of invalid UTF-8: replace it, skip the document, or refuse the corpus.
        skipped: files of folders that are not text. Reading adds to it.
    """

    column: str = "text"
    documents: DocumentUnit = "block"
    encoding_errors: EncodingErrors = "replace"
    skipped: list[Path] = field(default_factory=list, compare=False)
