"""Counts of a list of texts."""

from vocab.corpus.counting import CorpusCounts, count_documents
from vocab.splitting import SplitPattern


def count_documents_of(texts: list[str], pattern: SplitPattern) -> CorpusCounts:
    return CorpusCounts((count_documents(texts, "texts", pattern, 1),))
