"""`vocab draft --chats`: only what the assistant says is counted, and coverage is that of the ids chosen."""

import bz2
import json
import shutil
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from helpers.cli import fails, run
from safetensors.numpy import load_file

import vocab
from vocab.errors import CorpusError, SourceError
from vocab.interop import TokenUses, draft_of_most_used, load_draft, uses_of_chats
from vocab.interop.serving import chat_uses
from vocab.interop.serving.conversations import read_conversations
from vocab.interop.serving.coverage_file import below
from vocab.vocabulary import Provenance, Vocabulary

SPECIAL = {"<|im_start|>": 2000, "<|im_end|>": 2001, "<|endoftext|>": 2002}
TURN = "{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}"
CHAT = "{% for m in messages %}" + TURN + "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
MARKED = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' }}{% if m.role == 'assistant' %}"
    "{% generation %}{{ m.content + '<|im_end|>' }}{% endgeneration %}"
    "{% else %}{{ m.content + '<|im_end|>' }}{% endif %}"
    "{{ '\\n' }}{% endfor %}"
)
ROWS = [
    {
        "language": "en" if k % 3 else "de",
        "messages": [
            {"role": "system", "content": "You answer."},
            {"role": "user", "content": f"Say {k} things about the sea and the moon, please!"},
            {"role": "assistant", "content": f"  One: the sea {k}.\n\ndef f(x): return x\n" if k % 3 else "Ja, gern."},
            {"role": "user", "content": "More?"},
            {"role": "assistant", "content": f"{k * 7919} – and no more."},
        ],
    }
    for k in range(60)
]  # fmt: skip


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def chatty(cl100k, tmp_path_factory):
    """A folder with a chat template."""
    folder = tmp_path_factory.mktemp("chats") / "chatty"
    tokens = list(cl100k.tokens())[:2000]
    Vocabulary.from_tokens(tokens, cl100k.pattern, SPECIAL, provenance=Provenance("chatty")).save(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings |= {"chat_template": CHAT, "eos_token": "<|im_end|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def written(path, rows=ROWS):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def expected(chatty):
    """Uses by domain of what the assistant says and the token that ends its turn, by our own encoder."""
    loaded = vocab.load(chatty)
    uses = {}
    for row in ROWS:
        for message in row["messages"]:
            if message["role"] == "assistant":
                ids = [*loaded.encode(message["content"]), SPECIAL["<|im_end|>"]]
                uses.setdefault(row["language"], Counter()).update(ids)
    return uses


@pytest.mark.slow
@pytest.mark.parametrize("template", [CHAT, MARKED])
def test_only_what_the_assistant_says_is_counted(template, chatty, tmp_path):
    (tmp_path / "model").mkdir()
    for path in chatty.iterdir():
        (tmp_path / "model" / path.name).write_bytes(path.read_bytes())
    config = tmp_path / "model/tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"chat_template": template}))
    uses = uses_of_chats(tmp_path / "model", [written(tmp_path / "a.jsonl")], by="language")
    both = {
        name: dict(zip(range(2003), (a + b).tolist(), strict=True))
        for name, a, b in zip(uses.domains, uses.counted, uses.held_out, strict=True)
    }
    assert {name: +Counter(counts) for name, counts in both.items()} == expected(chatty)
    assert 0 < uses.held_out.sum() < uses.counted.sum()


@pytest.mark.slow
def test_sharegpt_arrays_and_packed_files_are_the_same(chatty, tmp_path):
    names = {"user": "human", "assistant": "gpt", "system": "system"}
    rows = [
        {"conversations": [{"from": names[m["role"]], "value": m["content"]} for m in row["messages"]]} for row in ROWS
    ]
    (tmp_path / "a.json").write_text(json.dumps(rows), encoding="utf-8")
    (tmp_path / "a.jsonl.bz2").write_bytes(bz2.compress("\n".join(map(json.dumps, ROWS)).encode()))
    found = [list(read_conversations(tmp_path / name)) for name in ("a.json", "a.jsonl.bz2")]
    assert [one.messages for one in found[0]] == [one.messages for one in found[1]]
    assert [one.is_held_out for one in found[0]] == [one.is_held_out for one in found[1]]
    assert {one.domain for one in found[0]} == {"a"}
    uses = uses_of_chats(chatty, [tmp_path / "a.json"])
    total = sum((Counter(one) for one in expected(chatty).values()), Counter())
    assert +Counter(dict(enumerate((uses.counted + uses.held_out)[0].tolist()))) == total


def test_the_most_used_cover_most_of_all_sets_of_their_size():
    rng = np.random.default_rng(3)
    for _ in range(20):
        counted = rng.integers(0, 9, (2, 9))
        uses = TokenUses(("a", "b"), counted, counted * 0, (1, 1))
        order = uses.order([4])
        for size in (2, 4):
            best = max(counted[:, [4, *rest]].sum() for rest in combinations([k for k in range(9) if k != 4], size - 1))
            assert counted[:, order[:size]].sum() == best
            assert uses.curve(order)["a"][size - 1] == counted[0, order[:size]].sum()
            total = uses.coverage(order[:size])[-1]
            assert (total.domain, total.n_counted) == ("all", counted.sum())
            assert total.counted == pytest.approx(best / counted.sum())


def test_domains_below_a_stated_coverage_are_named():
    uses = TokenUses(("en", "de"), np.array([[9, 1, 0], [1, 0, 9]]), np.array([[0, 0, 0], [2, 0, 8]]), (1, 1))
    coverage = uses.coverage(np.array([0, 1]))
    assert [one.counted for one in coverage] == [1.0, 0.1, 0.55]
    assert below(coverage, 0.9) == [
        "de: only 20.00% of its held-out tokens are covered, less than 90.00%",
        "all: only 20.00% of its held-out tokens are covered, less than 90.00%",
    ]
    assert below(coverage, 0.1) == []
    assert [one.held_out for one in coverage] == [None, 0.2, 0.2]


def test_many_domains_are_one_sentence_and_nothing_is_no_share():
    counted = np.array([[k, 9 - k] for k in range(6)] + [[0, 0]])
    uses = TokenUses(tuple("abcdefg"), counted, np.zeros_like(counted), (1,) * 7)
    coverage = uses.coverage(np.array([0]))
    assert (coverage[6].counted, coverage[6].held_out) == (None, None)
    (sentence,) = below(coverage, 0.9)
    assert sentence == ("7 of 8 domains are covered less than 90.00%, the lowest a 0.00%, b 11.11%, c 22.22%")


def test_weights_choose_and_coverage_does_not_use_them():
    uses = TokenUses(("a", "b"), np.array([[5, 0], [0, 2]]), np.zeros((2, 2), dtype=np.int64), (1, 3))
    assert uses.order().tolist() == [1, 0]
    assert uses.coverage(np.array([1]))[-1].counted == pytest.approx(2 / 7)


@pytest.mark.slow
def test_many_sizes_from_one_count(chatty, tmp_path, monkeypatch):
    calls = []
    real = chat_uses._counted
    monkeypatch.setattr(chat_uses, "_counted", lambda *given: calls.append(given) or real(*given))
    written(tmp_path / "talk.jsonl")
    sizes = ["--size", 20, "--size", 60, "--size", 200]
    more = ["--by", "language", "--curve", "curve.json", "--min-coverage", 0.99]
    done = run(
        "draft", chatty, *sizes, "--chats", "talk.jsonl", *more, "--format", "gguf", "--out", "d-{size}.gguf",
        where=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(calls) == 1
    target = vocab.load(chatty)
    drafts = [set(load_draft(tmp_path / f"d-{size}.gguf", target).target_ids.tolist()) for size in (20, 60, 200)]
    assert [len(one) for one in drafts] == [20, 60, 200]
    assert drafts[0] < drafts[1] < drafts[2]
    assert set(SPECIAL.values()) < drafts[0]
    assert "vocab: with 20 ids, en: only" in done.stderr
    content = json.loads((tmp_path / "curve.json").read_text())
    uses = uses_of_chats(chatty, [tmp_path / "talk.jsonl"], by="language")
    for size, ids in zip((20, 60), drafts[:2], strict=True):
        assert set(content["order"][:size]) == ids
        for name, row in zip(uses.domains, uses.counted, strict=True):
            assert content["tokens"][name][size - 1] == row[sorted(ids)].sum()
    assert content["tokens"]["en"][-1] == content["total"]["en"]


@pytest.mark.slow
def test_d2t_in_gguf_holds_the_targets_ids(chatty, tmp_path):
    """As llama.cpp's converter writes it: d2t of EAGLE-3, plus the draft's id."""
    gguf = pytest.importorskip("gguf")
    uses = uses_of_chats(chatty, [written(tmp_path / "a.jsonl")])
    drafted = draft_of_most_used(vocab.load(chatty), 50, uses)
    from vocab.interop import write_draft

    write_draft(drafted, tmp_path / "d.gguf", "gguf")
    write_draft(drafted, tmp_path / "d.safetensors", "eagle3")
    (tensor,) = gguf.GGUFReader(tmp_path / "d.gguf").tensors
    d2t = load_file(tmp_path / "d.safetensors")["d2t"]
    assert (tensor.name, tensor.tensor_type.name, tensor.data.dtype) == ("d2t", "I64", np.int64)
    assert tensor.data.tolist() == (d2t + np.arange(d2t.size)).tolist()
    raw = (tmp_path / "d.gguf").read_bytes()
    (tmp_path / "d.gguf").write_bytes(raw[:-100])
    with pytest.raises(SourceError, match=r"d\.gguf is"):
        load_draft(tmp_path / "d.gguf", chatty)


WRONG = {
    '{"text": "no roles"}': "row 1 has no messages: it has text, not `messages`",
    '{"messages": [{"content": "a"}]}': "row 1, message 1, has no role: each message needs `role` and `content`",
    '{"messages": ["a"]}': "row 1, message 1, has no role",
    '{"messages": []}': "row 1 has an empty list of messages",
    '"hello"': "row 1 is a text and no conversation",
    "[[]]": "row 1 has an empty list of messages",
    "{": "line 1 is not JSON",
    "[3]": "row 1 is a number and no conversation",
    '{"messages": [{"role": "assistant", "content": null}]}': "row 1, message 1, has no content",
    '{"messages": [{"role": "assistant", "content": 3}]}': "row 1, message 1, has a number as its content",
    '{"messages": [{"role": "user", "content": "a"}]}': "has no message of the assistant: its roles are user",
    "": "holds no conversations",
}


@pytest.mark.parametrize("raw", WRONG)
def test_files_without_roles_are_refused_in_one_sentence(raw, tmp_path):
    (tmp_path / "a.jsonl").write_text(raw)
    with pytest.raises(CorpusError) as error:
        list(read_conversations(tmp_path / "a.jsonl"))
    assert WRONG[raw] in str(error.value)


def test_a_call_of_a_tool_needs_no_content_and_model_is_the_assistant(tmp_path):
    said = {"role": "model", "content": None, "tool_calls": [{"name": "f"}]}
    (tmp_path / "a.jsonl").write_text(json.dumps({"messages": [said]}))
    (found,) = read_conversations(tmp_path / "a.jsonl")
    assert found.messages == [said | {"role": "assistant"}]


@pytest.mark.slow
def test_unknown_roles_and_refusals_are_named(chatty, tmp_path):
    row = {"messages": [{"role": "narrator", "content": "x"}, {"role": "assistant", "content": "y"}]}
    uses = uses_of_chats(chatty, [written(tmp_path / "a.jsonl", [row] * 3)])
    assert uses.notes == (
        "roles that no template is known for are rendered and never counted: 'narrator' in 3 messages",
    )
    model = tmp_path / "strict"
    shutil.copytree(chatty, model)
    settings = json.loads((model / "tokenizer_config.json").read_text())
    strict = "{% if messages[0].role != 'user' %}{{ raise_exception('begin with user') }}{% endif %}" + CHAT
    (model / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": strict}))
    with pytest.raises(CorpusError, match=r"refuses all 3 conversations, first .*a\.jsonl row 1: begin with user"):
        uses_of_chats(model, [tmp_path / "a.jsonl"])


@pytest.mark.slow
def test_the_command_refuses_in_one_sentence(chatty, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "no roles"}\n')
    base = ["draft", chatty, "--size", 20, "--format", "eagle3", "--out", "d"]
    assert "has no messages" in fails(tmp_path, *base, "--chats", "a.jsonl")
    assert "cannot be read" in fails(tmp_path, *base, "--chats", "b.jsonl")
    written(tmp_path / "c.jsonl")
    assert "has no text under 'lang'" in fails(tmp_path, *base, "--chats", "c.jsonl", "--by", "lang")
    assert "several sizes need a name with {size}" in fails(tmp_path, *base, "--size", 30, "--chats", "c.jsonl")
    refused = fails(tmp_path, *base, "--chats", "c.jsonl", "--corpus", "c.jsonl")
    assert "in conversations or in a corpus" in refused


BOMBS = {
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}": "takes more than 2 seconds",
    "{{ raise_exception('no') }}": "the chat template refuses all 60 conversations, first",
    "{{ messages[0].nothing.at.all }}": "c.jsonl row 1: UndefinedError",
    "{{ messages | length }}": "c.jsonl row 1: ValueError: the template does not put the answer after",
    "{{ 'x' * 5000000 }}": "a text has 5,000,000 characters",
}


@pytest.mark.slow
@pytest.mark.parametrize("template", BOMBS)
def test_a_template_has_limits(template, chatty, tmp_path, monkeypatch):
    monkeypatch.setattr(chat_uses, "_SECONDS", 2)
    (tmp_path / "model").mkdir()
    for path in chatty.iterdir():
        (tmp_path / "model" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "model/chat_template.jinja").write_text(template)
    with pytest.raises((SourceError, CorpusError)) as error:
        uses_of_chats(tmp_path / "model", [written(tmp_path / "c.jsonl")])
    assert BOMBS[template] in str(error.value)
