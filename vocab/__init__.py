"""Prune a tokenizer's vocabulary by what the shipped encoder really produces.

    import vocab
    from vocab.prune import prune

    source = vocab.load("cl100k_base")
    result = prune(source, 32_000, corpus=vocab.count("my-texts/", source.pattern))
    result.save("cl100k_base-32000")

Nothing heavy is imported until a name is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocab.lazy import lazy_exports

if TYPE_CHECKING:
    from vocab.corpus.counting import CorpusCounts, CountProgress, count
    from vocab.corpus.read_options import ReadOptions
    from vocab.errors import (
        CertificateError,
        CorpusError,
        MissingExtraError,
        OutputError,
        SourceError,
        StudyError,
        TargetError,
        TrainingError,
        VocabError,
    )
    from vocab.formats.loading import load
    from vocab.pretokens.counts import PretokenCounts
    from vocab.splitting import AddedText, SplitPattern
    from vocab.vocabulary import Provenance, Vocabulary

__all__ = [
    "AddedText",
    "CertificateError",
    "CorpusCounts",
    "CorpusError",
    "CountProgress",
    "MissingExtraError",
    "OutputError",
    "PretokenCounts",
    "Provenance",
    "ReadOptions",
    "SourceError",
    "SplitPattern",
    "StudyError",
    "TargetError",
    "TrainingError",
    "VocabError",
    "Vocabulary",
    "count",
    "load",
]

_HOMES = dict.fromkeys((name for name in __all__ if name.endswith("Error")), "vocab.errors") | {
    "CorpusCounts": "vocab.corpus.counting",
    "CountProgress": "vocab.corpus.counting",
    "ReadOptions": "vocab.corpus.read_options",
    "count": "vocab.corpus.counting",
    "PretokenCounts": "vocab.pretokens.counts",
    "Provenance": "vocab.vocabulary",
    "load": "vocab.formats.loading",
    "AddedText": "vocab.splitting",
    "SplitPattern": "vocab.splitting",
    "Vocabulary": "vocab.vocabulary",
}
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
