"""Whether a run may go on from a checkpoint that was written under other settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from typing import Any

import numpy as np

from vocab.model.training.settings import TrainSettings

# How a step is computed, and what is done about a spike: the same steps follow, up to rounding.
_FREE = frozenset(
    {
        "micro_batch",
        "attention",
        "head",
        "compile",
        "activation_checkpointing",
        "spike",
        "spike_window",
        "max_rollbacks",
    }
)


def differences(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """Fields in which the settings or shapes of two runs differ, for people."""
    return [
        f"{name} is {now.get(name)!r}, was {before.get(name)!r}"
        for name in {**now, **before}
        if now.get(name) != before.get(name)
    ]


def changed_settings(now: TrainSettings, stored: Mapping[str, Any], step: int) -> list[str]:
    """Settings that forbid to go on from a checkpoint, for people; none when the run may go on.

    A run may become longer: the steps that are done keep their batches, and the learning rate follows the new length
    from here on. Fields that a checkpoint lacks, because another version wrote it, had their defaults.

    Args:
        now: settings of this run.
        stored: those in the checkpoint.
        step: steps done there.
    """
    before = {field.name: field.default for field in fields(now) if field.default is not MISSING} | dict(stored)
    given = asdict(now)
    free = _FREE | ({"n_tokens"} if _is_longer(now, before, step) else set())
    return differences(*({k: v for k, v in side.items() if k not in free} for side in (given, before)))


def _is_longer(now: TrainSettings, before: Mapping[str, Any], step: int) -> bool:
    """Whether only the end is further away; a batch that warms up over a share of it would have grown otherwise."""
    known = {field.name for field in fields(now)}
    if now.n_tokens <= before["n_tokens"] or set(before) - known:
        return False
    done, planned = (settings.plan.firsts[: step + 1] for settings in (now, TrainSettings(**before)))
    return np.array_equal(done, planned)
