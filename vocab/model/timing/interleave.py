"""Calls timed in turns, so that what slows a machine for a while slows all of them alike.

A GPU that does nothing else repeats a time to 0.1%. On a CPU that is shared with others every call varies by some
percent, and for tenths of a second together: there many short calls are taken, and of each one's time only what
differs from its neighbours in time is kept (Papadakis 1937; Bartlett 1978, "Nearest neighbour models in the analysis
of field experiments").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import torch

from vocab.model.timing.throughput import timed

Floats = npt.NDArray[np.float64]
# Calls on each side whose departure from their own usual times says how slow the machine was.
_NEIGHBOURS = 2
# Usual times and the machine's slowness are told apart by turns; two or three settle to far below the noise.
_PASSES = 3


def time_cycle(
    calls: Mapping[str, Callable[[], None]], rng: np.random.Generator, device: torch.device, rounds: int = 1
) -> dict[str, float]:
    """Seconds of each call, from rounds of a random order of all and its reverse.

    One round gives the mean of its two; more give the median of all, less what slowed the calls beside them.
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
    """Log seconds (n_calls,) of each call, from those (n,) of calls in the order in which they were made.

    The machine's slowness at a call is the median of how far its neighbours lie from their usual; it is taken out,
    and usual times are the medians of what is left.
    """
    slowness = np.zeros_like(logs)
    for _ in range(_PASSES):
        usual = _medians(logs - slowness, order, n_calls)
        slowness = _of_neighbours(logs - usual[order])
    return _medians(logs - slowness, order, n_calls)


def _medians(values: Floats, order: npt.NDArray[np.int64], n_calls: int) -> Floats:
    return np.array([np.median(values[order == k]) for k in range(n_calls)])


def _of_neighbours(departures: Floats) -> Floats:
    """Median over the neighbours of each, itself left out, so that nothing is taken out for being what it is."""
    padded = np.pad(departures, _NEIGHBOURS, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _NEIGHBOURS + 1)
    return np.asarray(np.median(np.delete(windows, _NEIGHBOURS, axis=1), axis=1))
