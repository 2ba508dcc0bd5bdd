"""Sampling text from a trained model."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from vocab.errors import TrainingError
from vocab.model.network.cache import KeyValueCache
from vocab.model.network.decoder import Decoder


def sample(
    decoder: Decoder,
    ids: list[int],
    n_tokens: int,
    *,
    temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int = 0,
    stop: int | None = None,
) -> Iterator[int]:
    """Ids that follow `ids`, one at a time, ending before `stop`; temperature 0 takes the likeliest.

    The model must be prepared. It keeps keys and values; when `max_seq` tokens are full, it goes on from the last half.
    Raises TrainingError without any id to begin with, for a negative temperature or a top_p that is no share.
    """
    if not ids:
        raise TrainingError("there is no token to begin with: give a prompt")
    if temperature < 0 or not 0 < top_p <= 1:
        raise TrainingError(f"temperature is at least 0 and top-p from 0 to 1, not {temperature} and {top_p}")
    generator = torch.Generator().manual_seed(seed)
    decoder.eval()
    cache, seen = KeyValueCache(decoder), list(ids)
    new = seen[-decoder.config.max_seq :]
    for _ in range(n_tokens):
        if cache.n_tokens + len(new) > decoder.config.max_seq:
            cache.clear()
            new = seen[-max(1, decoder.config.max_seq // 2) :]
        with torch.inference_mode():
            logits = cache.logits(new).float().cpu()
        found = _drawn(logits, temperature, top_p, generator)
        if found == stop:
            return
        seen.append(found)
        new = [found]
        yield found


def _drawn(logits: Tensor, temperature: float, top_p: float, generator: torch.Generator) -> int:
    """One id by nucleus sampling (Holtzman et al. 2020, arXiv 1904.09751)."""
    if temperature == 0:
        return int(logits.argmax())
    shares, order = (logits / temperature).softmax(-1).sort(descending=True)
    shares[shares.cumsum(-1) - shares >= top_p] = 0.0
    return int(order[torch.multinomial(shares, 1, generator=generator)])
