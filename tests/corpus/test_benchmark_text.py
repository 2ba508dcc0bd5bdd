"""Documents that hold text of a benchmark: the same as a slow twin over str finds, counted, bounded, refused."""

import gzip
import json
import unicodedata

import numpy as np
import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

import vocab
from vocab.corpus.batch import Batch
from vocab.corpus.benchmark_text import LONGEST, SHORTEST, read_benchmarks
from vocab.corpus.read_options import ReadOptions
from vocab.errors import CorpusError

PROMPT = "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May."
ANSWER = "She sold 48/2 = 24 clips in May. Altogether she sold 72."
SHORT = "Who wrote the novel “Frankenstein” in the year 1818?"
CHINESE = "小明有三个苹果，他给了小红一个，还剩下几个苹果？"


def words(text):
    """Normalised words, slowly."""
    kept = []
    for character in text:
        alone = regex.match(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]", character)
        if character.isspace() or unicodedata.category(character).startswith("Z"):
            kept.append(" ")
        elif unicodedata.category(character)[0] in "LMN":
            lower = character.lower()[0]
            kept.append(f" {character} " if alone and unicodedata.category(character)[0] in "LN" else lower)
    return "".join(kept).split()


def runs(text, n):
    found = words(text)
    return {tuple(found[k : k + n]) for k in range(len(found) - n + 1)}


def matches(document, rows):
    """Whether a document shares a run of words with a row, slowly."""
    for row in rows:
        n = min(LONGEST, len(words(row)))
        if n >= SHORTEST and runs(document, n) & runs(row, n):
            return True
    return False


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    rows = [{"question": PROMPT, "answer": ANSWER, "id": 7}, {"question": SHORT}, {"q": "Is it?"}, {"q": [CHINESE]}]
    path = tmp_path_factory.mktemp("benchmark") / "gsm.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "\n")
    return path


ROWS = [f"{PROMPT} {ANSWER}", SHORT, "Is it?", CHINESE]


def left_out(benchmark, documents):
    batch = Batch.of_utf8([document.encode() for document in documents])
    kept = read_benchmarks([benchmark]).without(batch).documents()
    return [document not in kept for document in documents]


def test_documents_with_a_run_of_thirteen_words_are_left_out(benchmark):
    spaced = "\n".join(PROMPT.upper().replace(",", " ;").split())
    across = "in May She sold 48/2 24 clips in may altogether she sold"  # prompt and answer, one after the other
    documents = [
        f"Before. {PROMPT} After.",
        spaced,
        " ".join(PROMPT.split()[:13]),
        " ".join(PROMPT.split()[:12]),  # too few
        f"many clips {across} 72",
        "who wrote the novel Frankenstein in the year 1818 of our lord",  # a short row, whole
        "who wrote the novel Frankenstein in the year 1819",
        f"前面{CHINESE}后面",
        CHINESE[:10],
        "Is it? It is.",
        "",
    ]
    expected = [matches(document, ROWS) for document in documents]
    assert left_out(benchmark, documents) == expected
    assert expected == [True, True, True, False, True, True, False, True, False, False, False]


PIECES = [*PROMPT.split(), "sold", "“May”", "İstanbul", "naïve—", "苹果", "ไทย", "x\u00a0y", "\u200b", "A\u0301b", "…"]


@given(st.lists(st.sampled_from(PIECES), max_size=40), st.lists(st.sampled_from(PIECES), max_size=40))
def test_what_matches_is_what_the_slow_twin_says(tmp_path_factory, row, document):
    text, other = " ".join(row), " ".join([*document[:20], *row[3:18], *document[20:]])
    path = tmp_path_factory.getbasetemp() / "rows.jsonl"
    path.write_text(json.dumps({"text": text}) + "\n" + json.dumps({"text": SHORT}) + "\n")
    assert left_out(path, [other, " ".join(document)]) == [
        matches(one, [text, SHORT]) for one in (other, " ".join(document))
    ]


def test_counts_say_what_was_left_out(benchmark, tmp_path):
    documents = [f"A document about {k} things.\n" for k in range(40)] + [f"{PROMPT} again"] * 2
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("".join(json.dumps({"text": text}) + "\n" for text in documents))
    options = ReadOptions(without=read_benchmarks([benchmark]))
    counted = vocab.count(str(corpus), vocab.load("cl100k_base").pattern, options=options)
    tally = counted.parts[0].tally
    assert (tally.n_documents, tally.n_documents_of_benchmarks) == (40, 2)
    assert tally.n_bytes_of_benchmarks == 2 * len(f"{PROMPT} again")
    assert options.skipped.sentences() == ["2 documents with text of benchmarks were left out."]
    assert options.without.n_short_rows == 1


def test_a_packed_file_is_the_same_and_others_are_refused(benchmark, tmp_path):
    packed = tmp_path / "gsm.jsonl.gz"
    packed.write_bytes(gzip.compress(benchmark.read_bytes()))
    first, second = (read_benchmarks([path]) for path in (benchmark, packed))
    assert first == second
    assert np.array_equal(first.slots, second.slots)
    for name, content, says in (
        ("a.txt", "x", "not named like JSON lines"),
        ("b.jsonl", '{"q": 1}\n{"q"', "line 2 is not JSON"),
        ("c.jsonl", '{"q": "Is it?"}', "no row of 8 words"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(CorpusError, match=says):
            read_benchmarks([tmp_path / name])
    with pytest.raises(CorpusError, match="cannot be read"):
        read_benchmarks([tmp_path / "absent.jsonl"])
