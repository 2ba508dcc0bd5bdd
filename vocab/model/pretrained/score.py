"""`score_model`: bits per byte of a causal model on text, whatever its tokenizer.

    bits per byte = Σ nats of all tokens / (ln 2 · bytes of the text in UTF-8)

The bytes are those of the text that was read, never of tokens: tokens that lose or change text would count too few or
too many. Special tokens in a text are read as text, and none is added but the one before each document.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vocab.choices import ProductPrecision, Side
from vocab.corpus.document_corpus import DocumentCorpus, DocumentPart
from vocab.corpus.sampled_documents import sample_notes, sampled_documents
from vocab.errors import CorpusError, SourceError, TrainingError
from vocab.formats import RuntimeTokenizer, load
from vocab.measured import MeasuredTokenizer
from vocab.model.hardware.machine import device_name, training_versions
from vocab.model.hardware.parallel import choose_device
from vocab.model.pretrained.causal_model import CausalModel, Start, load_causal_model, start_of
from vocab.model.pretrained.token_nats import token_nats
from vocab.progress import OnProgress, silent
from vocab.utf8 import utf8

MOST_CONTEXT = 2048  # by default
_GROUP_BYTES = 1_000_000  # of documents that are encoded and sorted by length together


@dataclass(frozen=True)
class DomainScore:
    """Sums over one part of a corpus.

    Attributes:
        name: of the part.
        n_documents: documents scored.
        n_bytes: bytes of their text in UTF-8.
        n_tokens: tokens of that text.
        n_unknown: those of them that are the unknown token, which stands for text that no token spells.
        nats: cross-entropy of all tokens together, in nats.
        seconds: wall-clock seconds in the model, encoding and reading aside.
    """

    name: str
    n_documents: int
    n_bytes: int
    n_tokens: int
    n_unknown: int
    nats: float
    seconds: float

    @property
    def bits_per_byte(self) -> float:
        """Bits a byte of text; NaN without text."""
        return self.nats / (math.log(2) * self.n_bytes) if self.n_bytes else math.nan

    @property
    def nats_per_token(self) -> float:
        """Nats a token; NaN without text. It compares models of one tokenizer alone."""
        return self.nats / self.n_tokens if self.n_tokens else math.nan

    @property
    def tokens_per_second(self) -> float:
        """Tokens of text a second."""
        return self.n_tokens / self.seconds if self.seconds else math.nan

    @property
    def bytes_per_second(self) -> float:
        """Bytes of text a second."""
        return self.n_bytes / self.seconds if self.seconds else math.nan


@dataclass(frozen=True)
class ModelScore:
    """A model's figures on a corpus.

    Attributes:
        model: name of the model.
        tokenizer: name of the tokenizer.
        n_parameters: numbers in all weights; tied ones count once.
        n_rows: rows of embedding and head.
        n_ids: ids of the tokenizer.
        context: positions of a window at most.
        stride: positions from one window to the next.
        start: what the model reads before a document, for people.
        parts: figures of each part of the corpus.
        device: what computed.
        versions: of the packages used.
        notes: what the figures must be read with, as sentences.
    """

    model: str
    tokenizer: str
    n_parameters: int
    n_rows: int
    n_ids: int
    context: int
    stride: int
    start: str
    parts: tuple[DomainScore, ...]
    device: str
    versions: dict[str, str]
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> DomainScore:
        """The sums over all parts."""
        counted = ("n_documents", "n_bytes", "n_tokens", "n_unknown", "nats", "seconds")
        return DomainScore("all", *(sum(getattr(part, name) for part in self.parts) for name in counted))

    def for_report(self) -> dict[str, Any]:
        """The same as JSON types, with each part's figures."""
        return asdict(self) | {"parts": [_for_report(part) for part in self.parts], "total": _for_report(self.total)}


def _for_report(part: DomainScore) -> dict[str, Any]:
    derived = ("bits_per_byte", "nats_per_token", "tokens_per_second", "bytes_per_second")
    return asdict(part) | {name: getattr(part, name) for name in derived}


