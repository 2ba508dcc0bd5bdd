"""Interleaved timing of sizes, parts of a step, figures of speed; the script for GPUs on tiny shapes."""

import json
import runpy
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from vocab.cli.app import app
from vocab.errors import TrainingError
from vocab.model.bench import AA, BenchSettings, bench_sizes, time_by_part
from vocab.model.config import ModelConfig
from vocab.model.decoder import Decoder
from vocab.model.head import LanguageModel
from vocab.model.optimiser import adamw
from vocab.model.settings import TrainSettings
from vocab.model.throughput import Throughput, peak

CONFIG = ModelConfig(n_ids=64, n_layers=1, n_heads=2, n_kv_heads=1, width=32, ffn_width=32, max_seq=32)
CPU = torch.device("cpu")


@pytest.mark.parametrize("part", ["head", "step"])
@pytest.mark.parametrize("tied", [True, False])
def test_more_ids_take_longer_and_the_reference_as_long_as_itself(part, tied):
    settings = BenchSettings(batch=4, n_seq=32, part=part, cycles=5)
    rows = bench_sizes(CONFIG.with_fields({"tied": tied}), [256, 8192], 256, settings, CPU)
    assert [row.name for row in rows] == ["256", "8192", AA]
    assert rows[0].ratio == 1.0
    assert rows[1].ratio > 2
    assert all(row.low <= row.ratio <= row.high for row in rows)


def test_too_little_to_time_is_refused():
    with pytest.raises(TrainingError, match="two cycles"):
        bench_sizes(CONFIG, [], 256, BenchSettings(batch=1, n_seq=8), CPU)


def test_parts_of_a_step_are_all_there_and_the_step_is_taken():
    model = LanguageModel(Decoder(CONFIG))
    model.decoder.initialise(0)
    model.decoder.prepare(torch.float32)
    optimiser = adamw(model, TrainSettings(n_tokens=10_000, n_seq=16, batch=2, micro_batch=2))
    before = model.decoder.embedding.weight.clone()
    parts = time_by_part(model, optimiser, torch.randint(0, 64, (2, 17)), CPU, torch.float32)
    assert list(parts) == [
        "trunk forward",
        "head and loss forward",
        "head and loss backward",
        "trunk backward",
        "optimiser",
    ]
    assert all(value > 0 for value in parts.values())
    assert not torch.equal(before, model.decoder.embedding.weight)


def test_figures_of_speed_follow_their_formula():
    found = Throughput.of([0.5, 0.4, 0.6], 1000, 3.5, CONFIG, 32, peak_flops=1e9)
    assert (found.step_seconds, found.tokens_per_second, found.bytes_per_second) == (0.5, 2000, 7000)
    by_hand = 2000 * (6 * CONFIG.n_matmul_parameters + 12 * 1 * 32 * 32) / 1e9
    assert found.mfu == pytest.approx(by_hand)
    assert found.mfu_causal < found.mfu
    assert peak(CPU).flops > 1e8


def test_the_command_shows_and_writes_the_timings(tmp_path):
    arguments = ["bench", "--size", "256", "--size", "512", "--cycles", "2", "--batch", "1", "--seq", "32"]
    done = CliRunner().invoke(app, [*arguments, "--json", str(tmp_path / "b.json")])
    assert done.exit_code == 0, done.output
    assert "reference again" in done.output
    assert len(json.loads((tmp_path / "b.json").read_text())["rows"]) == 3


def test_the_benchmark_script_runs_on_tiny_shapes(tmp_path, monkeypatch):
    script = Path(__file__).parents[1] / "benchmarks" / "bench_train.py"
    monkeypatch.setattr(sys, "argv", [str(script), "--tiny", "--json", str(tmp_path / "t.json")])
    monkeypatch.syspath_prepend(str(script.parent))
    runpy.run_path(str(script), run_name="__main__")
    rows = json.loads((tmp_path / "t.json").read_text())
    assert {row["name"] for row in rows["steps"]} == {"vocab", "transformers"}
    assert rows["attention"]
    assert rows["kernels"]
