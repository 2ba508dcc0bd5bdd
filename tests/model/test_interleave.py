"""Times taken in turns: what slows neighbours alike is taken out, and what is a call's own stays."""

import functools
import time

import numpy as np
import pytest
import torch

from vocab.model.timing.interleave import time_cycle, usual_logs

N_CALLS, ROUNDS = 30, 12
OWN = np.linspace(0, 0.06, N_CALLS)


def turns(seed):
    """The order of calls, and log times under a slowness that wanders as it does on a shared CPU."""
    rng = np.random.default_rng(seed)
    order = np.concatenate([np.concatenate([forth := rng.permutation(N_CALLS), forth[::-1]]) for _ in range(ROUNDS)])
    slowness = np.zeros(order.size)
    for k in range(1, order.size):
        slowness[k] = 0.9 * slowness[k - 1] + rng.normal(0, 0.05)
    preempted = (rng.random(order.size) < 0.02) * rng.exponential(1.0, order.size)
    return order, OWN[order] + slowness + preempted + rng.normal(0, 0.01, order.size)


def test_a_wandering_slowness_is_taken_out():
    errors, plain = [], []
    for seed in range(8):
        order, logs = turns(seed)
        found = usual_logs(logs, order, N_CALLS)
        medians = np.array([np.median(logs[order == k]) for k in range(N_CALLS)])
        errors.append((found - found.mean()) - (OWN - OWN.mean()))
        plain.append((medians - medians.mean()) - (OWN - OWN.mean()))
    assert np.std(errors) < np.std(plain) / 2
    assert np.std(errors) < 0.02
    assert np.abs(np.mean(errors, axis=0)).max() < 0.03


def test_times_without_noise_are_left_as_they_are():
    order, _ = turns(0)
    found = usual_logs(OWN[order], order, N_CALLS)
    assert np.allclose(found - found.mean(), OWN - OWN.mean(), atol=0.01)


def test_every_call_is_made_twice_a_round_and_times_are_seconds(monkeypatch):
    now, made = [0.0], []

    def call(name, seconds):
        made.append(name)
        now[0] += seconds

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    calls = {name: functools.partial(call, name, seconds) for name, seconds in (("a", 0.002), ("b", 0.01))}
    for rounds in (1, 3):
        made.clear()
        found = time_cycle(calls, np.random.default_rng(0), torch.device("cpu"), rounds)
        assert (made.count("a"), made.count("b")) == (2 * rounds, 2 * rounds)
        assert made[:2] == made[3:1:-1]
        assert found == pytest.approx({"a": 0.002, "b": 0.01})
