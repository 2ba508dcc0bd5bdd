"""LokiLM's objective by hand, teachers over the same ids and over those of the source, and a run with a teacher."""

import json
import math
from dataclasses import replace

import pytest
import torch
from helpers.models import CONFIG, SETTINGS, trainer

from vocab.errors import TrainingError
from vocab.model.network.head import IGNORED, least_cross_entropy
from vocab.model.training.distillation import Distiller, Teacher, of_transformers
from vocab.model.training.logs import read_log

pytestmark = pytest.mark.slow


def test_the_objective_by_hand():
    logits = torch.tensor([[0.0, math.log(3.0)], [0.0, 0.0], [5.0, 1.0]], requires_grad=True)
    targets = torch.tensor([0, 1, IGNORED])
    teachers = [torch.tensor([[0.2, 0.8], [0.5, 0.5], [0.5, 0.5]]), torch.tensor([[0.6, 0.4], [0.5, 0.5], [1.0, 0.0]])]
    found = least_cross_entropy(logits, targets, teachers)
    first = min(math.log(4), 0.2 * math.log(4) + 0.8 * math.log(4 / 3), 0.6 * math.log(4) + 0.4 * math.log(4 / 3))
    torch.testing.assert_close(found.detach(), torch.tensor([first, math.log(2), 0.0]))
    found[0].backward()
    torch.testing.assert_close(logits.grad[0], torch.tensor([0.25 - 0.2, 0.75 - 0.8]))


def test_a_teacher_over_the_source_is_asked_in_its_ids_and_answers_in_ours():
    asked = []

    def logits(ids):
        asked.append(ids)
        return torch.arange(6.0).log().expand(*ids.shape, 6)

    id_map = {"n_new": 3, "kept": {"4": 0, "1": 1, "5": 2}}
    teacher = Teacher.of_source(logits, id_map)
    shares = teacher.probabilities(torch.tensor([[0, 2, 1]]))
    assert asked[0].tolist() == [[4, 5, 1]]
    torch.testing.assert_close(shares, torch.tensor([[0.4, 0.1, 0.5]]).expand(3, 3))
    with pytest.raises(TrainingError, match="no source for id 1"):
        Teacher.of_source(logits, {"n_new": 2, "kept": {"4": 0}})
    with pytest.raises(TrainingError, match="no source for id 1"):
        Teacher.of_source(logits, {"n_new": 10**15, "kept": {"4": 0}})


def test_code_of_a_teacher_is_never_run(tmp_path, monkeypatch):
    """A config.json that names a class of the folder's own, as for `trust_remote_code`, and somebody answers y."""
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    named = {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(named))
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')\n")
    with pytest.raises(TrainingError, match="cannot be loaded"):
        of_transformers(str(tmp_path), torch.device("cpu"))
    assert not (tmp_path / "run").exists()


def test_pickled_weights_of_a_teacher_are_not_read(tmp_path):
    from transformers import LlamaConfig

    LlamaConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, vocab_size=9).save_pretrained(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(TrainingError, match=r"cannot be loaded.*safetensors"):
        of_transformers(str(tmp_path), torch.device("cpu"))


def test_a_run_learns_from_a_teacher_that_knows_more(tmp_path):
    """The teacher knows what comes next; with it on every step the student's gradients are those of the minimum."""

    def knows(ids):
        following = torch.where(ids == 63, 63, (ids + 1) % 60)
        return torch.nn.functional.one_hot(following, CONFIG.n_ids) * 8.0

    settings = replace(SETTINGS, distill_every=2)
    run = trainer(tmp_path, settings, distill=Distiller([Teacher.of_same_ids(knows, CONFIG.n_ids)]))
    run.run()
    rows = read_log(tmp_path, "step")
    assert rows[-1]["bits_per_byte"] < rows[0]["bits_per_byte"]


def test_what_cannot_be_distilled_from_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="at least one teacher"):
        Distiller([])
    (tmp_path / "config.json").write_text(json.dumps({}))
    with pytest.raises(TrainingError, match="cannot be loaded"):
        of_transformers(str(tmp_path), torch.device("cpu"))
