"""A training run from shards to a model that others load: build, train, export, report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from vocab.environment import missing_package
from vocab.errors import MissingExtraError, OutputError, TrainingError
from vocab.model.export.transformers_folder import export
from vocab.model.hardware.freed_memory import keep_freed_memory
from vocab.model.hardware.parallel import Workers, join, shard
from vocab.model.hardware.precision import product_dtype
from vocab.model.network.config import ModelConfig
from vocab.model.network.decoder import Decoder
from vocab.model.network.language_model import LanguageModel
from vocab.model.pretrained.initial_model import InitialModel
from vocab.model.training.curve import draw_curve
from vocab.model.training.held_out_loss import HeldOutLoss
from vocab.model.training.logs import read_log
from vocab.model.training.optimiser_steps import Distill
from vocab.model.training.run_folder import CURVE, MODEL, REPORT, held_folder
from vocab.model.training.run_report import run_report
from vocab.model.training.samples import check_prompt, sample_text
from vocab.model.training.settings import Cadence, TrainSettings
from vocab.model.training.trainer import OnRecord, Trainer
from vocab.model.training.training_data import open_data
from vocab.reading import read_json
from vocab.vocabulary import Vocabulary
from vocab.writing import json_text, publish, staged_folder, staging_folder, write_text


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Attributes:
        directory: its folder.
        report: the content of report.json.
        held_out: loss on held-out text at the end.
    """

    directory: Path
    report: dict[str, Any]
    held_out: HeldOutLoss


def _check_unfinished(out: Path, settings: TrainSettings) -> None:
    """Raise OutputError when a folder holds a finished run that is as long as this one or longer."""
    if not (out / REPORT).exists():
        return
    n_steps = read_json(out / REPORT).get("n_steps")
    if not isinstance(n_steps, int) or n_steps >= settings.plan.n_steps:
        raise OutputError(
            f"{out} holds a finished run: train for more tokens to go on with it, name another folder with `out`, or "
            "pass `force`"
        )


def build(
    config: ModelConfig, settings: TrainSettings, workers: Workers, initial: InitialModel | None = None
) -> LanguageModel:
    """An initialised model where it will be trained: on its device, in its precision, sharded, perhaps compiled."""
    decoder = Decoder(config, settings.attention, activation_checkpointing=settings.activation_checkpointing)
    if initial is None:
        decoder.initialise(settings.seed)
    else:
        initial.fill(decoder)
    model = LanguageModel(decoder, settings.head).to(workers.device)
    if settings.precision == "fp8":
        _use_fp8(decoder, workers.device)
    dtype = product_dtype(settings.precision)
    shard(model, workers, bfloat16=dtype == torch.bfloat16)
    decoder.prepare(dtype, documents=settings.masked)
    if settings.compile:
        decoder.compile_blocks()
    return model


def _use_fp8(decoder: Decoder, device: torch.device) -> None:
    """Compute products of the blocks in float8 with tensorwise scales; raises TrainingError where that cannot be."""
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < (8, 9):
        raise TrainingError(
            "fp8 needs an NVIDIA GPU of compute capability 8.9 or higher: choose bfloat16 as `precision`"
        )
    if absent := missing_package("torchao", "pip install torchao"):
        raise TrainingError(f"fp8 needs the package torchao; {absent}")
    from torchao.float8 import convert_to_float8_training

    convert_to_float8_training(decoder.blocks)


def train(
    vocabulary: Vocabulary,
    shards: Path | Mapping[Path, float | None],
    out: Path,
    config: ModelConfig,
    settings: TrainSettings,
    *,
    cadence: Cadence | None = None,
    device: str = "auto",
    on_record: OnRecord | None = None,
    distill: Distill | None = None,
    initial: InitialModel | None = None,
) -> RunResult:
    """Train a model on shards and write it to `out`/model; an interrupted run resumes, a finished one may go on.

    `out` holds log.jsonl, tensorboard, checkpoints, and at the end model, report.json and loss.png (with matplotlib).
    Started by torchrun, all its processes train one model.

    Args:
        vocabulary: the one that the shards were made with.
        shards: folder that `make_shards` wrote; or several, the parts of a mixture, with the weights of their bytes. A
            part without one counts as 1, and where none has a weight, parts keep the shares that they have.
        out: folder of the run.
        config: shape of the model; `config.n_ids` must be above the vocabulary's highest id.
        settings: what decides the weights.
        cadence: how often to score held-out text and to save.
        device: "auto", "cpu" or "cuda"; "auto" takes a GPU where there is one.
        on_record: is called with each record of the log: its kind ("step", "eval", "sample", "rollback", "longer") and
            figures.
        distill: computes the nats of distilled steps, for example a `Distiller`.
        initial: the model to begin with, of the shape `config`, instead of weights from the seed.

    Returns:
        The report, and the loss on held-out text.

    Raises:
        OutputError: for a folder with a finished run that is not to become longer.
        TrainingError: for shards of another vocabulary, damaged shards, and what `Trainer` refuses.
        OutputError: when `out` holds other files, or another process writes it.
        Stopped: after a signal, once a checkpoint is written.
    """
    folders = {shards: None} if isinstance(shards, Path) else shards
    _check_unfinished(out, settings)
    cadence, started = cadence or Cadence(), time.perf_counter()
    if cadence.sample_steps:
        check_prompt(vocabulary, cadence.prompt)
    workers = join(device)
    if workers.device.type == "cpu":
        keep_freed_memory()
    data = open_data(folders, vocabulary, initial.sha256 if initial else "", verify=workers.is_first)
    with held_folder(out) if workers.is_first else nullcontext():
        workers.wait()  # until the folder is there
        model = build(config, settings, workers, initial)
        trainer = Trainer(
            *(model, settings, data, out, workers),
            cadence=cadence,
            on_record=on_record,
            distill=distill,
            sample=partial(sample_text, model, vocabulary, cadence.prompt, workers),
        )
        trainer.run()
        held_out = trainer.evaluate(trainer.cadence.final_held_out_bytes)
        _write_model(trainer, vocabulary, out)
        report = run_report(trainer, held_out, vocabulary, time.perf_counter() - started)
        if workers.is_first:
            _write_report(report, out)
    return RunResult(out, report, held_out)


def _write_model(trainer: Trainer, vocabulary: Vocabulary, out: Path) -> None:
    """Write the model, before anything else is asked of the device."""
    if not trainer.workers.is_first:
        export(trainer.model.decoder, vocabulary, out, write=False)
        return
    with staged_folder(out / MODEL, force=True) as staging:
        export(trainer.model.decoder, vocabulary, staging)


def _write_report(report: dict[str, Any], out: Path) -> None:
    """Write the curve, and last the report, whose presence says that all is there."""
    with staging_folder(out / REPORT) as hidden:
        names = [CURVE, REPORT]
        try:
            draw_curve(read_log(out), hidden / CURVE)
        except MissingExtraError as error:
            report["notes"].append(str(error))
            names.remove(CURVE)
        write_text(hidden / REPORT, json_text(report, 1, ensure_ascii=True))
        publish({name: hidden / name for name in names}, out, "run")
