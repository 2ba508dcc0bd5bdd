"""`train_tokenizer`: tokenizers from scratch, to compare pruned ones with and to use."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vocab.choices import Style
from vocab.corpus.process_memory import peak_resident_bytes
from vocab.corpus.read_options import ReadOptions
from vocab.environment import processor, versions
from vocab.errors import TargetError
from vocab.formats.folder import safe_name, write_files
from vocab.formats.tokenizer_json import is_token_text
from vocab.interop.scratch import cl100k_style, llama2_style
from vocab.interop.scratch.training_text import TrainingText
from vocab.vocabulary import Provenance, Vocabulary
from vocab.writing import staged_folder, write_json


@dataclass(frozen=True)
class TrainedTokenizer:
    """A vocabulary trained from scratch.

    Attributes:
        vocabulary: the vocabulary.
        report: the content of report.json.
    """

    vocabulary: Vocabulary
    report: dict[str, Any]

    def save(self, directory: str | Path, *, force: bool = False) -> list[Path]:
        """Write the tokenizer files and report.json to a folder, all or nothing.

        Args:
            directory: folder to write.
            force: whether to replace an earlier result in the folder.

        Returns:
            The paths of the files.

        Raises:
            OutputError: the folder may not or cannot be written.
        """
        directory = Path(directory)
        with staged_folder(directory, force=force) as staging:
            names = [p.name for p in write_files(self.vocabulary, staging, safe_name(self.vocabulary.name))]
            write_json(staging / "report.json", self.report)
        return [directory / name for name in [*names, "report.json"]]


def check_request(style: Style, size: int, special: Sequence[str] | None = None) -> list[str]:
    """The special tokens to train with, those of the style unless others are named; raises TargetError.

    Cheap, so that a request that cannot be met is refused before text is read.
    """
    fixed: tuple[str, ...] = ()
    if style == "llama2":
        fixed, least, texts = llama2_style.SPECIAL_TOKENS, llama2_style.LEAST_SIZE, list(special or [])
    else:
        least = cl100k_style.N_BYTES
        texts = list(cl100k_style.SPECIAL_TOKENS if special is None else special)
    for text in texts:
        if not text:
            raise TargetError("a special token cannot be empty")
        if text in fixed or texts.count(text) > 1:
            raise TargetError(f"the special token {text!r} is there already")
    if size < least + len(texts):
        what = f"{least} bytes and tokens of the style and {len(texts)} special tokens are always there"
        raise TargetError(f"size {size:,} is too small: {what}, so the least is {least + len(texts)}")
    return texts


def train_tokenizer(
    style: Style,
    size: int,
    inputs: Sequence[str],
    *,
    options: ReadOptions | None = None,
    special: Sequence[str] | None = None,
) -> TrainedTokenizer:
    """Train a tokenizer on corpora, without the documents that `vocab count` holds out.

    The same text gives the same result.

    Args:
        style: "llama2" is SentencePiece's BPE with Llama 2's settings; memory is about 9 times the size of the text.
            "cl100k" is byte-level BPE with cl100k_base's split pattern, by Hugging Face tokenizers; memory is that of
            the distinct pre-tokens.
        size: number of ids in the result, special tokens included.
        inputs: files, folders or globs of text, as `vocab.count` takes them.
        options: how to read the inputs; None for the defaults.
        special: special tokens. For "llama2" they follow its own three as control pieces. For "cl100k" they come last;
            None means <|endoftext|>.

    Raises:
        TargetError: the text or the special tokens do not allow the size.
        CorpusError: the text cannot be read.
    """
    texts = check_request(style, size, special)
    documents = TrainingText(inputs, options)
    started = time.perf_counter()
    train = llama2_style.train if style == "llama2" else cl100k_style.train
    vocabulary = train(documents, size, texts)
    seconds = time.perf_counter() - started
    if taken := [text for text in vocabulary.special_tokens if is_token_text(vocabulary, text)]:
        raise TargetError(f"the special token {taken[0]!r} reads like an ordinary token in tokenizer.json: rename it")
    provenance = Provenance(f"{style}-style-{size}", None, vocabulary.provenance.format)
    report = {
        "style": style,
        "size_asked": size,
        "size": vocabulary.n_ids,
        "special_tokens": dict(vocabulary.special_tokens),
        "inference": vocabulary.inference,
        "split_pattern": vocabulary.pattern.regex,
        "settings": llama2_style.SETTINGS if style == "llama2" else {"min_frequency": 0},
        "corpus": documents.summary(),
        "seconds": round(seconds, 2),
        "peak_memory_bytes": peak_resident_bytes(),
        "processor": processor(),
        "versions": {**versions(), "sentencepiece": importlib.metadata.version("sentencepiece")},
    }
    return TrainedTokenizer(replace(vocabulary, provenance=provenance), report)
