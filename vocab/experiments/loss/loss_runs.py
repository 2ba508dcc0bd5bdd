"""Runs of a loss study: the same model on the same text through each vocabulary, once for each seed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vocab.corpus.read_options import ReadOptions
from vocab.errors import StudyError
from vocab.experiments.loss.arms import ArmAtSize, VocabularyCache, load_source, vocabularies_of
from vocab.experiments.loss.loss_analysis import check_one_text
from vocab.experiments.loss.loss_spec import RUN_HEAD, LossStudy
from vocab.experiments.loss.sample import Sample, sample_corpus, work_folder
from vocab.experiments.rows import RUN, StudyRow
from vocab.experiments.run_context import RunContext
from vocab.model.data.sharding import make_shards
from vocab.model.data.shards import ShardMetadata, read_metadata
from vocab.model.network.config import ModelConfig, preset
from vocab.model.training.logs import read_log
from vocab.model.training.recipe import settings_for
from vocab.model.training.run_folder import REPORT, run_folder
from vocab.model.training.settings import Cadence, TrainSettings
from vocab.model.training.training_run import train
from vocab.vocabulary import Vocabulary

# The learning rate warms up over this share of all tokens, and is constant after it.
_WARMUP = 0.02
# Text to sample for each MB to train on: documents held out are in it too, and this much has enough of both.
_SPARE = 1.15


def sizes_of(study: LossStudy) -> list[int]:
    """Numbers of ids of all vocabularies of a study, rising; raises StudyError for a source that cannot be read."""
    return sorted({arm.size or load_source(arm.arm.source).max_id + 1 for arm in vocabularies_of(study.arms)})


@dataclass(frozen=True)
class _Sharded:
    """A vocabulary, and the folder of the text's shards in its ids."""

    arm: ArmAtSize
    vocabulary: Vocabulary
    shards: Path

    @property
    def n_ids(self) -> int:
        return self.vocabulary.max_id + 1


