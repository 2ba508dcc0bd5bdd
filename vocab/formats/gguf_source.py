"""GGUF as a source: the tokenizer of a model of llama.cpp, whose weights are not read.

Byte-level BPE and SentencePiece's BPE are read; what else llama.cpp runs is measured by llama.cpp itself.
"""

from __future__ import annotations

from pathlib import Path

from vocab.errors import SourceError
from vocab.formats import llama_cpp_runtime
from vocab.formats.gguf_byte_level import read_byte_level
from vocab.formats.gguf_pieces import read_pieces
from vocab.formats.gguf_tokenizer import GgufTokenizer
from vocab.formats.runtime_tokenizer import RuntimeTokenizer
from vocab.splitting.preparation import MARK
from vocab.vocabulary import Vocabulary

_HINT = "llama.cpp can measure it: pip install 'vocabkit[llamacpp]'"


def read_gguf(path: Path) -> Vocabulary | RuntimeTokenizer:
    """A tokenizer from a GGUF file; raises SourceError for a damaged one, and for one that cannot be run here."""
    tokenizer = GgufTokenizer.read(path)
    readers = {"gpt2": read_byte_level, "llama": read_pieces}
    if tokenizer.model not in readers:
        kind = tokenizer.model or "none"
        return _run(tokenizer, SourceError(f"{path} has a tokenizer of the kind {kind!r}, which is not read"))
    if tokenizer.model == "gpt2":
        tokenizer.merges()  # damaged ones are refused, and not run
    try:
        return readers[tokenizer.model](tokenizer)
    except SourceError as error:
        return _run(tokenizer, error)


def _run(tokenizer: GgufTokenizer, error: SourceError) -> RuntimeTokenizer:
    """The tokenizer run by llama.cpp; raises SourceError, with the reader's reason, where it cannot be."""
    if not llama_cpp_runtime.is_installed():
        raise SourceError(f"{error}; {_HINT}") from None
    try:
        runtime = llama_cpp_runtime.LlamaCppRuntime(tokenizer)
    except SourceError as refusal:
        raise SourceError(f"{error}; {refusal}") from None
    special = tokenizer.special
    unknown = tokenizer.roles.get("unk_token")
    return RuntimeTokenizer(
        inference=tokenizer.model,
        split_description=f"as llama.cpp does it for {tokenizer.model}, pre-tokenizer {tokenizer.pre}",
        split_sha256=None,
        special_tokens=special,
        unknown=unknown,
        pieces={k: text.replace(MARK, " ").encode() for k, text in enumerate(tokenizer.tokens) if text not in special},
        runtime=runtime,
        obstacle=str(error),
        provenance=tokenizer.provenance(),
    )
