"""`vocab convert`: every pair of formats; what is exact has the source's ids in each runtime, the rest is measured."""

import json
import random
from dataclasses import replace

import numpy as np
import pytest
from helpers.cli import fails, run
from helpers.files import mistral_file
from hypothesis import given
from hypothesis import strategies as st

import vocab
from vocab.analysis.segmentation import TextDifferences, text_differences
from vocab.choices import VOCABULARY_FORMATS
from vocab.errors import SourceError
from vocab.hard_texts import HARD_TEXTS
from vocab.interop.conversion.convert import convert, obstacle
from vocab.interop.conversion.reshape import as_byte_level, as_scored_pieces, numbered, with_holes_named
from vocab.interop.conversion.trial_texts import profile_texts
from vocab.interop.conversion.verify import verify
from vocab.prune import prune
from vocab.splitting import SplitPattern
from vocab.vocabulary import Provenance, Vocabulary
from vocab.writing import MARK

SOURCES = ["merges", "least-tokens", "longest-prefix", "ungreedy", "scored-merges", "tekken"]
EXACT = {
    "merges": {"tiktoken", "tokenizer.json"},
    "least-tokens": {"tokenizer.json"},
    "longest-prefix": {"tokenizer.json"},
    "ungreedy": {"tokenmonster"},
    "scored-merges": {"tokenizer.json", "sentencepiece"},
    "tekken": {"tiktoken", "tokenizer.json", "tekken"},
}
# Those that only number tokens differently: every text is cut as before.
RENUMBERED = {("merges", "tekken")}
RUNTIMES = {
    "tiktoken": {"vocab", "tiktoken"},
    "tokenizer.json": {"vocab", "tokenizers", "AutoTokenizer"},
    "sentencepiece": {"vocab", "sentencepiece"},
    "tekken": {"vocab", "mistral-common"},
    "tokenmonster": {"vocab"},
}


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def sources(cl100k) -> dict[str, Vocabulary]:
    """A vocabulary of about 2,000 ids for each inference method, and one with its special tokens first."""
    special = {"<|endoftext|>": 1800}
    small = Vocabulary.from_tokens(
        list(cl100k.tokens())[:1800], cl100k.pattern, special, provenance=Provenance("small")
    )
    found = {method: replace(small, inference=method) for method in SOURCES[:4]}
    mistral, tekken = vocab.load(mistral_file("tokenizer.model.v1")), vocab.load(mistral_file("tekken_240718.json"))
    found["scored-merges"] = prune(mistral, 2200, method="rank").vocabulary
    found["tekken"] = prune(tekken, 2200, method="rank").vocabulary
    return found


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return profile_texts(60_000, random.Random(3))


@pytest.mark.slow
@pytest.mark.parametrize("target", VOCABULARY_FORMATS)
@pytest.mark.parametrize("name", SOURCES)
def test_every_source_into_every_format(name, target, sources, texts, tmp_path):
    source = sources[name]
    if target not in EXACT[name]:
        with pytest.raises(
            SourceError, match=rf"^{target} cannot hold .* exactly: [^\n]*; pass `approximate`"
        ) as error:
            convert(source, target, tmp_path / "refused")
        assert "\n" not in str(error.value)
        assert list(tmp_path.iterdir()) == []
    result = convert(source, target, tmp_path / "out", approximate=True, texts=texts)
    report = json.loads((tmp_path / "out/report.json").read_text())
    loaded = vocab.load(tmp_path / "out")
    assert {check.runtime for check in result.verification.checks} == RUNTIMES[target]
    assert all(check.agrees and check.n_texts > 1000 for check in result.verification.checks)
    assert report["is_exact"] == (target in EXACT[name]) == (result.measured is None)
    assert sorted(path.name for path in result.paths) == sorted(
        p.name for p in (tmp_path / "out").iterdir() if p.name != MARK
    )
    if target in EXACT[name]:
        assert [loaded.encode(text) for text in texts] == [source.encode(text) for text in texts]
        assert list(loaded.tokens()) == list(source.tokens())
        assert (loaded.special_tokens, loaded.first_id) == (source.special_tokens, source.first_id)
        return
    assert report["differences"]["n_texts"] == len([text for text in texts if "▁" not in text])
    assert report["differences"] | vars(result.measured) == report["differences"]
    assert result.measured.n_boundaries_in_common > 0
    for text in [text for text in HARD_TEXTS if "▁" not in text]:
        assert loaded.decode(loaded.encode(text)) == text
    if (name, target) in RENUMBERED:
        assert (result.measured.n_texts_cut_differently, result.measured.more_tokens) == (0, 0)


