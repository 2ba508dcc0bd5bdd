"""Calls timed in turns, so that whatever slows a machine for a while slows all of them alike.

A GPU that does nothing else repeats a time to 0.1%. On a shared CPU each call varies by some percent, and calls within
tenths of a second vary together. There we take many short calls, and keep of each time only its difference from the
times just before and after (Papadakis 1937; Bartlett 1978, "Nearest neighbour models in the analysis of field
experiments").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import torch

from vocab.model.timing.throughput import timed

Floats = npt.NDArray[np.float64]
# Calls on each side that tell how slow the machine was, by their departure from their usual times.
_NEIGHBOURS = 2
# Usual times and the machine's slowness are estimated in turn; two or three passes settle to far below the noise.
_PASSES = 3


def time_cycle(
    calls: Mapping[str, Callable[[], None]], rng: np.random.Generator, device: torch.device, rounds: int = 1
) -> dict[str, float]:
    """Seconds of each call, timed in `rounds` random orders of all calls, each followed by its reverse.

    One round gives the mean of the two times; more give the median, less the slowness that calls nearby shared.
    """
    names = list(calls)
    order = np.concatenate([_there_and_back(rng, len(names)) for _ in range(rounds)])
    seconds = np.array([timed(calls[names[k]], device) for k in order])
    if rounds == 1:
        return {name: float(seconds[order == k].mean()) for k, name in enumerate(names)}
    usual = np.exp(usual_logs(np.log(seconds), order, len(names)))
    return dict(zip(names, usual.tolist(), strict=True))


def _there_and_back(rng: np.random.Generator, n: int) -> npt.NDArray[np.int64]:
    forth = rng.permutation(n)
    return np.concatenate([forth, forth[::-1]])


def usual_logs(logs: Floats, order: npt.NDArray[np.int64], n_calls: int) -> Floats:
    """Log seconds (n_calls,) of each call without the machine's slowness.

    The slowness at a time is the median departure of its neighbours from their usual times. It is subtracted, and the
    usual times are the medians of the rest.

    Args:
        logs: (n,) log seconds, in the order in which calls were made.
        order: (n,) the call of each.
        n_calls: number of different calls.
    """
    slowness = np.zeros_like(logs)
    for _ in range(_PASSES):
        usual = _medians(logs - slowness, order, n_calls)
        slowness = _of_neighbours(logs - usual[order])
    return _medians(logs - slowness, order, n_calls)


def _medians(values: Floats, order: npt.NDArray[np.int64], n_calls: int) -> Floats:
    return np.array([np.median(values[order == k]) for k in range(n_calls)])


def _of_neighbours(departures: Floats) -> Floats:
    """Median over the neighbours of each; without itself, so that its own departure is not subtracted."""
    padded = np.pad(departures, _NEIGHBOURS, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _NEIGHBOURS + 1)
    return np.asarray(np.median(np.delete(windows, _NEIGHBOURS, axis=1), axis=1))
