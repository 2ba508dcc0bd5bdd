"""LokiLM's objective by hand, teachers over the same ids and over those of the source, and a run with a teacher."""

import json
import math
from dataclasses import replace

import pytest
import torch
from helpers.models import CONFIG, SETTINGS, trainer

from vocab.errors import TrainingError
from vocab.formats.id_map import IdMap
from vocab.model.network.head import CHUNK_TOKENS, IGNORED, distilled
from vocab.model.training.distillation import Distiller, Teacher, of_transformers
from vocab.model.training.logs import read_log

pytestmark = pytest.mark.slow


def test_the_objective_by_hand():
    """Logits are the hidden states themselves: the head's matrix is the unit."""
    logits = torch.tensor([[0.0, math.log(3.0)], [0.0, 0.0], [5.0, 1.0]], requires_grad=True)
    targets = torch.tensor([0, 1, IGNORED])
    shares = [torch.tensor([[0.2, 0.8], [0.5, 0.5], [0.5, 0.5]]), torch.tensor([[0.6, 0.4], [0.5, 0.5], [1.0, 0.0]])]
    teachers = [share.__getitem__ for share in shares]
    nats = distilled(logits, torch.eye(2), targets, teachers)
    first = min(math.log(4), 0.2 * math.log(4) + 0.8 * math.log(4 / 3), 0.6 * math.log(4) + 0.4 * math.log(4 / 3))
    assert nats.total.item() == pytest.approx(first + math.log(2))
    torch.testing.assert_close(nats.each, torch.tensor([math.log(4), math.log(2), 0.0]))
    nats.total.backward()
    torch.testing.assert_close(logits.grad[0], torch.tensor([0.25 - 0.2, 0.75 - 0.8]))
    assert not logits.grad[2].any()


def test_chunks_give_the_objective_and_gradients_of_all_logits_at_once():
    generator = torch.Generator().manual_seed(0)
    n, n_ids = CHUNK_TOKENS + 300, 40
    hidden, weight = (torch.randn(k, 8, generator=generator).requires_grad_() for k in (n, n_ids))
    shares = [torch.randn(n, n_ids, generator=generator).mul(3).softmax(-1) for _ in range(2)]
    targets = torch.randint(0, n_ids, (n,), generator=generator)
    targets[::9] = IGNORED
    distilled(hidden, weight, targets, [share.__getitem__ for share in shares]).total.backward()
    ours = hidden.grad.clone(), weight.grad.clone()
    hidden.grad = weight.grad = None
    logs = (hidden @ weight.T).log_softmax(-1)
    losses = [-logs[torch.arange(n), targets.clamp(min=0)], *(-(share * logs).sum(-1) for share in shares)]
    least = torch.stack(losses).min(dim=0)
    assert set(least.indices.tolist()) == {0, 1, 2}
    (least.values * (targets != IGNORED)).sum().backward()
    torch.testing.assert_close(ours, (hidden.grad, weight.grad), atol=1e-5, rtol=1e-4)


def id_map(n_old, n_new, kept, dropped):
    return IdMap("source", n_old, n_new, kept, dropped, {})


def test_a_teacher_over_the_source_is_asked_in_its_ids_and_answers_in_ours():
    """Dropped 3 is spelt with 1 and 2, dropped 2 with 0 alone; nothing spells 0, and the padded row 6 is no id."""
    asked = []

    def logits(ids):
        asked.append(ids)
        return torch.arange(7.0).log().expand(*ids.shape, 7)

    teacher = Teacher.of_source(logits, id_map(6, 3, {4: 0, 1: 1, 5: 2}, {3: (1, 2), 2: (0,), 0: ()}))
    shares = teacher.of_batch(torch.tensor([[0, 2, 1]]))
    assert asked[0].tolist() == [[4, 5, 1]]
    expected = torch.tensor([[4.0 + 2, 1 + 3, 5]]) / 15
    torch.testing.assert_close(shares(slice(1, 3)), expected.expand(2, 3))


def test_a_teacher_of_other_ids_is_refused():
    with pytest.raises(TrainingError, match="no source for id 1"):
        Teacher.of_source(torch.ones, id_map(5, 2, {4: 0}, {}))
    with pytest.raises(TrainingError, match="no source for id 1"):
        Teacher.of_source(torch.ones, id_map(5, 10**15, {4: 0}, {}))
    with pytest.raises(TrainingError, match="are the most"):
        Teacher.of_source(torch.ones, id_map(10**15, 1, {4: 0}, {}))
    few = Teacher.of_same_ids(lambda ids: torch.zeros(*ids.shape, 3), 4)
    with pytest.raises(TrainingError, match="a teacher has 3 ids, and 4 are needed"):
        few.of_batch(torch.zeros(1, 2, dtype=torch.int64))


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
