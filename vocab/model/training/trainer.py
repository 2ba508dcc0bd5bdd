"""The training loop: steps, spikes and rollback, evaluation at byte marks, checkpoints, exact resume."""

from __future__ import annotations

import gc
import math
import signal
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vocab.errors import TrainingError
from vocab.model.data.sampling import Batch, Sampler, rank_positions
from vocab.model.data.shards import TokenStream
from vocab.model.network.config import ModelConfig
from vocab.model.network.head import LanguageModel, bits_per_byte
from vocab.model.timing.throughput import synchronise
from vocab.model.training.checkpoint import Checkpoints, training_tensors
from vocab.model.training.held_out_loss import Evaluation, autocast, evaluate, on_device, text_bytes
from vocab.model.training.logs import RunLog
from vocab.model.training.optimiser import adamw, set_learning_rate
from vocab.model.training.parallel import Workers, synchronise_gradients, whole
from vocab.model.training.settings import TrainSettings

# New data seeds after a rollback stand this far apart.
_SEED_STRIDE = 1_000_003
_GC_EVERY = 1000
# Median deviations from the median: about 6 standard deviations of a normal one. Small batches of unlike documents
# differ by more than a nat among themselves.
_SPIKE_SPREADS = 9.0


class Stopped(KeyboardInterrupt):
    """Training was stopped by a signal after a checkpoint was written."""


@dataclass(frozen=True)
class Data:
    """What a run reads: both sides of the shards, and the bytes behind each id."""

    train: TokenStream
    held_out: TokenStream
    token_bytes: npt.NDArray[np.int32]
    fingerprint: str


@dataclass(frozen=True)
class Cadence:
    """What does not change the weights: how often to look and to save."""

    checkpoint_steps: int = 500
    eval_bytes: int = 2_000_000  # of training text between evaluations
    held_out_bytes: int = 200_000  # of held-out text scored each time: the same documents for every vocabulary
    final_held_out_bytes: int = 2_000_000  # scored at the end


@dataclass
class State:
    """Where a run is; stored in every checkpoint."""

    step: int = 0  # steps done
    n_bytes: int = 0  # of text trained on
    n_rollbacks: int = 0
    recent: list[float] = field(default_factory=list)  # losses of the last `spike_window` steps
    n_log_lines: int = 0

    def data_seed(self, settings: TrainSettings) -> int:
        """The seed of the order of samples: another one after each rollback."""
        return settings.seed + _SEED_STRIDE * self.n_rollbacks


OnRecord = Callable[[str, dict[str, Any]], None]
# Gives the nats of a distilled batch: model, ids, targets, documents. See `vocab.model.training.distillation`.
Distill = Callable[..., Any]