@pytest.mark.slow
def test_the_map_of_ids_goes_to_tokens_of_the_same_bytes(sources, tmp_path):
    source = sources["merges"]
    convert(source, "sentencepiece", tmp_path / "out", approximate=True)
    loaded, ids = vocab.load(tmp_path / "out"), json.loads((tmp_path / "out/id_map.json").read_text())
    kept = {int(old): new for old, new in ids["kept"].items()}
    assert all(source.decode_bytes([old]) == loaded.decode_bytes([new]) for old, new in kept.items())
    assert len(kept) + len(ids["dropped"]) == source.n_ids
    for old, new in ids["dropped"].items():
        assert loaded.decode_bytes(new) == source[int(old)]
    for new, old in ids["added"].items():
        assert source.decode_bytes(old) == loaded[int(new)]
    assert kept[source.special_tokens["<|endoftext|>"]] == loaded.special_tokens["<|endoftext|>"]


def test_holes_get_names_and_every_id_stays(cl100k, tmp_path):
    special = {"<|a|>": 1001, "<|b|>": 1004}
    source = Vocabulary.from_tokens(
        list(cl100k.tokens())[:1000], cl100k.pattern, special, provenance=Provenance("holes")
    )
    result = convert(source, "tokenizer.json", tmp_path / "out")
    assert result.named_holes == 3
    assert result.vocabulary.special_tokens == special | {f"<|unused_{k}|>": k for k in (1000, 1002, 1003)}
    assert convert(source, "tiktoken", tmp_path / "ranks").named_holes == 0
    with pytest.raises(SourceError, match="it allows no holes in the ids"):
        convert(replace(source, special_tokens={"<a>": 1001}), "tekken", tmp_path / "tekken")


@pytest.mark.slow
def test_there_and_back_is_the_same(sources, tmp_path):
    """tiktoken → tokenizer.json → tiktoken, and tokenizer.model → tokenizer.json → tokenizer.model."""
    for name, first in (("merges", "tiktoken"), ("scored-merges", "sentencepiece")):
        one = convert(sources[name], first, tmp_path / f"{name}1").vocabulary
        two = convert(one, "tokenizer.json", tmp_path / f"{name}2").vocabulary
        three = convert(two, first, tmp_path / f"{name}3").vocabulary
        assert [*one.tokens()] == [*three.tokens()]
        assert one.special_tokens == three.special_tokens
        assert one.encode_batch(HARD_TEXTS) == three.encode_batch(HARD_TEXTS)


