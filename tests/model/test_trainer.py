"""Training: it learns, resumes to the bit, survives damage and spikes, refuses what it cannot; one process and two."""

import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.models import CONFIG, END, SETTINGS, TOKEN_BYTES, curve, data, stream, trainer
from safetensors.torch import load_file

from vocab.errors import TrainingError
from vocab.model.network.head import IGNORED
from vocab.model.training.checkpoint import Checkpoints, damage_of
from vocab.model.training.held_out_loss import window_batch, windows
from vocab.model.training.logs import read_log
from vocab.model.training.settings import TrainSettings
from vocab.model.training.trainer import Stopped
from vocab.model.training.training_data import DataPart

pytestmark = pytest.mark.slow


class KilledError(Exception):
    """Stands for a kill between two steps."""


def killed_after(n_steps):
    def on_record(kind, figures):
        if kind == "step" and figures["step"] == n_steps:
            raise KilledError

    return on_record


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    run = trainer(out)
    run.run()
    return out, run


def test_it_learns_and_logs(whole_run):
    out, run = whole_run
    steps = read_log(out, "step")
    assert [row["step"] for row in steps] == list(range(1, SETTINGS.plan.n_steps + 1))
    assert steps[0]["loss"] == pytest.approx(np.log(64), rel=0.1)
    assert steps[-1]["loss"] < steps[0]["loss"] - 0.3
    assert steps[-1]["tokens"] == int(SETTINGS.plan.firsts[-1]) * 16
    evals = read_log(out, "eval")
    assert len(evals) > 2
    assert evals[-1]["held_out_bits_per_byte"] < evals[0]["held_out_bits_per_byte"]
    assert run.state.step == SETTINGS.plan.n_steps
    assert list((out / "tensorboard").iterdir())


def in_a_child_until_killed(out, n_steps):
    """Run in a forked process that kills itself, by SIGKILL, as soon as so many steps are logged."""

    def on_record(kind, figures):
        if kind == "step" and figures["step"] == n_steps:
            os.kill(os.getpid(), signal.SIGKILL)

    child = multiprocessing.get_context("fork").Process(target=lambda: trainer(out, on_record=on_record).run())
    child.start()
    child.join(timeout=120)
    assert child.exitcode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="forks a process that uses torch")
