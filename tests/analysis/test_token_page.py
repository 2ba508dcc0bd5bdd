"""The page of `vocab show`: its encoder gives our ids, no token can break out of it, and it is small."""

import json
import random
import re
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest
from helpers.byte_level import byte_level_bpe, stored
from helpers.cli import fails, run
from helpers.files import llama_file, mistral_file, set_in
from helpers.piece_tokenizers import random_bpe, random_texts, written
from helpers.texts import NASTY, ODD

import vocab
from vocab.analysis.token_page.html_page import html_page
from vocab.analysis.token_page.javascript_regex import CannotTranslateError, ClassTable, javascript_regex
from vocab.analysis.token_page.packed_numbers import packed_numbers, packed_signed
from vocab.analysis.token_page.page_vocabulary import page_vocabulary
from vocab.hard_texts import SCRIPTS
from vocab.splitting import GPT2_REGEX, LINES_REGEX, LLAMA3_REGEX, O200K_REGEX, TEKKEN_REGEX, SplitPattern
from vocab.vocabulary import Vocabulary

TEXTS = [*NASTY, *ODD, *SCRIPTS.values(), "\ud800 lone \udfff"]
BREAKS_OUT = "</script><script>alert(1)</script><!--"


@pytest.fixture(scope="module")
def engine():
    """V8 with the encoder of the page."""
    mini_racer = pytest.importorskip("py_mini_racer", reason="needs a JavaScript engine: pip install mini-racer")
    started = mini_racer.MiniRacer()
    started.eval((files("vocab.analysis.token_page") / "encoder.js").read_text(encoding="utf-8"))
    started.eval("var classes, encoder;")
    return started


def check_ids(engine, vocabulary: Vocabulary, texts: list[str]) -> None:
    """The page's ids and the bytes of its tokens are ours."""
    classes = ClassTable()
    content = page_vocabulary(vocabulary, classes)
    assert content["refusal"] is None
    engine.eval(f"classes = {json.dumps(classes.ranges)}.map(Tokens.classSource);")
    engine.eval(f"encoder = new Tokens.Encoder({json.dumps(content)}, classes);")
    found = json.loads(engine.eval(f"JSON.stringify({json.dumps(texts)}.map((text) => encoder.encode(text)))"))
    assert [text for text, each in zip(texts, found, strict=True) if each["ids"] != vocabulary.encode(text)] == []
    if not vocabulary.pattern.steps and not vocabulary.pattern.is_sentencepiece:
        assert ["".join(each["bytes"]).encode("latin-1") for each in found[:9]] == [t.encode() for t in texts[:9]]


@pytest.fixture(scope="module")
def pieces(cl100k) -> Vocabulary:
    """The first 3,000 tokens of cl100k_base."""
    return Vocabulary.from_tokens(list(cl100k.tokens())[:3000], cl100k.pattern, {"<|endoftext|>": 3000})


@pytest.mark.parametrize("inference", ["merges", "least-tokens", "longest-prefix"])
def test_the_page_encodes_by_every_method_of_byte_tokens(engine, pieces, inference):
    check_ids(engine, replace(pieces, inference=inference), TEXTS)


@pytest.mark.parametrize(
    "regex",
    [
        GPT2_REGEX,
        O200K_REGEX,
        LLAMA3_REGEX,
        TEKKEN_REGEX,
        LINES_REGEX,
        r"\p{N}{1,2}+|(?>ab|a)b?|(?i:straß|k)+|[^\s\d\-\]]++\s?|[\p{Lu}a-f]|.",
        r"(?V1)[\p{L}&&[a-zé]]+|[[:punct:]]+|(?<=a) +(?!\S)|\x41\u0062?|x$|^b",
    ],
)
def test_the_page_splits_by_every_pattern(engine, pieces, regex):
    check_ids(engine, replace(pieces, pattern=SplitPattern(regex)), [text for text in TEXTS if text])


def test_the_page_encodes_pieces_as_json_files_have_them(engine, tmp_path):
    rng = random.Random(8)
    for k in range(3):
        vocabulary = vocab.load(written(random_bpe(rng), tmp_path / str(k)))
        check_ids(engine, vocabulary, random_texts(rng, 30) + TEXTS[:40])


def test_the_page_normalizes_splits_and_finds_added_tokens(engine, tmp_path):
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    added = [
        {"id": 600, "content": "<think>", **flags, "lstrip": True, "rstrip": True},
        {"id": 601, "content": "word", **flags, "single_word": True, "normalized": True},
    ]
    digits = {"type": "Digits", "individual_digits": True}
    by_bytes = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}

    def change(settings):
        set_in("added_tokens", value=added)(settings)
        set_in("normalizer", value={"type": "NFC"})(settings)
        set_in("pre_tokenizer", value={"type": "Sequence", "pretokenizers": [digits, by_bytes]})(settings)

    vocabulary = vocab.load(stored(byte_level_bpe(), tmp_path / "added", change))
    texts = ["a  <think>  b word wordy word.word a\u0301word", " <think>", "<think><think>x 1234"]
    check_ids(engine, vocabulary, texts + TEXTS)


@pytest.mark.slow
def test_the_page_encodes_as_released_vocabularies(engine, cl100k, real_text):
    texts = TEXTS + real_text[:400_000].split("\n\n")
    check_ids(engine, cl100k, texts)
    check_ids(engine, vocab.load(llama_file("llama3")), texts)
    check_ids(engine, vocab.load(mistral_file("mistral_instruct_tokenizer_240323.model.v3")), texts)


