"""Split patterns against two engines that share nothing with them: Oniguruma and tiktoken's fancy-regex."""

import os
import random
import runpy
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import pytest
import regex
from helpers.oracles import tiktoken_pieces, tokenizers_pieces
from hypothesis import given
from hypothesis import strategies as st

from vocab.errors import SourceError
from vocab.splitting import SplitPattern, patterns
from vocab.splitting.classes import CASELESS, DIGIT, LETTER, LOWER, NEWLINE, SPACE, UPPER, class_table

ROOT = Path(__file__).parents[2]
N_CHARACTERS = int(os.environ.get("VOCAB_TEST_CHARACTERS", "300000"))
SPLITS = {
    "cl100k": patterns.CL100K_REGEX,
    "gpt2": patterns.GPT2_REGEX,
    "lines": patterns.LINES_REGEX,
    "llama3": patterns.LLAMA3_REGEX,
    "o200k": patterns.O200K_REGEX,
    "qwen2": patterns.QWEN2_REGEX,
    "tekken": patterns.TEKKEN_REGEX,
}
CODE_POINTS = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]


@pytest.fixture(params=SPLITS.values(), ids=SPLITS.keys())
def pattern(request) -> SplitPattern:
    return SplitPattern(request.param)


def check(pattern: SplitPattern, text: str) -> None:
    """Both engines cut `text` as the pattern does."""
    pieces = pattern.split(text)
    assert "".join(pieces) == text
    assert pieces == tokenizers_pieces(pattern, text)
    assert pieces == tiktoken_pieces(pattern.regex, text, pieces)


def edges_of_classes() -> list[str]:
    """Two characters from each end of every run of equal class."""
    table = class_table()
    first = np.flatnonzero(np.diff(table, prepend=255))
    last = np.append(first[1:], 0x110000) - 1
    points = {*first, *np.minimum(first + 1, last), *np.maximum(last - 1, first), *last}
    return [chr(c) for c in sorted(points) if not 0xD800 <= c < 0xE000]


def random_mixture(rng: random.Random, n: int) -> str:
    """Runs of characters of one kind, of mixed kinds, and fragments that the patterns treat specially."""
    edges = edges_of_classes()
    kinds = [
        "abcdefghijklmnopqrstuvwxyz",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "0123456789",
        "     ",
        "\n\r",
        " \t\n\r\x0b\x0c\x85\xa0\u1680\u2003\u2028\u3000",
        "'’.,;:!?/\\-_()[]{}<>@#$%^&*+=|~`\"",
        "áéíóúñçßſıİǅʰªº",
        "аБвГдЕ אבג ابت कखग กขค 漢字かなカナ 가나다",
        "\u0301\u0327\u05b0\u064b\u093e\u0e34\u200d\ufe0f\u20e3",
        "½²Ⅷ㊿١२๓〇",
        "😀👩🇪𝒜𝟘𐐀𐐨\U00020000\U0010ffff",
    ]
    fragments = ["'s", "'S", "'ſ", "'ll", "'LL", "'Re", "'vE", "'t", "'d", "'M", " '"]
    fragments += ["\r\n", "\n\n", "  ", " \n", "//"]
    parts: list[str] = []
    size = 0
    while size < n:
        choice = rng.random()
        if choice < 0.45:
            part = "".join(rng.choices(rng.choice(kinds), k=rng.randint(1, 6)))
        elif choice < 0.65:
            part = "".join(rng.choice(rng.choice(kinds)) for _ in range(rng.randint(1, 8)))
        elif choice < 0.85:
            part = rng.choice(fragments)
        else:
            part = "".join(rng.choices(edges, k=rng.randint(1, 4)))
        parts.append(part)
        size += len(part)
    return "".join(parts)


def test_classes_are_those_of_the_engine_that_tiktoken_uses(monkeypatch):
    written = {}
    monkeypatch.setattr(Path, "write_text", lambda path, text, **_: written.update({path.name: text}))
    runpy.run_path(str(ROOT / "scripts" / "generate_unicode_classes.py"), run_name="__main__")
    kept = ROOT / "vocab" / "splitting" / "unicode_classes.txt"
    assert written == {kept.name: kept.read_text(encoding="ascii")}


def test_class_table_knows_a_character_of_each_class():
    table = class_table()
    assert table.shape == (0x110000,)
    assert not table.flags.writeable
    expected = {
        "a": LETTER | LOWER,
        "A": LETTER | UPPER,
        "ǅ": LETTER | UPPER,
        "ʰ": LETTER | CASELESS,
        "漢": LETTER | CASELESS,
        "\u0301": CASELESS,
        "½": DIGIT,
        "\n": SPACE | NEWLINE,
        "\u3000": SPACE,
        "!": 0,
        "\U0010ffff": 0,
    }
    assert {c: int(table[ord(c)]) for c in expected} == expected