class Trainer:
    """Trains a model that is initialised, prepared and sharded. `run` goes on from the newest whole checkpoint.

    Raises TrainingError for a corpus shorter than a batch, a loss that is no number, too many spikes, memory that does
    not suffice, and a checkpoint of other settings.
    """

    def __init__(
        self,
        model: LanguageModel,
        settings: TrainSettings,
        data: Data,
        out: Path,
        workers: Workers,
        *,
        cadence: Cadence | None = None,
        on_record: OnRecord | None = None,
        distill: Distill | None = None,
    ) -> None:
        settings.plan.check_world(workers.world)
        self.model, self.settings, self.data, self.workers = model, settings, data, workers
        self.cadence = cadence or Cadence()
        self.config: ModelConfig = model.decoder.config
        self.optimiser = adamw(model, settings)
        self.sampler = Sampler(data.train, settings.seq_len, settings.masked)
        if self.sampler.n_sequences < settings.batch:
            raise TrainingError(
                f"the corpus has {self.sampler.n_sequences:,} sequences of {settings.seq_len} tokens, fewer than one "
                f"batch of {settings.batch}: give more text or lower --batch"
            )
        if data.token_bytes.size > self.config.n_ids:
            raise TrainingError(
                f"the vocabulary has ids up to {data.token_bytes.size - 1:,}, beyond the {self.config.n_ids:,} rows of "
                "the model's embedding: leave n_ids to the vocabulary"
            )
        self.state = State()
        self._dtype = torch.float32 if settings.precision == "float32" else torch.bfloat16
        self._checkpoints = Checkpoints(out / "checkpoints", workers)
        self.log_directory = out
        self._log: RunLog | None = None
        self._hear = on_record or (lambda kind, figures: None)
        self._distill = distill
        self._stop = False

    def run(self) -> State:
        """Train to the end of the plan; returns the last state."""
        self._begin()
        handlers = self._catch_signals()
        gc.disable()  # collections in the middle of a step show as spread of its time
        try:
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
            self._checkpoints.wait()  # whoever catches an error may resume in this process, beside no writer of ours
            gc.enable()
            for number, handler in handlers.items():
                signal.signal(number, handler)
            if self._log:
                self._log.close()
        return self.state

    def _begin(self) -> None:
        """Resume from the newest whole checkpoint, or write the first."""
        found = self._checkpoints.newest()
        if found is None:
            self._log = RunLog(self.log_directory) if self.workers.is_first else None
            self._save()
            return
        self._restore(*found)
        if self.workers.is_first:
            self._log = RunLog(self.log_directory, n_lines=self.state.n_log_lines)

    def _restore(self, folder: Path, stored: dict[str, Any]) -> None:
        self._check_same(stored)
        self._checkpoints.load(folder, training_tensors(self.model, self.optimiser))
        self.state = State(**stored["state"])
        for state in self.optimiser.state.values():
            state["step"].fill_(self.state.step)

    def _check_same(self, stored: dict[str, Any]) -> None:
        """Raise TrainingError unless a checkpoint is of this run."""
        differing = self.settings.differences(TrainSettings(**stored["settings"]))
        ours, theirs = asdict(self.config), stored["config"]
        differing += [f"{name} is {ours[name]!r}, was {theirs[name]!r}" for name in ours if ours[name] != theirs[name]]
        if stored["fingerprint"] != self.data.fingerprint:
            differing.append("the shards are of other text or another vocabulary")
        if differing:
            raise TrainingError(
                f"the checkpoints in {self.log_directory} are of other settings ({'; '.join(differing)}): "
                "use the same, or another --out"
            )

    def _save(self) -> None:
        self.state.n_log_lines = self._log.n_lines if self._log else 0
        self._checkpoints.save(
            self.state.step,
            training_tensors(self.model, self.optimiser),
            {
                "state": asdict(self.state),
                "settings": asdict(self.settings),
                "config": asdict(self.config),
                "fingerprint": self.data.fingerprint,
            },
        )

    def _one_step(self) -> None:
        step, before = self.state.step, self.state.n_bytes
        started = time.perf_counter()
        loss, nats, n_bytes, norm = self._update(step)
        synchronise(self.workers.device)
        seconds = time.perf_counter() - started
        if not math.isfinite(loss):
            self._checkpoints.finish()
            raise TrainingError(
                f"the loss of step {step + 1} is {loss}, no number: training stopped; the checkpoints before it stay "
                f"in {self.log_directory / 'checkpoints'}: lower --learning-rate, or change --seed"
            )
        if self._is_spike(loss):
            self._roll_back(step + 1, loss)
            return
        self.state.step, self.state.n_bytes = step + 1, before + n_bytes
        self.state.recent = [*self.state.recent, loss][-self.settings.spike_window :]
        n_tokens = int(np.diff(self.settings.plan.firsts)[step]) * self.settings.seq_len
        self._record(
            "step",
            step=step + 1,
            tokens=int(self.settings.plan.firsts[step + 1]) * self.settings.seq_len,
            bytes=self.state.n_bytes,
            loss=loss,
            bits_per_byte=bits_per_byte(nats, n_bytes) if nats is not None else None,
            learning_rate=self.settings.learning_rate_at(step),
            gradient_norm=norm,
            seconds=seconds,
            tokens_per_second=n_tokens / seconds,
            bytes_per_second=n_bytes / seconds,
        )
        self._after(before)

    def _after(self, n_bytes_before: int) -> None:
        """Evaluate past a byte mark or at the end, save when it is time, stop when asked to."""
        step, last = self.state.step, self.settings.plan.n_steps
        every = self.cadence.eval_bytes
        if n_bytes_before // every != self.state.n_bytes // every or step == last:
            self._evaluate()
        if step % self.cadence.checkpoint_steps == 0 or step == last or self._stop:
            self._save()
        if step % _GC_EVERY == 1:
            gc.collect()
        if self._stop:
            self._checkpoints.finish()
            raise Stopped

    def _update(self, step: int) -> tuple[float, float | None, int, float]:
        """One step of the optimiser: loss in nats a token, nats and bytes of ordinary tokens, gradient norm."""
        plan, settings = self.settings.plan, self.settings
        n_global = int(plan.firsts[step + 1] - plan.firsts[step])
        first, n = rank_positions(int(plan.firsts[step]), n_global, self.workers.rank, self.workers.world)
        seed = self.state.data_seed(settings)
        scale = self.workers.world / (n_global * settings.seq_len)  # sharded gradients are averaged over processes
        total = nats = n_bytes = 0.0
        for at in range(first, first + n, settings.micro_batch):
            batch = self.sampler.batch(at, min(settings.micro_batch, first + n - at), seed)
            synchronise_gradients(self.model, at + settings.micro_batch >= first + n)
            sums = self._accumulate(step, batch, scale)
            total, nats, n_bytes = total + sums[0], nats + sums[1], n_bytes + sums[2]
        norm = float(whole(torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip)))
        set_learning_rate(self.optimiser, settings.learning_rate_at(step))
        self.optimiser.step()
        self.optimiser.zero_grad()
        total, nats, n_bytes, n_stopped = self.workers.total(total, nats, n_bytes, float(self._stop))
        self._stop = n_stopped > 0  # a signal to one process stops all of them after the same step
        return total / (n_global * settings.seq_len), None if math.isnan(nats) else nats, int(n_bytes), norm

    def _accumulate(self, step: int, batch: Batch, scale: float) -> tuple[float, float, float]:
        """Gradients of a micro-batch: nats of all targets, nats (NaN where unknown) and bytes of ordinary ones."""
        if int(batch.ids.max()) >= self.config.n_ids or int(batch.targets.max()) >= self.config.n_ids:
            raise TrainingError(f"the shards hold an id beyond the {self.config.n_ids:,} rows of the embedding")
        device = self.workers.device
        ids, targets, numbers = on_device(batch, device)
        distilled = self._distill is not None and self.settings.distill_every > 0
        with autocast(device, self._dtype):
            if distilled and step % self.settings.distill_every == self.settings.distill_every - 1:
                assert self._distill is not None
                found = self._distill(self.model, ids, targets, numbers)
            else:
                found = self.model(ids, targets, numbers)
        (found.total * scale).backward()
        sizes = text_bytes(batch.targets, self.data.token_bytes)
        ordinary = math.nan
        if found.each is not None:
            mask = torch.from_numpy((sizes > 0).ravel()).to(device)
            ordinary = (found.each * mask).sum().item()
        return found.total.item(), ordinary, float(sizes.sum())

    def _is_spike(self, loss: float) -> bool:
        """Whether a loss is far above those before: by `spike`, and by what losses of such batches differ anyway."""
        recent = self.state.recent
        if len(recent) < self.settings.spike_window:
            return False
        middle = statistics.median(recent)
        spread = statistics.median(abs(one - middle) for one in recent)
        return loss > middle + max(self.settings.spike, _SPIKE_SPREADS * spread)

    def _roll_back(self, step: int, loss: float) -> None:
        """Go back to the last checkpoint and on with a new order of samples (LokiLM, arXiv 2407.08370)."""
        n_rollbacks = self.state.n_rollbacks + 1
        found = self._checkpoints.newest()
        if found is None or n_rollbacks > self.settings.max_rollbacks:
            raise TrainingError(
                f"the loss rose to {loss:.3f} at step {step}, and training was rolled back {n_rollbacks - 1} times "
                "before: lower --learning-rate"
            )
        self._restore(*found)
        self.state.n_rollbacks = n_rollbacks
        self._record("rollback", step=step, loss=loss, back_to=self.state.step, n_rollbacks=n_rollbacks)
        # The same place with the new seed: a kill after this must not take the old order again.
        self._save()

    def _evaluate(self) -> None:
        if len(self.data.held_out) < 2:
            return
        found = self.evaluate(self.cadence.held_out_bytes)
        self._record(
            "eval",
            step=self.state.step,
            bytes=self.state.n_bytes,
            held_out_bits_per_byte=found.bits_per_byte,
            held_out_nats_per_token=found.nats_per_token,
            held_out_bytes=found.n_bytes,
        )

    def evaluate(self, n_bytes: int) -> Evaluation:
        """Score the first held-out documents that have `n_bytes` of text."""
        return evaluate(
            self.model,
            self.data.held_out,
            self.data.token_bytes,
            self.workers,
            seq_len=self.settings.seq_len,
            micro_batch=self.settings.micro_batch,
            n_tokens=self.data.held_out.tokens_of(n_bytes),
            precision=self._dtype,
            masked=self.settings.masked,
        )

    def _record(self, kind: str, **figures: Any) -> None:
        if self._log:
            self._log.write(kind, **figures)
        if self.workers.is_first:
            self._hear(kind, figures)

    def _out_of_memory(self) -> TrainingError:
        return TrainingError(
            f"out of memory at step {self.state.step + 1}: lower --micro-batch (now {self.settings.micro_batch}) or "
            "--seq, or set --activation-checkpointing; the batch stays the same"
        )

    def _catch_signals(self) -> dict[int, Any]:
        """Ask for a checkpoint and an end after the step under way when the process is told to stop."""
        if threading.current_thread() is not threading.main_thread():
            return {}

        def stop(number: int, frame: object) -> None:
            self._stop = True

        return {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
