"""A training run from shards to a model that others load: build, train, export, report."""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from vocab.errors import MissingExtraError, OutputError, TrainingError
from vocab.model.data.shards import check_vocabulary, open_stream, read_facts, token_bytes
from vocab.model.export.transformers_folder import export
from vocab.model.network.attention import missing
from vocab.model.network.config import ModelConfig
from vocab.model.network.decoder import Decoder
from vocab.model.network.head import LanguageModel
from vocab.model.timing.kernel_names import kernel_names
from vocab.model.timing.machine import device_name, training_versions
from vocab.model.timing.throughput import MFU_FORMULA, Throughput, peak, peak_memory_bytes
from vocab.model.training.curve import draw_curve
from vocab.model.training.freed_memory import keep_freed_memory
from vocab.model.training.held_out_loss import Evaluation
from vocab.model.training.logs import read_log
from vocab.model.training.parallel import Workers, join, shard
from vocab.model.training.settings import TrainSettings
from vocab.model.training.trainer import Cadence, Data, Distill, OnRecord, Trainer
from vocab.vocabulary import Vocabulary
from vocab.writing import our_names, staged_folder, write_json

REPORT, MODEL, CURVE = "report.json", "model", "loss.png"
_OURS = {"checkpoints", "log.jsonl", "tensorboard", "shards", MODEL, REPORT, CURVE}
# Steps left out of the figures of speed: they compile and warm up.
_WARM_UP_STEPS = 5


@dataclass(frozen=True)
class RunResult:
    """What a finished run reports, as in report.json."""

    directory: Path
    report: dict[str, Any]
    held_out: Evaluation


def check_run_folder(out: Path, *, force: bool) -> None:
    """Raise OutputError when a folder holds a finished run or what is not ours; with `force`, empty it of a run."""
    names = our_names(out, lambda names: [name for name in names if name not in _OURS])
    if not force:
        if REPORT in names:
            raise OutputError(f"{out} holds a finished run: name another folder with `out`, or pass `force`")
        return
    for name in names:
        path = out / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def build(config: ModelConfig, settings: TrainSettings, workers: Workers) -> LanguageModel:
    """An initialised model where it will be trained: on its device, in its precision, sharded, compiled if asked to."""
    decoder = Decoder(config, settings.attention, activation_checkpointing=settings.activation_checkpointing)
    decoder.initialise(settings.seed)
    model = LanguageModel(decoder, settings.head).to(workers.device)
    if settings.precision == "fp8":
        _use_fp8(decoder, workers.device)
    half = settings.precision != "float32"
    shard(model, workers, bfloat16=half)
    decoder.prepare(torch.bfloat16 if half else torch.float32, documents=settings.masked)
    if settings.compile:
        if workers.group is None:
            model.trunk = torch.compile(decoder.trunk)
        else:
            for block in decoder.blocks:
                block.compile()
    return model


def _use_fp8(decoder: Decoder, device: torch.device) -> None:
    """Products of the blocks in float8 with tensorwise scales; raises TrainingError where that cannot be."""
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < (8, 9):
        raise TrainingError("fp8 needs an NVIDIA GPU of compute capability 8.9 or higher: use --precision bfloat16")
    if absent := missing("torchao", "pip install torchao"):
        raise TrainingError(f"fp8 needs the package torchao; {absent}")
    from torchao.float8 import convert_to_float8_training

    convert_to_float8_training(decoder.blocks)


