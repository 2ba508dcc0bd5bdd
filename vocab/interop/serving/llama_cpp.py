"""Pre-tokenizers of llama.cpp: their names, which of them look up whole words, and the hash that names one.

Source: ggml-org/llama.cpp `src/llama-vocab.cpp` (names, patterns, ignore_merges) and `convert_hf_to_gguf_update.py`
(the text that is hashed).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from vocab.encoding.encoder import merge_parents
from vocab.errors import SourceError
from vocab.splitting.known_patterns import (
    CL100K_REGEX,
    GPT2_OLD_REGEX,
    GPT2_REGEX,
    LLAMA3_REGEX,
    O200K_REGEX,
    QWEN2_REGEX,
    TEKKEN_REGEX,
)
from vocab.splitting.patterns import SplitPattern
from vocab.vocabulary import Vocabulary

# tokenizer.ggml.pre of each split pattern. cl100k_base cuts as Llama 3 does; its own name there (dbrx) has no look-up
# of whole words.
PRE_TOKENIZERS = {
    LLAMA3_REGEX: "llama-bpe",
    CL100K_REGEX: "llama-bpe",
    GPT2_REGEX: "gpt-2",
    GPT2_OLD_REGEX: "gpt-2",
    QWEN2_REGEX: "qwen2",
    O200K_REGEX: "gpt-4o",
    TEKKEN_REGEX: "tekken",
}
_PORTABLE = {SplitPattern(regex).portable: name for regex, name in PRE_TOKENIZERS.items()}  # as in tokenizer.json
_LOOK_UP_WORDS = {"llama-bpe", "tekken"}  # there a word that is a token needs no merges
# Sizes that conversion takes for CodeLlama and Granite, if the model is of Llama's architecture.
SPECIAL_SIZES = {32016: "CodeLlama", 49152: "Granite"}
CHECK_TEXT = (
    "\n \n\n \n\n\n \t \t\t \t\n  \n   \n    \n     \n🚀 (normal) 😶\u200d🌫️ (multiple emojis "
    "concatenated) ✅ 🦙🦙 3 33 333 3333 33333 333333 3333333 33333333 3.3 3..3 3...3 កាន់តែពិសេសអាច😁 "
    "?我想在apple工作1314151天～ ------======= нещо на Български "
    "''''''```````\"\"\"\"......!!!!!!?????? I've been 'told he's there, 'RE you sure? 'M not sure I'll "
    "make it, 'D you like some tea? We'Ve a'lL"
)


def pre_tokenizer(vocabulary: Vocabulary) -> str:
    """The name of the pre-tokenizer in llama.cpp; raises SourceError for a split pattern that has none."""
    name = _PORTABLE.get(vocabulary.pattern.portable)
    if name is None:
        raise SourceError(
            f"the split pattern of {vocabulary.name} is none that llama.cpp is known to have: name its "
            "pre-tokenizer with `pre`, if it has one"
        )
    return name


def n_without_merges(vocabulary: Vocabulary, pre: str) -> int:
    """Tokens that are made by look-up of whole words alone, where llama.cpp has none: it never produces them."""
    if pre in _LOOK_UP_WORDS:
        return 0
    parents = merge_parents(vocabulary.encoder.trie, vocabulary.blob, vocabulary.starts)
    return int(np.count_nonzero((parents[:, 0] < 0) & (vocabulary.lengths > 1)))


def check_hash(ids: Sequence[int]) -> str:
    """The hash by which conversion knows a tokenizer, from its ids of CHECK_TEXT."""
    return hashlib.sha256(str(list(ids)).encode()).hexdigest()


def patch_lines(chkhsh: str, pre: str) -> str:
    """The line in `get_vocab_base_pre` by which llama.cpp's converter knows a tokenizer."""
    return f'if chkhsh == "{chkhsh}": res = "{pre}"'
