"""GGUF as a source: the tokenizer of a model of llama.cpp, whose weights are not read.

Byte-level BPE and SentencePiece's BPE are read; what else llama.cpp runs is measured by llama.cpp itself.
"""

from __future__ import annotations

from pathlib import Path

from vocab.errors import SourceError
from vocab.formats.gguf_byte_level import read_byte_level
from vocab.formats.gguf_pieces import read_pieces
from vocab.formats.gguf_tokenizer import GgufTokenizer
from vocab.formats.runtime_tokenizer import RuntimeTokenizer
from vocab.vocabulary import Vocabulary


def read_gguf(path: Path) -> Vocabulary | RuntimeTokenizer:
    """A tokenizer from a GGUF file; raises SourceError for a damaged one, and for one that cannot be run here."""
    tokenizer = GgufTokenizer.read(path)
    if tokenizer.model == "gpt2":
        return read_byte_level(tokenizer)
    if tokenizer.model == "llama":
        return read_pieces(tokenizer)
    raise SourceError(f"{path} has a tokenizer of the kind {tokenizer.model!r}, which is not read")