def score_model(
    model: str | Path | CausalModel,
    corpus: str | Path | Iterable[str | Path] | DocumentCorpus,
    *,
    tokenizer: str | Path | MeasuredTokenizer | None = None,
    context: int | None = None,
    stride: int | None = None,
    start: str = "auto",
    most_bytes: int | None = None,
    side: Side | None = None,
    batch_tokens: int = 2048,
    precision: ProductPrecision = "float32",
    device: str = "auto",
    on_progress: OnProgress | None = None,
) -> ModelScore:
    """Score a Hugging Face causal model on text in bits per byte, by parts of a corpus.

    Args:
        model: a folder with config.json and safetensors, a `.gguf` file that transformers reads, a repository, or what
            `load_causal_model` gave.
        corpus: what `vocab.count` takes, each a part; or a `DocumentCorpus`.
        tokenizer: what `vocab.load` takes, or a loaded tokenizer; the model's own by default.
        context: positions of a window at most; by default the model's longest input, or 2,048 if that is longer.
        stride: positions from one window to the next, 1 to `context`; half the context by default.
        start: what the model reads before a document: see `start_of`.
        most_bytes: bytes of documents of each part to score; all by default.
        side: only documents to train on or held out, by the rule of `vocab count`; both by default.
        batch_tokens: positions that are computed at once. It changes no figure but speed and memory.
        precision: what products are computed in.
        device: "auto", "cpu" or "cuda".
        on_progress: called with the stage, bytes scored and bytes to score so far known.

    Raises:
        TrainingError: the model cannot be loaded or used with the tokenizer, or an option is out of range.
        SourceError: the tokenizer cannot be loaded.
        CorpusError: the corpus cannot be read or has no text.
    """
    loaded = model if isinstance(model, CausalModel) else load_causal_model(model, choose_device(device))
    whose = loaded.name if tokenizer is None else tokenizer
    own = load(whose) if isinstance(whose, str | Path) else whose
    loaded.check_ids(own)
    context, stride = window_sizes(loaded, context, stride)
    scorer = _Scorer(loaded, own, start_of(loaded, own, start), context, stride, batch_tokens, precision)
    documents = corpus if isinstance(corpus, DocumentCorpus) else DocumentCorpus(corpus)
    show = on_progress or silent
    parts = tuple(scorer.score(part, sampled_documents(part, most_bytes, side), show) for part in documents.parts)
    return ModelScore(
        loaded.name,
        own.name,
        loaded.n_parameters,
        loaded.n_rows,
        own.n_ids,
        context,
        stride,
        scorer.start.said,
        parts,
        device_name(loaded.device),
        training_versions(),
        (*_other_tokens(loaded.name, own, is_own=tokenizer is None), *_notes(own, parts, most_bytes)),
    )


def window_sizes(model: CausalModel, context: int | None, stride: int | None) -> tuple[int, int]:
    """Context and stride, as given or by default; raises TrainingError for one out of range."""
    longest = model.max_positions
    context = context or min(longest or MOST_CONTEXT, MOST_CONTEXT)
    if context < 2 or (longest and context > longest):
        raise TrainingError(
            f"`context` must be from 2 to {longest or 'the longest input'}, not {context}: see {model.name}"
        )
    stride = stride or max(1, context // 2)
    if not 1 <= stride <= context:
        raise TrainingError(f"`stride` must be from 1 to the context of {context}, not {stride}")
    return context, stride


@dataclass(frozen=True)
class _Scorer:
    model: CausalModel
    tokenizer: MeasuredTokenizer
    start: Start
    context: int
    stride: int
    batch_tokens: int
    precision: ProductPrecision

    def score(self, part: DocumentPart, texts: Iterator[str], on_progress: OnProgress) -> DomainScore:
        """The sums over the documents of a part."""
        sums = [0, 0, 0, 0]
        nats = seconds = 0.0
        for group in _groups(texts):
            ids = [np.array(one, dtype=np.int32) for one in self.tokenizer.encode_batch(group)]
            started = time.perf_counter()
            found = self.nats(ids)
            seconds += time.perf_counter() - started
            nats += math.fsum(float(one.sum()) for one in found)
            counted = (len(group), sum(len(utf8(t)) for t in group), sum(one.size for one in ids), self._unknown(ids))
            sums = [a + b for a, b in zip(sums, counted, strict=True)]
            on_progress(f"score {part.name}", sums[1], 0)
        if not sums[1]:
            raise CorpusError(f"{part.name} has no text to score")
        if not math.isfinite(nats):
            raise TrainingError(f"{self.model.name} gives numbers that are not finite on {part.name}: it is damaged")
        return DomainScore(part.name, sums[0], sums[1], sums[2], sums[3], nats, seconds)

    def nats(self, ids: list[Any]) -> list[Any]:
        """Nats of each token of each document."""
        return token_nats(
            *(self.model, ids, self.start),
            context=self.context,
            stride=self.stride,
            batch_tokens=self.batch_tokens,
            precision=self.precision,
        )

    def _unknown(self, ids: list[Any]) -> int:
        unknown = self.tokenizer.unknown
        id_ = -1 if unknown is None else self.tokenizer.special_tokens.get(unknown, -1)
        return sum(int((one == id_).sum()) for one in ids)


def _groups(texts: Iterator[str]) -> Iterator[list[str]]:
    group: list[str] = []
    n_characters = 0
    for text in texts:
        group.append(text)
        n_characters += len(text)
        if n_characters >= _GROUP_BYTES:
            yield group
            group, n_characters = [], 0
    if group:
        yield group


def _other_tokens(model: str, tokenizer: MeasuredTokenizer, *, is_own: bool) -> list[str]:
    """A sentence where ids of a tokenizer that was named stand for other tokens in the model's own folder."""
    try:
        ids = {} if is_own else load(model).token_ids
    except SourceError:  # the model has no tokenizer of its own
        ids = {}
    n_other = sum(ids.get(token, id_) != id_ for token, id_ in tokenizer.token_ids.items())
    if not n_other:
        return []
    return [f"{n_other:,} tokens of {tokenizer.name} have other ids in {model} itself: the model reads them as others."]


def _notes(tokenizer: MeasuredTokenizer, parts: tuple[DomainScore, ...], most_bytes: int | None) -> tuple[str, ...]:
    notes = list(tokenizer.notes) if isinstance(tokenizer, RuntimeTokenizer) else []
    notes += [note for part in parts for note in sample_notes(part.name, part.n_bytes, most_bytes)]
    if unknown := sum(part.n_unknown for part in parts):
        notes.append(
            f"{unknown:,} tokens are {tokenizer.unknown}, which tells nothing of the text that it stands for: the bits "
            "per byte are too low."
        )
    return tuple(notes)
