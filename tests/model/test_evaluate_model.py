"""`evaluate_model`: figures equal those of a slow twin; task files that run code or need the network are refused."""

import json
import math
import socket

import pytest
import torch
import transformers

from vocab.corpus import DocumentCorpus
from vocab.errors import MissingExtraError, TrainingError
from vocab.model import evaluate_model, score_model
from vocab.model.pretrained.local_tasks import read_task
from vocab.vocabulary import Provenance, Vocabulary

TASK = """task: capitals
dataset_path: json
dataset_kwargs: {data_files: {test: capitals.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question.strip()}}"
doc_to_choice: choices
doc_to_target: answer
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""
ROWS = [
    {"question": "The capital of France is", "choices": ["Paris", "Rome", "Oslo"], "answer": 0},
    {"question": "The capital of Italy is", "choices": ["Paris", "Rome", "Oslo"], "answer": 1},
    {"question": "The capital of Norway is", "choices": ["Paris", "Rome", "Oslo"], "answer": 2},
    {"question": "The capital of Peru is", "choices": ["Lima", "Rome", "Oslo"], "answer": 0},
]


def task_in(folder, text=TASK):
    (folder / "capitals.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    path = folder / "capitals.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"doc_to_text: ": "process_docs: !function x.y\ndoc_to_text: "}, r"runs code of its own \(!function\)"),
        ({"task: capitals": "include: other.yaml\ntask: capitals"}, "the field include, which can load code"),
        ({"dataset_path: json": "dataset_path: someone/questions"}, "must read local files: dataset_path json"),
        ({"test: capitals.jsonl": "test: absent.jsonl"}, r"absent\.jsonl, which is not there"),
        ({"metric: acc,": "metric: acc, hf_evaluate: true,"}, "a metric of the package evaluate"),
        ({"task: capitals": "name: capitals"}, "it names no `task`"),
        ({"task: capitals": "task: ["}, "it is not YAML"),
    ],
)
def test_task_files_that_reach_further_are_refused(tmp_path, changed, says):
    text = TASK
    for old, new in changed.items():
        text = text.replace(old, new)
    with pytest.raises(TrainingError, match=says):
        read_task(task_in(tmp_path, text))


def test_data_lie_beside_the_task_file(tmp_path):
    read = read_task(task_in(tmp_path))
    assert read["dataset_kwargs"] == {"data_files": {"test": str((tmp_path / "capitals.jsonl").resolve())}}


def test_without_lm_eval_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("vocab.model.pretrained.evaluate_model.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"lm_eval, which is not installed: pip install 'vocabkit\[evaluate\]'"):
        evaluate_model(tmp_path, [])


@pytest.fixture(scope="module")
def model(tmp_path_factory, cl100k):
    folder = tmp_path_factory.mktemp("run") / "model"
    special = {"<|endoftext|>": 600}
    small = Vocabulary.from_tokens(list(cl100k.tokens())[:600], cl100k.pattern, special, provenance=Provenance("small"))
    small.save(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    made = transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=601, bos_token_id=600, **sizes))
    with torch.no_grad():
        made.get_output_embeddings().weight.mul_(20)
    made.save_pretrained(folder)
    return folder


def slow_choice(folder, row):
    """The choice whose tokens the model gives the most probability, each scored alone."""
    network = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    question = tokenizer.encode(row["question"], add_special_tokens=False)
    sums = []
    for choice in row["choices"]:
        whole = tokenizer.encode(f"{row['question']} {choice}", add_special_tokens=False)
        with torch.no_grad():
            logs = network(torch.tensor([whole])).logits[0].log_softmax(-1)
        sums.append(sum(float(logs[k - 1, whole[k]]) for k in range(len(question), len(whole))))
    return max(range(len(sums)), key=sums.__getitem__)


@pytest.mark.slow
def test_figures_are_those_of_a_slow_twin_without_network(tmp_path, model, monkeypatch):
    pytest.importorskip("lm_eval")
    looked_up = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: looked_up.append(a) or [])
    text = tmp_path / "text.jsonl"
    text.write_text(json.dumps({"text": "Lima is the capital of Peru."}) + "\n")
    found = evaluate_model(model.parent, [task_in(tmp_path)], corpus=DocumentCorpus(str(text)), device="cpu")
    right = [slow_choice(model, row) == row["answer"] for row in ROWS]
    (score,) = found.tasks
    assert (score.task, score.metric, score.n_documents, score.few_shot) == ("capitals", "acc", 4, 0)
    assert score.value == sum(right) / 4
    mean = score.value
    assert score.error == pytest.approx(math.sqrt(mean * (1 - mean) / 3))
    assert found.text.total.bits_per_byte == score_model(model, str(text)).total.bits_per_byte
    assert json.loads(json.dumps(found.for_report()))["tasks"][0]["metric"] == "acc"
    assert not looked_up


@pytest.mark.slow
def test_a_template_reaches_no_code(tmp_path, model):
    pytest.importorskip("lm_eval")
    reached = tmp_path / "reached"
    evil = "{{cycler.__init__.__globals__.os.mknod('" + str(reached) + "')}}"
    with pytest.raises(TrainingError, match=r"lm-eval cannot run the tasks: .*unsafe"):
        evaluate_model(model, [task_in(tmp_path, TASK.replace("{{question.strip()}}", evil))], device="cpu")
    assert not reached.exists()
