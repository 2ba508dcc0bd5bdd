"""One process or several: the group, where the model lives, sharding with FSDP2, sums over all."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

from vocab.errors import TrainingError
from vocab.model.network.head import LanguageModel


@dataclass(frozen=True)
class Workers:
    """The processes of a run; `group` is None for one."""

    rank: int
    world: int
    device: torch.device
    group: dist.ProcessGroup | None = None

    @property
    def is_first(self) -> bool:
        """Whether this process writes what is written once."""
        return self.rank == 0

    def total(self, *values: float) -> list[float]:
        """Sums over all processes, in float64, added in the order of ranks."""
        if self.group is None:
            return list(values)
        mine = torch.tensor(values, dtype=torch.float64, device=self.device)
        every = [torch.empty_like(mine) for _ in range(self.world)]
        dist.all_gather(every, mine, group=self.group)
        sums: list[float] = torch.stack(every).sum(dim=0).tolist()
        return sums

    def wait(self) -> None:
        """Go on when all processes have come here."""
        if self.group is not None:
            dist.barrier(group=self.group)


def choose_device(device: str) -> torch.device:
    """The device of that name; "auto" takes a GPU where there is one. Raises TrainingError where there is none."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cpu", "cuda"):
        raise TrainingError(f"--device is auto, cpu or cuda, not {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise TrainingError("there is no NVIDIA GPU that torch can use: choose --device cpu")
    return torch.device(device)


def join(device: str = "auto") -> Workers:
    """The processes that torchrun started, or this one alone; "auto" takes a GPU where there is one."""
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    place = choose_device(device)
    if place.type == "cuda":
        place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(place)
    if world == 1:
        return Workers(0, 1, place)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if place.type == "cuda" else "gloo")
    return Workers(rank, world, place, dist.group.WORLD)


def shard(model: LanguageModel, workers: Workers, *, bfloat16: bool) -> None:
    """Spread parameters, gradients and moments over the processes, block by block; nothing for one process."""
    if workers.group is None:
        return
    mesh = init_device_mesh(workers.device.type, (workers.world,))
    policy = MixedPrecisionPolicy()
    if bfloat16:
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    for block in model.decoder.blocks:
        fully_shard(block, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)


def synchronise_gradients(model: LanguageModel, wanted: bool) -> None:
    """Whether the next backward pass adds up gradients over processes: only the last of an accumulated batch need."""
    if isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(wanted)


def whole(tensor: Tensor) -> Tensor:
    """A tensor that may be spread over processes, put together on each of them."""
    full = getattr(tensor, "full_tensor", None)
    return tensor if full is None else full()