@pytest.mark.parametrize("n_steps", [1, 3, 6, 10])
def test_a_killed_run_resumes_to_the_bit(whole_run, tmp_path, n_steps):
    """Wherever the kill falls: beside a checkpoint that is being written, or after some steps that are lost with it."""
    in_a_child_until_killed(tmp_path, n_steps)
    again = trainer(tmp_path)
    again.run()
    assert curve(tmp_path) == curve(whole_run[0])
    for a, b in zip(again.model.parameters(), whole_run[1].model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_signal_saves_and_stops_and_the_run_goes_on(whole_run, tmp_path):
    def on_record(kind, figures):
        if kind == "step" and figures["step"] == 5:
            run._stop = True

    run = trainer(tmp_path, on_record=on_record)
    with pytest.raises(Stopped):
        run.run()
    assert (tmp_path / "checkpoints" / "step-00000005").is_dir()
    trainer(tmp_path).run()
    assert curve(tmp_path) == curve(whole_run[0])


def test_an_error_leaves_no_writer_behind(tmp_path, monkeypatch):
    write = Checkpoints._write

    def slow_write(self, step, tensors, state):
        time.sleep(0.3)
        write(self, step, tensors, state)

    monkeypatch.setattr(Checkpoints, "_write", slow_write)
    with pytest.raises(KilledError):
        trainer(tmp_path, on_record=killed_after(4)).run()
    assert (tmp_path / "checkpoints" / "step-00000003").is_dir()


def test_a_damaged_checkpoint_is_skipped_with_a_warning(whole_run, tmp_path):
    with pytest.raises(KilledError):
        trainer(tmp_path, on_record=killed_after(8)).run()
    newest = sorted((tmp_path / "checkpoints").glob("step-*"))[-1]
    assert newest.name == "step-00000006"
    weights = next(newest.glob("*.safetensors"))
    raw = bytearray(weights.read_bytes())
    raw[-5] ^= 1
    weights.write_bytes(raw)
    with pytest.warns(UserWarning, match=r"step-.* is skipped: .*safetensors is damaged"):
        trainer(tmp_path).run()
    assert curve(tmp_path) == curve(whole_run[0])


def test_a_checkpoint_that_names_files_elsewhere_or_is_too_deep_is_damaged(tmp_path):
    (tmp_path / "state.json").write_text("{}")
    digest = hashlib.sha256(b"{}").hexdigest()
    for content, damage in (
        (json.dumps({"state.json": digest}), None),
        (json.dumps({"state.json": digest, "../secret": digest}), "whole.json names files of other folders"),
        ("[" * 100_000, "whole.json cannot be read"),
        ("{}", "whole.json names no state"),
    ):
        (tmp_path / "whole.json").write_text(content)
        assert damage_of(tmp_path) == damage


def test_only_json_and_safetensors_are_in_a_checkpoint(whole_run):
    folders = sorted((whole_run[0] / "checkpoints").iterdir())
    assert len(folders) == 2
    assert {path.suffix for folder in folders for path in folder.iterdir()} == {".json", ".safetensors"}


def test_a_spike_goes_back_to_the_checkpoint_with_another_order(tmp_path):
    bad = {"left": 1}

    def distill(model, ids, targets, documents):
        nats = model(ids, targets, documents)
        if run.state.step == 7 and bad["left"]:
            bad["left"] = 0
            return nats._replace(total=nats.total * 50)
        return nats

    settings = replace(SETTINGS, distill_every=1)
    run = trainer(tmp_path, settings, distill=distill)
    run.run()
    (row,) = read_log(tmp_path, "rollback")
    assert (row["step"], row["back_to"]) == (8, 6)
    assert run.state.n_rollbacks == 1
    assert run.state.step == settings.plan.n_steps
    seeds = {settings.seed, run.state.data_seed(settings)}
    assert len(seeds) == 2
    firsts = [run.sampler.sequence(5, seed) for seed in seeds]
    assert firsts[0] != firsts[1]


def test_batches_that_differ_anyway_are_no_spikes(whole_run):
    run = whole_run[1]
    before = run.state.recent
    run.state.recent = [4.0, 5.0, 4.5, 4.2, 4.9]
    assert not run._is_spike(5.6)
    assert run._is_spike(9.0)
    run.state.recent = [4.5, 4.52, 4.49, 4.5, 4.51]
    assert run._is_spike(5.6)
    assert not run._is_spike(5.4)
    run.state.recent = before


def test_spikes_without_end_stop_training(tmp_path):
    def distill(model, ids, targets, documents):
        nats = model(ids, targets, documents)
        return nats._replace(total=nats.total * (50 if run.state.step > 6 else 1))

    run = trainer(tmp_path, replace(SETTINGS, distill_every=1, max_rollbacks=2), distill=distill)
    with pytest.raises(TrainingError, match="rolled back 2 times"):
        run.run()


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(tmp_path, value):
    def distill(model, ids, targets, documents):
        nats = model(ids, targets, documents)
        return nats._replace(total=nats.total * (float(value) if run.state.step == 7 else 1))

    run = trainer(tmp_path, replace(SETTINGS, distill_every=1), distill=distill)
    with pytest.raises(TrainingError, match=f"loss of step 8 is {value}"):
        run.run()
    assert trainer(tmp_path, replace(SETTINGS, distill_every=1))._checkpoints.newest()[1]["state"]["step"] == 6


def test_resuming_with_other_settings_says_which(whole_run):
    with pytest.raises(TrainingError, match=r"learning_rate is 0\.02, was 0\.01"):
        trainer(whole_run[0], replace(SETTINGS, learning_rate=0.02)).run()
    with pytest.raises(TrainingError, match="n_tokens is 512, was 1536"):
        trainer(whole_run[0], replace(SETTINGS, n_tokens=512)).run()
    with pytest.raises(TrainingError, match="n_tokens is 3072, was 1536"):  # its batch would have grown more slowly
        trainer(whole_run[0], replace(SETTINGS, n_tokens=3072)).run()
    with pytest.raises(TrainingError, match="width is 8, was 16"):
        trainer(whole_run[0], config=CONFIG.with_fields({"width": 8})).run()
    with pytest.raises(TrainingError, match="the shards are of other text"):
        trainer(whole_run[0], given=replace(data(), fingerprint="another")).run()


def test_memory_may_be_saved_half_way(tmp_path):
    """What the message for too little memory proposes: a smaller micro-batch, and activations computed again."""
    whole, shorter = tmp_path / "whole", tmp_path / "half"
    trainer(whole).run()
    with pytest.raises(KilledError):
        trainer(shorter, on_record=killed_after(8)).run()
    trainer(shorter, replace(SETTINGS, micro_batch=2, activation_checkpointing=True, head="plain")).run()
    for a, b in zip(curve(whole), curve(shorter), strict=True):
        assert a["kind"] == b["kind"]
        if "loss" in a:
            assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)


