"""Folders of a SentencePiece model whose ids transformers numbers anew, as for XLM-R: read as AutoTokenizer loads them.

XLM-R, mBART and NLLB put their own special tokens before the pieces (fairseq's order), T5 puts a hundred behind them.
All of them run in Hugging Face tokenizers, with its normalizer, so transformers itself makes the tokenizer.json.
"""

from __future__ import annotations

import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from vocab.errors import SourceError
from vocab.formats.by_content import is_sentencepiece, load_file
from vocab.formats.companions import CONFIG, read_object
from vocab.formats.runtime_tokenizer import RuntimeTokenizer
from vocab.vocabulary import Vocabulary

_CLASSES = frozenset(
    f"{name}Tokenizer{ending}"
    for name in (
        *("Albert", "Barthez", "BigBird", "Camembert", "DebertaV2", "FNet", "MBart", "MBart50", "MT5", "Nllb"),
        *("Pegasus", "Reformer", "RemBert", "T5", "XGLM", "XLMRoberta", "XLNet"),
    )
    for ending in ("", "Fast")
)


def is_numbered_anew(directory: Path) -> bool:
    """Whether a folder holds a SentencePiece model, no tokenizer.json, and names a class that numbers it anew."""
    if (directory / "tokenizer.json").is_file() or not (directory / CONFIG).is_file():
        return False
    models = [path for path in directory.glob("*.model") if path.is_file()]
    return (
        str(read_object(directory / CONFIG).get("tokenizer_class")) in _CLASSES
        and len(models) == 1
        and is_sentencepiece(models[0].read_bytes()[:64])
    )


def read_numbered_anew(directory: Path) -> Vocabulary | RuntimeTokenizer:
    """The tokenizer of such a folder; raises SourceError where transformers is missing or cannot load it."""
    try:
        transformers: Any = import_module("transformers")
    except ImportError:
        raise SourceError(
            f"{directory} holds a SentencePiece model that transformers numbers anew: pip install transformers"
        ) from None
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            str(directory), local_files_only=True, trust_remote_code=False
        )
        text = tokenizer.backend_tokenizer.to_str()
    except Exception as error:  # noqa: BLE001 - transformers raises anything
        reason = " ".join(f"{type(error).__name__} {error}".split())[:200]
        raise SourceError(f"{directory} cannot be loaded by AutoTokenizer: {reason}") from None
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / directory.resolve().name / "tokenizer.json"
        path.parent.mkdir()
        path.write_text(text, "utf-8")
        return load_file(path)
