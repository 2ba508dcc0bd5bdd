"""Texts that the field uses for special tokens, best known first."""

from __future__ import annotations

BEGIN_OF_TEXT = ("<|begin_of_text|>", "<s>")
END_OF_TEXT = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<|eot_id|>")
PADDING = ("<|pad|>", "<pad>", "[PAD]")
