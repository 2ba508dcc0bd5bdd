"""Prune a tokenizer's vocabulary by what the shipped encoder really produces.

    import vocab
    from vocab.prune import prune

    source = vocab.load("cl100k_base")
    result = prune(source, 32_000, corpus=vocab.count("my-texts/", source.pattern))
    result.save("cl100k_base-32000")

Nothing heavy is imported until a name is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vocab.corpus.counting import CorpusCounts, count
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
    from vocab.formats import load
    from vocab.pretokens.counts import PretokenCounts
    from vocab.splitting import SplitPattern
    from vocab.vocabulary import Vocabulary

__all__ = [
    "CertificateError",
    "CorpusCounts",
    "CorpusError",
    "MissingExtraError",
    "OutputError",
    "PretokenCounts",
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

_HOMES = {
    "CorpusCounts": "vocab.corpus.counting",
    "count": "vocab.corpus.counting",
    "PretokenCounts": "vocab.pretokens.counts",
    "load": "vocab.formats",
    "SplitPattern": "vocab.splitting",
    "Vocabulary": "vocab.vocabulary",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'vocab' has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "vocab.errors")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
