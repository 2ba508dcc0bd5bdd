"""`vocab verify`: a table of runtimes that agree, and exit code 1 for any difference."""

import pytest
from test_cli import run
from test_real_files import mistral_file

import vocab
from vocab.interop.hard_texts import HARD_TEXTS, texts_for
from vocab.interop.verify import verify
from vocab.prune import prune
from vocab.splitting import CL100K_REGEX, SplitPattern
from vocab.vocabulary import Source, Vocabulary

SOURCES = {"cl100k": None, "mistral": "tokenizer.model.v1", "tekken": "tekken_240718.json"}
RUNTIMES = {
    "cl100k": {"vocab", "tiktoken", "tokenizers", "AutoTokenizer"},
    "mistral": {"vocab", "tokenizers", "AutoTokenizer", "sentencepiece"},
    "tekken": {"vocab", "tiktoken", "tokenizers", "AutoTokenizer", "mistral-common"},
}


@pytest.fixture(scope="module", params=SOURCES)
def folder(request, cl100k, tmp_path_factory):
    """A source cut to 2,500 ids by frequency, and what it was cut from."""
    file = SOURCES[request.param]
    source = vocab.load(mistral_file(file)) if file else cl100k
    place = tmp_path_factory.mktemp("verify") / request.param
    prune(source, 2500, method="frequency").save(place)
    return place


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_every_runtime_agrees(folder):
    loaded = vocab.load(folder)
    texts = texts_for(loaded, 50_000)
    found = verify(folder, texts)
    assert {check.runtime for check in found.checks} == RUNTIMES[folder.name]
    assert [check for check in found.checks if not check.agrees] == []
    assert {check.n_ids for check in found.checks} == {2500}
    assert all(check.n_texts > 3000 and check.n_bytes > 50_000 for check in found.checks)
    assert (found.agrees, found.n_unreachable) == (True, 0)


def test_a_tokenizer_json_that_differs_is_seen(tmp_path, cl100k):
    """The folder's ranks are those of another vocabulary with two tokens exchanged."""
    tokens = list(cl100k.tokens())[:2000]
    special = {"<|endoftext|>": 2000}
    small = Vocabulary.from_tokens(tokens, SplitPattern(CL100K_REGEX), special, source=Source("small"))
    tokens[1000], tokens[1001] = tokens[1001], tokens[1000]
    other = Vocabulary.from_tokens(tokens, SplitPattern(CL100K_REGEX), special, source=Source("small"))
    small.save(tmp_path / "out")
    other.save(tmp_path / "other")
    (tmp_path / "out/small.tiktoken").write_bytes((tmp_path / "other/small.tiktoken").read_bytes())
    found = verify(tmp_path / "out", [token.decode(errors="replace") for token in tokens])
    checks = {check.runtime: check for check in found.checks}
    assert checks["tiktoken"].n_different >= 2
    assert not found.agrees
    assert checks["tokenizers"].agrees
    done = run("verify", "out", "--megabytes", "0", where=tmp_path, HF_HUB_OFFLINE="1")
    assert done.returncode == 1
    assert "differs" in done.stdout
    assert "tiktoken: " in done.stdout


def test_a_runtime_that_cannot_load_its_file_fails(tmp_path):
    prune(vocab.load(mistral_file("tokenizer.model.v1")), 4000, method="rank").save(tmp_path / "out")
    model = tmp_path / "out/tokenizer.model"
    model.write_bytes(model.read_bytes()[:1000])
    checks = {check.runtime: check for check in verify(tmp_path / "out", HARD_TEXTS).checks}
    assert checks["sentencepiece"].failure
    assert not checks["sentencepiece"].agrees
    assert checks["tokenizers"].agrees


def test_the_command_prints_a_table(tmp_path):
    folder = tmp_path / "mistral"
    prune(vocab.load(mistral_file("tokenizer.model.v1")), 2000, method="leaf").save(folder)
    (tmp_path / "more.txt").write_text("my own text\n")
    arguments = ["verify", folder, "--megabytes", "0.01", "--corpus", tmp_path / "more.txt"]
    done = run(*arguments, where=tmp_path, HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr + done.stdout
    assert all(runtime in done.stdout for runtime in RUNTIMES[folder.name])
    assert "differs" not in done.stdout
    assert "Ids have no holes." in done.stdout


def test_what_is_no_folder_is_refused(tmp_path):
    done = run("verify", "nowhere", where=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "vocab: nowhere is not a folder\n"
