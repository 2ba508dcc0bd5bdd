"""`vocab lock`: ids of every runtime are kept, and a runtime that gives others is named with text and ids."""

import importlib.metadata
import json
import subprocess
import sys

import pytest
from helpers.cli import fails, run

import vocab
from vocab.errors import OutputError, SourceError
from vocab.hard_texts import HARD_TEXTS
from vocab.interop import check_lock, lock
from vocab.interop.golden import golden_ids
from vocab.interop.golden.golden_file import read_golden
from vocab.interop.golden.golden_words import notes, sentences
from vocab.vocabulary import Provenance, Vocabulary
from vocab.writing import with_digest

PLUGIN = "vocab.interop.golden.pytest_plugin"
SPECIAL = {"<|endoftext|>": 600, "<|end|>": 601}


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def made(cl100k, tmp_path_factory):
    """A small folder for tiktoken, tokenizers and transformers, and its lock."""
    place = tmp_path_factory.mktemp("lock")
    tokens = list(cl100k.tokens())[:600]
    source = Vocabulary.from_tokens(tokens, cl100k.pattern, SPECIAL, provenance=Provenance("small"))
    source.save(place / "small")
    return place, lock(place / "small")


@pytest.fixture
def copied(made, tmp_path):
    """The folder and its lock, to be changed."""
    place, _ = made
    (tmp_path / "small").mkdir()
    for path in (place / "small").iterdir():
        (tmp_path / "small" / path.name).write_bytes(path.read_bytes())
    path = tmp_path / "small.vocab-lock.json"
    path.write_bytes((place / path.name).read_bytes())
    return tmp_path


def swapped(folder):
    """Two tokens of tokenizer.json change places; the file of ranks stays."""
    path = folder / "small/tokenizer.json"
    content = json.loads(path.read_text())
    ids = content["model"]["vocab"]
    ids["a"], ids["b"] = ids["b"], ids["a"]
    path.write_text(json.dumps(content))


@pytest.mark.slow
def test_ids_are_those_of_each_runtimes_default_call(made, cl100k):
    import tiktoken
    import transformers

    place, golden = made
    assert list(golden.runtimes) == ["vocab", "tiktoken", "tokenizers", "AutoTokenizer"]
    assert golden.texts[: len(HARD_TEXTS)] == tuple(HARD_TEXTS)
    assert any("<|end|>" in text for text in golden.texts)
    loaded, auto = vocab.load(place / "small"), transformers.AutoTokenizer.from_pretrained(place / "small")
    theirs = tiktoken.Encoding(
        "small",
        pat_str=cl100k.pattern.regex,
        mergeable_ranks={token: k for k, token in enumerate(loaded.tokens())},
        special_tokens=SPECIAL,
    )
    for text, *answers in zip(golden.texts, *(one.answers for one in golden.runtimes.values()), strict=True):
        assert list(answers[0]) == loaded.encode(text)
        assert list(answers[3]) == auto(text)["input_ids"]
        if "<|end" in text:  # tiktoken refuses these by default
            assert answers[1] == "ValueError"
        else:
            assert list(answers[1]) == theirs.encode(text)
    named = golden.runtimes["AutoTokenizer"].versions
    assert named == {name: importlib.metadata.version(name) for name in ("transformers", "tokenizers")}


@pytest.mark.slow
def test_what_is_written_is_read_and_agrees(made):
    place, golden = made
    path = place / "small.vocab-lock.json"
    assert read_golden(path) == golden
    assert path.read_bytes().isascii()
    assert path.stat().st_size < 200_000
    check = check_lock(path)
    assert (check.agrees, check.missing, check.added, check.changed_files) == (True, (), (), ())
    before = path.read_bytes()
    with pytest.raises(OutputError, match="is there already"):
        lock(place / "small")
    lock(place / "small", force=True)
    assert path.read_bytes() == before


@pytest.mark.slow
def test_other_ids_are_named_with_text_runtime_and_ids(copied):
    swapped(copied)
    check = check_lock(copied / "small.vocab-lock.json")
    assert {one.runtime for one in check.differences} == {"vocab", "tokenizers", "AutoTokenizer"}
    assert check.changed_files == ("tokenizer.json",)
    assert sentences(check, "tiktoken") == []
    said = sentences(check, "AutoTokenizer")
    version = importlib.metadata.version("transformers")
    assert said[0].startswith(f"AutoTokenizer (transformers {version}")
    assert "gives other ids for" in said[0]
    assert any("'ababab" in line and "became" in line for line in said)
    done = run("lock", "small", "--check", where=copied, HF_HUB_OFFLINE="1")
    assert done.returncode == 1
    assert "Other content than when locked: tokenizer.json." in done.stdout
    assert "became" in done.stdout


