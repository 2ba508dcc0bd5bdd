"""A tokenizer in the style of cl100k_base: byte-level BPE behind its split pattern, by Hugging Face's trainer.

Documents are given whole: the pattern looks past line ends, so that training on lines would see other pre-tokens.
The trainer's merges are kept as ranks, and encoding is tiktoken's: any two neighbours that form a token are merged.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from vocab.errors import TargetError
from vocab.splitting import CL100K_REGEX, SplitPattern
from vocab.splitting.byte_alphabet import to_bytes
from vocab.vocabulary import Vocabulary

SPECIAL_TOKENS = ("<|endoftext|>",)  # unless others are asked for
N_BYTES = 256


def train(documents: Iterable[str], size: int, special: Sequence[str]) -> Vocabulary:
    """A vocabulary of `size` ids trained on documents, with `special` as its last.

    Memory: the distinct pre-tokens of the text. Raises TargetError when the text is too small for the size.
    """
    pattern = SplitPattern(CL100K_REGEX)
    tokenizer, trainer = untrained(pattern, size - len(special))
    tokenizer.train_from_iterator(documents, trainer)
    ids: dict[str, int] = json.loads(tokenizer.to_str())["model"]["vocab"]
    if len(ids) < size - len(special):
        raise TargetError(
            f"size {size:,} is too large for so little text, which gives {len(ids) + len(special):,} ids at most: "
            "give more"
        )
    tokens = [to_bytes(piece) for piece in sorted(ids, key=ids.__getitem__)]
    return Vocabulary.from_tokens(tokens, pattern, {text: len(tokens) + k for k, text in enumerate(special)})


def untrained(pattern: SplitPattern, size: int) -> tuple[Tokenizer, trainers.BpeTrainer]:
    """Byte-level BPE behind a split pattern, with Hugging Face's trainer of `size` tokens."""
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(pattern.portable), behavior="isolated")
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, as_bytes])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return tokenizer, trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
