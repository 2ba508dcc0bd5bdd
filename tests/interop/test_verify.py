"""`vocab verify`: a table of runtimes that agree, and exit code 1 for any difference."""

import json

import pytest
from helpers.cli import run
from helpers.files import mistral_file, packaged

import vocab
from vocab.hard_texts import HARD_TEXTS
from vocab.interop.conversion import chat
from vocab.interop.conversion.trial_texts import trial_texts
from vocab.interop.conversion.verify import verify
from vocab.prune import prune
from vocab.splitting import CL100K_REGEX, SplitPattern
from vocab.vocabulary import Provenance, Vocabulary

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


@pytest.mark.slow
def test_every_runtime_agrees(folder):
    loaded = vocab.load(folder)
    texts = trial_texts(loaded, 50_000)
    found = verify(folder, texts)
    assert {check.runtime for check in found.checks} == RUNTIMES[folder.name]
    assert [check for check in found.checks if not check.agrees] == []
    assert {check.n_ids for check in found.checks} == {2500}
    assert all(check.n_texts > 3000 and check.n_bytes > 50_000 for check in found.checks)
    assert (found.agrees, found.n_unreachable) == (True, 0)


@pytest.mark.slow
def test_code_in_a_folder_is_never_run_and_nobody_is_asked(tmp_path, cl100k):
    """A tokenizer_config.json names a class of the folder's own, and somebody answers y."""
    small = Vocabulary.from_tokens(list(cl100k.tokens())[:300], cl100k.pattern, {"<|endoftext|>": 300})
    small.save(tmp_path / "out")
    (tmp_path / "out/evil.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')\nclass Evil: pass\n")
    config = tmp_path / "out/tokenizer_config.json"
    named = {"tokenizer_class": "Evil", "auto_map": {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}}
    template = {"chat_template": "{{ messages[0]['content'] }}"}
    config.write_text(json.dumps(json.loads(config.read_text()) | named | template))
    done = run("verify", "out", "--megabytes", "0", where=tmp_path, given="y\n" * 20, HF_HUB_OFFLINE="1")
    assert not (tmp_path / "run").exists()
    assert "y/N" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
BOMBS = {
    "endless": (ENDLESS, "it takes more than 2 seconds"),
    "power": ("{{ 9**(9**(9**9)) }}", "it takes more than 2 seconds"),
    "memory": ("{{ ('x' * 99999 * 99999) | length }}", "cannot be rendered"),
    "long": ("{{ 'x' * 2000000 }}", "a text has 2,000,000 characters, more than the 1,048,576"),
    "undefined": ("{{ raise_exception('no') }}", "TemplateError: no"),
}


@pytest.mark.slow
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_chat_template_has_limits(tmp_path, cl100k, monkeypatch, bomb):
    monkeypatch.setattr(chat, "_SECONDS", 2)
    small = Vocabulary.from_tokens(list(cl100k.tokens())[:300], cl100k.pattern, {"<|endoftext|>": 300})
    small.save(tmp_path / "out")
    (tmp_path / "out/chat_template.jinja").write_text(BOMBS[bomb][0])
    found = verify(tmp_path / "out", ["a text"]).chat
    assert found
    assert found.failure.startswith("cannot be rendered: ")
    assert BOMBS[bomb][1] in found.failure
    assert not found.agrees


@pytest.mark.slow
def test_a_tokenizer_json_that_differs_is_seen(tmp_path, cl100k):
    """The folder's ranks are those of another vocabulary with two tokens exchanged."""
    tokens = list(cl100k.tokens())[:2000]
    special = {"<|endoftext|>": 2000}
    small = Vocabulary.from_tokens(tokens, SplitPattern(CL100K_REGEX), special, provenance=Provenance("small"))
    tokens[1000], tokens[1001] = tokens[1001], tokens[1000]
    other = Vocabulary.from_tokens(tokens, SplitPattern(CL100K_REGEX), special, provenance=Provenance("small"))
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


@pytest.mark.slow
def test_a_runtime_that_cannot_load_its_file_fails(tmp_path):
    prune(vocab.load(mistral_file("tokenizer.model.v1")), 4000, method="rank").save(tmp_path / "out")
    model = tmp_path / "out/tokenizer.model"
    model.write_bytes(model.read_bytes()[:1000])
    checks = {check.runtime: check for check in verify(tmp_path / "out", HARD_TEXTS).checks}
    assert checks["sentencepiece"].failure
    assert not checks["sentencepiece"].agrees
    assert checks["tokenizers"].agrees


@pytest.mark.slow
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
    assert done.stderr == "vocab: nowhere is neither a folder nor a GGUF file\n"


TURN = "{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}"
CHAT = "{% for m in messages %}" + TURN + "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
INST = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% elif m.role == 'assistant' %}{{ m.content }}{{ eos_token }}"
    "{% else %}{{ raise_exception('only user and assistant') }}{% endif %}{% endfor %}"
)


