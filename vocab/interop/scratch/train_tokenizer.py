"""`train_tokenizer`: tokenizers from scratch, to compare pruned ones with and to use."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vocab.choices import Style
from vocab.corpus.counting import CorpusCounts, count
from vocab.corpus.process_memory import peak_resident_bytes
from vocab.corpus.read_options import ReadOptions
from vocab.environment import processor, versions
from vocab.errors import CorpusError, TargetError
from vocab.formats.folder import safe_name, write_files
from vocab.formats.tokenizer_json import is_token_text
from vocab.interop.scratch import cl100k_style, llama2_style
from vocab.interop.scratch.bpe_trainer import N_BYTES
from vocab.interop.scratch.training_text import TrainingText
from vocab.progress import OnProgress, Stopwatch
from vocab.threads import n_cores
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
        least = N_BYTES
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


def check_corpus(style: Style, *, has_text: bool, has_counts: bool) -> None:
    """Raise CorpusError unless a style is given what it can be trained on."""
    if has_text == has_counts:
        raise CorpusError("a tokenizer is trained on text or on counts: give one of the two")
    if has_counts and style == "llama2":
        raise CorpusError("SentencePiece trains on text, so counts are for the style cl100k alone: give text")


def train_tokenizer(
    style: Style,
    size: int,
    inputs: Sequence[str] = (),
    *,
    corpus: CorpusCounts | None = None,
    options: ReadOptions | None = None,
    special: Sequence[str] | None = None,
    n_threads: int | None = None,
    on_progress: OnProgress | None = None,
) -> TrainedTokenizer:
    """Train a tokenizer on corpora, without the documents that `vocab count` holds out.

    The same text gives the same result, and so do its counts.

    Args:
        style: "llama2" is SentencePiece's BPE with Llama 2's settings; memory is about 9 times the size of the text.
            "cl100k" is byte-level BPE with cl100k_base's split pattern, with the merges of Hugging Face tokenizers;
            memory is that of the distinct pre-tokens, whatever the size of the text.
        size: number of ids in the result, special tokens included.
        inputs: files, folders or globs of text, as `vocab.count` takes them.
        corpus: counts in place of `inputs`, for "cl100k" alone. Each part counts as often as its weight says.
        options: how to read the inputs; None for the defaults.
        special: special tokens. For "llama2" they follow its own three as control pieces. For "cl100k" they come last;
            None means <|endoftext|>.
        n_threads: threads to count with; None for all cores. The result does not depend on it.
        on_progress: called with the name of a stage, how much of it is done, and how much there is.

    Raises:
        TargetError: the text or the special tokens do not allow the size.
        CorpusError: the text cannot be read, there is none, or the counts are of another split pattern.
    """
    texts = check_request(style, size, special)
    check_corpus(style, has_text=bool(inputs), has_counts=corpus is not None)
    started = time.perf_counter()
    watch = Stopwatch(on_progress)
    if style == "llama2":
        vocabulary, summary = _from_text(size, texts, inputs, options, watch)
    else:
        with watch.stage("count pre-tokens"):
            corpus = corpus or count(inputs, cl100k_style.PATTERN, options=options, n_threads=n_threads or n_cores())
        vocabulary, summary = cl100k_style.train(corpus, size, texts, on_progress), cl100k_style.summary_of(corpus)
    seconds = time.perf_counter() - started
    if taken := [text for text in vocabulary.special_tokens if is_token_text(vocabulary, text)]:
        raise TargetError(f"the special token {taken[0]!r} reads like an ordinary token in tokenizer.json: rename it")
    provenance = Provenance(f"{style}-style-{size}", None, vocabulary.provenance.format)
    vocabulary = replace(vocabulary, provenance=provenance)
    return TrainedTokenizer(vocabulary, _report(style, size, vocabulary, summary, seconds))


def _from_text(
    size: int, special: Sequence[str], inputs: Sequence[str], options: ReadOptions | None, watch: Stopwatch
) -> tuple[Vocabulary, dict[str, Any]]:
    """A vocabulary in the style of Llama 2, and the figures of its text."""
    documents = TrainingText(inputs, options)
    with watch.stage("train"):
        return llama2_style.train(documents, size, special), documents.summary()


def _report(style: Style, size: int, vocabulary: Vocabulary, corpus: dict[str, Any], seconds: float) -> dict[str, Any]:
    return {
        "style": style,
        "size_asked": size,
        "size": vocabulary.n_ids,
        "special_tokens": dict(vocabulary.special_tokens),
        "inference": vocabulary.inference,
        "split_pattern": vocabulary.pattern.regex,
        "settings": llama2_style.SETTINGS if style == "llama2" else {"min_frequency": 0},
        "corpus": corpus,
        "seconds": round(seconds, 2),
        "peak_memory_bytes": peak_resident_bytes(),
        "processor": processor(),
        "versions": {**versions(), "sentencepiece": importlib.metadata.version("sentencepiece")},
    }
