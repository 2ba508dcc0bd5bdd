"""`vocab train-tokenizer`: the size asked for, the same result twice, no text lost, one sentence for what cannot be."""

import json
from dataclasses import replace

import pytest
from helpers.cli import fails, run
from hypothesis import given
from hypothesis import strategies as st

import vocab
from vocab.choices import STYLES
from vocab.corpus.counting import CorpusCounts, count_documents, is_held_out
from vocab.errors import CorpusError, TargetError
from vocab.interop.conversion.trial_texts import trial_texts
from vocab.interop.conversion.verify import verify
from vocab.interop.scratch.llama2_style import MAX_LINE_CHARACTERS, lines_of
from vocab.interop.scratch.train_tokenizer import check_request, train_tokenizer
from vocab.interop.scratch.training_text import TrainingText
from vocab.splitting import CL100K_REGEX, GPT2_REGEX, SplitPattern

SIZE = 600


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, real_text):
    """400 kB of code in 100 documents."""
    path = tmp_path_factory.mktemp("corpus") / "code.jsonl"
    parts = [real_text[k : k + 4000] for k in range(0, 400_000, 4000)]
    path.write_text("".join(json.dumps({"text": part}) + "\n" for part in parts))
    return path


@pytest.fixture(scope="module", params=STYLES)
def trained(request, corpus):
    return train_tokenizer(request.param, SIZE, [str(corpus)])


def test_the_size_and_the_facts_are_those_asked_for(trained, corpus):
    counted = vocab.count(corpus, SplitPattern(CL100K_REGEX)).parts[0]
    report, small = trained.report, trained.vocabulary
    assert small.n_ids == small.max_id + 1 == report["size"] == report["size_asked"] == SIZE
    assert report["corpus"]["n_bytes"] == counted.train.n_bytes
    assert report["corpus"]["n_documents_held_out"] == counted.tally.n_documents_held_out > 0
    assert report["seconds"] > 0
    assert small.name == f"{report['style']}-style-{SIZE}"


@pytest.mark.slow
def test_every_runtime_agrees_on_the_folder(trained, tmp_path):
    trained.save(tmp_path / "out")
    loaded = vocab.load(tmp_path / "out")
    assert loaded == trained.vocabulary
    found = verify(tmp_path / "out", trial_texts(loaded, 20_000))
    runtimes = {"tiktoken", "sentencepiece"} & {check.runtime for check in found.checks}
    assert (found.agrees, found.n_unreachable, len(runtimes)) == (True, 0, 1)
    assert json.loads((tmp_path / "out/report.json").read_text()) == trained.report


def test_the_same_text_gives_the_same_tokenizer(trained, corpus):
    again = train_tokenizer(trained.report["style"], SIZE, [str(corpus)])
    assert again.vocabulary == trained.vocabulary


def test_counts_give_the_same_tokenizer_as_their_text(corpus):
    from_text = train_tokenizer("cl100k", SIZE, [str(corpus)], n_threads=2)
    counted = vocab.count(corpus, SplitPattern(CL100K_REGEX), n_threads=1)
    from_counts = train_tokenizer("cl100k", SIZE, corpus=counted)
    assert from_counts.vocabulary == from_text.vocabulary
    assert from_counts.report["corpus"] == from_text.report["corpus"]


def test_the_figures_of_counts_are_those_of_the_text(corpus):
    """Both styles read the same documents and say so alike."""
    text = TrainingText([str(corpus)])
    assert list(text)
    report = train_tokenizer("cl100k", SIZE, [str(corpus)]).report["corpus"]
    assert {name: report[name] for name in text.summary()} == text.summary()


def test_a_weight_counts_a_part_as_often(corpus):
    counted = vocab.count(corpus, SplitPattern(CL100K_REGEX))
    other = replace(counted.parts[0], name="other", weight=3)
    weighted = train_tokenizer("cl100k", SIZE, corpus=replace(counted, parts=(*counted.parts, other)))
    assert weighted.vocabulary == train_tokenizer("cl100k", SIZE, corpus=counted).vocabulary
    assert [part["weight"] for part in weighted.report["corpus"]["parts"]] == [1, 3]


