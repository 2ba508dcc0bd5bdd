"""The training loop: steps, spikes and rollback, held-out loss at byte marks, checkpoints, exact resume."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vocab.errors import TrainingError
from vocab.model.hardware.parallel import Workers
from vocab.model.hardware.precision import product_dtype
from vocab.model.network.config import ModelConfig
from vocab.model.network.language_model import LanguageModel
from vocab.model.timing.throughput import synchronise
from vocab.model.training.checkpoint import Checkpoints, training_tensors
from vocab.model.training.held_out_loss import HeldOutLoss, bits_per_byte, score_held_out
from vocab.model.training.logs import RunLog
from vocab.model.training.optimiser import optimisers
from vocab.model.training.optimiser_steps import Distill, OptimiserSteps, StepResult
from vocab.model.training.resuming import changed_settings, differences
from vocab.model.training.settings import Cadence, TrainSettings
from vocab.model.training.stop_signals import signals_caught
from vocab.model.training.trackers import open_trackers
from vocab.model.training.training_data import TrainingData
from vocab.writing import write_errors_named

# Between the data seeds before and after a rollback.
_SEED_STRIDE = 1_000_003
_GC_EVERY = 1000
# Median deviations from the median: about 6 standard deviations of a normal one. Small batches of unlike documents
# differ by more than a nat among themselves.
_SPIKE_SPREADS = 9.0


class Stopped(KeyboardInterrupt):
    """A signal stopped training, and a checkpoint was written."""


@dataclass
class State:
    """Where a run is; stored in every checkpoint.

    Attributes:
        step: steps done.
        n_bytes: bytes of text trained on.
        by_part: tokens and bytes of text that each part of the corpus gave.
        n_rollbacks: times that a spike sent the run back to a checkpoint.
        recent: losses of the last `spike_window` steps, nats a token.
        n_log_lines: lines of the log that belong to these steps.
        log_digest: digest of these lines.
    """

    step: int = 0
    n_bytes: int = 0
    by_part: list[list[int]] = field(default_factory=list)
    n_rollbacks: int = 0
    recent: list[float] = field(default_factory=list)
    n_log_lines: int = 0
    log_digest: str = ""

    def data_seed(self, settings: TrainSettings) -> int:
        """The seed of the order of samples: another one after each rollback."""
        return settings.seed + _SEED_STRIDE * self.n_rollbacks


# Called with the kind of a record of the log ("step", "eval", "sample", "rollback", "longer") and its figures.
OnRecord = Callable[[str, dict[str, Any]], None]


class Trainer:
    """Trains a model; `run` resumes from the newest whole checkpoint.

    Args:
        model: initialised, prepared and, for several processes, sharded.
        settings: what decides the weights.
        data: what the run reads.
        out: folder for the log and the checkpoints.
        workers: the processes of the run.
        cadence: how often to score held-out text and to save.
        on_record: is called with each record of the log, in the first process.
        distill: computes the nats of every `settings.distill_every`-th step.
        sample: gives text of the model as it is, from a seed; every process calls it each `cadence.sample_steps` steps.

    Raises:
        TrainingError: for a corpus shorter than a batch, a loss that is not finite, too many spikes, too little memory,
            and a checkpoint of other settings.
    """

    def __init__(
        self,
        model: LanguageModel,
        settings: TrainSettings,
        data: TrainingData,
        out: Path,
        workers: Workers,
        *,
        cadence: Cadence | None = None,
        on_record: OnRecord | None = None,
        distill: Distill | None = None,
        sample: Callable[[int], str] | None = None,
    ) -> None:
        settings.plan.check_world(workers.world)
        self.model, self.settings, self.data, self.workers = model, settings, data, workers
        self.cadence = cadence or Cadence()
        self.config: ModelConfig = model.decoder.config
        self.optimisers = optimisers(model, settings)
        self.sampler = data.sampler(settings.seq_len, masked=settings.masked)
        if self.sampler.n_sequences < settings.batch:
            raise TrainingError(
                f"the corpus has {self.sampler.n_sequences:,} sequences of {settings.seq_len} tokens, fewer than one "
                f"batch of {settings.batch}: give more text or lower `batch`"
            )
        if data.token_bytes.size > self.config.n_ids:
            raise TrainingError(
                f"the vocabulary has ids up to {data.token_bytes.size - 1:,}, beyond the {self.config.n_ids:,} rows of "
                "the model's embedding: leave n_ids to the vocabulary"
            )
        self.state = State(by_part=[[0, 0] for _ in data.parts])
        self._checkpoints = Checkpoints(out / "checkpoints", workers)
        self.log_directory = out
        self._log: RunLog | None = None
        self._sample = sample
        self._on_record = on_record or (lambda kind, figures: None)
        self._steps = OptimiserSteps(model, self.optimisers, self.sampler, data.token_bytes, settings, workers, distill)
        self._stop = False

    def run(self) -> State:
        """Train to the end of the plan, and return the last state. Raises Stopped after a signal."""
        self._begin()
        gc.disable()  # collections in the middle of a step show as spread of its time
        try:
            with signals_caught(self._ask_to_stop):
                while self.state.step < self.settings.plan.n_steps:
                    self._one_step()
                self._checkpoints.finish()
        except torch.OutOfMemoryError:
            raise self._out_of_memory() from None
        except RuntimeError as error:
            if "can't allocate memory" not in str(error):
                raise
            raise self._out_of_memory() from None
        finally:
            # A caller that catches the error may resume here: no background writer may still run.
            self._checkpoints.wait()
            gc.enable()
            if self._log:
                self._log.close()
        return self.state

    def _begin(self) -> None:
        """Resume from the newest whole checkpoint, or write the first."""
        newest = self._checkpoints.newest()
        if newest is None:
            self._open_log()
            self._save()
            return
        self._restore(*newest)
        self._open_log()
        n_tokens = newest[1]["settings"]["n_tokens"]
        if n_tokens != self.settings.n_tokens:
            self._record("longer", step=self.state.step, tokens_planned=self.settings.n_tokens, before=n_tokens)

    def _open_log(self) -> None:
        """Begin the log, or go on after the lines of the steps that are done."""
        if self.workers.is_first:
            with write_errors_named(self.log_directory):
                trackers = open_trackers(self.cadence.track, self.log_directory, asdict(self.settings))
            n_lines, digest = self.state.n_log_lines, self.state.log_digest
            self._log = RunLog(self.log_directory, n_lines=n_lines, digest=digest, trackers=trackers)

    def _restore(self, folder: Path, stored: dict[str, Any]) -> None:
        self._check_same(stored)
        self._checkpoints.load(folder, training_tensors(self.model, self.optimisers))
        # Checkpoints of earlier versions do not say what each part gave.
        self.state = State(**{"by_part": [[0, 0] for _ in self.data.parts], **stored["state"]})
        self.optimisers.set_step(self.state.step)

    def _check_same(self, stored: dict[str, Any]) -> None:
        """Raise TrainingError unless a checkpoint is of this run."""
        differing = changed_settings(self.settings, stored["settings"], stored["state"]["step"])
        differing += differences(asdict(self.config), stored["config"])
        if stored["fingerprint"] != self.data.fingerprint:
            differing.append("the shards are of other text or another vocabulary, or training began with another model")
        if differing:
            raise TrainingError(
                f"the checkpoints in {self.log_directory} are of other settings ({'; '.join(differing)}): "
                "use the same, or another `out`"
            )

    def _save(self) -> None:
        self.state.n_log_lines = self._log.n_lines if self._log else 0
        self.state.log_digest = self._log.digest if self._log else ""
        self._checkpoints.save(
            self.state.step,
            training_tensors(self.model, self.optimisers),
            {
                "state": asdict(self.state),
                "settings": asdict(self.settings),
                "config": asdict(self.config),
                "fingerprint": self.data.fingerprint,
            },
        )

    def _one_step(self) -> None:
        step, n_bytes_before = self.state.step, self.state.n_bytes
        started = time.perf_counter()
        result = self._steps.take(step, self.state.data_seed(self.settings), lambda: self._stop)
        self._stop = result.stop  # a signal to one process stops all of them after the same step
        synchronise(self.workers.device)
        seconds = time.perf_counter() - started
        if not math.isfinite(result.loss):
            raise self._not_finite(step + 1, result.loss)
        if self._is_spike(result.loss):
            self._roll_back(step + 1, result.loss)
            return
        self.state.step, self.state.n_bytes = step + 1, n_bytes_before + result.n_bytes
        self.state.by_part = (np.array(self.state.by_part) + result.by_part).tolist()
        self.state.recent = [*self.state.recent, result.loss][-self.settings.spike_window :]
        self._record_step(step, result, seconds)
        self._after(n_bytes_before)

    def _record_step(self, step: int, result: StepResult, seconds: float) -> None:
        n_tokens = int(np.diff(self.settings.plan.firsts)[step]) * self.settings.seq_len
        self._record(
            "step",
            step=step + 1,
            tokens=int(self.settings.plan.firsts[step + 1]) * self.settings.seq_len,
            bytes=self.state.n_bytes,
            loss=result.loss,
            bits_per_byte=None if math.isnan(result.nats) else bits_per_byte(result.nats, result.n_bytes),
            learning_rate=self.settings.learning_rate_at(step),
            gradient_norm=result.gradient_norm,
            seconds=seconds,
            tokens_per_second=n_tokens / seconds,
            bytes_per_second=result.n_bytes / seconds,
        )

    def _after(self, n_bytes_before: int) -> None:
        """Evaluate past a byte mark or at the end, save when it is time, stop when asked to."""
        step, last = self.state.step, self.settings.plan.n_steps
        every = self.cadence.eval_bytes
        if n_bytes_before // every != self.state.n_bytes // every or step == last:
            self._evaluate()
        every = self.cadence.sample_steps
        if self._sample and every and (step % every == 0 or step == last):
            self._record("sample", step=step, prompt=self.cadence.prompt, text=self._sample(step))
        if step % self.cadence.checkpoint_steps == 0 or step == last or self._stop:
            self._save()
        if step % _GC_EVERY == 1:
            gc.collect()
        if self._stop:
            self._checkpoints.finish()
            raise Stopped

    def _is_spike(self, loss: float) -> bool:
        """Whether a loss exceeds recent ones by more than `spike`, and by more than they differ among themselves."""
        recent = self.state.recent
        if len(recent) < self.settings.spike_window:
            return False
        middle = statistics.median(recent)
        spread = statistics.median(abs(one - middle) for one in recent)
        return loss > middle + max(self.settings.spike, _SPIKE_SPREADS * spread)

    def _roll_back(self, step: int, loss: float) -> None:
        """Go back to the last checkpoint and on with a new order of samples (LokiLM, arXiv 2407.08370)."""
        n_rollbacks = self.state.n_rollbacks + 1
        newest = self._checkpoints.newest()
        if newest is None or n_rollbacks > self.settings.max_rollbacks:
            raise TrainingError(
                f"the loss rose to {loss:.3f} at step {step}, and training was rolled back {n_rollbacks - 1} times "
                "before: lower `learning_rate`"
            )
        self._restore(*newest)
        self.state.n_rollbacks = n_rollbacks
        self._record("rollback", step=step, loss=loss, back_to=self.state.step, n_rollbacks=n_rollbacks)
        # The same place with the new seed: a kill after this must not take the old order again.
        self._save()

    def _evaluate(self) -> None:
        if not self.data.has_held_out:
            return
        scored = self.evaluate_parts(self.cadence.held_out_bytes)
        held_out = sum(scored, HeldOutLoss())
        of_parts = {"parts": self._of_parts(scored)} if len(scored) > 1 else {}
        self._record(
            "eval",
            step=self.state.step,
            bytes=self.state.n_bytes,
            held_out_bits_per_byte=held_out.bits_per_byte,
            held_out_nats_per_token=held_out.nats_per_token,
            held_out_bytes=held_out.n_bytes,
            **of_parts,
        )

    def _of_parts(self, scored: list[HeldOutLoss]) -> list[dict[str, Any]]:
        """What each part gave so far, and its loss."""
        return [
            {"name": part.name, "tokens": n_tokens, "bytes": n_bytes, "held_out_bits_per_byte": loss.bits_per_byte}
            for part, (n_tokens, n_bytes), loss in zip(self.data.parts, self.state.by_part, scored, strict=True)
        ]

    def evaluate(self, n_bytes: int) -> HeldOutLoss:
        """Score the first held-out documents that have at least `n_bytes` of text together, by the parts' shares."""
        return sum(self.evaluate_parts(n_bytes), HeldOutLoss())

    def evaluate_parts(self, n_bytes: int) -> list[HeldOutLoss]:
        """The same for each part of the corpus."""
        return [
            score_held_out(
                self.model,
                part.held_out,
                self.data.token_bytes,
                self.workers,
                seq_len=self.settings.seq_len,
                micro_batch=self.settings.micro_batch,
                n_tokens=part.held_out.tokens_of(max(1, round(n_bytes * part.share))),
                dtype=product_dtype(self.settings.precision),
                masked=self.settings.masked,
            )
            for part in self.data.parts
        ]

    def _record(self, kind: str, **figures: Any) -> None:
        if self._log:
            self._log.write(kind, **figures)
        if self.workers.is_first:
            self._on_record(kind, figures)

    def _not_finite(self, step: int, loss: float) -> TrainingError:
        """The error for a loss that is not finite, once the last checkpoint is on disk."""
        self._checkpoints.finish()
        return TrainingError(
            f"the loss of step {step} is {loss}: training stopped, and the checkpoints before it stay in "
            f"{self._checkpoints.directory}; lower `learning_rate`, or change `seed`"
        )

    def _out_of_memory(self) -> TrainingError:
        return TrainingError(
            f"out of memory at step {self.state.step + 1}: lower `micro_batch` (now {self.settings.micro_batch}) or "
            "`seq_len`, or set `activation_checkpointing`; the batch stays the same"
        )

    def _ask_to_stop(self) -> None:
        self._stop = True
