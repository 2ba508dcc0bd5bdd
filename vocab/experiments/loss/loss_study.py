"""Runs of a vocabulary study: the same model on the same text through each vocabulary, once a seed."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vocab.errors import StudyError
from vocab.experiments.loss.arms import ArmAtSize, Workshop, load_source, vocabularies_of
from vocab.experiments.loss.loss_analysis import check_one_text
from vocab.experiments.loss.sample import Sample, sample_corpus
from vocab.experiments.rows import RUN, Row, RowFile
from vocab.experiments.spec import RUN_HEAD, LossSpec, Spec
from vocab.model.data.sharding import make_shards
from vocab.model.data.shards import ShardFacts, read_facts
from vocab.model.network.config import ModelConfig, preset
from vocab.model.training.logs import read_log
from vocab.model.training.settings import TrainSettings
from vocab.model.training.trainer import Cadence
from vocab.model.training.training_run import check_run_folder, train
from vocab.vocabulary import Vocabulary

Heard = Callable[[str, int, int], None]
# A warm-up of the learning rate, as a share of all tokens; constant after it.
_WARMUP = 0.02
# Documents held out stand in the text beside those to train on; this much more text has enough of both.
_SPARE = 1.15


def sizes_of(loss: LossSpec) -> list[int]:
    """Sizes of all vocabularies of a study, rising; raises StudyError for a source that cannot be read."""
    found = {wanted.size or load_source(wanted.arm.source).max_id + 1 for wanted in vocabularies_of(loss)}
    return sorted(found)


@dataclass(frozen=True)
class _Made:
    """A vocabulary with its shards."""

    wanted: ArmAtSize
    vocabulary: Vocabulary
    shards: Path


class LossStudy:
    """Everything that the runs of one study share; `run` does those that have no row yet.

    Raises CorpusError for too little text and StudyError for a vocabulary that cannot be built.
    """

    def __init__(
        self, spec: Spec, loss: LossSpec, rows: RowFile, work: Path, corpus: list[str], device: str, n_threads: int
    ) -> None:
        self._spec, self._loss, self._rows = spec, loss, rows
        # Of a specification and its text: what others left in the same folder is neither taken nor in the way.
        made_for = json.dumps([spec.sha256, corpus])
        self._work = work / hashlib.sha256(made_for.encode()).hexdigest()[:12]
        self._corpus, self._device, self._n_threads = corpus, device, n_threads

    def run(self, origin: Mapping[str, Any], hear: Heard) -> None:
        """All runs that are missing."""
        choosing = self._sample("corpus.jsonl", self._loss.choosing_megabytes)
        text = self._sample("text.jsonl", self._loss.megabytes * _SPARE)
        about = {
            "corpus": [Path(place).name for place in self._corpus],
            "choosing_sha256": choosing.sha256,
            "text_sha256": text.sha256,
            "n_text_bytes": text.n_bytes,
        }
        check_one_text([row.origin for row in self._rows.rows if row.key["kind"] == RUN] + [about])
        workshop = Workshop(choosing.path, self._work / "vocabularies", self._n_threads)
        every = list(vocabularies_of(self._loss))
        n_runs = len(every) * len(self._loss.seeds)
        for k, wanted in enumerate(every):
            hear(f"runs: {wanted.name}", k * len(self._loss.seeds), n_runs)
            made = _Made(wanted, workshop.vocabulary(wanted), self._work / "shards" / wanted.name)
            for j, seed in enumerate(self._loss.seeds):
                self._run_once(made, seed, text, {**origin, **about})
                hear(f"runs: {wanted.name}", k * len(self._loss.seeds) + j + 1, n_runs)

    def _sample(self, name: str, megabytes: float) -> Sample:
        self._work.mkdir(parents=True, exist_ok=True)
        return sample_corpus(self._corpus, self._work / name, megabytes)

    def _run_once(self, made: _Made, seed: int, text: Sample, origin: Mapping[str, Any]) -> None:
        key = {"kind": RUN, "arm": made.wanted.arm.name, "n_ids": made.vocabulary.max_id + 1, "seed": seed}
        if self._rows.has(self._spec.name, key):
            return
        if not (made.shards / "shards.json").exists():
            make_shards(made.vocabulary, [str(text.path)], made.shards, n_threads=self._n_threads, force=True)
        facts = read_facts(made.shards)
        if facts.n_tokens("held_out") < 2:
            raise StudyError(f"none of the {text.n_documents} documents of the text is held out: raise megabytes")
        out = self._work / "runs" / f"{made.wanted.name}-seed-{seed}"
        check_run_folder(out, force=(out / "report.json").exists())
        config = preset(self._loss.preset, n_ids=made.vocabulary.max_id + 1, max_seq=self._loss.seq_len)
        settings = self._settings(facts.n_tokens("train"), seed)
        cadence = Cadence(
            checkpoint_steps=500,
            eval_bytes=max(1, int(self._loss.megabytes * 1e6 / self._loss.marks)),
            held_out_bytes=int(self._loss.held_out_megabytes * 1e6),
            final_held_out_bytes=int(self._loss.held_out_megabytes * 1e6),
        )
        done = train(made.vocabulary, made.shards, out, config, settings, cadence=cadence, device=self._device)
        result = _result(made, facts, config, settings, done.report, out)
        self._rows.add(Row(self._spec.name, key, result, {**origin, "kernels": done.report["ran"]["kernels"]}))
        shutil.rmtree(out)

    def _settings(self, n_tokens: int, seed: int) -> TrainSettings:
        loss = self._loss
        if n_tokens < loss.batch * loss.seq_len:
            raise StudyError(f"{n_tokens:,} tokens of text are fewer than one batch: raise megabytes")
        return TrainSettings(
            n_tokens=n_tokens,
            seq_len=loss.seq_len,
            batch=loss.batch,
            micro_batch=min(loss.batch, loss.micro_batch or loss.batch),
            learning_rate=loss.learning_rate,
            schedule="wsd",
            decay=0.0,
            warmup=_WARMUP,
            seed=seed,
            precision="bfloat16" if self._device == "cuda" else "float32",
            head=RUN_HEAD,
            compile=loss.mode == "compiled",
        )


def _result(
    made: _Made,
    facts: ShardFacts,
    config: ModelConfig,
    settings: TrainSettings,
    report: Mapping[str, Any],
    out: Path,
) -> dict[str, Any]:
    """What a row says of a run; nothing in it depends on how fast the machine was."""
    tokens_at = {row["step"]: row["tokens"] for row in read_log(out, "step")}
    points = [
        {"bytes": row["bytes"], "tokens": tokens_at[row["step"]], "bits_per_byte": row["held_out_bits_per_byte"]}
        for row in read_log(out, "eval")
    ]
    return {
        "inference": made.vocabulary.inference,
        "bytes_per_token": facts.n_bytes("train") / facts.n_tokens("train"),
        "n_parameters": config.n_parameters,
        "n_parameters_without_embeddings": config.n_parameters_without_embeddings,
        "flops_per_token": config.flops_per_token(settings.seq_len),
        "tokens_per_step": settings.batch * settings.seq_len,
        "n_steps": report["n_steps"],
        "points": points,
        "vocabulary_sha256": facts.fingerprint,
        "shards_sha256": [file.sha256 for file in facts.train],
    }
