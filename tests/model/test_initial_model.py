"""Training that begins with a Hugging Face checkpoint: the same logits, refusals, samples on the way, trackers."""

import socket
import sys
import types

import pytest
import torch
from helpers.models import CONFIG, SETTINGS, trainer
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from vocab.errors import TrainingError
from vocab.model import load_initial_model
from vocab.model.hardware.parallel import join
from vocab.model.network.decoder import Decoder
from vocab.model.training.logs import read_log
from vocab.model.training.samples import check_prompt, sample_text
from vocab.model.training.settings import Cadence
from vocab.model.training.trackers import check_trackers, open_trackers
from vocab.vocabulary import Provenance, Vocabulary

pytestmark = pytest.mark.slow

SHAPE = {
    "vocab_size": 310,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-6,
    "rope_theta": 50_000.0,
}
IDS = torch.randint(0, 310, (2, 20), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def vocabulary(cl100k):
    special = {"<|endoftext|>": 300}
    return Vocabulary.from_tokens(list(cl100k.tokens())[:300], cl100k.pattern, special, provenance=Provenance("small"))


def saved(folder, **fields):
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**{**SHAPE, **fields}))
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize("tied", [True, False])
def test_the_decoder_computes_what_transformers_does(tmp_path, vocabulary, tied):
    theirs = saved(tmp_path, tie_word_embeddings=tied)
    initial = load_initial_model(tmp_path, vocabulary)
    assert (initial.config.n_ids, initial.config.rope_base, initial.config.tied) == (310, 50_000.0, tied)
    decoder = Decoder(initial.config)
    initial.fill(decoder)
    decoder.prepare(torch.float32)
    with torch.no_grad():
        torch.testing.assert_close(decoder.logits(IDS), theirs(IDS).logits, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"vocab_size": 290}, "290 rows and small ids up to 300"),
        ({"attention_bias": True}, "attention_bias = True"),
        ({"hidden_act": "gelu"}, "hidden_act = 'gelu'"),
        ({"head_dim": 8}, "heads of 8"),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}}, r"positions \(linear\)"),
    ],
)
def test_what_the_decoder_does_not_compute_is_refused(tmp_path, vocabulary, fields, says):
    saved(tmp_path, **fields)
    with pytest.raises(TrainingError, match=says):
        load_initial_model(tmp_path, vocabulary)


def test_other_architectures_and_tokenizers_are_refused(tmp_path, vocabulary, cl100k):
    GPT2LMHeadModel(GPT2Config(vocab_size=310, n_embd=16, n_layer=1, n_head=2)).save_pretrained(tmp_path / "gpt2")
    with pytest.raises(TrainingError, match="a model of the type 'gpt2'"):
        load_initial_model(tmp_path / "gpt2", vocabulary)
    vocabulary.save(tmp_path / "other", force=True)
    saved(tmp_path / "other")
    assert load_initial_model(tmp_path / "other", vocabulary).config.width == 16
    others = Vocabulary.from_tokens(list(cl100k.tokens())[:299], cl100k.pattern, provenance=Provenance("others"))
    with pytest.raises(TrainingError, match="has another tokenizer than others"):
        load_initial_model(tmp_path / "other", others)


def test_samples_are_in_the_log_and_change_nothing(tmp_path, vocabulary):
    config = CONFIG.with_fields({"n_ids": 301})
    asked = []

    def run(name, cadence):
        def sample(seed):
            asked.append(seed)
            return sample_text(made.model, vocabulary, "in", join("cpu"), seed)

        made = trainer(tmp_path / name, config=config, cadence=cadence, sample=sample)
        made.run()
        return made

    plain = run("plain", Cadence(eval_bytes=600))
    with_samples = run("samples", Cadence(eval_bytes=600, sample_steps=5, prompt="in"))
    last = SETTINGS.plan.n_steps
    assert asked == sorted({*range(5, last, 5), last})
    rows = read_log(tmp_path / "samples", "sample")
    assert [row["step"] for row in rows] == asked
    assert all(row["prompt"] == "in" and row["text"] for row in rows)
    for a, b in zip(plain.model.parameters(), with_samples.model.parameters(), strict=True):
        assert torch.equal(a, b)
    nameless = Vocabulary.from_tokens(list(vocabulary.tokens()), vocabulary.pattern)
    with pytest.raises(TrainingError, match="give a `prompt`"):
        check_prompt(nameless, "")


def test_trackers_get_numbers_by_step(tmp_path, monkeypatch):
    """A stand-in takes the calls that wandb 0.31 and trackio 0.43 take; the last test runs the real ones."""
    got = []

    class Run:
        def log(self, figures, step):
            got.append((step, figures))

        def finish(self):
            got.append("finished")

    module = types.ModuleType("trackio")
    module.init = lambda **options: got.append(options) or Run()
    module.__spec__ = types.SimpleNamespace(name="trackio")
    monkeypatch.setitem(sys.modules, "trackio", module)
    trainer(tmp_path / "run", cadence=Cadence(eval_bytes=600, track=("trackio",))).run()
    assert got[0]["name"] == "run"
    assert got[0]["config"]["batch"] == SETTINGS.batch
    assert got[-1] == "finished"
    losses = [figures["step/loss"] for _, figures in got[1:-1] if "step/loss" in figures]
    assert losses == [row["loss"] for row in read_log(tmp_path / "run", "step")]
    assert any("eval/held_out_bits_per_byte" in figures for _, figures in got[1:-1])
    assert not (tmp_path / "run" / "tensorboard").exists()


def test_a_tracker_that_is_absent_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr("vocab.environment.find_spec", lambda name: None)
    with pytest.raises(
        TrainingError, match="tracking by wandb needs its package; it is not installed: pip install wandb"
    ):
        check_trackers(["wandb"])
    with pytest.raises(TrainingError, match="`track` must be tensorboard, wandb, trackio, not 'mlflow'"):
        check_trackers(["mlflow"])


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_real_trackers_work_without_network(tmp_path, monkeypatch, name):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))  # read when it is imported
    pytest.importorskip(name)
    looked_up = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: looked_up.append(a) or [])
    (tracker,) = open_trackers([name], tmp_path, {"batch": 8})
    tracker.log({"step/loss": 1.0}, 1)
    tracker.close()
    assert list((tmp_path / name).iterdir())
    assert not looked_up
