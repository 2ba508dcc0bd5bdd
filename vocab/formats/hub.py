"""Vocabularies by the name of a Hugging Face repository, from its cache or, where there is a network, from the hub."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vocab.errors import SourceError
from vocab.formats.companions import CONFIG, MORE_TEMPLATES, SPECIAL, TEMPLATE
from vocab.formats.folder import read_folder
from vocab.formats.folder_tokens import ADDED
from vocab.formats.runtime_tokenizer import RuntimeTokenizer
from vocab.vocabulary import Vocabulary

_CACHE: str | None = None  # where huggingface_hub keeps it, unless tests say otherwise

# Files of a repository that a vocabulary may be read from, and those beside it; weights are never fetched.
_WANTED = [
    "tokenizer.json",
    "tokenizer.model",
    "tekken.json",
    "*.tiktoken",
    "spiece.model",
    "sentencepiece.bpe.model",
    "vocab.json",
    "merges.txt",
]
_WANTED += [ADDED, CONFIG, SPECIAL, TEMPLATE, f"{MORE_TEMPLATES}/*.jinja"]


def load_from_hub(name: str) -> Vocabulary | RuntimeTokenizer:
    """The vocabulary of the repository `name` ("mistralai/Mistral-7B-v0.1").

    Raises SourceError when it is neither cached nor reachable, or holds no file that can be read.
    """
    import huggingface_hub

    try:
        folder = huggingface_hub.snapshot_download(name, allow_patterns=_WANTED, cache_dir=_CACHE)
    except Exception as error:  # noqa: BLE001 - of many libraries: network, permission, cache, name
        raise SourceError(
            f"{name} is neither a file nor a folder here, nor a Hugging Face repository that is cached or can be "
            f"fetched ({type(error).__name__})"
        ) from None
    vocabulary = read_folder(Path(folder))
    return replace(vocabulary, provenance=replace(vocabulary.provenance, name=name.rsplit("/", 1)[-1]))
