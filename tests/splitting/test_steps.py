"""Splits of several steps, normalizers and added tokens, against Hugging Face tokenizers."""

import json
import random
import unicodedata
from itertools import pairwise

import numpy as np
import pytest
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

from vocab.arrays import end_to_end
from vocab.splitting import AddedText, SplitPattern
from vocab.splitting.dialect import from_oniguruma
from vocab.splitting.steps import SplitStep, SplitSteps

MARKS = ["", "\u0301", "\u0323", "\u3099", "\u1161", "\u11a8", "\u0f71\u0f72"]
BASES = "aeEゃがヒ한ᄒ各ﬁⅣ½Åé가ष़ "


def of_normalizer(normalizer, added=()) -> SplitPattern:
    peer = Tokenizer(models.BPE({}, []))
    peer.normalizer = normalizer
    settings = json.dumps(json.loads(peer.to_str())["normalizer"])
    return SplitPattern.of_steps(SplitSteps((SplitStep(r"\S+|\s+"),), settings, tuple(added)))


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_normal_forms_are_those_of_tokenizers(form):
    normalizer = getattr(normalizers, form)()
    pattern, rng = of_normalizer(normalizer), random.Random(5)
    texts = ["".join(rng.choice(BASES) + rng.choice(MARKS) for _ in range(rng.randint(0, 9))) for _ in range(4000)]
    characters = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    # All that a normal form can change, and a sample of the others.
    changing = [c for c in characters if unicodedata.normalize("NFKD", c) != c or unicodedata.combining(c)]
    texts += [c + mark for c in [*changing, *characters[::29]] for mark in ("", "\u0301")]
    prepared, starts = pattern.prepared_documents(*end_to_end([text.encode() for text in texts]))
    raw, edges = prepared.tobytes(), starts.tolist()
    ours = [raw[a:b].decode() for a, b in pairwise(edges)]
    assert ours == [normalizer.normalize_str(text) for text in texts]


def test_text_in_normal_form_is_not_copied():
    pattern = of_normalizer(normalizers.NFC())
    text, starts = end_to_end(["Plain text, Ünïcödé, 日本語, кириллица.".encode()] * 3)
    assert pattern.prepared_documents(text, starts)[0] is text


@pytest.mark.parametrize(
    "pattern", ["[a-z&&[^aeiou]]+", r"[^(\s|[.,!?])]+", r"\p{N}{1,3}+", "(?:ab|c){2,}+x", "[]a]+|[^]b]"]
)
def test_regular_expressions_mean_what_oniguruma_means(pattern):
    peer = pre_tokenizers.Split(Regex(pattern), "isolated")
    ours = SplitPattern(from_oniguruma(pattern))
    rng = random.Random(7)
    for _ in range(500):
        text = "".join(rng.choices("abcexyz]123456789.,!? |(", k=rng.randint(0, 30)))
        assert ours.split(text) == [piece for piece, _ in peer.pre_tokenize_str(text)]


RUNS = [
    r"\p{N}",
    r"\p{N}+",
    r"\p{N}{1,3}",
    "[\u4e00-\u9fa5\u3040-\u309f]+",
    r"[\p{P}!-/:-@\[-`{-~]",
    r"(?:[\p{P}$])+",
    r"\s+",
]


@pytest.mark.parametrize("pattern", RUNS)
def test_runs_of_one_class_are_cut_by_a_kernel(pattern):
    peer, ours = pre_tokenizers.Split(Regex(pattern), "isolated"), SplitPattern(pattern)
    assert ours.has_kernel
    rng = random.Random(13)
    for _ in range(1000):
        text = "".join(rng.choices("ab1२½Ⅳ  \t$%.!一あ字🏳\u0301", k=rng.randint(0, 20)))
        assert ours.split(text) == [piece for piece, _ in peer.pre_tokenize_str(text)]


@pytest.mark.parametrize(
    "pattern", ["a+", r"\p{N}{2,3}", r"\p{N}*", "[a-z&&[aeiou]]+", r"\p{L}+|\p{N}", "(?:[ab]", r"[ab]+?"]
)
def test_other_patterns_are_no_run_of_one_class(pattern):
    assert not SplitPattern(pattern).has_kernel


