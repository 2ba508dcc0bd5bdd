"""tokenizer.json of pieces as tokenizers runs it: ids, added tokens, ▁, merges in any order, pruning."""

import random

import pytest
from helpers.counts import count_documents_of
from helpers.piece_tokenizers import (
    ADDED,
    MARKED,
    METASPACES,
    NORMALIZERS,
    TO_MARK,
    ids_by_tokenizers,
    random_bpe,
    random_texts,
    written,
)
from tokenizers import Tokenizer

import vocab
from vocab.errors import SourceError
from vocab.formats import load_lossless
from vocab.formats.pieces_json import listed_merges
from vocab.interop.conversion.verify import verify
from vocab.prune import prune
from vocab.vocabulary import Vocabulary
from vocab.writing import MARK

SPLIT = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}


def check_same_ids(path, seed: int) -> Vocabulary:
    vocabulary = load_lossless(path)
    peer = Tokenizer.from_file(str(path))
    rng = random.Random(seed)
    texts = [*random_texts(rng), "".join(random_texts(rng, 200)), " " * 700 + "a", "ab" * 300]
    assert vocabulary.encode_batch(texts) == ids_by_tokenizers(peer, texts)
    assert [vocabulary.encode(text) for text in texts] == ids_by_tokenizers(peer, texts)
    assert vocabulary.n_ids == peer.get_vocab_size()
    return vocabulary


# BPE


@pytest.mark.parametrize("seed", range(12))
def test_bpe_has_the_ids_of_tokenizers(seed, tmp_path):
    before = SPLIT if seed % 2 else None
    settings = random_bpe(random.Random(seed), pre_tokenizer=before)
    vocabulary = check_same_ids(written(settings, tmp_path), seed)
    assert vocabulary.ids is not None
    made = {left + right for left, right in settings["model"]["merges"]} & set(MARKED)
    assert made
    assert vocabulary.special_tokens.keys() == {"<pad>", "<unk>", "<s>", *ADDED} - made
    assert all(vocabulary[vocabulary.added_ids[text]] == text.replace("▁", " ").encode() for text in made)


@pytest.mark.parametrize("normalizer", NORMALIZERS, ids=lambda step: step and step["type"])
@pytest.mark.parametrize("metaspace", METASPACES, ids=lambda step: f"{step['prepend_scheme']}-{step['split']}")
def test_metaspace_puts_marks_where_tokenizers_does(metaspace, normalizer, tmp_path):
    settings = random_bpe(random.Random(7), normalizer=normalizer, pre_tokenizer=metaspace)
    check_same_ids(written(settings, tmp_path), 7)


def test_words_cut_at_white_space_get_a_mark_each(tmp_path):
    steps = [{"type": "WhitespaceSplit"}, METASPACES[2]]
    both = {"type": "Sequence", "pretokenizers": steps}
    check_same_ids(written(random_bpe(random.Random(3), normalizer=None, pre_tokenizer=both), tmp_path), 3)


def test_of_a_merge_that_is_listed_twice_the_last_place_counts(tmp_path):
    settings = random_bpe(random.Random(0))
    ids = settings["model"]["vocab"]
    for text in ("ab", "bé"):
        ids.setdefault(text, len(ids))
    settings["model"]["merges"] = [["a", "b"], ["b", "é"], ["a", "b"]]
    vocabulary = check_same_ids(written(settings, tmp_path), 0)
    assert vocabulary.encode("abé") == [ids["a"], ids["bé"]]


def test_documents_side_by_side_do_not_hide_added_tokens(tmp_path):
    """A match that begins in one document and ends in the next is none."""
    settings = random_bpe(random.Random(1))
    path = written(settings, tmp_path)
    texts = ["a\n", "\n\n", "\n", "\n\nb", "\n", "", "\n", "<b", "><b>"]
    assert load_lossless(path).encode_batch(texts) == ids_by_tokenizers(Tokenizer.from_file(str(path)), texts)


@pytest.mark.parametrize("seed", range(4))
def test_a_pruned_tokenizer_has_its_ids_everywhere(seed, tmp_path):
    decoder = {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
    ]}  # fmt: skip
    source = load_lossless(written(random_bpe(random.Random(seed), decoder=decoder), tmp_path / "in"))
    texts = random_texts(random.Random(seed + 100), 400)
    corpus = count_documents_of(texts, source.pattern)
    result = prune(source, source.n_ids - 12, corpus=corpus, n_threads=1)
    result.save(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        MARK, "README.md", "id_map.json", "report.json", "special_tokens_map.json", "tokenizer.json",
        "tokenizer_config.json",
    ]  # fmt: skip
    small = check_same_ids(tmp_path / "out/tokenizer.json", seed)
    assert (small.n_ids, small.max_id) == (source.n_ids - 12, source.n_ids - 13)
    assert small.added_ids.keys() == source.added_ids.keys()
    assert listed_merges(small) == listed_merges(result.vocabulary)
    old, new = source.tokens_by_id, small.tokens_by_id
    assert all(old[a] == new[b] for a, b in result.id_map.items() if a in old)
    assert verify(tmp_path / "out", texts[:50]).agrees


@pytest.mark.slow
def test_prices_of_listed_merges_are_exact(tmp_path):
    """What the price book says of a dropped piece is what tokenizers makes of the text without it."""
    source = load_lossless(written(random_bpe(random.Random(5)), tmp_path))
    texts = random_texts(random.Random(6), 200)
    result = prune(source, source.n_ids - 8, corpus=count_documents_of(texts, source.pattern), n_threads=1)
    peer = result.vocabulary.to_tokenizers()
    row = next(row for row in result.report.rows if row.name == "distill")
    counted = row.train.n_tokens + row.held_out.n_tokens
    assert counted == sum(map(len, ids_by_tokenizers(peer, texts)))


def in_lower_case(settings):
    """So that a merge makes what is an added token as well."""
    model = settings["model"]
    settings["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, TO_MARK]}
    model["merges"].append(["<", "s>"])
    model["vocab"]["s>"] = len(model["vocab"])


DIGITS = {"type": "Digits", "individual_digits": True}
REFUSED = {
    "dropout": (lambda s: s["model"].update(dropout=0.1), "dropout"),
    "whole words": (lambda s: s["model"].update(ignore_merges=True), "looks whole words up"),
    "a byte": (
        lambda s: s["model"]["vocab"].update({"zz": s["model"]["vocab"].pop("<0x07>")}),
        "lacks the byte piece <0x07>",
    ),
    "spaces": (lambda s: s.update(normalizer=None), "does not write spaces as ▁"),
    "a split": (lambda s: s.update(pre_tokenizer=DIGITS), "splits text with Digits"),
    "lower case": (in_lower_case, "the added token '<s>'"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_cannot_be_kept_exact_is_measured_only(fault, tmp_path):
    change, message = REFUSED[fault]
    settings = random_bpe(random.Random(2))
    change(settings)
    path = written(settings, tmp_path)
    with pytest.raises(SourceError, match=message):
        load_lossless(path)
    measured = vocab.load(path)
    if fault != "dropout":
        texts = random_texts(random.Random(2))
        assert measured.encode_batch(texts) == ids_by_tokenizers(Tokenizer.from_file(str(path)), texts)
