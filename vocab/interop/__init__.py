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
    from vocab.interop.golden.golden_file import GoldenIds, LockedRuntime
    from vocab.interop.golden.golden_ids import GoldenDifference, LockCheck, check_lock, lock
    from vocab.interop.head.cut_head import CutHead, cut_head
    from vocab.interop.scratch.train_tokenizer import TrainedTokenizer, train_tokenizer
    from vocab.interop.serving.chat_uses import uses_of_chats
    from vocab.interop.serving.coverage_file import write_curve
    from vocab.interop.serving.draft import DraftVocabulary, draft_of_most_used, draft_of_result
    from vocab.interop.serving.draft_file import load_draft, write_draft
    from vocab.interop.serving.gguf_file import GgufVocabulary, write_gguf
    from vocab.interop.serving.token_uses import DomainCoverage, TokenUses, uses_of_corpus
    from vocab.interop.transplants.transplant import Transplanted, transplant

__all__ = [
    "Conversion",
    "CutHead",
    "DomainCoverage",
    "DraftVocabulary",
    "GgufVocabulary",
    "GoldenDifference",
    "GoldenIds",
    "LockCheck",
    "LockedRuntime",
    "RuntimeCheck",
    "TokenUses",
    "TrainedTokenizer",
    "Transplanted",
    "Verification",
    "check_lock",
    "convert",
    "cut_head",
    "draft_of_most_used",
    "draft_of_result",
    "load_draft",
    "lock",
    "train_tokenizer",
    "transplant",
    "trial_texts",
    "uses_of_chats",
    "uses_of_corpus",
    "verify",
    "write_curve",
    "write_draft",
    "write_gguf",
]

_HOMES = {
    "Conversion": "vocab.interop.conversion.convert",
    "CutHead": "vocab.interop.head.cut_head",
    "DomainCoverage": "vocab.interop.serving.token_uses",
    "DraftVocabulary": "vocab.interop.serving.draft",
    "GgufVocabulary": "vocab.interop.serving.gguf_file",
    "GoldenDifference": "vocab.interop.golden.golden_ids",
    "GoldenIds": "vocab.interop.golden.golden_file",
    "LockCheck": "vocab.interop.golden.golden_ids",
    "LockedRuntime": "vocab.interop.golden.golden_file",
    "RuntimeCheck": "vocab.interop.conversion.runtime_check",
    "TokenUses": "vocab.interop.serving.token_uses",
    "TrainedTokenizer": "vocab.interop.scratch.train_tokenizer",
    "Transplanted": "vocab.interop.transplants.transplant",
    "Verification": "vocab.interop.conversion.verify",
    "check_lock": "vocab.interop.golden.golden_ids",
    "convert": "vocab.interop.conversion.convert",
    "cut_head": "vocab.interop.head.cut_head",
    "draft_of_most_used": "vocab.interop.serving.draft",
    "draft_of_result": "vocab.interop.serving.draft",
    "load_draft": "vocab.interop.serving.draft_file",
    "lock": "vocab.interop.golden.golden_ids",
    "train_tokenizer": "vocab.interop.scratch.train_tokenizer",
    "transplant": "vocab.interop.transplants.transplant",
    "trial_texts": "vocab.interop.conversion.trial_texts",
    "uses_of_chats": "vocab.interop.serving.chat_uses",
    "uses_of_corpus": "vocab.interop.serving.token_uses",
    "verify": "vocab.interop.conversion.verify",
    "write_curve": "vocab.interop.serving.coverage_file",
    "write_draft": "vocab.interop.serving.draft_file",
    "write_gguf": "vocab.interop.serving.gguf_file",
}
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
