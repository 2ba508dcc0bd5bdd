"""Measuring tokenizers: their tokens on a corpus, the composition of a vocabulary, and differences between two.

    import vocab
    from vocab.analysis import compare, diff, inspect

    first, second = vocab.load("cl100k_base"), vocab.load("gpt2")
    print(diff(first, second).n_shared, inspect(first).mean_bytes)

Nothing heavy is imported until a name is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocab.lazy import lazy_exports

if TYPE_CHECKING:
    from vocab.analysis.comparison import Measured, compare
    from vocab.analysis.composition import Composition, inspect
    from vocab.analysis.evaluation import Compression
    from vocab.analysis.segmentation import TextDifferences
    from vocab.analysis.token_page.html_page import html_page
    from vocab.analysis.token_page.token_worth import TokenWorth
    from vocab.analysis.vocabulary_diff import VocabularyDiff, diff
    from vocab.measured import MeasuredTokenizer
    from vocab.sizes import SizeFacts, size_facts, sizes_near

__all__ = [
    "Composition",
    "Compression",
    "Measured",
    "MeasuredTokenizer",
    "SizeFacts",
    "TextDifferences",
    "TokenWorth",
    "VocabularyDiff",
    "compare",
    "diff",
    "html_page",
    "inspect",
    "size_facts",
    "sizes_near",
]

_HOMES = {
    "Composition": "vocab.analysis.composition",
    "Compression": "vocab.analysis.evaluation",
    "Measured": "vocab.analysis.comparison",
    "MeasuredTokenizer": "vocab.measured",
    "SizeFacts": "vocab.sizes",
    "TextDifferences": "vocab.analysis.segmentation",
    "TokenWorth": "vocab.analysis.token_page.token_worth",
    "VocabularyDiff": "vocab.analysis.vocabulary_diff",
    "compare": "vocab.analysis.comparison",
    "diff": "vocab.analysis.vocabulary_diff",
    "html_page": "vocab.analysis.token_page.html_page",
    "inspect": "vocab.analysis.composition",
    "size_facts": "vocab.sizes",
    "sizes_near": "vocab.sizes",
}
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
