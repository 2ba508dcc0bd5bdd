"""Interleaved timing of sizes, parts of a step, figures of speed; the script for GPUs on tiny shapes."""

import functools
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from vocab.cli.app import app
from vocab.errors import TrainingError
from vocab.model.network.config import ModelConfig, preset
from vocab.model.network.decoder import Decoder
from vocab.model.network.language_model import LanguageModel
from vocab.model.timing.bench import AA, BenchSettings, bench_sizes, ratio_interval
from vocab.model.timing.step_parts import time_by_part
from vocab.model.timing.throughput import Throughput, peak

pytestmark = pytest.mark.slow

CONFIG = ModelConfig(n_ids=64, n_layers=1, n_heads=2, n_kv_heads=1, width=32, ffn_width=32, max_seq_len=32)
CPU = torch.device("cpu")


@pytest.mark.parametrize("part", ["head", "step"])
@pytest.mark.parametrize("tied", [True, False])
def test_more_ids_take_longer_and_the_reference_as_long_as_itself(part, tied):
    settings = BenchSettings(batch=4, seq_len=32, part=part, cycles=5)
    rows = bench_sizes(CONFIG.with_fields({"tied": tied}), [256, 16384], 256, settings, CPU)
    assert [row.name for row in rows] == ["256", "16384", AA]
    assert rows[0].ratio == 1.0
    assert rows[1].ratio > 2
    assert all(row.low <= row.ratio <= row.high for row in rows)
    assert all(row.seconds_quartiles[0] <= row.seconds <= row.seconds_quartiles[1] for row in rows)
    assert any("mm" in name for name in rows[0].kernels)
    assert rows[1].flops > rows[0].flops


def test_the_interval_is_that_of_the_medians_of_paired_ratios():
    rng = np.random.default_rng(0)
    drift = np.exp(np.cumsum(rng.normal(0, 0.2, 200)))
    base = drift * np.exp(rng.normal(0, 0.01, 200))
    ratio, low, high = ratio_interval(1.05 * drift * np.exp(rng.normal(0, 0.01, 200)), base, rng)
    assert low < 1.05 < high
    assert low < ratio < high
    assert high - low < 0.01


def test_one_compiled_trunk_serves_all_sizes(monkeypatch):
    from torch._dynamo.utils import counters

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))  # traced all the same
    counters.clear()
    settings = BenchSettings(batch=1, seq_len=8, part="step", compile=True, cycles=2)
    bench_sizes(CONFIG, [32, 48, 64], 32, settings, CPU)
    assert counters["stats"]["unique_graphs"] == 1


def test_too_little_to_time_is_refused():
    with pytest.raises(TrainingError, match="two cycles"):
        bench_sizes(CONFIG, [], 256, BenchSettings(batch=1, seq_len=8), CPU)


def test_parts_of_a_step_are_all_there_and_the_step_is_taken():
    model = LanguageModel(Decoder(CONFIG))
    model.decoder.initialise(0)
    model.decoder.prepare(torch.float32)
    optimiser = torch.optim.AdamW(model.parameters())
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
    arguments = [
        "bench",
        "--size",
        "256=2.5",
        "--size",
        "512",
        "--cycles",
        "2",
        "--batch",
        "1",
        "--seq",
        "32",
        "--parts",
    ]
    done = CliRunner().invoke(app, [*arguments, "--part", "step", "--out", str(tmp_path / "b.jsonl")])
    assert done.exit_code == 0, done.output
    assert "reference" in done.output
    assert "trunk backward" in done.output
    rows = [json.loads(line) for line in (tmp_path / "b.jsonl").read_text().splitlines()]
    assert [row["name"] for row in rows] == ["256", "512", AA]
    assert rows[0]["bytes_per_second"] == pytest.approx(2.5 * rows[0]["tokens_per_second"])
    assert rows[1]["bytes_per_second"] is None
    assert rows[0]["versions"]["torch"] == torch.__version__
    assert rows[0]["hardware"]["device"]
    config = preset("micro", n_ids=256, max_seq_len=32)
    by_hand = rows[0]["tokens_per_second"] * config.flops_per_token(32) / rows[0]["peak"]["flops"]
    assert rows[0]["share_of_peak"] == pytest.approx(by_hand)