@pytest.mark.parametrize("behavior", ["isolated", "merged_with_previous", "merged_with_next"])
def test_matches_become_pieces_as_tokenizers_has_it(behavior):
    peer = pre_tokenizers.Split(Regex("[aé]+"), behavior)
    ours = SplitPattern.of_steps(SplitSteps((SplitStep("[aé]+", behavior), SplitStep(r"\d"))))
    both = pre_tokenizers.Sequence([peer, pre_tokenizers.Split(Regex(r"\d"), "isolated")])
    rng = random.Random(9)
    texts = ["".join(rng.choices("aébc1日", k=rng.randint(0, 12))) for _ in range(500)]
    for text in texts:
        assert ours.split(text) == [piece for piece, _ in both.pre_tokenize_str(text)]
    ends, firsts = ours.ends_of_documents(*end_to_end([text.encode() for text in texts]))
    assert np.diff(firsts).tolist() == [len(ours.split(text)) for text in texts]
    assert ends.tolist() == sorted(set(ends.tolist()))


def test_added_tokens_are_found_as_tokenizers_finds_them():
    flags = {
        "  ": {},
        "   ": {},
        "<a>": {"lstrip": True},
        "<b>": {"rstrip": True},
        "<c>": {"lstrip": True, "rstrip": True},
    }
    flags |= {"ab": {"single_word": True}, "É": {"normalized": True}}
    characters = [*map(chr, range(32, 127)), "é", "日"]
    peer = Tokenizer(models.BPE({character: k for k, character in enumerate(characters)}, []))
    peer.normalizer = normalizers.Lowercase()
    peer.add_tokens([AddedToken(text, **{"normalized": False, **flag}) for text, flag in flags.items()])
    named = peer.get_added_tokens_decoder()
    added = [
        AddedText(
            text,
            flag.get("normalized", False),
            *(flag.get(name, False) for name in ("lstrip", "rstrip", "single_word")),
        )
        for text, flag in flags.items()
    ]
    pattern = of_normalizer(normalizers.Lowercase(), added)
    rng = random.Random(11)
    texts = [
        "".join(rng.choices([*flags, " ", "a", "b", "x", "é", "日", "\u2003"], k=rng.randint(0, 8)))
        for _ in range(3000)
    ]
    prepared, starts = pattern.prepared_documents(*end_to_end([text.encode() for text in texts]))
    raw, edges = prepared.tobytes(), starts.tolist()
    for text, (a, b) in zip(texts, pairwise(edges), strict=True):
        ours = [part.decode() for k, part in enumerate(raw[a:b].split(b"\xff")) if k % 2]
        theirs = [named[k].content for k in peer.encode(text).ids if k in named]
        assert ours == theirs, text
        assert raw[a:b] == pattern.prepared(text.encode())


@pytest.mark.parametrize("normalizer", [None, normalizers.NFC()])
def test_documents_are_cut_alike_alone_and_from_the_middle_of_others(normalizer):
    added = [AddedText("<a>", False, False, False, False), AddedText("\n", False, False, False, False)]
    pattern = (
        of_normalizer(normalizer, added) if normalizer else SplitPattern.of_steps(SplitSteps((), "", tuple(added)))
    )
    documents = [b"one <a> two\n", b"", b"<a><a>\n\nx", "e\u0301 <a>".encode(), b"\n", b"end"]
    text, starts = pattern.prepared_documents(*end_to_end(documents))
    for first in range(len(documents)):
        for stop in range(first + 1, len(documents) + 1):
            ends, firsts = pattern.ends_of_documents(text, starts[first : stop + 1])
            assert (firsts[0], firsts[-1]) == (0, ends.size)
            for k, (a, b) in enumerate(pairwise(firsts.tolist())):
                begin = starts[first + k]
                own = text[begin : starts[first + k + 1]]
                expected = pattern.ends_of_documents(own, np.array([0, own.size]))[0]
                assert (ends[a:b] - begin).tolist() == expected.tolist()


def test_steps_are_written_and_read_again():
    added = (AddedText("<x>", True, False, True, False), AddedText("y"))
    steps = SplitSteps((SplitStep("a+"), SplitStep(r"\d", "merged_with_next", True)), '{"type": "NFC"}', added, True)
    pattern = SplitPattern.of_steps(steps)
    assert SplitPattern(pattern.regex).steps == steps
    assert SplitPattern.of_steps(SplitSteps((SplitStep("a+"),))) == SplitPattern("a+")