@pytest.mark.slow
def test_a_runtime_that_fails_or_is_gone_is_named(copied, monkeypatch):
    (copied / "small/small.tiktoken").write_bytes(b"YQ== 0\n")
    check = check_lock(copied / "small.vocab-lock.json")
    assert "tiktoken" in check.failed
    assert not check.agrees
    assert "does not load the folder" in sentences(check, "tiktoken")[0]
    real = golden_ids.installed_runtimes
    monkeypatch.setattr(golden_ids, "installed_runtimes", lambda d: (one for one in real(d) if one[0] != "tiktoken"))
    check = check_lock(copied / "small.vocab-lock.json")
    assert (check.agrees, check.missing) == (True, ("tiktoken",))
    assert any("Not compared" in note and "tiktoken" in note for note in notes(check))


def without_an_answer(content):
    content["texts"][0]["answers"][0]["by"] = []
    return with_digest(content)


DAMAGED = {
    "another digest": (lambda c: c | {"folder": "/"}, "is damaged: its content has another digest"),
    "no lock": (lambda c: with_digest({"a": 1}), "is not a file of vocab lock"),
    "an answer too few": (without_an_answer, "does not have an answer of each runtime"),
    "too many texts": (lambda c: with_digest(c | {"texts": c["texts"][:1] * 10_001}), "does not have an answer"),
    "texts no list": (lambda c: with_digest(c | {"texts": 3}), "does not have an answer"),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", DAMAGED)
def test_damaged_locks_are_refused(fault, copied):
    change, message = DAMAGED[fault]
    path = copied / "small.vocab-lock.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    assert message in fails(copied, "lock", "small", "--check")


def test_a_lock_that_is_missing_or_a_folder_that_is_none(tmp_path):
    assert "cannot be read" in fails(tmp_path, "lock", "nowhere", "--check")
    assert "nowhere" in fails(tmp_path, "lock", "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError):
        lock(tmp_path / "empty")


@pytest.mark.slow
def test_code_in_a_folder_is_never_run(copied):
    (copied / "small/evil.py").write_text(f"open({str(copied / 'run')!r}, 'w')\nclass Evil: pass\n")
    config = copied / "small/tokenizer_config.json"
    named = {"tokenizer_class": "Evil", "auto_map": {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}}
    config.write_text(json.dumps(json.loads(config.read_text()) | named))
    check_lock(copied / "small.vocab-lock.json")
    assert not (copied / "run").exists()


def pytest_run(where):
    """A whole run of pytest with the plugin, as the entry point names it."""
    entries = importlib.metadata.entry_points(group="pytest11")
    given = [] if any(entry.value == PLUGIN for entry in entries) else ["-p", PLUGIN]
    arguments = [*given, "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:randomly", "-rs", "--rootdir", "."]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=where,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.slow
def test_the_plugin_fails_for_other_ids_and_passes_for_the_same(copied):
    done = pytest_run(copied)
    assert "4 passed" in done.stdout, done.stdout + done.stderr
    swapped(copied)
    done = pytest_run(copied)
    assert "3 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "gives other ids for" in done.stdout
    assert "became" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.slow
def test_the_plugin_skips_what_is_not_installed_and_says_what_is_damaged(copied):
    path = copied / "small.vocab-lock.json"
    content = json.loads(path.read_text())
    content["runtimes"]["llama.cpp"] = {"package": "xllamacpp", "versions": {"xllamacpp": "1"}}
    for row in content["texts"]:
        row["answers"][0]["by"].append("llama.cpp")
    path.write_text(json.dumps(with_digest(content)))
    done = pytest_run(copied)
    assert "4 passed, 1 skipped" in done.stdout, done.stdout + done.stderr
    assert "llama.cpp is not installed, or finds no file of its own" in done.stdout
    path.write_text("{}")
    done = pytest_run(copied)
    assert "is not a file of vocab lock" in done.stdout


def test_the_plugin_has_an_entry_point():
    from pathlib import Path

    settings = Path(__file__).resolve().parents[2] / "pyproject.toml"
    if not settings.is_file():
        pytest.skip("not in a source tree")
    assert f'vocab_lock = "{PLUGIN}"' in settings.read_text(encoding="utf-8")