@pytest.mark.parametrize("size", ["many", "1", "64=x"])
def test_sizes_that_are_none_are_refused(size):
    done = CliRunner().invoke(app, ["bench", "--size", size])
    assert isinstance(done.exception, TrainingError)
    assert "--size" in str(done.exception)


def run_script(name, monkeypatch, *arguments, tiny=True):
    script = Path(__file__).parents[2] / "benchmarks" / name
    monkeypatch.setattr(sys, "argv", [str(script), *(["--tiny"] if tiny else []), *map(str, arguments)])
    monkeypatch.syspath_prepend(str(script.parent))
    runpy.run_path(str(script), run_name="__main__")


def test_steps_are_timed_beside_transformers(tmp_path, monkeypatch, capsys):
    run_script("bench_train.py", monkeypatch, "--json", tmp_path / "t.jsonl")
    ours, theirs, with_own_loss = (json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines())
    assert (ours["name"], theirs["name"]) == ("vocab", "transformers")
    assert theirs["speed_against"] == {"transformers": [1.0, 1.0, 1.0]}
    assert (ours["head"], theirs["head"], with_own_loss["head"]) == ("chunked", "chunked", "plain, uncompiled")
    assert ours["kernels"]
    assert ours["versions"]["torch"] == torch.__version__
    assert "Training steps" in capsys.readouterr().out


def test_the_script_for_gpus_runs_on_tiny_shapes(tmp_path, monkeypatch):
    # Both passes are traced as for a GPU, but no C++ is compiled for this processor.
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    run_script("bench_gpu.py", monkeypatch, "--out", tmp_path / "g.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "g.jsonl").read_text().splitlines()]
    steps = [(row["preset"], row["name"]) for row in rows if row["kind"] == "step"]
    peers = ("vocab", "transformers", "transformers, own loss")
    assert steps == [(p, name) for p in ("gpt2-124m-class", "tinyllama-1.1b") for name in peers]
    checks = [row for row in rows if row["kind"] == "check" and "reason" not in row]
    assert {"attention sdpa, rope", "attention sdpa-alibi, alibi, documents", "head chunked"} <= {
        row["name"] for row in checks
    }
    assert all(row["passed"] for row in checks)
    assert not [row for row in rows if row["kind"] == "error"]
    attention = [row for row in rows if row["kind"] == "attention"]
    timed = {(row["name"], row["position"]) for row in attention if "seconds" in row}
    assert {("sdpa, forward", "rope"), ("sdpa, both passes", "rope"), ("sdpa-alibi, both passes", "alibi")} <= timed
    assert "pip install" in next(row["reason"] for row in attention if row["name"] == "flash-attn-2")
    assert [row["name"] for row in rows if row["kind"] == "head"] == ["64", "65", AA]
    assert all(row["hardware"]["device"] and row["versions"]["torch"] for row in rows)


def test_a_part_that_fails_leaves_a_row_and_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr("vocab.model.timing.bench.calls_for_sizes", lambda *given: 1 / 0)
    run_script("bench_gpu.py", monkeypatch, "--out", tmp_path / "g.jsonl", "--part", "head")
    rows = [json.loads(line) for line in (tmp_path / "g.jsonl").read_text().splitlines()]
    assert [row["part"] for row in rows if row["kind"] == "error"] == ["head of micro"]
    assert "ZeroDivisionError" in rows[-1]["error"]
    assert any(row["kind"] == "check" for row in rows)


@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU the whole benchmark would run")
def test_the_script_for_gpus_needs_one(tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match="no NVIDIA GPU"):
        run_script("bench_gpu.py", monkeypatch, "--out", tmp_path / "g.jsonl", tiny=False)
    assert not (tmp_path / "g.jsonl").exists()
