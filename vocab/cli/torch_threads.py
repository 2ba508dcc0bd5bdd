"""What torch computes on: options for threads and the device, and threads that are set before torch is used."""

from __future__ import annotations

from typing import Annotated

import typer

TorchThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, help="Threads to use. [default: all cores]")
]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]


def use_torch_threads(threads: int | None) -> None:
    """Set torch's threads, None for all cores; call this before torch is imported."""
    from vocab.threads import sleep_when_waiting

    sleep_when_waiting()
    if threads:
        import torch

        torch.set_num_threads(threads)
