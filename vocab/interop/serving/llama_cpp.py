"""What llama.cpp is told of a vocabulary: its pre-tokenizer, where that differs, and the hash that names it.

Source: ggml-org/llama.cpp `convert_hf_to_gguf_update.py` (the text that is hashed).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vocab.encoding.encoder import merge_parents
from vocab.errors import SourceError
from vocab.formats.gguf_pre_tokenizers import PRE_TOKENIZERS, name_of
from vocab.splitting.normalization import flat_steps
from vocab.vocabulary import Vocabulary

# Sizes that conversion takes for CodeLlama and Granite, if the model is of Llama's architecture.
SPECIAL_SIZES = {32016: "CodeLlama", 49152: "Granite"}
CHECK_TEXT = (
    "\n \n\n \n\n\n \t \t\t \t\n  \n   \n    \n     \n🚀 (normal) 😶\u200d🌫️ (multiple emojis "
    "concatenated) ✅ 🦙🦙 3 33 333 3333 33333 333333 3333333 33333333 3.3 3..3 3...3 កាន់តែពិសេសអាច😁 "
    "?我想在apple工作1314151天～ ------======= нещо на Български "
    "''''''```````\"\"\"\"......!!!!!!?????? I've been 'told he's there, 'RE you sure? 'M not sure I'll "
    "make it, 'D you like some tea? We'Ve a'lL"
)


@dataclass(frozen=True)
class Split:
    """How llama.cpp is told to split text.

    Attributes:
        pre: its name of the pre-tokenizer.
        notes: where it will differ, as sentences without their full stops.
    """

    pre: str
    notes: tuple[str, ...] = ()


def split_of(vocabulary: Vocabulary, pre: str | None = None) -> Split:
    """The pre-tokenizer of a vocabulary, or the one that is named, and what it does in another way.

    Raises SourceError for a split, or a change of text before it, that llama.cpp does not have.
    """
    notes = _notes_on_text(vocabulary)
    if pre:
        return Split(pre, notes)
    found = name_of(vocabulary.pattern)
    if found is None:
        raise SourceError(
            f"the split pattern of {vocabulary.name} is none that llama.cpp is known to have: name its "
            "pre-tokenizer with `pre`, if it has one"
        )
    if found.is_near:
        notes += (
            f"llama.cpp's {found.name} tells capital letters by ASCII alone and cuts words at combining marks: some "
            "words of other scripts get other ids there",
        )
    return Split(found.name, notes)


def _notes_on_text(vocabulary: Vocabulary) -> tuple[str, ...]:
    """What llama.cpp leaves out before the split; raises SourceError for what changes most texts."""
    steps = vocabulary.pattern.steps
    if steps is None:
        return ()
    if steps.has_prefix_space:
        raise SourceError(f"{vocabulary.name} puts a space before each text, which llama.cpp does not do for BPE")
    if not steps.normalizer:
        return ()
    kinds = {step["type"] for step in flat_steps(json.loads(steps.normalizer), "normalizers")}
    if kinds != {"NFC"}:
        raise SourceError(
            f"{vocabulary.name} normalizes text ({', '.join(sorted(kinds))}), which llama.cpp does not do"
        )
    return ("llama.cpp does not compose characters (NFC): text that is not in NFC gets other ids there",)


def n_without_merges(vocabulary: Vocabulary, pre: str) -> int:
    """Tokens that are made by look-up of whole words alone, where llama.cpp has none: it never produces them."""
    if pre in PRE_TOKENIZERS and PRE_TOKENIZERS[pre].looks_up_words:
        return 0
    parents = merge_parents(vocabulary.encoder.trie, vocabulary.blob, vocabulary.starts)
    return int(np.count_nonzero((parents[:, 0] < 0) & (vocabulary.lengths > 1)))


def check_hash(ids: Sequence[int]) -> str:
    """The hash by which conversion knows a tokenizer, from its ids of CHECK_TEXT."""
    return hashlib.sha256(str(list(ids)).encode()).hexdigest()


def patch_lines(chkhsh: str, pre: str) -> str:
    """The line in `get_vocab_base_pre` by which llama.cpp's converter knows a tokenizer."""
    return f'if chkhsh == "{chkhsh}": res = "{pre}"'
