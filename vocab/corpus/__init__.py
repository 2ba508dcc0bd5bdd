"""Documents, counts of pre-tokens, and the built-in profile.

Nothing heavy is imported until a name is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocab.lazy import lazy_exports

if TYPE_CHECKING:
    from vocab.corpus.batch import Batch
    from vocab.corpus.benchmark_text import BenchmarkText, read_benchmarks
    from vocab.corpus.count_job import CountJob, CountResult, Shard
    from vocab.corpus.count_metadata import CountMetadata, LeftOut
    from vocab.corpus.count_table import CountTable, most_frequent
    from vocab.corpus.count_to_folder import Interrupted, count_to
    from vocab.corpus.counting import CorpusPart
    from vocab.corpus.document_corpus import DocumentCorpus
    from vocab.corpus.held_documents import HeldDocuments, HeldPart, hold_documents
    from vocab.corpus.merging import merge_count_tables
    from vocab.corpus.skipped import FirstRowWithoutText, Skipped, SkippedFile, SkippedSummary
    from vocab.corpus.tally import Tally

__all__ = [
    "Batch",
    "BenchmarkText",
    "CorpusPart",
    "CountJob",
    "CountMetadata",
    "CountResult",
    "CountTable",
    "DocumentCorpus",
    "FirstRowWithoutText",
    "HeldDocuments",
    "HeldPart",
    "Interrupted",
    "LeftOut",
    "Shard",
    "Skipped",
    "SkippedFile",
    "SkippedSummary",
    "Tally",
    "count_to",
    "hold_documents",
    "merge_count_tables",
    "most_frequent",
    "read_benchmarks",
]

_HOMES = {
    "Batch": "vocab.corpus.batch",
    "BenchmarkText": "vocab.corpus.benchmark_text",
    "CorpusPart": "vocab.corpus.counting",
    "CountJob": "vocab.corpus.count_job",
    "CountMetadata": "vocab.corpus.count_metadata",
    "CountResult": "vocab.corpus.count_job",
    "CountTable": "vocab.corpus.count_table",
    "DocumentCorpus": "vocab.corpus.document_corpus",
    "FirstRowWithoutText": "vocab.corpus.skipped",
    "HeldDocuments": "vocab.corpus.held_documents",
    "HeldPart": "vocab.corpus.held_documents",
    "hold_documents": "vocab.corpus.held_documents",
    "Interrupted": "vocab.corpus.count_to_folder",
    "LeftOut": "vocab.corpus.count_metadata",
    "Shard": "vocab.corpus.count_job",
    "Skipped": "vocab.corpus.skipped",
    "SkippedFile": "vocab.corpus.skipped",
    "SkippedSummary": "vocab.corpus.skipped",
    "Tally": "vocab.corpus.tally",
    "count_to": "vocab.corpus.count_to_folder",
    "merge_count_tables": "vocab.corpus.merging",
    "most_frequent": "vocab.corpus.count_table",
    "read_benchmarks": "vocab.corpus.benchmark_text",
}
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
