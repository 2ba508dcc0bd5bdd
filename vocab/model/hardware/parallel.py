"""One process or several: their group and devices, sharding with FSDP2, sums over all."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

from vocab.errors import TrainingError
from vocab.model.network.language_model import LanguageModel

# For the first process to encode a corpus; a group's own limit, ten minutes with NCCL, is for lost processes.
_LONGEST_WAIT = timedelta(days=7)


@dataclass(frozen=True)
class Workers:
    """The processes of a run.

    Attributes:
        rank: number of this process, from 0.
        world: number of processes.
        device: where this process computes.
        group: all of them, None when this is the only one.
    """

    rank: int
    world: int
    device: torch.device
    group: dist.ProcessGroup | None = None

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    def total(self, *values: float) -> list[float]:
        """Sums of each value over all processes, in float64, added in the order of ranks."""
        if self.group is None:
            return list(values)
        own = torch.tensor(values, dtype=torch.float64, device=self.device)
        every = [torch.empty_like(own) for _ in range(self.world)]
        dist.all_gather(every, own, group=self.group)
        sums: list[float] = torch.stack(every).sum(dim=0).tolist()
        return sums

    def wait(self) -> None:
        """Wait until all processes call this."""
        if self.group is not None:
            dist.barrier(group=self.group)

    def wait_for_first(self) -> None:
        """Wait until the first process calls this too, for hours if it must be; all processes call it."""
        if self.group is not None:
            dist.barrier(group=dist.new_group(backend="gloo", timeout=_LONGEST_WAIT))


def choose_device(device: str) -> torch.device:
    """The device of that name; "auto" takes a GPU where there is one. Raises TrainingError where there is none."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cpu", "cuda"):
        raise TrainingError(f"`device` must be auto, cpu or cuda, not {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise TrainingError("there is no NVIDIA GPU that torch can use: choose cpu as `device`")
    return torch.device(device)


def join(device: str = "auto") -> Workers:
    """The processes that torchrun started, or this one alone; "auto" takes a GPU where there is one."""
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    chosen = choose_device(device)
    if chosen.type == "cuda":
        chosen = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(chosen)
    if world == 1:
        return Workers(0, 1, chosen)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    return Workers(rank, world, chosen, dist.group.WORLD)


def shard(model: LanguageModel, workers: Workers, *, bfloat16: bool) -> None:
    """Spread parameters, gradients and moments over the processes, block by block; does nothing for one process."""
    if workers.group is None:
        return
    mesh = init_device_mesh(workers.device.type, (workers.world,))
    policy = MixedPrecisionPolicy()
    if bfloat16:
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    for block in model.decoder.blocks:
        fully_shard(block, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)


def reshard(model: nn.Module) -> None:
    """Give each process its own part of all weights again; a forward pass without a backward one leaves some whole."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def synchronise_gradients(model: LanguageModel, enabled: bool) -> None:
    """Set whether the next backward pass sums gradients over processes: only the last of a batch needs to."""
    if isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(enabled)


def whole(tensor: Tensor) -> Tensor:
    """A tensor put together on every process when it is spread over them, else the tensor itself."""
    full = getattr(tensor, "full_tensor", None)
    return tensor if full is None else full()
