"""How many threads torch takes, set before it is used."""

from __future__ import annotations


def use_torch_threads(threads: int | None) -> None:
    """Set torch's threads, None for all cores; call this before torch is imported."""
    from vocab.threads import sleep_when_waiting

    sleep_when_waiting()
    if threads:
        import torch

        torch.set_num_threads(threads)