@pytest.mark.slow
def test_a_runtime_that_differs_stops_it(sources, tmp_path, monkeypatch):
    def differing(folder, texts, with_chat):
        found = verify(folder, texts, with_chat=with_chat)
        found.checks[-1].n_different = 7
        return found

    monkeypatch.setattr("vocab.interop.conversion.convert.verify", differing)
    with pytest.raises(SourceError, match=r"was not written, since tiktoken .* differs: other ids for 7 of"):
        convert(sources["merges"], "tiktoken", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_other_ids_than_the_source_stop_it(sources, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "vocab.interop.conversion.convert.fitted", lambda source, target: replace(source, special_tokens={})
    )
    with pytest.raises(SourceError, match=r"other ids than were meant for '<\|endoftext\|>'"):
        convert(sources["merges"], "tiktoken", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_special_tokens_that_a_format_needs_or_cannot_have(sources, tmp_path):
    with pytest.raises(SourceError, match=r"tekken\.json needs special tokens"):
        convert(replace(sources["merges"], special_tokens={}), "tekken", tmp_path / "out", approximate=True)
    with pytest.raises(SourceError, match="'in' reads like an ordinary token"):
        convert(replace(sources["merges"], special_tokens={"in": 1800}), "tokenizer.json", tmp_path / "out")


# Parts


@pytest.mark.slow
def test_pieces_become_bytes_that_merge_to_the_same_words(sources):
    """But for the first word of a text, which has no space before it then."""
    source = sources["scored-merges"]
    plain = as_byte_level(source, "merges")
    assert obstacle(plain, "tiktoken") is None
    assert len(set(plain.tokens())) == plain.n_tokens
    assert set(plain.tokens()) >= set(source.tokens())
    text = "\nAll these words are common, Ünïcödé and 12345 too"
    after = source.encode(text)[1:]  # without the space before the line end
    assert [plain[k] for k in plain.encode(text)] == [source[k] for k in after]


@pytest.mark.slow
def test_tokens_become_pieces_with_every_character(sources):
    pieces = as_scored_pieces(sources["merges"])
    texts = {token.decode() for token in list(pieces.tokens())[256:]}
    assert {c for text in texts for c in text} <= texts
    assert pieces.special_tokens == {"<unk>": 0, "<|endoftext|>": 1}
    assert not pieces.pattern.has_dummy_prefix


@given(st.permutations(list("abc")), st.booleans(), st.integers(0, 3))
def test_numbers_have_no_holes_and_keep_their_order(names, special_first, gap):
    special = {f"<{name}>": 256 + k * (gap + 1) for k, name in enumerate(names)}
    source = Vocabulary.from_tokens([bytes([b]) for b in range(256)], SplitPattern(r"\S+|\s+"), special)
    made = numbered(source, special_first=special_first)
    assert sorted(made.special_tokens, key=made.special_tokens.get) == [f"<{name}>" for name in names]
    assert made.max_id == made.n_ids - 1
    assert made.first_id == (3 if special_first else 0)
    named = with_holes_named(source)
    assert named.max_id == named.n_ids - 1 == source.max_id
    assert named.special_tokens.items() >= special.items()


def vocabulary_of(*longer: bytes) -> Vocabulary:
    return Vocabulary.from_tokens([*(bytes([b]) for b in range(256)), *longer], SplitPattern(r"[\s\S]+"))


def test_differences_by_hand():
    before, after = vocabulary_of(b"ab", b"abc"), vocabulary_of(b"bc", b"abc")
    found = text_differences(before, after, ["abc", "ab", "bcab", "x"])
    # abc | a·b, once ab | bc·a·b, before b·c·ab | x
    assert found == TextDifferences(4, 10, 2, 2, 6, 7, 2, 3, 1)
    assert (found.more_tokens, found.boundaries_kept) == (pytest.approx(1 / 6), 0.5)
    assert text_differences(before, before, []).boundaries_kept == 1


@given(st.lists(st.text("ab é\n▁", max_size=12), max_size=6))
def test_a_vocabulary_does_not_differ_from_itself(texts):
    for source in (vocabulary_of(b"ab", "é".encode()), as_scored_pieces(vocabulary_of(b"ab", "é".encode()))):
        found = text_differences(source, source, texts)
        assert (found.n_texts_cut_differently, found.n_texts_with_other_ids, found.more_tokens) == (0, 0, 0)
        assert found.n_boundaries_before == found.n_boundaries_in_common


@given(st.lists(st.text(max_size=20), max_size=8))
def test_a_batch_has_the_ids_of_its_texts(texts):
    for source in (vocabulary_of(b"ab", b"  "), as_scored_pieces(vocabulary_of(b"ab", "é".encode()))):
        assert source.encode_batch(texts) == [source.encode(text) for text in texts]


@pytest.mark.slow
def test_a_large_batch_has_the_ids_of_its_texts(sources, real_text):
    texts = [real_text[k : k + 90_000] for k in range(0, 3_000_000, 90_000)] * 3
    for source in (sources["merges"], sources["scored-merges"]):
        assert source.encode_batch(texts) == [source.encode(text) for text in texts]
    first, second = source.encoder.encode_documents(np.empty(0, np.uint8), np.zeros(3, np.int64))
    assert (first.size, second.tolist()) == (0, [0, 0, 0])


# The command


@pytest.mark.slow
def test_the_command_says_what_is_exact_and_what_is_not(tmp_path, sources):
    sources["merges"].save(tmp_path / "small")
    (tmp_path / "text.txt").write_text("Some words, 12345 digits. " * 100)
    assert "no split pattern, and" in fails(tmp_path, "convert", "small", "--to", "sentencepiece")
    exact = run("convert", "small", "--to", "tiktoken", where=tmp_path, HF_HUB_OFFLINE="1")
    assert (exact.returncode, exact.stderr) == (0, "")
    assert "Exact: the same ids for every text, 1,801 of them." in exact.stdout
    assert vocab.load(tmp_path / "small-tiktoken").n_ids == 1801
    options = ("--to", "sentencepiece", "--approximate", "--corpus", "text.txt", "--out", "pieces")
    about = run("convert", "small", *options, where=tmp_path, HF_HUB_OFFLINE="1")
    assert about.returncode == 0, about.stderr
    assert "of the boundaries between tokens are kept" in about.stdout
    assert "On 0.0 MB in 1 texts" in about.stdout
    assert "the folder" not in about.stdout
    assert "holds an earlier result" in fails(tmp_path, "convert", "small", *options)


@pytest.mark.slow
def test_a_chat_template_is_carried_and_not_run(tmp_path, cl100k):
    """One that cannot be rendered is converted as well: it is the source's."""
    special = {"<|end|>": 300}
    Vocabulary.from_tokens(list(cl100k.tokens())[:300], cl100k.pattern, special).save(tmp_path / "a")
    (tmp_path / "a/chat_template.jinja").write_text("{{ raise_exception('run') }}")
    result = convert(vocab.load(tmp_path / "a"), "tokenizer.json", tmp_path / "b")
    assert (tmp_path / "b/chat_template.jinja").read_text() == "{{ raise_exception('run') }}"
    assert tmp_path / "b/chat_template.jinja" in result.paths
