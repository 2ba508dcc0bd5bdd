"""Checkpoints: given their name when whole, verified by digest when read, never unpickled.

A checkpoint is a folder `step-00000100` of safetensors written through torch.distributed.checkpoint, `state.json`, and
`whole.json` with the sha256 of each file. Tensors are the weights and the optimisers' moments by parameter name.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from vocab.errors import OutputError, TrainingError
from vocab.model.hardware.parallel import Workers, reshard
from vocab.model.training.optimiser import Optimisers
from vocab.reading import is_file_name, parse_json
from vocab.writing import hidden_path, place, staging_folder, write_json

_WHOLE, _STATE = "whole.json", "state.json"
_PART = "part"  # .part-unfinished/part, until it is whole
_KEEP = 2  # whole checkpoints that stay; older ones are deleted
# torch says so in every run of one process.
warnings.filterwarnings("ignore", message="torch.distributed is disabled, unavailable or uninitialized")


def training_tensors(model: nn.Module, optimisers: Optimisers) -> dict[str, Tensor]:
    """Trained weights and moments by name; moments that are not there yet are created, as zeros."""
    reshard(model)  # evaluation leaves whole weights behind, which the optimiser does not know
    tensors: dict[str, Tensor] = {}
    for name, weight in model.named_parameters():
        if not weight.requires_grad:
            continue
        tensors[f"weight.{name}"] = weight.detach()
        tensors |= {f"{moment}.{name}": tensor for moment, tensor in optimisers.moments(weight).items()}
    return tensors


class Checkpoints:
    """The checkpoints of a run, in one folder. A single process writes in the background while it trains.

    Args:
        directory: folder of the checkpoints.
        workers: the processes of the run; each writes its part of the tensors.
    """

    def __init__(self, directory: Path, workers: Workers) -> None:
        self.directory = directory
        self._workers = workers
        self._writing: threading.Thread | None = None
        self._failure: Exception | None = None

    def save(self, step: int, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Write a checkpoint; raises OutputError when an earlier one could not be written.

        Args:
            step: steps done.
            tensors: by name, from `training_tensors`.
            state: what else to store, as JSON types.
        """
        self.finish()
        if self._workers.group is not None:
            self._write(step, tensors, state)
            return
        copies = {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}
        self._writing = threading.Thread(target=self._write_guarded, args=(step, copies, state), daemon=False)
        self._writing.start()

    def wait(self) -> None:
        """Wait until the background write has ended, well or not: nothing is written after this."""
        if self._writing is not None:
            self._writing.join()
            self._writing = None

    def finish(self) -> None:
        """Wait until the background write has ended; raises OutputError when it failed."""
        self.wait()
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise _named(failure, self.directory)

    def _write_guarded(self, step: int, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        try:
            self._write(step, tensors, state)
        except Exception as error:  # noqa: BLE001 - from another thread: `finish` raises it
            self._failure = error

    def _write(self, step: int, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        part = self.directory / _PART
        if self._workers.is_first:
            self.directory.mkdir(parents=True, exist_ok=True)
        with staging_folder(part) if self._workers.is_first else nullcontext():
            staged = hidden_path(part) / _PART
            if self._workers.is_first:
                staged.mkdir()
            self._workers.wait()
            writer = HuggingFaceStorageWriter(str(staged), save_distributed=True)
            try:
                save(tensors, storage_writer=writer, no_dist=self._workers.group is None)
            except CheckpointException as error:  # which is no Exception, so that a thread would end with a traceback
                raise _named(error, self.directory) from None
            self._workers.wait()
            if self._workers.is_first:
                self._finish(staged, step, state)
        self._workers.wait()

    def _finish(self, staged: Path, step: int, state: dict[str, Any]) -> None:
        """State and digests beside the tensors, the name, and no more checkpoints than are kept."""
        write_json(staged / _STATE, state, 1, ensure_ascii=True)
        digests = {path.name: _sha256(path) for path in sorted(staged.iterdir())}
        write_json(staged / _WHOLE, digests, 1, ensure_ascii=True)
        place(staged, self.directory / f"step-{step:08d}")
        for old in self._folders()[_KEEP:]:
            shutil.rmtree(old, ignore_errors=True)

    def _folders(self) -> list[Path]:
        """Folders of checkpoints, newest first."""
        return sorted(self.directory.glob("step-*"), reverse=True)

    def newest(self) -> tuple[Path, dict[str, Any]] | None:
        """The newest whole checkpoint and its state, or None; damaged ones are skipped with a warning.

        What a kill left of an unfinished one is removed.
        """
        self.finish()
        if self._workers.is_first and hidden_path(self.directory / _PART).exists():
            with staging_folder(self.directory / _PART):
                pass
        for folder in self._folders():
            if damage := damage_of(folder):
                warnings.warn(f"checkpoint {folder} is skipped: {damage}", stacklevel=2)
                continue
            state: dict[str, Any] = parse_json((folder / _STATE).read_bytes())
            return folder, state
        return None

    def load(self, folder: Path, tensors: dict[str, Tensor]) -> None:
        """Copy a checkpoint into tensors of the same names and shapes; raises TrainingError when they differ."""
        try:
            reader = HuggingFaceStorageReader(str(folder))
            load(tensors, storage_reader=reader, no_dist=self._workers.group is None)
        except (CheckpointException, RuntimeError, ValueError, KeyError) as error:
            reason = str(error).strip().splitlines()[-1]
            raise TrainingError(f"checkpoint {folder} does not fit the model: {reason}") from None


def damage_of(folder: Path) -> str | None:
    """Say what is wrong with a checkpoint; None when it is whole."""
    try:
        digests = parse_json((folder / _WHOLE).read_bytes())
        if not all(map(is_file_name, digests)):
            return "whole.json names files of other folders"
        if _STATE not in digests:
            return "whole.json names no state"
        wrong = next((name for name, digest in digests.items() if _sha256(folder / name) != digest), None)
    except (OSError, ValueError, AttributeError) as error:
        return f"{getattr(error, 'filename', None) or _WHOLE} cannot be read"
    return f"{wrong} is damaged" if wrong else None


def _named(error: BaseException, directory: Path) -> OutputError:
    """The error of writing as one sentence: the last line, which says what was wrong."""
    if isinstance(error, OutputError):
        return error
    reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
    return OutputError(f"{directory} cannot be written: {reason[0]}")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