def test_a_dropped_token_is_spelt_as_in_the_id_map(engine, cl100k, pieces):
    from vocab.analysis.spelling import spellings

    dropped = dict(list(cl100k.tokens_by_id.items())[3000::997])
    content = page_vocabulary(pieces, classes := ClassTable())
    engine.eval(f"classes = {json.dumps(classes.ranges)}.map(Tokens.classSource);")
    engine.eval(f"encoder = new Tokens.Encoder({json.dumps(content)}, classes);")
    asked = json.dumps({id_: token.decode("latin-1") for id_, token in dropped.items()})
    found = json.loads(engine.eval(f"JSON.stringify(Object.entries({asked}).map(([id, t]) => [id, encoder.spell(t)]))"))
    assert dict(found) == spellings(pieces, dropped)


def test_what_the_page_cannot_run_is_named(pieces):
    refusal = page_vocabulary(replace(pieces, inference="ungreedy"), ClassTable())["refusal"]
    assert refusal == f"This page cannot run {pieces.name}: it has the inference method ungreedy."
    for regex, named in ((r"\bword", r"\b"), (r"(a)\1", r"\1"), ("(?i)a", "(?i"), ("(?<=a++)b", "looks behind")):
        with pytest.raises(CannotTranslateError, match=re.escape(named)):
            javascript_regex(regex, ClassTable())


def test_a_pattern_that_matches_nothing_is_refused_when_it_does(engine, pieces):
    with pytest.raises(Exception, match="matches between two characters"):
        check_ids(engine, replace(pieces, pattern=SplitPattern("a*")), ["bab"])


def test_numbers_are_packed(engine):
    numbers = [0, 1, 127, 128, 300, 2**31 - 1, 2**40 + 5]
    assert list(engine.eval(f"JSON.stringify(Tokens.numbersOf({json.dumps(packed_numbers(numbers))}))")) == list(
        json.dumps(numbers, separators=(",", ":"))
    )
    signed = [0, -1, 1, -300, 300]
    text = json.dumps(packed_signed(signed))
    assert json.loads(engine.eval(f"JSON.stringify(Tokens.numbersOf({text}).map(Tokens.signed))")) == signed
    assert engine.eval(f"Tokens.numbersOf({json.dumps(packed_numbers([]))}).length") == 0


def test_no_token_and_no_name_ends_the_script(pieces):
    tokens = [*pieces.tokens(), BREAKS_OUT.encode()]
    hostile = Vocabulary.from_tokens(tokens, pieces.pattern, {BREAKS_OUT: len(tokens)})
    hostile = replace(hostile, provenance=replace(hostile.provenance, name=BREAKS_OUT))
    page = html_page([hostile])
    assert page.count("<script") == 2
    assert page.count("</script") == 2
    assert "alert(1)</" not in page
    assert "http" not in re.sub(r"http://www\.w3\.org/2000/svg|http-equiv", "", page)
    assert "default-src 'none'" in page


def test_scripts_of_the_page_are_javascript(engine):
    source = (files("vocab.analysis.token_page") / "page.js").read_text(encoding="utf-8")
    assert engine.eval(f"typeof new Function({json.dumps(source)})") == "function"


@pytest.mark.slow
def test_a_page_of_200_000_tokens_is_small(pieces):
    rng = np.random.default_rng(1)
    drawn = {bytes(row) for row in rng.integers(97, 123, (210_000, 7), dtype=np.uint8)}
    tokens = [bytes([b]) for b in range(256)] + sorted(drawn)[: 200_000 - 256]
    assert len(html_page([Vocabulary.from_tokens(tokens, pieces.pattern)])) < 8_000_000


def test_show_writes_one_page_with_the_figures_of_a_folder(tmp_path, pieces):
    replace(pieces, provenance=replace(pieces.provenance, name="whole")).save(tmp_path / "whole")
    (tmp_path / "text.txt").write_text("\n\n".join(SCRIPTS.values()))
    target = ("--target", "900", "--method", "rank", "--corpus", "text.txt", "--out", "small")
    run("prune", "--source", "whole", *target, where=tmp_path)
    curves = [{"method": "rank", "train": {"bytes_per_token": [2.5, 3.0]}}]
    bound = {"bytes_per_token_at_most": [2.6, 3.1]}
    frontier = {"source": {"name": "cl100k_base"}, "sizes": [1000, 3000], "curves": curves, "bound": bound}
    (tmp_path / "curve.json").write_text(json.dumps(frontier))
    named = ("--frontier", "curve.json", "--corpus", "text.txt", "-o", "page.html")
    done = run("show", "whole", "small", *named, where=tmp_path)
    assert re.fullmatch(r"Wrote page\.html: \d\.\d MB\n", done.stdout), done.stderr
    text = re.search(r'id="content">(.*)</script>', (tmp_path / "page.html").read_text())[1]
    content = json.loads(text)
    assert [one["name"] for one in content["vocabularies"]] == ["whole", "small"]
    assert {"uses", "prices"} <= content["vocabularies"][0].keys()
    assert content["tables"][0]["title"] == "whole → 900 ids by rank"
    assert [curve["name"] for curve in content["frontiers"][0]["curves"]] == ["rank", "bound"]
    assert "is there already" in fails(tmp_path, "show", "small", "-o", "page.html")
    (tmp_path / "curve.json").write_text(json.dumps(frontier | {"sizes": [1000]}))
    assert "curve.json" in fails(tmp_path, "show", "small", "--frontier", "curve.json", "-o", "other.html")
