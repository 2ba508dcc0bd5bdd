"""llama.cpp as one of the runtimes of `vocab verify`, on a GGUF file."""

from __future__ import annotations

from pathlib import Path

from vocab.formats.gguf_pre_tokenizers import PRE_TOKENIZERS
from vocab.formats.gguf_tokenizer import GgufTokenizer
from vocab.formats.llama_cpp_runtime import LlamaCppRuntime
from vocab.interop.conversion.default_calls import DefaultCalls
from vocab.interop.conversion.peer_runtime import PeerRuntime

ENDING = ".gguf"


def llama_cpp(path: Path) -> PeerRuntime:
    """llama.cpp on the tokenizer of a GGUF file; raises SourceError where it does not load it."""
    tokenizer = GgufTokenizer.read(path)
    runtime = LlamaCppRuntime(tokenizer)

    def special_id(text: str) -> int | None:
        ids = runtime.encode_with_special(text)
        return ids[-1] if len(ids) == 1 else None

    pre = PRE_TOKENIZERS.get(tokenizer.pre)
    adds_bos = tokenizer.model == "llama" or (pre is not None and pre.adds_bos)
    before, after = ([tokenizer.special[text] for text in side] for side in tokenizer.around(adds_bos))
    calls = DefaultCalls(
        lambda texts: [runtime.encode_by_default(text) for text in texts],
        runtime.decode,
        before,
        after,
        cleans_up=True,  # it decodes special tokens too
    )
    return PeerRuntime(
        lambda texts: list(runtime.encode_all(texts)),
        runtime.decode,
        special_id,
        runtime.encode_by_default,
        runtime.n_ids,
        calls,
    )
