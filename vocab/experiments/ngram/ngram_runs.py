"""Runs of an n-gram study: one model for each vocabulary, counted and scored on the same documents."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from vocab.arrays import Ints, Tokens
from vocab.corpus.counting import is_held_out
from vocab.corpus.read_options import ReadOptions
from vocab.errors import StudyError
from vocab.experiments.loss.arms import ArmAtSize, VocabularyCache, vocabularies_of
from vocab.experiments.loss.loss_analysis import check_one_text
from vocab.experiments.loss.sample import Sample, sample_corpus, work_folder
from vocab.experiments.ngram.kneser_ney import NgramModel
from vocab.experiments.ngram.ngram_spec import NgramStudy
from vocab.experiments.rows import RUN, StudyRow
from vocab.experiments.run_context import RunContext
from vocab.vocabulary import Vocabulary


@dataclass(frozen=True)
class _Texts:
    """Documents trained on and held out."""

    train: list[str]
    held_out: list[str]

    @cached_property
    def n_train_bytes(self) -> int:
        return sum(len(text.encode()) for text in self.train)

    @cached_property
    def held_out_bytes(self) -> list[int]:
        return [len(text.encode()) for text in self.held_out]


class NgramRuns:
    """The runs of one study on one text; `run` does those that have no row yet.

    Raises CorpusError for too little text and StudyError for a vocabulary that cannot be built.
    """

    def __init__(
        self,
        study: NgramStudy,
        context: RunContext,
        work: Path,
        corpus: list[str],
        options: ReadOptions,
        n_threads: int,
    ) -> None:
        self._study, self._context, self._corpus, self._n_threads = study, context, corpus, n_threads
        self._options, self._work = options, work_folder(work, study.sha256, corpus, options)

    def run(self) -> tuple[str, ...]:
        """Do all runs that are missing; returns sentences on what reading the corpus left out."""
        sample = sample_corpus(self._corpus, self._work / "corpus.jsonl", self._study.megabytes, self._options)
        about = self._about(sample)
        check_one_text([*(row.origin for row in self._context.rows.rows if row.key["kind"] == RUN), about])
        cache = VocabularyCache(sample.path, self._work / "vocabularies", self._n_threads)
        texts, arms = _texts(sample.path), list(vocabularies_of(self._study.arms))
        for k, arm in enumerate(arms):
            self._context.on_progress(f"runs: {arm.name}", k, len(arms))
            self._run_once(arm, cache, texts, about)
        self._context.on_progress("runs", len(arms), len(arms))
        return sample.left_out

    def _about(self, sample: Sample) -> dict[str, Any]:
        """The text, as rows describe it."""
        names = [Path(path).name for path in self._corpus]
        return {"corpus": names, "text_sha256": sample.sha256, "n_text_bytes": sample.n_bytes}

    def _run_once(self, arm: ArmAtSize, cache: VocabularyCache, texts: _Texts, about: dict[str, Any]) -> None:
        """Count and score one model and add its row, unless there is one."""
        key = {"kind": RUN, "arm": arm.arm.name, "n_ids": arm.size}
        if self._context.rows.has(self._study.name, key):
            return
        result = _result(cache.vocabulary(arm), texts, self._study.order, self._n_threads)
        self._context.rows.add(StudyRow(self._study.name, key, result, {**self._context.origin, **about}))


def _texts(path: Path) -> _Texts:
    """The documents of a sample by the rule of `vocab count`; raises StudyError where one side is empty."""
    texts = _Texts([], [])
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            text = json.loads(line)["text"]
            (texts.held_out if is_held_out(text.encode()) else texts.train).append(text)
    if not texts.train or not texts.held_out:
        raise StudyError("the text has too few documents to hold some out: give more of it")
    return texts


def _result(vocabulary: Vocabulary, texts: _Texts, order: int, n_threads: int) -> dict[str, Any]:
    ids, starts = _encoded(vocabulary, texts.train, n_threads)
    model = NgramModel(ids, starts, vocabulary.max_id + 1, vocabulary.n_tokens, order)
    bits = model.bits(*_encoded(vocabulary, texts.held_out, n_threads))
    return {
        "n_ids": vocabulary.n_ids,
        "inference": vocabulary.inference,
        "bytes_per_token": texts.n_train_bytes / ids.size,
        "n_train_bytes": texts.n_train_bytes,
        "document_bits": [round(value, 3) for value in bits.tolist()],
        "document_bytes": texts.held_out_bytes,
    }


def _encoded(vocabulary: Vocabulary, texts: Sequence[str], n_threads: int) -> tuple[Tokens, Ints]:
    """Ids of documents end to end, int32, and where each starts, int64[n_documents + 1]."""
    each = [np.asarray(ids, dtype=np.int32) for ids in vocabulary.encode_batch(texts, n_threads)]
    starts = np.concatenate([[0], np.cumsum([ids.size for ids in each])]).astype(np.int64)
    return np.concatenate(each), starts
