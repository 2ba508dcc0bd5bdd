"""`vocab train` and `vocab generate` in this process: from text to a model, interruption, refusals."""

import json
import os
import shutil
import subprocess
import sys
import warnings

import pytest
from typer.testing import CliRunner

from vocab.cli.app import app
from vocab.errors import OutputError, TargetError, TrainingError, VocabError
from vocab.vocabulary import Provenance, Vocabulary
from vocab.writing import MARK, write_mark

pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.slow

SHAPE = ["width=16", "n_layers=1", "n_heads=2", "n_kv_heads=1", "ffn_width=16", "max_seq_len=32"]
SHAPE = [part for field in SHAPE for part in ("--model", field)]


def vocab(*arguments):
    """Run the command; raises its VocabError, and fails on anything else but exit codes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = CliRunner().invoke(app, [str(a) for a in arguments])
    if isinstance(done.exception, Exception) and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.fixture(scope="module")
def work(tmp_path_factory, cl100k, real_text):
    folder = tmp_path_factory.mktemp("train")
    special = {"<|endoftext|>": 500}
    small = Vocabulary.from_tokens(list(cl100k.tokens())[:500], cl100k.pattern, special, provenance=Provenance("small"))
    small.save(folder / "small")
    documents = [real_text[k : k + 800] for k in range(0, 60_000, 800)]
    (folder / "corpus.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in documents))
    done = vocab(
        "train", "--vocab", folder / "small", "--corpus", folder / "corpus.jsonl", *OPTIONS, "--out", folder / "run"
    )
    assert done.exit_code == 0, done.output
    assert "held-out bits per byte" in done.output
    return folder


OPTIONS = [*SHAPE, "--batch", 8, "--tokens", 6000, "--eval-bytes", 5000, "--checkpoint-steps", 4, "--threads", 1]


def train_command(work, out):
    """A run on the shards of the first one."""
    return ["train", "--vocab", work / "small", "--shards", work / "run" / "shards", *OPTIONS, "--out", out]


def test_a_run_leaves_a_model_a_report_a_log_and_a_curve(work):
    run = work / "run"
    names = {path.name for path in run.iterdir()}
    assert names == {MARK, "checkpoints", "log.jsonl", "loss.png", "model", "report.json", "shards", "tensorboard"}
    report = json.loads((run / "report.json").read_text())
    steps = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert report["n_steps"] == 23 == sum(row["kind"] == "step" for row in steps)
    assert report["held_out"]["bits_per_byte"] < 6
    assert report["evaluations"][-1]["held_out_bits_per_byte"] < report["evaluations"][0]["held_out_bits_per_byte"]
    assert report["ran"]["attention"] == "sdpa"
    assert any("mm" in name for name in report["ran"]["kernels"])
    speed = report["throughput"]
    assert 0 < speed["mfu_causal"] < speed["mfu"]
    assert speed["bytes_per_second"] > speed["tokens_per_second"] > 0
    assert (run / "loss.png").read_bytes()[:4] == b"\x89PNG"
    assert transformers.AutoModelForCausalLM.from_pretrained(run / "model").config.vocab_size == 501


def test_text_is_generated(work):
    first = vocab("generate", work / "run", "--prompt", "import", "--tokens", 8)
    again = vocab("generate", work / "run" / "model", "--prompt", "import", "--tokens", 8)
    assert first.output.startswith("import")
    assert first.output == again.output
    assert first.output != vocab("generate", work / "run", "--prompt", "import", "--tokens", 8, "--seed", 1).output


def test_shards_serve_another_run_and_an_interrupted_one_goes_on(work, tmp_path, monkeypatch):
    from vocab.model.training.trainer import Trainer

    after = Trainer._after

    def killed(self, *arguments):
        after(self, *arguments)
        if self.state.step == 10:
            raise OutputError("killed")

    command = train_command(work, tmp_path / "run")
    monkeypatch.setattr(Trainer, "_after", killed)
    with pytest.raises(OutputError, match="killed"):
        vocab(*command)
    monkeypatch.setattr(Trainer, "_after", after)
    assert vocab(*command).exit_code == 0
    logs = [
        [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
        for run in (work / "run", tmp_path / "run")
    ]
    losses = [[row.get("loss", row.get("held_out_bits_per_byte")) for row in log] for log in logs]
    assert losses[0] == losses[1]
    with pytest.raises(OutputError, match="finished run"):
        vocab(*command)


def test_of_several_processes_one_encodes_and_writes(work, tmp_path):
    """All processes are told the corpus; with `--force` one empties the folder, while the others wait."""
    command = [
        "train",
        "--vocab",
        work / "small",
        "--corpus",
        work / "corpus.jsonl",
        *OPTIONS,
        "--out",
        tmp_path / "run",
    ]
    program = "from vocab.cli.app import main; main()"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "--no-python"]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "log.jsonl").write_text("")
    write_mark(tmp_path / "run", {}, "run")
    done = subprocess.run(
        [*torchrun, sys.executable, "-c", program, *map(str, command), "--force"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("Wrote") == 1
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert (report["n_steps"], report["ran"]["n_processes"]) == (23, 2)
    alone = json.loads((work / "run" / "report.json").read_text())
    assert report["held_out"]["nats"] == pytest.approx(alone["held_out"]["nats"], rel=1e-4)


def test_a_run_that_is_stopped_after_its_last_step_says_what_is_kept(work, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("vocab.model.training.training_run.train", interrupt)
    done = vocab(*train_command(work, work / "run"))
    assert (done.exit_code, done.stdout.count("nothing was written")) == (130, 0)
    assert f"stopped; a checkpoint is kept in {work / 'run'}: repeat the command to go on" in done.stderr


def test_any_setting_is_taken_from_a_file(work, tmp_path):
    file = tmp_path / "settings.toml"
    command = ["train", "--vocab", work / "small", "--shards", work / "run" / "shards", *OPTIONS, "--tokens", 1500]
    command += ["--out", tmp_path / "run", "--config", file]
    for wrong, says in [
        ("weight = 0.1", "train has no option --weight"),
        ("seed = true", "seed takes a number"),
        ("masked = 1", "masked takes true or false"),
        ("clip =", "is not TOML"),
    ]:
        file.write_text(wrong)
        with pytest.raises(TargetError, match=says):
            vocab(*command)
    for wrong in ("clip = 'x'", "seed = 1.5", "schedule = 'linear'"):
        file.write_text(wrong)
        assert vocab(*command).exit_code == 2
    file.write_text("weight_decay = 0.05\nbeta2 = 0.99\nclip = 2\nschedule = 'wsd'\ndecay = 0.5\n")
    assert vocab(*command, "--beta2", 0.97, "--optimizer", "muon").exit_code == 0
    settings = json.loads((tmp_path / "run" / "report.json").read_text())["settings"]
    expected = {"weight_decay": 0.05, "beta2": 0.97, "clip": 2.0, "schedule": "wsd", "decay": 0.5, "optimizer": "muon"}
    assert {name: settings[name] for name in expected} == expected


def test_a_run_begins_with_a_checkpoint_and_shows_samples(work, tmp_path):
    command = ["train", "--vocab", work / "small", "--shards", work / "run" / "shards", "--tokens", 800, "--batch", 4]
    command += ["--learning-rate", 1e-6, "--out", tmp_path / "run"]
    init = ["--init", work / "run" / "model"]
    with pytest.raises(TrainingError, match="leave out --model"):
        vocab(*command, *init, *SHAPE)
    done = vocab(*command, *init, "--sample-every", 3, "--prompt", "import", "--track", "tensorboard")
    assert done.exit_code == 0, done.output
    assert "step 3: import" in done.output
    report, before = (json.loads((run / "report.json").read_text()) for run in (tmp_path / "run", work / "run"))
    assert report["held_out"]["nats"] == pytest.approx(before["held_out"]["nats"], rel=1e-3)
    assert report["settings"]["seq_len"] == 32
    with pytest.raises(TrainingError, match="training began with another model"):
        vocab(*command, *SHAPE, "--tokens", 1600)


def test_parts_with_weights_are_mixed(work, tmp_path):
    lines = (work / "corpus.jsonl").read_text().splitlines(keepends=True)
    for name, part in (("web:7", lines[:40]), ("code", lines[40:])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "text.jsonl").write_text("".join(part))
    base = ["train", "--vocab", work / "small", *OPTIONS]
    # A path that itself ends in :7 has no weight; beside others it counts as 1.
    command = [*base, "--out", tmp_path / "run", "--corpus", tmp_path / "web:7", "--corpus", f"{tmp_path / 'code'}:3"]
    done = vocab(*command)
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert [part["share"] for part in report["corpus"]] == [0.25, 0.75]
    assert report["corpus"][0]["share_given"] == pytest.approx(0.25, abs=0.03)
    assert sum(part["n_bytes"] for part in report["corpus"]) == report["n_bytes"]
    with pytest.raises(OutputError, match="finished run"):
        vocab(*command)
    folders = [tmp_path / "run" / "shards" / f"part-{k}" for k in range(2)]
    again = [*base, "--out", tmp_path / "again", "--shards", f"{folders[0]}:1", "--shards", f"{folders[1]}:3"]
    assert vocab(*again).exit_code == 0
    assert json.loads((tmp_path / "again" / "report.json").read_text())["held_out"] == report["held_out"]
    (folders[0] / "mine.txt").write_text("x")
    with pytest.raises(OutputError, match=r"part-0/mine\.txt"):
        vocab(*command, "--force")


def test_a_finished_run_goes_on_for_more_tokens(work, tmp_path):
    command = train_command(work, tmp_path / "run")
    assert vocab(*command).exit_code == 0
    done = vocab(*command, "--tokens", 8000)
    assert done.exit_code == 0, done.output
    assert "from step 23 on to 8,000 tokens, not 6,000" in done.output
    assert json.loads((tmp_path / "run" / "report.json").read_text())["n_steps"] == 31


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--preset", "micro"], "name either text"),
        (["--shards", "{work}/run/shards", "--model", "layers=3"], "not a field"),
        (["--shards", "{work}/run/shards", "--model", "n_ids=100"], "beyond the 100 rows"),
        (["--shards", "{work}/run/shards", "--model", "n_ids"], "FIELD=VALUE"),
        (["--shards", "{work}/nowhere"], "make shards with"),
        (["--shards", "{work}/run/shards", "--learning-rate", "0"], "above 0"),
        (["--shards", "{work}/run/shards", "--device", "cuda"], "no NVIDIA GPU"),
        (["--shards", "{work}/run/shards", "--head", "liger"], "pip install liger-kernel"),
        (["--shards", "{work}/run/shards", "--attention", "flash-attn-2"], "pip install flash-attn"),
        (["--shards", "{work}/run/shards", "--precision", "fp8"], "compute capability"),
        (["--shards", "{work}/run/shards", "--batch", "100000"], "fewer than one batch"),
        (
            ["--shards", "{work}/run/shards", "--tokens", "100000", "--batch", "3000", "--seq", "32"],
            "fewer than one batch",
        ),
    ],
)
def test_refusals(work, tmp_path, arguments, says):
    arguments = [text.format(work=work) for text in arguments]
    with pytest.raises(VocabError, match=says):
        vocab("train", "--vocab", work / "small", "--out", tmp_path / "run", *arguments)


@pytest.mark.parametrize("options", [[], ["--force"]])
def test_a_run_does_not_go_into_a_vocabulary(work, tmp_path, options):
    shutil.copytree(work / "small", tmp_path / "small")
    before = {path.name: path.read_bytes() for path in (tmp_path / "small").iterdir()}
    with pytest.raises(OutputError, match="small holds other files"):
        vocab(
            "train",
            "--vocab",
            work / "small",
            "--shards",
            work / "run" / "shards",
            "--out",
            tmp_path / "small",
            *options,
        )
    assert {path.name: path.read_bytes() for path in (tmp_path / "small").iterdir()} == before


def test_an_exported_model_teaches_another(work, tmp_path):
    done = vocab(
        *["train", "--vocab", work / "small", "--shards", work / "run" / "shards", *OPTIONS, "--out", tmp_path / "run"],
        *["--teacher", work / "run" / "model", "--distill-every", 2, "--tokens", 1500],
    )
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["settings"]["distill_every"] == 2


def test_a_folder_with_other_files_is_never_emptied(work, tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(OutputError, match="other files"):
        vocab("train", "--vocab", work / "small", "--shards", work / "run" / "shards", "--out", tmp_path, "--force")
    assert (tmp_path / "mine.txt").exists()


def test_generating_from_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="name the folder of a run"):
        vocab("generate", tmp_path)
