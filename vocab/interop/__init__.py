"""Vocabularies in other programs: other formats, checkpoints, inference engines, and trainers of tokenizers.

    import vocab
    from vocab.interop import convert, verify

    convert(vocab.load("cl100k_base"), "tokenizer.json", "cl100k-json")
    verify("cl100k-json", ["some text"]).agrees

Nothing heavy is imported until a name is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocab.lazy import lazy_exports

if TYPE_CHECKING:
    from vocab.interop.conversion.convert import Conversion, convert
    from vocab.interop.conversion.runtime_check import RuntimeCheck
    from vocab.interop.conversion.trial_texts import trial_texts
    from vocab.interop.conversion.verify import Verification, verify
    from vocab.interop.scratch.train_tokenizer import TrainedTokenizer, train_tokenizer
    from vocab.interop.serving.draft import DraftVocabulary, draft_of_most_used, draft_of_result
    from vocab.interop.serving.draft_file import load_draft, write_draft
    from vocab.interop.serving.gguf_file import GgufVocabulary, write_gguf
    from vocab.interop.transplants.transplant import Transplanted, transplant

__all__ = [
    "Conversion",
    "DraftVocabulary",
    "GgufVocabulary",
    "RuntimeCheck",
    "TrainedTokenizer",
    "Transplanted",
    "Verification",
    "convert",
    "draft_of_most_used",
    "draft_of_result",
    "load_draft",
    "train_tokenizer",
    "transplant",
    "trial_texts",
    "verify",
    "write_draft",
    "write_gguf",
]

_HOMES = {
    "Conversion": "vocab.interop.conversion.convert",
    "DraftVocabulary": "vocab.interop.serving.draft",
    "GgufVocabulary": "vocab.interop.serving.gguf_file",
    "RuntimeCheck": "vocab.interop.conversion.runtime_check",
    "TrainedTokenizer": "vocab.interop.scratch.train_tokenizer",
    "Transplanted": "vocab.interop.transplants.transplant",
    "Verification": "vocab.interop.conversion.verify",
    "convert": "vocab.interop.conversion.convert",
    "draft_of_most_used": "vocab.interop.serving.draft",
    "draft_of_result": "vocab.interop.serving.draft",
    "load_draft": "vocab.interop.serving.draft_file",
    "train_tokenizer": "vocab.interop.scratch.train_tokenizer",
    "transplant": "vocab.interop.transplants.transplant",
    "trial_texts": "vocab.interop.conversion.trial_texts",
    "verify": "vocab.interop.conversion.verify",
    "write_draft": "vocab.interop.serving.draft_file",
    "write_gguf": "vocab.interop.serving.gguf_file",
}
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