def train(
    vocabulary: Vocabulary,
    shards: Path,
    out: Path,
    config: ModelConfig,
    settings: TrainSettings,
    *,
    cadence: Cadence | None = None,
    device: str = "auto",
    on_record: OnRecord | None = None,
    distill: Distill | None = None,
) -> RunResult:
    """Train a model on shards, or go on with a run that was interrupted, and write it to `out`/model.

    `out` holds log.jsonl, tensorboard, checkpoints, and at the end model, report.json and loss.png (with matplotlib).
    `config.n_ids` must be at least the vocabulary's highest id and one. Raises TrainingError for shards of another
    vocabulary or damaged ones, and what `Trainer` raises.
    """
    facts = read_facts(shards)
    check_vocabulary(facts, vocabulary)
    started = time.perf_counter()
    workers = join(device)
    if workers.device.type == "cpu":
        keep_freed_memory()
    data = Data(
        open_stream(shards, facts, "train", verify=workers.is_first),
        open_stream(shards, facts, "held_out", verify=workers.is_first),
        token_bytes(vocabulary),
        # Of the text and of its order: the digests of all files.
        "-".join([facts.fingerprint[:16], *(file.sha256[:16] for file in (*facts.train, *facts.held_out))]),
    )
    out.mkdir(parents=True, exist_ok=True)
    model = build(config, settings, workers)
    trainer = Trainer(model, settings, data, out, workers, cadence=cadence, on_record=on_record, distill=distill)
    trainer.run()
    held_out = trainer.evaluate(trainer.cadence.final_held_out_bytes)
    report = _report(trainer, held_out, vocabulary, time.perf_counter() - started)
    _write(trainer, vocabulary, out, report)
    return RunResult(out, report, held_out)


def _write(trainer: Trainer, vocabulary: Vocabulary, out: Path, report: dict[str, Any]) -> None:
    """The model, the curve, and last the report, which says that all is there."""
    workers = trainer.workers
    if not workers.is_first:
        export(trainer.model.decoder, vocabulary, out, write=False)
        return
    shutil.rmtree(out / MODEL, ignore_errors=True)
    with staged_folder(out / MODEL) as staging:
        export(trainer.model.decoder, vocabulary, staging)
    try:
        draw_curve(read_log(out), out / CURVE)
    except MissingExtraError as error:
        report["notes"].append(str(error))
    write_json(out / REPORT, report, 1, ensure_ascii=True)


def throughput_of(rows: list[dict[str, Any]], trainer: Trainer, peak_flops: float) -> Throughput | None:
    """Speed of the steps of a log that have the whole batch, the first few left out; None when there are none."""
    settings = trainer.settings
    whole = settings.batch * settings.seq_len
    full = [row for row in rows if round(row["tokens_per_second"] * row["seconds"]) == whole][_WARM_UP_STEPS:]
    if not full:
        return None
    n_bytes = sum(row["bytes_per_second"] * row["seconds"] for row in full)
    seconds = [row["seconds"] for row in full]
    per_token = n_bytes / (whole * len(full))
    return Throughput.of(seconds, whole, per_token, trainer.config, settings.seq_len, peak_flops)


def _report(trainer: Trainer, held_out: Evaluation, vocabulary: Vocabulary, seconds: float) -> dict[str, Any]:
    device, config = trainer.workers.device, trainer.config
    top = peak(device)
    rows = read_log(trainer.log_directory, "step") if trainer.workers.is_first else []
    speed = throughput_of(rows, trainer, top.flops * trainer.workers.world)
    return {
        "vocabulary": {"name": vocabulary.name, "n_ids": vocabulary.n_ids, "inference": vocabulary.inference},
        "model": asdict(config)
        | {
            "n_parameters": config.n_parameters,
            "n_parameters_without_embeddings": config.n_parameters_without_embeddings,
        },
        "settings": asdict(trainer.settings),
        "held_out": asdict(held_out)
        | {"bits_per_byte": held_out.bits_per_byte, "nats_per_token": held_out.nats_per_token},
        "evaluations": read_log(trainer.log_directory, "eval") if trainer.workers.is_first else [],
        "n_steps": trainer.state.step,
        "n_bytes": trainer.state.n_bytes,
        "n_rollbacks": trainer.state.n_rollbacks,
        "seconds_of_this_process": seconds,
        "throughput": asdict(speed) if speed else None,
        "mfu": {"formula": MFU_FORMULA, "peak_flops": top.flops, "peak_source": top.source},
        "ran": {
            "attention": trainer.model.decoder.backend.name,
            "head": trainer.settings.head,
            "device": device_name(device),
            "n_processes": trainer.workers.world,
            "n_threads": torch.get_num_threads(),
            "peak_memory_bytes": peak_memory_bytes(device),
            "kernels": kernel_names(trainer),
        },
        "versions": training_versions(),
        "notes": [],
    }