def test_a_finished_run_may_become_longer(tmp_path):
    settings = replace(SETTINGS, batch_warmup=0.0, schedule="wsd", decay=0.0)
    trainer(tmp_path, settings).run()
    longer = replace(settings, n_tokens=2 * settings.n_tokens)
    trainer(tmp_path, longer).run()
    (row,) = read_log(tmp_path, "longer")
    assert (row["step"], row["before"], row["tokens_planned"]) == (12, 1536, 3072)
    steps = read_log(tmp_path, "step")
    assert [step["step"] for step in steps] == list(range(1, longer.plan.n_steps + 1))
    at_once = tmp_path / "at once"
    trainer(at_once, longer).run()
    rates = [step["learning_rate"] for step in read_log(at_once, "step")]
    # The part that was trained before had the warm-up of the shorter run.
    assert [step["learning_rate"] for step in steps][12:] == rates[12:]
    assert steps[-1]["loss"] < steps[11]["loss"]


def test_documents_are_masked_when_asked_to(tmp_path):
    settings = replace(SETTINGS, masked=True)
    trainer(tmp_path, settings).run()
    assert read_log(tmp_path, "step")[-1]["loss"] < read_log(tmp_path, "step")[0]["loss"]


def test_a_corpus_shorter_than_a_batch_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="fewer than one batch of 8"):
        trainer(tmp_path, given=replace(data(), parts=(DataPart("few", 1.0, stream(5), stream(2)),)))


def test_ids_beyond_the_embedding_are_refused(tmp_path):
    with pytest.raises(TrainingError, match="beyond the 60 rows"):
        trainer(tmp_path, config=CONFIG.with_fields({"n_ids": 60}))
    few = replace(data(), token_bytes=np.ones(60, dtype=np.int32))
    with pytest.raises(TrainingError, match="an id beyond the 60 rows"):
        trainer(tmp_path, config=CONFIG.with_fields({"n_ids": 60}), given=few).run()


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried …")]
)
def test_memory_that_does_not_suffice_says_what_to_lower(tmp_path, error):
    def distill(model, ids, targets, documents):
        raise error

    with pytest.raises(TrainingError, match="out of memory at step 1: lower `micro_batch`"):
        trainer(tmp_path, replace(SETTINGS, distill_every=1), distill=distill).run()


def test_evaluation_covers_each_token_once():
    held_out = stream(20, seed=1)
    rows = windows(held_out, 16, 10**9)
    assert sum(n for _, n in rows) == len(held_out) - 1
    targets = []
    for first in range(0, len(rows), 3):
        batch = window_batch(held_out, rows[first : first + 3], 3, 16, masked=False)
        targets += batch.targets[batch.targets != IGNORED].tolist()
    assert targets == held_out.read(1, len(held_out) - 1).tolist()


def test_marks_score_whole_documents_of_so_many_bytes():
    held_out = stream(20, seed=1)
    for n_bytes in (1, 200, 10**9):
        ids = held_out.read(0, held_out.tokens_of(n_bytes))
        n_documents = int((ids == END).sum())
        sizes = held_out.document_bytes[:n_documents]
        assert TOKEN_BYTES[ids].sum() == sizes.sum()
        assert n_documents == 20 or sizes.sum() >= n_bytes > sizes[:-1].sum()