@pytest.fixture
def chatty(tmp_path, cl100k):
    """A folder with a template, written here, with the roles that its settings give it."""
    special = {"<|im_start|>": 2000, "<|im_end|>": 2001, "<|endoftext|>": 2002}
    tokens = list(cl100k.tokens())[:2000]
    Vocabulary.from_tokens(tokens, SplitPattern(CL100K_REGEX), special, provenance=Provenance("chatty")).save(
        tmp_path / "chatty"
    )
    settings = json.loads((tmp_path / "chatty/tokenizer_config.json").read_text())
    roles = {
        "bos_token": None,
        "eos_token": {"__type": "AddedToken", "content": "<|im_end|>"},
        "pad_token": "<|endoftext|>",
    }
    settings |= {"chat_template": CHAT, "model_max_length": 4096, **roles}
    (tmp_path / "chatty/tokenizer_config.json").write_text(json.dumps(settings))
    (tmp_path / "chatty/special_tokens_map.json").write_text("{}")
    return tmp_path / "chatty"


@pytest.mark.slow
def test_a_chat_template_is_pruned_along_and_its_conversations_compared(tmp_path, chatty):
    prune(vocab.load(chatty), 1500, method="frequency").save(tmp_path / "out")
    settings = json.loads((tmp_path / "out/tokenizer_config.json").read_text())
    assert (settings["chat_template"], settings["model_max_length"]) == (CHAT, 4096)
    roles = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    assert {key: text for key, text in settings.items() if key in ("bos_token", *roles)} == roles
    found = verify(tmp_path / "out", HARD_TEXTS)
    assert (found.agrees, found.chat.n_texts, found.chat.n_different) == (True, 3, 0)
    done = run("verify", "out", "--megabytes", "0", where=tmp_path, HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "chat template" in done.stdout


@pytest.mark.slow
def test_a_template_of_sentencepiece_that_refuses_a_system_message(tmp_path):
    """The two conversations that it allows are compared; [INST] follows <s> as text of its own."""
    prune(vocab.load(mistral_file("tokenizer.model.v1")), 3000, method="rank").save(tmp_path / "one")
    (tmp_path / "one/chat_template.jinja").write_text(INST)
    prune(vocab.load(tmp_path / "one"), 2000, method="rank").save(tmp_path / "out")
    assert (tmp_path / "out/chat_template.jinja").read_text() == INST
    chat = verify(tmp_path / "out", HARD_TEXTS).chat
    assert (chat.n_texts, chat.n_different, chat.failure) == (2, 0, "")


@pytest.mark.slow
def test_conversations_with_other_ids_are_seen(chatty):
    """Here AutoTokenizer is told not to recognise special tokens."""
    config = json.loads((chatty / "tokenizer_config.json").read_text())
    config["split_special_tokens"] = True
    (chatty / "tokenizer_config.json").write_text(json.dumps(config))
    found = verify(chatty, ["no special token"])
    assert found.chat.n_different == 3
    assert "<|im_start|>user" in found.chat.first_different
    assert not found.agrees


@pytest.mark.slow
@pytest.mark.parametrize(
    "template", ["{% for %}", "{{ nothing.at.all }}", "{{ ''.__class__.__mro__[1].__subclasses__() }}"]
)
def test_a_template_that_cannot_be_rendered(template, chatty):
    """Wrong, missing its values, or reaching out of the sandbox."""
    (chatty / "chat_template.jinja").write_text(template)
    found = verify(chatty, HARD_TEXTS)
    assert found.chat.failure.startswith("cannot be rendered: ")
    assert (found.agrees, all(check.agrees for check in found.checks)) == (False, True)


@pytest.mark.slow
def test_the_command_says_why_a_template_cannot_be_rendered(chatty):
    (chatty / "chat_template.jinja").write_text("{{ raise_exception('not for you') }}")
    done = run("verify", chatty, "--megabytes", "0", where=chatty.parent, HF_HUB_OFFLINE="1")
    assert (done.returncode, done.stderr) == (1, "")
    assert "chat template: cannot be rendered: TemplateError: not for you" in done.stdout


@pytest.mark.slow
def test_named_templates_are_all_tried(chatty):
    settings = json.loads((chatty / "tokenizer_config.json").read_text())
    named = [
        {"name": "default", "template": CHAT},
        {"name": "tool_use", "template": "{{ tools[0].function.name }}" + CHAT},
    ]
    (chatty / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": named}))
    found = verify(chatty, HARD_TEXTS)
    assert (found.chat.n_texts, found.agrees) == (6, True)


@pytest.mark.slow
def test_no_template_and_no_transformers_are_said(chatty, tmp_path):
    loaded = vocab.load(chatty)
    Vocabulary.from_tokens(loaded.tokens(), loaded.pattern, loaded.special_tokens).save(tmp_path / "out")
    done = run("verify", "out", "--megabytes", "0", where=tmp_path, HF_HUB_OFFLINE="1")
    assert "There is no chat template." in done.stdout
    (chatty / "tokenizer.json").unlink()
    done = run("verify", chatty, "--megabytes", "0", where=tmp_path, HF_HUB_OFFLINE="1")
    assert (done.returncode, "The chat template was not rendered" in done.stdout) == (0, True)


@pytest.mark.slow
def test_default_calls_of_user_defined_pieces_agree(tmp_path):
    """What follows a user-defined piece begins without a space of its own, unlike what follows a control piece."""
    source = vocab.load(packaged("mistral-common", "240323.model.v3"))
    assert source.user_defined
    source.save(tmp_path / "out")
    checked = verify(tmp_path / "out", HARD_TEXTS, with_chat=False)
    assert {check.runtime for check in checked.checks} == {"vocab", "tokenizers", "AutoTokenizer", "sentencepiece"}
    for check in checked.checks:
        assert check.agrees, check
