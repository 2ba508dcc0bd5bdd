"""What a finished run reports: loss, speed, the kernels that ran, versions."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch

from vocab.model.data.device_batches import on_device
from vocab.model.hardware.machine import device_name, training_versions
from vocab.model.hardware.precision import autocast, product_dtype
from vocab.model.timing.kernel_names import longest_kernels
from vocab.model.timing.throughput import MFU_FORMULA, Throughput, peak, peak_memory_bytes
from vocab.model.training.held_out_loss import HeldOutLoss
from vocab.model.training.logs import read_log
from vocab.model.training.trainer import Trainer
from vocab.vocabulary import Vocabulary

# The first steps compile and warm up: figures of speed leave them out.
_WARM_UP_STEPS = 5


def run_report(trainer: Trainer, held_out: HeldOutLoss, vocabulary: Vocabulary, seconds: float) -> dict[str, Any]:
    """The content of report.json; `seconds` are those of this process."""
    config = trainer.config
    top = peak(trainer.workers.device)
    speed = throughput_of(_records(trainer, "step"), trainer, top.flops * trainer.workers.world)
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
        "evaluations": _records(trainer, "eval"),
        "corpus": _parts(trainer),
        "n_steps": trainer.state.step,
        "n_bytes": trainer.state.n_bytes,
        "n_rollbacks": trainer.state.n_rollbacks,
        "seconds_of_this_process": seconds,
        "throughput": asdict(speed) if speed else None,
        "mfu": {"formula": MFU_FORMULA, "peak_flops": top.flops, "peak_source": top.source},
        "ran": _what_ran(trainer),
        "versions": training_versions(),
        "notes": [],
    }


def _parts(trainer: Trainer) -> list[dict[str, Any]]:
    """What each part of the corpus gave."""
    total = max(1, trainer.state.n_bytes)
    return [
        {
            "name": part.name,
            "share": part.share,
            "share_given": n_bytes / total,
            "n_tokens": n_tokens,
            "n_bytes": n_bytes,
            "epochs": n_tokens / len(part.train),
        }
        for part, (n_tokens, n_bytes) in zip(trainer.data.parts, trainer.state.by_part, strict=True)
    ]


def _records(trainer: Trainer, kind: str) -> list[dict[str, Any]]:
    """Records of the log, which only the first process has."""
    return read_log(trainer.log_directory, kind) if trainer.workers.is_first else []


def _what_ran(trainer: Trainer) -> dict[str, Any]:
    device = trainer.workers.device
    return {
        "attention": trainer.model.decoder.backend.name,
        "head": trainer.settings.head,
        "device": device_name(device),
        "n_processes": trainer.workers.world,
        "n_threads": torch.get_num_threads(),
        "peak_memory_bytes": peak_memory_bytes(device),
        "kernels": kernel_names(trainer),
    }


def throughput_of(rows: list[dict[str, Any]], trainer: Trainer, peak_flops: float) -> Throughput | None:
    """Speed of the steps with a whole batch, without those that warm up; None when there are none.

    Args:
        rows: records of steps from the log.
        trainer: of the run.
        peak_flops: FLOP/s of all devices together, at most.
    """
    settings = trainer.settings
    batch_tokens = settings.batch * settings.seq_len
    full = [row for row in rows if round(row["tokens_per_second"] * row["seconds"]) == batch_tokens][_WARM_UP_STEPS:]
    if not full:
        return None
    n_bytes = sum(row["bytes_per_second"] * row["seconds"] for row in full)
    seconds = [row["seconds"] for row in full]
    bytes_per_token = n_bytes / (batch_tokens * len(full))
    return Throughput.of(seconds, batch_tokens, bytes_per_token, trainer.config, settings.seq_len, peak_flops)


def kernel_names(trainer: Trainer) -> list[str]:
    """The longest kernels of one forward and backward pass of a run, longest first; weights stay as they are."""
    device, settings = trainer.workers.device, trainer.settings
    batch = trainer.sampler.batch(0, min(settings.micro_batch, settings.batch), settings.seed)
    ids, targets, numbers = on_device(batch, device)

    def forward_and_backward() -> None:
        with autocast(device, product_dtype(settings.precision)):
            total = trainer.model(ids, targets, numbers).total
        torch.autograd.backward(total)

    try:
        return longest_kernels(forward_and_backward, device)
    except RuntimeError as error:  # too little memory beside the profiler, or a GPU that may not be profiled
        return [f"unknown: {str(error).splitlines()[0]}"]
    finally:
        trainer.optimisers.zero_grad()