def test_patterns_are_those_of_the_installed_tiktoken(monkeypatch):
    from tiktoken_ext import openai_public

    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", lambda *_, **__: {})
    assert openai_public.cl100k_base()["pat_str"] == patterns.CL100K_REGEX
    assert openai_public.o200k_base()["pat_str"] == patterns.O200K_REGEX
    assert openai_public.r50k_base()["pat_str"] == patterns.GPT2_REGEX


@pytest.mark.slow
def test_every_code_point_beside_the_next(pattern):
    check(pattern, "".join(CODE_POINTS))


@pytest.mark.slow
def test_every_code_point_alone_between_digits(pattern):
    """Without ideographs, Hangul and the unassigned, unless more characters are asked for than by default."""
    points = CODE_POINTS
    if N_CHARACTERS <= 1_000_000:
        points = [*map(chr, [*range(0x3400), *range(0xA000, 0xAC00), *range(0xF900, 0x13000)])]
        points += [*map(chr, range(0x16800, 0x1F000)), *edges_of_classes()]
    for at in range(0, len(points), 100_000):
        check(pattern, "".join(f"{c}0" for c in points[at : at + 100_000]))


@pytest.mark.slow
def test_every_kind_of_code_point_in_every_context(pattern):
    contexts = "a{0} {0}a {0}B A{0}b {0}1 1{0} {0}\n{0} \n {0} {0}'{0} '{0}s's{0} !{0} {0}!"
    contexts += "/{0}/  {0}{0}{0}\r\n {0}  "
    check(pattern, "".join(contexts.format(c) for c in edges_of_classes()))