def test_llama2_is_as_llama_2_has_it(corpus):
    small = train_tokenizer("llama2", SIZE, [str(corpus)], special=["<|eot|>"]).vocabulary
    assert dict(small.special_tokens) == {"<unk>": 0, "<s>": 1, "</s>": 2, "<|eot|>": 3}
    assert small.pattern.has_dummy_prefix
    assert [small[k] for k in range(4, 260)] == [bytes([k]) for k in range(256)]
    longer = [token for token in list(small.tokens())[256:] if len(token) > 1]
    assert not [token for token in longer if any(c.isdigit() for c in token.decode())]  # digits are split
    assert any(token.strip(b" ") == b"" for token in longer)  # indentation has pieces
    model = small.to_sentencepiece()
    assert model.encode("ﬁ ½\n", out_type=str) != model.encode("fi 1/2\n", out_type=str)  # nothing is normalized
    assert model.decode(model.encode("  two  spaces\t")) == "  two  spaces\t"


def test_cl100k_is_trained_on_whole_documents(tmp_path):
    """Blank lines before a word are one pre-token only where lines are not taken apart."""
    text = "\n\n\n".join(f"word{chr(97 + k % 26)}" for k in range(3000))
    (tmp_path / "text.txt").write_text(text)
    small = train_tokenizer("cl100k", 280, [str(tmp_path / "text.txt")], special=["<|a|>", "<|b|>"]).vocabulary
    assert b"\n\n\n" in set(small.tokens())
    assert dict(small.special_tokens) == {"<|a|>": 278, "<|b|>": 279}
    assert small.pattern.regex == CL100K_REGEX


def test_special_tokens_of_the_styles():
    assert check_request("cl100k", 500) == ["<|endoftext|>"]
    assert check_request("cl100k", 500, []) == check_request("llama2", 500) == []


# No text is lost to SentencePiece's limits


@given(st.lists(st.text("ab ▅\n\r\té語", max_size=60), max_size=4))
def test_lines_hold_all_text_but_line_ends_and_the_reserved_character(documents):
    parts = "".join(documents).replace("▅", "").replace("\n", "")
    assert "".join(lines_of(documents)) == parts
    assert all(lines_of(documents))


@given(st.lists(st.sampled_from(["a" * 700, "b" * 1900, "", "x", "語" * 1365]), min_size=1, max_size=30))
def test_long_lines_are_cut_at_single_spaces_or_characters(words):
    line = " ".join(words)
    parts = list(lines_of([line]))
    assert all(0 < len(part) <= MAX_LINE_CHARACTERS for part in parts)
    assert line in ("".join(parts), " ".join(parts)) or "  " in line
    assert "".join(parts).replace(" ", "") == line.replace(" ", "")


def test_a_line_that_sentencepiece_would_leave_out_is_trained_on(tmp_path):
    long = "zyxwv " * 20_000 + "語語語語" * 20_000
    (tmp_path / "text.txt").write_text(f"{long}\n" + "▅qqqq\n" * 500)
    small = train_tokenizer("llama2", 285, [str(tmp_path / "text.txt")]).vocabulary
    assert {b" zyxwv", "語語".encode(), b" qqqq"} <= set(small.tokens())


def test_held_out_documents_are_left_out(corpus):
    texts = [json.loads(line)["text"] for line in corpus.read_text().splitlines()]
    read = TrainingText([str(corpus)])
    assert list(read) == [text for text in texts if not is_held_out(text.encode())]
    assert read.n_documents + read.n_documents_held_out == len(texts)


def test_a_lone_document_is_trained_on_even_if_held_out(tmp_path):
    text = next(text for text in map(str, range(100)) if is_held_out(text.encode()))
    (tmp_path / "one.txt").write_text(text)
    read = TrainingText([str(tmp_path / "one.txt")])
    assert list(read) == [text]
    assert (read.n_documents, read.n_documents_held_out) == (1, 0)


# What cannot be


def test_text_or_counts_is_given_but_not_both(corpus):
    counted = vocab.count(corpus, SplitPattern(CL100K_REGEX))
    for inputs, counts in (([], None), ([str(corpus)], counted)):
        with pytest.raises(CorpusError, match="is trained on text or on counts: give one of the two"):
            train_tokenizer("cl100k", SIZE, inputs, corpus=counts)
    with pytest.raises(CorpusError, match="counts are for the style cl100k alone: give text"):
        train_tokenizer("llama2", SIZE, corpus=counted)


