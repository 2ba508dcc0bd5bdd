"""Small byte-level tokenizers, trained by Hugging Face tokenizers."""

import json
import tarfile
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers


def byte_level_bpe(vocab_size: int = 600, pattern: str | None = None) -> Tokenizer:
    """A byte-level BPE as GPT-2's (or with a pattern as Llama 3's), trained by tokenizers."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if pattern:
        split = pre_tokenizers.Split(Regex(pattern), "isolated")
        rest = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, rest])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([Path(tarfile.__file__).read_text(encoding="utf-8")], trainer)
    tokenizer.add_special_tokens(["<|endoftext|>", "<|pad|>"])
    return tokenizer


def stored(tokenizer: Tokenizer, path: Path, change=None) -> Path:
    """Save as tokenizer.json; `change` edits the JSON in place."""
    settings = json.loads(tokenizer.to_str())
    if change:
        change(settings)
    path.mkdir(exist_ok=True)
    (path / "tokenizer.json").write_text(json.dumps(settings), encoding="utf-8")
    return path / "tokenizer.json"