class LossRuns:
    """The runs of one study on one text; `run` does those that have no row yet.

    Raises CorpusError for too little text and StudyError for a vocabulary that cannot be built.
    """

    def __init__(
        self,
        study: LossStudy,
        context: RunContext,
        work: Path,
        corpus: list[str],
        options: ReadOptions,
        n_threads: int,
    ) -> None:
        self._study, self._context, self._corpus, self._n_threads = study, context, corpus, n_threads
        self._options = options
        self._work = work_folder(work, study.sha256, corpus, options)

    def run(self) -> tuple[str, ...]:
        """Do all runs that are missing; returns sentences on what reading the corpus left out."""
        choosing = self._sample("corpus.jsonl", self._study.choosing_megabytes)
        text = self._sample("text.jsonl", self._study.megabytes * _SPARE)
        about = self._about(choosing, text)
        rows = self._context.rows.rows
        check_one_text([row.origin for row in rows if row.key["kind"] == RUN] + [about])
        origin = {**self._context.origin, **about}
        cache = VocabularyCache(choosing.path, self._work / "vocabularies", self._n_threads)
        arms, seeds = list(vocabularies_of(self._study.arms)), self._study.seeds
        for k, arm in enumerate(arms):
            stage, n_runs = f"runs: {arm.name}", len(arms) * len(seeds)
            self._context.on_progress(stage, k * len(seeds), n_runs)
            sharded = _Sharded(arm, cache.vocabulary(arm), self._work / "shards" / arm.name)
            for j, seed in enumerate(seeds, 1):
                self._run_once(sharded, seed, text, origin)
                self._context.on_progress(stage, k * len(seeds) + j, n_runs)
        return tuple(dict.fromkeys([*choosing.left_out, *text.left_out]))

    def _sample(self, name: str, megabytes: float) -> Sample:
        return sample_corpus(self._corpus, self._work / name, megabytes, self._options)

    def _about(self, choosing: Sample, text: Sample) -> dict[str, Any]:
        """The text, as rows describe it."""
        return {
            "corpus": [Path(path).name for path in self._corpus],
            "choosing_sha256": choosing.sha256,
            "text_sha256": text.sha256,
            "n_text_bytes": text.n_bytes,
        }

    def _run_once(self, sharded: _Sharded, seed: int, text: Sample, origin: Mapping[str, Any]) -> None:
        """Train one model and add its row, unless there is one."""
        key = {"kind": RUN, "arm": sharded.arm.arm.name, "n_ids": sharded.n_ids, "seed": seed}
        if self._context.rows.has(self._study.name, key):
            return
        metadata = self._shards(sharded, text)
        out = self._work / "runs" / f"{sharded.arm.name}-seed-{seed}"
        config = preset(self._study.preset, n_ids=sharded.n_ids, max_seq_len=self._seq_len(metadata))
        settings = self._settings(config, metadata.n_tokens("train"), seed)
        with run_folder(out, force=(out / REPORT).exists()):
            done = train(
                sharded.vocabulary,
                sharded.shards,
                out,
                config,
                settings,
                cadence=self._cadence(),
                device=self._context.device,
            )
        result = _result(sharded.vocabulary, metadata, config, settings, done.report["n_steps"], out)
        origin = {**origin, "kernels": done.report["ran"]["kernels"]}
        self._context.rows.add(StudyRow(self._study.name, key, result, origin))
        shutil.rmtree(out)

    def _shards(self, sharded: _Sharded, text: Sample) -> ShardMetadata:
        """The description of the shards, which are made unless they exist."""
        if not (sharded.shards / "shards.json").exists():
            make_shards(sharded.vocabulary, [str(text.path)], sharded.shards, n_threads=self._n_threads, force=True)
        metadata = read_metadata(sharded.shards)
        if metadata.n_tokens("held_out") < 2:
            raise StudyError(f"none of the {text.n_documents} documents of the text is held out: raise megabytes")
        return metadata

    def _seq_len(self, metadata: ShardMetadata) -> int:
        """Tokens of a sequence: those of the study, or as many as make its bytes."""
        if not self._study.context_bytes:
            return self._study.seq_len
        return max(1, round(self._study.context_bytes * metadata.n_tokens("train") / metadata.n_bytes("train")))

    def _cadence(self) -> Cadence:
        held_out_bytes = int(self._study.held_out_megabytes * 1e6)
        return Cadence(
            checkpoint_steps=500,
            eval_bytes=max(1, int(self._study.megabytes * 1e6 / self._study.marks)),
            held_out_bytes=held_out_bytes,
            final_held_out_bytes=held_out_bytes,
        )

    def _settings(self, config: ModelConfig, n_tokens: int, seed: int) -> TrainSettings:
        study = self._study
        if n_tokens < study.batch * config.max_seq_len:
            raise StudyError(f"{n_tokens:,} tokens of text are fewer than one batch: raise megabytes")
        return settings_for(
            study.preset,
            config,
            n_tokens,
            seq_len=config.max_seq_len,
            batch=study.batch,
            micro_batch=min(study.batch, study.micro_batch or study.batch),
            learning_rate=study.learning_rate,
            schedule="wsd",
            decay=0.0,
            warmup=_WARMUP,
            seed=seed,
            device=self._context.device,
            head=RUN_HEAD,
            compile=study.mode == "compiled",
        )


def _result(
    vocabulary: Vocabulary,
    metadata: ShardMetadata,
    config: ModelConfig,
    settings: TrainSettings,
    n_steps: int,
    out: Path,
) -> dict[str, Any]:
    """The result of a run as its row has it; nothing in it depends on the speed of the machine."""
    return {
        "inference": vocabulary.inference,
        "bytes_per_token": metadata.n_bytes("train") / metadata.n_tokens("train"),
        "n_parameters": config.n_parameters,
        "n_parameters_without_embeddings": config.n_parameters_without_embeddings,
        "flops_per_token": config.flops_per_token(settings.seq_len),
        "tokens_per_step": settings.batch * settings.seq_len,
        "n_steps": n_steps,
        "points": _points(out),
        "vocabulary_sha256": metadata.fingerprint,
        "shards_sha256": [file.sha256 for file in metadata.train],
    }


def _points(out: Path) -> list[dict[str, Any]]:
    """Bytes and tokens trained on, and held-out bits per byte, at each evaluation that a run logged."""
    tokens_at = {row["step"]: row["tokens"] for row in read_log(out, "step")}
    return [
        {"bytes": row["bytes"], "tokens": tokens_at[row["step"]], "bits_per_byte": row["held_out_bits_per_byte"]}
        for row in read_log(out, "eval")
    ]