def test_the_batch_warms_up_and_the_learning_rate_rises_and_falls():
    settings = TrainSettings(n_tokens=100_000, seq_len=10, batch=64, micro_batch=8, batch_warmup=0.1, warmup=0.05)
    sizes = np.diff(settings.plan.firsts)
    assert sizes[0] == 8
    assert (np.diff(sizes) >= 0).all()
    assert set(sizes.tolist()) == set(range(8, 65, 8))
    grown = int(settings.plan.firsts[np.argmax(sizes == 64)])
    assert 0.08 < grown / settings.plan.firsts[-1] < 0.12
    rates = [settings.learning_rate_at(step) for step in range(settings.plan.n_steps)]
    assert max(rates) == pytest.approx(3e-3, rel=0.01)
    assert rates[-1] == pytest.approx(3e-4, rel=0.01)
    wsd = replace(settings, schedule="wsd")
    middle = [wsd.learning_rate_at(step) for step in range(settings.plan.n_steps // 2, settings.plan.n_steps * 3 // 4)]
    assert set(middle) == {3e-3}
    assert wsd.learning_rate_at(settings.plan.n_steps - 1) == pytest.approx(3e-4, rel=0.01)


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch": 0},
        {"warmup": 2.0},
        {"learning_rate": -1.0},
        {"schedule": "linear"},
        {"precision": "int8"},
        {"n_tokens": 100},
    ],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(TrainingError):
        replace(SETTINGS, **wrong)


WORKER = """
import sys
sys.path.insert(0, {tests!r})
from dataclasses import replace
from pathlib import Path
import torch
import torch.distributed as dist
from helpers.models import CADENCE, CONFIG, SETTINGS, data
from vocab.model.hardware.parallel import join, shard
from vocab.model.network.decoder import Decoder
from vocab.model.network.language_model import LanguageModel
from vocab.model.training.settings import Cadence
from vocab.model.training.trainer import Trainer

class KilledError(Exception):
    pass

workers = join("cpu")
settings = replace(SETTINGS, batch_warmup=0.0, micro_batch=2)
# Every mark of an evaluation is a save.
often = Cadence(checkpoint_steps=1, eval_bytes=1, held_out_bytes=200)

def run(name, cadence, killed_at=()):
    for stop in (*killed_at, None):
        class Killed(Trainer):
            def _one_step(self):
                if self.state.step == stop:
                    raise KilledError
                super()._one_step()

        model = LanguageModel(Decoder(CONFIG))
        model.decoder.initialise(0)
        shard(model, workers, bfloat16=False)
        model.decoder.prepare(torch.float32)
        try:
            trainer = Killed(model, settings, data(), Path(sys.argv[1]) / name, workers, cadence=cadence)
            trainer.run()
        except KilledError:
            pass

for name in ("sparse", "whole", "killed", "muon whole", "muon killed"):
    (Path(sys.argv[1]) / name).mkdir(exist_ok=True)
run("sparse", CADENCE, [5])
settings = replace(settings, optimizer="muon")
run("muon whole", often)
run("muon killed", often, [1, 5])
settings = replace(settings, optimizer="adamw")
run("whole", often)
run("killed", often, [1, 2, 6, 11])
dist.destroy_process_group()
"""


@pytest.fixture(scope="module")
def shared_runs(tmp_path_factory):
    """Runs of two processes with FSDP2 over gloo."""
    folder = tmp_path_factory.mktemp("shared")
    script = folder / "worker.py"
    script.write_text(WORKER.format(tests=str(Path(__file__).parents[1])))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", script, folder]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_two_processes_reproduce_one(tmp_path, shared_runs):
    """The same losses to 1e-5 with the same global batch, stopped half way and begun again."""
    trainer(tmp_path, replace(SETTINGS, batch_warmup=0.0)).run()
    one, two = curve(tmp_path), curve(shared_runs / "sparse")
    assert [row["kind"] for row in one] == [row["kind"] for row in two]
    for a, b in zip(one, two, strict=True):
        for key in ("loss", "bits_per_byte", "held_out_bits_per_byte"):
            if key in a:
                assert a[key] == pytest.approx(b[key], rel=1e-5), json.dumps([a, b])
        assert a.get("bytes") == b.get("bytes")


@pytest.mark.parametrize("prefix", ["", "muon "])
def test_two_processes_resume_to_the_bit_after_evaluations(shared_runs, prefix):
    """Evaluation leaves weights whole, and the optimiser's moments are by sharded ones."""
    names = [prefix + "whole", prefix + "killed"]
    assert curve(shared_runs / names[0]) == curve(shared_runs / names[1])
    newest = [sorted((shared_runs / name / "checkpoints").glob("step-*"))[-1] for name in names]
    tensors = [{k: v for part in folder.glob("*.safetensors") for k, v in load_file(part).items()} for folder in newest]
    assert tensors[0].keys() == tensors[1].keys()
    for name, tensor in tensors[0].items():
        assert torch.equal(tensor, tensors[1][name]), name
        assert tensor.any(), f"{name} is lost"
