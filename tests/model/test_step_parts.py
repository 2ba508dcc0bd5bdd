"""Medians of the parts of a step: what warms up does not count."""

import torch

from vocab.model.network.config import ModelConfig
from vocab.model.timing import step_parts
from vocab.model.timing.bench import BenchSettings

CONFIG = ModelConfig(n_ids=64, n_layers=1, n_heads=2, n_kv_heads=1, width=32, ffn_width=32, max_seq_len=32)


def test_two_steps_warm_up_and_medians_are_of_the_others(monkeypatch):
    seconds = iter([900.0, 800.0, 1.0, 7.0, 3.0])
    shapes = []

    def one_step(model, optimiser, ids, device, dtype):
        shapes.append(tuple(ids.shape))
        taken = next(seconds)
        return {"trunk forward": taken, "optimiser": taken / 2}

    monkeypatch.setattr(step_parts, "time_by_part", one_step)
    settings = BenchSettings(batch=2, seq_len=8, cycles=3)
    medians = step_parts.median_by_part(CONFIG, settings, torch.device("cpu"))
    assert medians == {"trunk forward": 3.0, "optimiser": 1.5}
    assert shapes == [(2, 9)] * 5
