"""Tokenizers that cannot be pruned, run by Hugging Face tokenizers or sentencepiece: ids and refusals."""

import hashlib
import json
import random
from functools import cache

import pytest
import sentencepiece
from helpers.cli import fails, run, run_process
from helpers.files import set_in
from helpers.texts import NASTY, ODD
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

import vocab
from vocab.analysis import diff, inspect
from vocab.errors import SourceError
from vocab.formats import RuntimeTokenizer, load_lossless
from vocab.formats.hugging_face_runtime import run_by_tokenizers
from vocab.hard_texts import SCRIPTS
from vocab.vocabulary import Provenance

TEXT = "\n".join([*SCRIPTS.values(), "some words, and 1234 numbers in New York\tand more of them  here"] * 20)
TEXTS = [*NASTY, *ODD[::9], *SCRIPTS.values(), "New York and newyork zz <s> [UNK] </s>", "", " "]
SPECIAL = ["<s>", "[UNK]", "</s>"]
QUIET = {"show_progress": False, "vocab_size": 700, "special_tokens": SPECIAL}


def bpe(**options) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(**options))
    affixes = {k: v for k, v in options.items() if k in ("continuing_subword_prefix", "end_of_word_suffix")}
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), **QUIET, **affixes)
    tokenizer.train_from_iterator(TEXT.splitlines(), trainer)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def with_normalizer(normalizer) -> Tokenizer:
    tokenizer = bpe()
    tokenizer.normalizer = normalizer
    return tokenizer


def with_splits(*splits) -> Tokenizer:
    tokenizer = bpe()
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*splits, as_bytes])
    return tokenizer


def clip() -> Tokenizer:
    tokenizer = bpe(end_of_word_suffix="</w>", unk_token="[UNK]")
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    words = pre_tokenizers.Split(Regex(r"\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"), "removed", invert=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(False, use_regex=False)])
    return tokenizer


def unigram() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Digits()])
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.train_from_iterator(TEXT.splitlines(), trainers.UnigramTrainer(unk_token="[UNK]", **QUIET))
    return tokenizer


def word_level() -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    tokenizer.train_from_iterator(TEXT.splitlines(), trainers.WordLevelTrainer(**QUIET))
    return tokenizer


def characters(**options) -> Tokenizer:
    """BPE over characters with ▁ before words."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]", **options))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    affixes = {k: v for k, v in options.items() if k == "continuing_subword_prefix"}
    tokenizer.train_from_iterator(TEXT.splitlines(), trainers.BpeTrainer(limit_alphabet=60, **QUIET, **affixes))
    return tokenizer


KINDS = {
    "NFC": lambda: with_normalizer(normalizers.NFC()),
    "NFKC and lower case": lambda: with_normalizer(normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])),
    "digits, then GPT-2's split": lambda: with_splits(pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(False)),
    "three splits": lambda: with_splits(
        pre_tokenizers.Split(Regex(r"\p{N}{1,3}"), "isolated"),
        pre_tokenizers.Split(Regex("[一-龥぀-ゟ゠-ヿ]+"), "isolated"),
        pre_tokenizers.Split(Regex(r"\p{L}+| ?\S|\s+"), "isolated"),
    ),
    "a split that removes": lambda: with_splits(pre_tokenizers.Split(Regex(r"\s?\S+|\s+"), "removed", invert=True)),
    "CLIP": clip,
    "Unigram": unigram,
    "WordLevel": word_level,
    "Metaspace": characters,
    "prefixes within words": lambda: characters(continuing_subword_prefix="##"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A tokenizer.json of each kind with what real ones have: added tokens, template, truncation, padding."""
    found = {}
    for kind, make in KINDS.items():
        tokenizer = make()
        tokenizer.add_special_tokens(["<extra>"])
        tokenizer.add_tokens(["New York", AddedToken("zz", normalized=False, lstrip=True)])
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
        tokenizer.enable_truncation(8)
        tokenizer.enable_padding(length=64)
        found[kind] = tmp_path_factory.mktemp("kind") / "tokenizer.json"
        tokenizer.save(str(found[kind]))
    return found


