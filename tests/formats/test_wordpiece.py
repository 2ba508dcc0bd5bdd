"""BERT's WordPiece against Hugging Face tokenizers, id by id, and what is refused of it."""

import json
import sys
from functools import cache

import numpy as np
import pytest
from helpers.files import set_in
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

import vocab
from vocab.analysis import compare, diff, inspect
from vocab.cli import app
from vocab.errors import SourceError
from vocab.formats import load_lossless
from vocab.interop.conversion.convert import convert
from vocab.prune import best_possible, prune, trace_frontier
from vocab.splitting import SplitPattern

SPECIAL = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
KINDS = {
    "uncased": (normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()),
    "cased": (normalizers.BertNormalizer(lowercase=False), pre_tokenizers.BertPreTokenizer()),
    "as it is": (None, pre_tokenizers.WhitespaceSplit()),
    "in steps": (
        normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]),
        pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True)]),
    ),
    "composed": (normalizers.NFC(), pre_tokenizers.Whitespace()),
}


def trained(kind: str, text: str) -> Tokenizer:
    """With what real files have besides: template, truncation, padding, special tokens between the others."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer, tokenizer.pre_tokenizer = KINDS[kind]
    settings = {"vocab_size": 3000, "special_tokens": SPECIAL, "limit_alphabet": 150, "show_progress": False}
    tokenizer.train_from_iterator(text.splitlines()[::7], trainers.WordPieceTrainer(**settings))
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 4), ("[CLS]", 3))
    settings = json.loads(tokenizer.to_str())
    settings["added_tokens"] = [token for token in settings["added_tokens"] if token["content"] != "[unused0]"]
    tokenizer = Tokenizer.from_str(json.dumps(settings))
    tokenizer.enable_truncation(512)
    tokenizer.enable_padding(length=600)
    return tokenizer


@pytest.fixture(scope="module")
def files(tmp_path_factory, real_text):
    """The tokenizer.json of each kind."""
    found = {}
    for kind in KINDS:
        found[kind] = tmp_path_factory.mktemp(kind.replace(" ", "-")) / "tokenizer.json"
        trained(kind, real_text).save(str(found[kind]))
    return found


def runtime(path) -> Tokenizer:
    """The file's own tokenizer, which cuts nothing off."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def with_settings(path, folder, change):
    settings = json.loads(path.read_bytes())
    change(settings)
    (folder / "tokenizer.json").write_text(json.dumps(settings))
    return folder / "tokenizer.json"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_those_of_tokenizers(kind, files, real_text, nasty):
    vocabulary, theirs = vocab.load(files[kind]), runtime(files[kind])
    texts = [*nasty, "[MASK] x [UNK]", "", " ", "word" * 40, real_text[:300_000], *real_text.splitlines()[::20]]
    with_special = [theirs.encode(text, add_special_tokens=False).ids for text in texts]
    assert [vocabulary.encode(text, allow_special=True) for text in texts] == with_special
    theirs.encode_special_tokens = True
    expected = [theirs.encode(text, add_special_tokens=False).ids for text in texts]
    assert vocabulary.encode_batch(texts) == [vocabulary.encode(text) for text in texts] == expected
    assert vocabulary.encode("word" * 40) == [2]
    assert vocabulary.encode("\ud800a") == vocabulary.encode("\ufffda")
    assert any(2 in ids for ids in expected)
    assert 5 in vocabulary.encode("[MASK]", allow_special=True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_text_has_the_tokens_of_its_counted_words(kind, files, real_text, nasty):
    vocabulary = vocab.load(files[kind])
    for text in (*nasty, real_text[:200_000]):
        assert tokens_of_words(vocabulary, text) == count_of(vocabulary, text)


@given(
    text=st.text(
        st.sampled_from("aΣσAé\u0301\u0323\u0327\u1d165\u302e \t\n\r\x0b\x0c\x1c\x85\xa0\u2028\u200b中가.1[]#İ")
    )
)
def test_any_text_has_the_tokens_of_its_counted_words(text, files):
    for kind in KINDS:
        vocabulary = loaded(files[kind])
        assert tokens_of_words(vocabulary, text) == count_of(vocabulary, text)


loaded = cache(vocab.load)


def tokens_of_words(vocabulary, text: str) -> tuple[int, int]:
    words = [word.encode() for word in vocabulary.pattern.split(text)]
    starts = np.cumsum([0, *map(len, words)])
    sizes, unknown = vocabulary.count_pretokens(np.frombuffer(b"".join(words), dtype=np.uint8), starts)
    return int(sizes.sum()), int(unknown.sum())


def count_of(vocabulary, text: str) -> tuple[int, int]:
    ids = vocabulary.encode(text)
    return len(ids), ids.count(2)


def test_its_tokens_are_those_of_the_file(files):
    vocabulary, model = vocab.load(files["composed"]), json.loads(files["composed"].read_bytes())["model"]
    assert vocabulary.special_tokens == {"[PAD]": 0, "[UNK]": 2, "[CLS]": 3, "[SEP]": 4, "[MASK]": 5}
    assert vocabulary.n_ids == len(model["vocab"]) == vocabulary.max_id + 1
    assert vocabulary.token_ids == {
        p.encode(): k for p, k in model["vocab"].items() if p not in vocabulary.special_tokens
    }
    assert all(vocabulary[k] == token for token, k in vocabulary.token_ids.items())
    assert vocabulary[1] == b"[unused0]"
    for id_ in (0, 2, vocabulary.n_ids, -1):
        with pytest.raises(IndexError, match=f"no token has id {id_}"):
            vocabulary[id_]
    assert vocabulary.decode(vocabulary.encode("import  os")) == "import os"
    assert inspect(vocabulary).size.n_tokens == vocabulary.n_ids
    assert vocabulary == vocab.load(files["composed"])
    assert vocabulary != vocab.load(files["in steps"])


def test_special_tokens_after_the_others(files, tmp_path):
    tokenizer = Tokenizer.from_file(str(files["cased"]))
    tokenizer.add_special_tokens([AddedToken("<extra>", lstrip=True)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    vocabulary = vocab.load(tmp_path)
    assert vocabulary.special_tokens["<extra>"] == vocabulary.max_id == vocabulary.n_ids - 1
    assert vocabulary.encode("a  <extra>", allow_special=True)[-1] == vocabulary.max_id


def test_compare_measures_bytes_of_the_text(files, cl100k, real_text, tmp_path):
    documents = [real_text[k : k + 1000] for k in range(0, 300_000, 1000)] + real_text.splitlines()[-9:]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in documents))
    bert = vocab.load(files["uncased"])
    measured = compare([bert, cl100k], lambda pattern: vocab.count(tmp_path / "corpus.jsonl", pattern))
    ours, other = measured
    n_tokens = sum(bert.count_tokens(text) for text in documents)
    assert ours.train.n_tokens + ours.held_out.n_tokens == n_tokens
    n_unknown = sum(bert.encode(text).count(2) for text in documents)
    assert ours.train.n_unknown + ours.held_out.n_unknown == n_unknown > 0
    assert (ours.train.n_bytes, ours.held_out.n_bytes) == (other.train.n_bytes, other.held_out.n_bytes)
    assert other.train.n_unknown == 0


def test_difference_knows_other_preparation(files, cl100k):
    cased, uncased = vocab.load(files["cased"]), vocab.load(files["uncased"])
    assert diff(cased, cased).same_pattern
    assert not diff(cased, uncased).same_pattern
    assert not diff(cased, cl100k).same_pattern
    assert diff(cased, cl100k).n_shared > 0


def command(*arguments, monkeypatch, capsys) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["vocab", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "200")
    code = 0
    try:
        app.main()
    except SystemExit as end:
        code = int(end.code or 0)
    out, error = capsys.readouterr()
    return code, " ".join(out.split()), error


def test_commands_that_measure(files, tmp_path, monkeypatch, capsys):
    (tmp_path / "corpus.txt").write_text("import os\nimport sys  # Straße 中文\n" * 200)
    run = {"monkeypatch": monkeypatch, "capsys": capsys}
    code, out, _ = command("eval", "cl100k_base", files["in steps"], "--corpus", tmp_path / "corpus.txt", **run)
    assert code == 0
    assert "is run by tokenizers, word by word; its ids need not give text back" in out
    assert "of its tokens are [UNK]" in out
    assert "cuts some of its words" not in out
    assert "wordpiece" in out
    code, out, _ = command("inspect", files["in steps"], **run)
    assert code == 0
    assert "StripAccents" in out
    assert "Digits" in out
    code, out, _ = command("diff", files["in steps"], files["composed"], **run)
    assert code == 0
    assert "The split patterns differ." in out


REFUSED = [
    "prune --source {} --target 1000 --out {out}",
    "bound --source {} --target 1000",
    "frontier --source {}",
    "sizes --near 1000 --source {}",
    "convert {} --to tiktoken --out {out}",
    "convert {} --to tokenizer.json --out {out} --approximate",
    "shards --vocab {} --corpus corpus.txt --out {out}",
    "draft {} --size 100 --format eagle3 --out {out}",
    "verify {folder}",
    "prune --target 1000 --candidates {} --out {out}",
]


@pytest.mark.parametrize("arguments", REFUSED)
def test_other_commands_refuse_it_in_one_sentence(arguments, files, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus.txt").write_text("some text\n" * 10)
    path, out = files["composed"], tmp_path / "out"
    filled = [part.format(path, out=out, folder=path.parent) for part in arguments.split()]
    code, _, error = command(*filled, monkeypatch=monkeypatch, capsys=capsys)
    assert (code, error.strip().count("\n")) == (2, 0), error
    assert "is WordPiece, whose words are not cut by BertPreTokenizer" in error
    assert not out.exists()


def test_the_library_refuses_it(files, tmp_path):
    tokenizer = vocab.load(files["composed"])
    uses = [
        lambda: prune(tokenizer, 1000),
        lambda: best_possible(tokenizer, 1000),
        lambda: trace_frontier(tokenizer),
        lambda: convert(tokenizer, "tokenizer.json", tmp_path / "out", approximate=True),
        lambda: load_lossless(tokenizer),
    ]
    for use in uses:
        with pytest.raises(SourceError, match="is WordPiece, whose words are not cut by BertPreTokenizer"):
            use()
    assert not (tmp_path / "out").exists()


def test_it_promises_nothing_that_it_must_refuse(files):
    tokenizer = vocab.load(files["composed"])
    assert not isinstance(tokenizer, vocab.Vocabulary)
    for name in (
        "save",
        "to_tokenizers",
        "to_tiktoken",
        "to_sentencepiece",
        "decode_bytes",
        "encode_documents",
        "subset",
    ):
        assert not hasattr(tokenizer, name)


def add_token(settings):
    settings["added_tokens"].append({**settings["added_tokens"][0], "id": 1, "content": "[unused0]", "special": False})


# What words are not counted one by one for: they may not be apart.
WHOLE_DOCUMENTS = {
    "an ordinary token is added": add_token,
    "it replaces spaces": set_in("normalizer", value={"type": "Replace", "pattern": {"String": " "}, "content": "_"}),
    "it splits by Metaspace": set_in(
        "pre_tokenizer", value={"type": "Metaspace", "replacement": "_", "prepend_scheme": "first", "split": False}
    ),
    "it does not split": set_in("pre_tokenizer", value=None),
}


@pytest.mark.parametrize("reason", WHOLE_DOCUMENTS)
def test_without_words_apart_documents_are_whole(reason, files, tmp_path):
    path = with_settings(files["composed"], tmp_path, WHOLE_DOCUMENTS[reason])
    tokenizer, theirs = vocab.load(path), runtime(path)
    theirs.encode_special_tokens = True
    assert tokenizer.pattern is None
    texts = ["some text  here", "import os [unused0] x"]
    assert tokenizer.encode_batch(texts) == [theirs.encode(text, add_special_tokens=False).ids for text in texts]
    with pytest.raises(SourceError, match="is WordPiece, whose words are not cut by BertPreTokenizer"):
        load_lossless(path)


def test_holes_in_its_ids_are_kept(files, tmp_path):
    tokenizer = vocab.load(
        with_settings(files["composed"], tmp_path, set_in("model", "vocab", "[unused0]", value=90_000))
    )
    assert tokenizer.max_id == 90_000
    assert tokenizer.n_ids < 3001


DAMAGES = {
    "WordPiece error: Missing [UNK] token from the vocabulary": set_in("model", "unk_token", value="<none>"),
    "is not a tokenizer.json": set_in("model", "max_input_chars_per_word", value="many"),
}


@pytest.mark.parametrize("reason", DAMAGES)
def test_files_that_cannot_be_run_are_refused_in_one_sentence(reason, files, tmp_path):
    path = with_settings(files["composed"], tmp_path, DAMAGES[reason])
    with pytest.raises(SourceError) as error:
        vocab.load(path)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_without_a_prefix_it_is_longest_prefix(cl100k, tmp_path):
    small = vocab.Vocabulary.from_tokens(
        list(cl100k.tokens())[:300], SplitPattern(cl100k.pattern.regex), {}, "longest-prefix"
    )
    small.save(tmp_path / "out")
    assert vocab.load(tmp_path / "out") == small