def test_counts_of_another_pattern_are_refused():
    counted = CorpusCounts((count_documents(["some text"], "texts", SplitPattern(GPT2_REGEX)),))
    with pytest.raises(CorpusError, match="was counted with another split pattern"):
        train_tokenizer("cl100k", SIZE, corpus=counted)


@pytest.mark.parametrize("style", STYLES)
def test_too_little_text_is_said(style, tmp_path):
    (tmp_path / "text.txt").write_text("some words " * 10)
    with pytest.raises(TargetError, match=r"^size 9,000 is too large for so little text, which gives \d+ ids at most"):
        train_tokenizer(style, 9000, [str(tmp_path / "text.txt")])


def test_more_characters_than_ids_is_said(corpus):
    with pytest.raises(TargetError, match=r"^size 262 is too small: the characters of this text.* alone are \d+ ids$"):
        train_tokenizer("llama2", 262, [str(corpus)])


@pytest.mark.parametrize("style", STYLES)
def test_a_size_below_the_bytes_is_refused_before_reading(style):
    with pytest.raises(TargetError, match=r"is too small: .* so the least is"):
        train_tokenizer(style, 200, ["/no/such/corpus"])


@pytest.mark.parametrize(
    ("style", "special"), [("llama2", ["<s>"]), ("cl100k", ["<a>", "<a>"]), ("cl100k", [""]), ("llama2", [""])]
)
def test_special_tokens_that_cannot_be_are_refused(style, special):
    with pytest.raises(TargetError, match="special token"):
        train_tokenizer(style, 500, ["/no/such/corpus"], special=special)


def test_a_special_token_that_reads_like_an_ordinary_one_is_refused(corpus):
    with pytest.raises(TargetError, match="reads like an ordinary token"):
        train_tokenizer("cl100k", SIZE, [str(corpus)], special=["in"])


@pytest.mark.parametrize("style", STYLES)
def test_what_is_wrong_with_the_text_is_said(style, tmp_path):
    (tmp_path / "bad.jsonl").write_text('{"text": "good"}\n' * 50 + '{"text": 5}\n')
    with pytest.raises(CorpusError, match=r"bad\.jsonl"):
        train_tokenizer(style, 300, [str(tmp_path / "bad.jsonl")])
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(CorpusError, match="there is no text to count"):
        train_tokenizer(style, 300, [str(tmp_path / "empty.txt")])
    with pytest.raises(CorpusError, match="named twice"):
        train_tokenizer(style, 300, ["a", "a"])


# The command


@pytest.mark.slow
def test_the_command_writes_a_folder_that_eval_reads(tmp_path, corpus):
    done = run("train-tokenizer", "--style", "llama2", "--size", SIZE, "--corpus", corpus, where=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "600 ids in the style of llama2, 3 of them special" in done.stdout
    evaluated = run("eval", f"llama2-style-{SIZE}", "--corpus", corpus, where=tmp_path)
    assert evaluated.returncode == 0, evaluated.stderr
    assert f"llama2-style-{SIZE}" in evaluated.stdout


def test_the_command_trains_on_a_count_table(tmp_path, corpus):
    done = run("count", "--corpus", corpus, "--out", "counted", where=tmp_path)
    assert done.returncode == 0, done.stderr
    options = ("train-tokenizer", "--style", "cl100k", "--size", SIZE)
    for source in (("--counts", "counted", "--out", "a"), ("--corpus", corpus, "--out", "b", "--threads", 1)):
        done = run(*options, *source, where=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
    for name in ("tokenizer.json", f"cl100k-style-{SIZE}.tiktoken"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert "give text" in fails(tmp_path, *options[:1], "--style", "llama2", "--size", SIZE, "--counts", "counted")


def test_the_command_refuses_in_one_sentence(tmp_path, corpus):
    options = ("train-tokenizer", "--style", "cl100k", "--corpus", corpus, "--out", "x")
    assert "too small" in fails(tmp_path, *options, "--size", 100)
    assert "too large for so little text" in fails(tmp_path, *options, "--size", 900_000)