def runtime(path, *, special: bool = False) -> Tokenizer:
    """The file's own tokenizer, which cuts nothing off."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = not special
    return tokenizer


# What is loaded to be measured, as nothing here could prune it.
MEASURED = ["CLIP", "Unigram", "WordLevel", "Metaspace", "prefixes within words"]


@cache
def run_elsewhere(path) -> RuntimeTokenizer:
    """Run by tokenizers, whether or not it could be pruned."""
    raw = path.read_bytes()
    provenance = Provenance(path.parent.name, hashlib.sha256(raw).hexdigest())
    return run_by_tokenizers(json.loads(raw), provenance, str(path), "it is a test")


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_those_of_tokenizers(kind, files):
    tokenizer, theirs = run_elsewhere(files[kind]), runtime(files[kind])
    assert isinstance(tokenizer, RuntimeTokenizer)
    assert tokenizer.pattern is None
    assert tokenizer.n_ids == theirs.get_vocab_size()
    expected = [e.ids for e in theirs.encode_batch_fast(TEXTS, add_special_tokens=False)]
    assert tokenizer.encode_batch(TEXTS) == expected == [tokenizer.encode(text) for text in TEXTS]
    assert theirs.token_to_id("New York") in tokenizer.encode("New York")
    whole = runtime(files[kind], special=True)
    text = "a <extra> b"
    assert tokenizer.encode(text, allow_special=True) == whole.encode(text, add_special_tokens=False).ids
    assert theirs.token_to_id("<extra>") not in tokenizer.encode(text)
    assert tokenizer.decode([5, 6]) == whole.decode([5, 6], skip_special_tokens=False)
    assert tokenizer.encode("\ud800a") == tokenizer.encode("\ufffda")


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_those_of_the_file(kind, files):
    tokenizer, theirs = run_elsewhere(files[kind]), runtime(files[kind])
    ids = theirs.get_vocab(with_added_tokens=True)
    assert tokenizer.n_ids == len(set(ids.values())) == theirs.get_vocab_size()
    assert tokenizer.max_id == max(ids.values())
    assert set(tokenizer.special_tokens) == {*SPECIAL, "<extra>"}
    assert all(ids[text] == k for text, k in tokenizer.special_tokens.items())
    assert tokenizer.token_ids[b"New York"] == ids["New York"]
    assert tokenizer[ids["New York"]] == b"New York"
    assert inspect(tokenizer).size.n_tokens == tokenizer.n_ids
    with pytest.raises(IndexError, match="no token has id"):
        tokenizer[ids["<extra>"]]


def test_tokens_are_spelt_by_their_bytes(files):
    assert run_elsewhere(files["NFC"])[runtime(files["NFC"]).token_to_id("Ġ")] == b" "
    assert "слово"[0].encode()[:1] in run_elsewhere(files["three splits"]).token_ids
    assert any(token.startswith(b" ") and token.strip() for token in run_elsewhere(files["Unigram"]).tokens())
    assert b"and</w>" in run_elsewhere(files["CLIP"]).token_ids
    assert any(token.startswith(b"##") for token in run_elsewhere(files["prefixes within words"]).tokens())


@pytest.mark.parametrize("kind", MEASURED)
def test_pruning_says_what_is_in_the_way(kind, files, tmp_path):
    tokenizer = vocab.load(files[kind])
    assert tokenizer == run_elsewhere(files[kind])
    with pytest.raises(SourceError, match="is only measured, inspected and compared") as error:
        load_lossless(files[kind])
    assert str(error.value).startswith(tokenizer.obstacle)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400
    said = fails(tmp_path, "prune", "--source", files[kind], "--target", 300, "--out", "out")
    assert tokenizer.obstacle in said


def test_only_the_same_file_is_equal(files):
    assert vocab.load(files["CLIP"]) == vocab.load(files["CLIP"])
    assert vocab.load(files["CLIP"]) != vocab.load(files["Unigram"])
    assert vocab.load(files["CLIP"]) != "CLIP"
    assert "run by tokenizers" in repr(vocab.load(files["CLIP"]))


def test_differences(files, cl100k):
    first, second = run_elsewhere(files["NFC"]), run_elsewhere(files["NFKC and lower case"])
    assert diff(first, first).same_pattern is True
    assert diff(first, second).same_pattern is False
    assert diff(first, cl100k).same_pattern is None
    assert diff(first, second).n_shared == first.n_tokens


# The commands


def test_eval_counts_what_tokenizers_does(files, tmp_path):
    rng = random.Random(5)
    documents = [" ".join(rng.choices(TEXT.split(" "), k=60)) + "\n\n" for _ in range(200)]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in documents))
    kinds = ["Unigram", "CLIP", "WordLevel"]
    done = run("eval", *[files[kind].parent for kind in kinds], "--corpus", "corpus.jsonl", where=tmp_path)
    assert done.returncode == 0, done.stderr
    cells = [line.split() for line in done.stdout.splitlines()]
    rows = {row[0]: row for row in cells if len(row) > 6 and row[1] in ("unigram", "bpe", "wordlevel")}
    for kind in kinds:
        theirs = runtime(files[kind])
        held_out = [vocab.corpus.counting.is_held_out(text.encode()) for text in documents]
        encoded = theirs.encode_batch_fast(documents, add_special_tokens=False)
        n = sum(len(e) for e, held in zip(encoded, held_out, strict=True) if not held)
        assert int(rows[files[kind].parent.name][3].replace(",", "")) == n
    assert "on whole documents" in done.stdout
    assert "of its tokens are [UNK]" in " ".join(done.stdout.split())


def test_eval_from_standard_input_and_beside_a_vocabulary(files, tmp_path):
    text = TEXT[:3000]
    one = run("eval", files["Unigram"], files["CLIP"], "--corpus", "-", where=tmp_path, given=text)
    assert one.returncode == 0, one.stderr
    said = fails(tmp_path, "eval", files["Unigram"], "cl100k_base", "--corpus", "-", given=text)
    assert "split text in 2 ways" in said


def test_eval_without_documents_is_refused(files, tmp_path):
    said = fails(tmp_path, "eval", "cl100k_base", files["Unigram"])
    assert "is given whole documents, which the built-in profile and count tables do not hold: name a --corpus" in said
    (tmp_path / "text.txt").write_text(TEXT)
    assert run("count", "--corpus", "text.txt", "--out", "counts", where=tmp_path).returncode == 0
    assert "name a --corpus" in fails(tmp_path, "eval", files["Unigram"], "--counts", "counts")
    assert "name a --corpus" in fails(tmp_path, "eval", files["Unigram"], "--counts", "counts", "--corpus", "text.txt")


def test_inspect_diff_and_count(files, tmp_path):
    for kind in MEASURED:
        done = run("inspect", files[kind], where=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "It can be measured, not pruned: " in done.stdout
    done = run("diff", files["Unigram"], "cl100k_base", where=tmp_path)
    assert "Whether they split text alike is not known." in done.stdout
    (tmp_path / "text.txt").write_text("text")
    said = fails(tmp_path, "count", "--source", files["Unigram"], "--corpus", "text.txt", "--out", "out")
    assert "there is no split pattern to count by" in said


# What tokenizers cannot run


def changed(path, folder, change):
    settings = json.loads(path.read_bytes())
    change(settings)
    (folder / "tokenizer.json").write_text(json.dumps(settings))
    return folder / "tokenizer.json"


DAMAGES = {
    "a prefix longer than the pieces": ("CLIP", set_in("model", "continuing_subword_prefix", value="##########")),
    "a prefix within a character": (
        "CLIP",
        lambda settings: settings["model"].update(
            continuing_subword_prefix="a", vocab={"a": 0, "é": 1, "aé": 2}, merges=[["a", "é"]]
        ),
    ),
    "a prefix that merges lack": ("prefixes within words", set_in("model", "continuing_subword_prefix", value="@@@@")),
    "a merge of no piece": ("NFC", set_in("model", "merges", 0, value=["Ġ", "none"])),
    "no unknown piece": ("Unigram", set_in("model", "unk_id", value=None)),
    "an unknown piece outside": ("Unigram", set_in("model", "unk_id", value=10_000)),
    "no such unknown word": ("WordLevel", set_in("model", "unk_token", value="none")),
    "a split that never ends": ("three splits", set_in("pre_tokenizer", value={"type": "FixedLength", "length": 0})),
    "a regex that is none": (
        "a split that removes",
        set_in("pre_tokenizer", "pretokenizers", 0, "pattern", value={"Regex": "("}),
    ),
    "a table of characters cut short": (
        "Unigram",
        set_in("normalizer", value={"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
    ),
    "dropout above 1": ("NFC", set_in("model", "dropout", value=2.0)),
    "an unknown step": ("NFC", set_in("normalizer", value={"type": "Unheard"})),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_tokenizers_cannot_run_is_refused_in_one_sentence(damage, files, tmp_path):
    kind, change = DAMAGES[damage]
    path = changed(files[kind], tmp_path, change)
    with pytest.raises(SourceError) as error:
        vocab.load(path)
    assert "\n" not in str(error.value)
    assert "tokenizer.json" in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["a prefix longer than the pieces", "a prefix within a character"])
def test_the_process_is_not_aborted(damage, files, tmp_path):
    kind, change = DAMAGES[damage]
    changed(files[kind], tmp_path, change)
    said = fails(tmp_path, "inspect", "tokenizer.json", run=run_process)
    assert "its pieces have the affix" in said


def test_dropout_is_switched_off_and_noted(files, tmp_path):
    path = changed(files["Metaspace"], tmp_path, set_in("model", "dropout", value=0.9))
    tokenizer = vocab.load(path)
    assert tokenizer.encode_batch(TEXTS) == run_elsewhere(files["Metaspace"]).encode_batch(TEXTS)
    (tmp_path / "text.txt").write_text(TEXT)
    done = run("eval", path, "--corpus", "text.txt", where=tmp_path)
    assert "Its dropout, which cuts words by chance, is switched off." in " ".join(done.stdout.split())


def test_long_settings_are_shown_by_their_digest(files, tmp_path):
    """T5 and XLM-R have hundreds of kilobytes of characters there."""
    pattern = {"Regex": "|".join(map(str, range(1000)))}
    split = {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
    tokenizer = vocab.load(changed(files["Unigram"], tmp_path, set_in("pre_tokenizer", value=split)))
    assert "sha256" in tokenizer.split_description
    assert len(tokenizer.split_description) < 600


# SentencePiece models


@pytest.mark.parametrize("kind", ["word", "char"])
def test_sentencepiece_models_are_run_by_sentencepiece(kind, tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    options = {"normalization_rule_name": "nmt_nfkc", "model_type": kind, "vocab_size": 700, "hard_vocab_limit": False}
    if kind == "char":
        del options["vocab_size"]
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "text.txt"), model_prefix=str(tmp_path / "m"), user_defined_symbols=["<u>"], **options
    )
    tokenizer = vocab.load(tmp_path / "m.model")
    theirs = sentencepiece.SentencePieceProcessor(str(tmp_path / "m.model"))
    assert tokenizer.encode_batch(TEXTS) == theirs.encode(TEXTS)
    assert tokenizer.n_ids == theirs.get_piece_size()
    assert tokenizer.unknown == "<unk>"
    assert tokenizer.count_tokens("a \u16a0") == len(theirs.encode("a \u16a0"))
    assert tokenizer.special_tokens == {"<unk>": 0, "<s>": 1, "</s>": 2}
    with pytest.raises(SourceError, match=r"m\.model cannot be pruned exactly"):
        load_lossless(tmp_path / "m.model")