@pytest.mark.slow
def test_random_mixtures(pattern):
    rng = random.Random(11)
    for _ in range(max(1, N_CHARACTERS // 100_000)):
        check(pattern, random_mixture(rng, 100_000))


def test_nasty_texts(pattern, nasty):
    for text in nasty:
        check(pattern, text)
    check(pattern, "\n".join(nasty))


@pytest.mark.parametrize("unit", ["a", " ", "\n", "中", "1", "!", "\u0301", "'s", " a", "\r\n", "\U00010428"])
def test_long_repeats(pattern, unit):
    """Without Hugging Face, whose engine gives up on such texts."""
    text = unit * 100_000
    pieces = pattern.split(text)
    assert "".join(pieces) == text
    assert pieces == tiktoken_pieces(pattern.regex, text, pieces)


@given(text=st.text(max_size=60), index=st.integers(0, len(SPLITS) - 1))
def test_any_text(text, index):
    check(SplitPattern(list(SPLITS.values())[index]), text)


@pytest.mark.slow
def test_runs_of_letters_and_spaces_of_every_length(pattern):
    """Kernels measure such runs eight bytes at a time; any other byte may end one, at any place of the eight."""
    ends = [chr(c) for c in range(128)] + ["é", "É", "\xa0", "\u0301", "漢", "𐐀"]
    runs = [unit * n for n in (*range(1, 10), 15, 16, 17) for unit in ("x", "X", " ", "é")]
    check(pattern, "".join(f"{run}{end}" for run in runs for end in ends))
    for run in runs:  # the text ends where the run does
        check(pattern, f"0{run}")


@pytest.mark.slow
def test_real_text(pattern, real_text):
    check(pattern, real_text[-500_000:])


def test_ends_rise_and_cover_the_text(pattern, nasty):
    for text in nasty:
        raw = text.encode()
        ends = pattern.ends(raw)
        assert ends.dtype == np.int64
        assert (np.diff(ends, prepend=0) > 0).all()
        assert (ends[-1] if ends.size else 0) == len(raw)


def test_text_cut_within_a_character_stays_inside_its_bytes(pattern, nasty):
    """A truncated last character is read as far as it goes; kernels see such text only by mistake."""
    for text in nasty:
        raw = text.encode()
        for cut in range(max(0, len(raw) - 4), len(raw)):
            ends = pattern.ends(raw[:cut])
            assert (np.diff(ends, prepend=0) > 0).all()
            assert (ends[-1] if ends.size else 0) == cut


def in_one_buffer(documents: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Documents end to end after some text of nobody's, and where each begins."""
    starts = np.cumsum([5, *map(len, documents)], dtype=np.int64)
    return np.frombuffer(b"It's " + b"".join(documents) + b" 1", dtype=np.uint8), starts


def check_documents(pattern: SplitPattern, documents: list[bytes]) -> None:
    """Documents in one buffer are split as each of them alone."""
    text, starts = in_one_buffer(documents)
    ends, firsts = pattern.ends_of_documents(text, starts)
    assert (ends.dtype, firsts.dtype) == (np.int64, np.int64)
    assert firsts[-1] == ends.size
    got = [(ends[a:b] - start).tolist() for (a, b), start in zip(pairwise(firsts), starts, strict=False)]
    assert got == [pattern.ends(document).tolist() for document in documents]


ALL_SPLITS = [*SPLITS.values(), r"\w+|\s+|[^\w\s]+", r"[a-z]+"]
FRAGMENTS = ["'s", "'", "l", "L", "1", " ", "\n", "\r", "!", "/", "é", "É", "漢", "\u0301", "𐐨", "word", "        "]


@given(
    documents=st.lists(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join), max_size=8),
    index=st.integers(0, len(ALL_SPLITS) - 1),
)
def test_documents_in_one_buffer_are_split_as_each_alone(documents, index):
    check_documents(SplitPattern(ALL_SPLITS[index]), [document.encode() for document in documents])


def test_characters_cut_at_the_end_of_a_document_do_not_reach_into_the_next(pattern, nasty):
    raw = "".join(nasty[:40]).encode()[:20_000]
    rng = random.Random(12)
    cuts = sorted({0, *rng.choices(range(len(raw)), k=2000), len(raw)})
    check_documents(pattern, [raw[a:b] for a, b in pairwise(cuts)])


def test_documents_of_more_pretokens_than_text_has_by_rule(pattern):
    check_documents(pattern, [b"a1" * 500, b"", b"\n1" * 5000, b""])


def test_no_documents(pattern):
    check_documents(pattern, [])
    check_documents(pattern, [b""])


@pytest.mark.parametrize(
    ("regex_", "expected"),
    [
        (patterns.CL100K_REGEX, ["x", "     \n  "]),
        (patterns.LLAMA3_REGEX, ["x", "     \n", "  "]),
        (patterns.O200K_REGEX, ["x", "     \n", "  "]),
        (patterns.GPT2_REGEX, ["x", "     \n  "]),
    ],
)
def test_white_space_at_the_end(regex_, expected):
    assert SplitPattern(regex_).split("x     \n  ") == expected


def test_digits_are_cut_as_the_pattern_says():
    cut = {name: SplitPattern(regex_).split("1234567") for name, regex_ in SPLITS.items()}
    triples = ["123", "456", "7"]
    assert cut == {
        "cl100k": triples,
        "llama3": triples,
        "o200k": triples,
        "qwen2": list("1234567"),
        "tekken": list("1234567"),
        "gpt2": ["1234567"],
        "lines": ["1234567"],
    }


def test_two_spellings_of_one_split_share_a_digest(pattern):
    portable = SplitPattern(pattern.portable)
    assert portable.has_kernel
    assert portable.sha256 == pattern.sha256
    assert portable.portable == pattern.portable
    text = "It's 12345  of \n\n them, x\n  "
    assert portable.split(text) == pattern.split(text)


def test_different_splits_have_different_digests():
    assert len({SplitPattern(regex_).sha256 for regex_ in SPLITS.values()}) == len(SPLITS)


UNKNOWN = [r"\w+|\s+|[^\w\s]+", r"[a-z]+|x", r" ?\w+", r"(?<=a)b|c*", r"\p{L}{1,4}|\p{N}|\s"]


@pytest.mark.parametrize("unknown", UNKNOWN)
def test_unknown_pattern_splits_as_the_regex_package_does(unknown, nasty):
    pattern = SplitPattern(unknown)
    assert not pattern.has_kernel
    for text in [*nasty, "abc, bcd 12 ab ccc\n"]:
        edges = {0, len(text)} | {edge for match in regex.finditer(unknown, text) for edge in match.span()}
        cuts = sorted(edges)
        expected = [text[a:b] for a, b in pairwise(cuts)]
        assert pattern.split(text) == expected
        ends = pattern.ends(text.encode())
        assert ends.dtype == np.int64
        assert ends.tolist() == list(accumulate(len(piece.encode()) for piece in expected))


def test_unknown_pattern_agrees_with_tiktoken_where_it_matches_all(nasty):
    unknown = r"\w+|\s+|[^\w\s]+"
    for text in nasty[:16]:
        pieces = SplitPattern(unknown).split(text)
        assert pieces == tiktoken_pieces(unknown, text, pieces)


def test_pattern_that_is_no_regular_expression_is_refused():
    with pytest.raises(SourceError, match="not a regular expression"):
        SplitPattern(r"(unclosed").split("text")


def test_possessive_repeat_has_no_portable_form():
    with pytest.raises(SourceError, match="possessive"):
        _ = SplitPattern(r"\p{N}{1,2}+|.").portable
