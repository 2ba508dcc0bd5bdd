"""A miniature of each study from specification to figure, killed and gone on with."""

import json
import pydoc_data.topics
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vocab.errors import StudyError
from vocab.experiments.report.study_report import write_report
from vocab.experiments.rows import read_rows
from vocab.experiments.spec import load_spec
from vocab.experiments.study_run import run_study
from vocab.vocabulary import Vocabulary

pytest.importorskip("torch")

pytestmark = pytest.mark.slow

SPEED = """
name = "small-speed"
question = "Does Hamming weight matter for a small head?"
[speed]
reference = 256
margin = 0.0025
tile = 16
[speed.sets]
"popcount 2" = [257, 258, 260, 264, 272, 288]
"0 trailing zeros" = [321, 323, 327, 335, 351, 383]
[[speed.timings]]
part = "head"
mode = "eager"
preset = "micro"
n_tokens = 4
cycles = 4
[[speed.timings]]
part = "step"
mode = "eager"
preset = "micro"
n_tokens = 16
cycles = 2
sizes = [257, 258, 260, 264, 272, 321, 323, 327, 335]
"""
LOSS = """
name = "small-loss"
question = "What does a vocabulary do to loss?"
[loss]
preset = "micro"
choosing_megabytes = 0.4
megabytes = 0.02
held_out_megabytes = 0.004
marks = 3
batch = 8
seq_len = 32
learning_rate = 0.004
seeds = [0, 1]
cycles = 2
baseline = ["distill", 400]
[[loss.arms]]
name = "distill"
build = "prune"
sizes = [300, 400]
[[loss.arms]]
name = "Mistral"
build = "prune"
source = "package:mistral_common/data/tokenizer.model.v1"
sizes = [600]
"""


NGRAM = """
name = "small-ngram"
question = "What does a vocabulary do to the loss of counts?"
[ngram]
order = 4
megabytes = 0.4
baseline = "distill"
[[ngram.arms]]
name = "distill"
build = "prune"
sizes = [300, 2000]
[[ngram.arms]]
name = "rank"
build = "prune"
method = "rank"
sizes = [300, 2000]
[[ngram.arms]]
name = "superwords"
build = "superwords"
inference = "least-tokens"
sizes = [2000]
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> str:
    """Python's documentation, a document a paragraph or two, and a picture in the same folder."""
    path = tmp_path_factory.mktemp("text") / "topics.jsonl"
    path.with_name("picture.png").write_bytes(b"\x89PNG\r\n")
    paragraphs = [p for topic in pydoc_data.topics.topics.values() for p in topic.split("\n\n") if p.strip()]
    texts = ["\n\n".join(paragraphs[k : k + 2]) for k in range(0, len(paragraphs), 2)]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return str(path.parent)


def write(folder: Path, text: str) -> Path:
    path = folder / "spec.toml"
    path.write_text(text)
    return path


def left_out(corpus: str) -> tuple[str]:
    return (f"1 file was left out: {corpus}/picture.png is an image, sound or video, not text.",)


@pytest.fixture(scope="module")
def loss_rows(corpus, tmp_path_factory) -> tuple[Path, Path]:
    """The rows of an undisturbed run of the small study of losses, and its folder."""
    folder = tmp_path_factory.mktemp("loss")
    spec = load_spec(write(folder, LOSS))
    done = run_study(spec, folder / "rows.jsonl", folder / "work", corpus=[corpus], device="cpu")
    assert done.n_new == 3 * 2 + 2
    assert done.left_out == left_out(corpus)
    return folder / "rows.jsonl", folder


def test_a_study_of_speed_from_specification_to_figure(tmp_path):
    spec = load_spec(write(tmp_path, SPEED))
    rows = tmp_path / "rows.jsonl"
    assert run_study(spec, rows, tmp_path, device="cpu").n_new == 6
    before = rows.read_bytes()
    assert run_study(spec, rows, tmp_path, device="cpu").n_new == 0
    assert rows.read_bytes() == before
    found = read_rows([rows])
    assert {row.key["timing"] for row in found} == {"head-eager-micro-4", "step-eager-micro-16"}
    assert set(found[0].result["seconds"]) == {*map(str, spec.sizes), "again"}
    assert all(seconds > 0 for row in found for seconds in row.result["seconds"].values())
    assert found[0].origin["kernels"]
    written = write_report([spec], [rows], tmp_path / "out")
    assert len(written.sentences) == 2
    assert {path.suffix for path in written.files} == {".md", ".svg", ".html"}


def test_a_speed_study_goes_on_with_the_next_cycle(tmp_path):
    spec = load_spec(write(tmp_path, SPEED))
    rows = tmp_path / "rows.jsonl"
    run_study(spec, rows, tmp_path, device="cpu")
    lines = rows.read_bytes().splitlines(keepends=True)
    rows.write_bytes(b"".join(lines[:2]) + lines[2][:40])
    assert run_study(spec, rows, tmp_path, device="cpu").n_new == 4
    assert rows.read_bytes().startswith(b"".join(lines[:2]))
    assert [row.key["cycle"] for row in read_rows([rows])] == [0, 1, 2, 3, 0, 1]


def test_a_study_of_losses_from_specification_to_figure(loss_rows):
    rows, folder = loss_rows
    spec = load_spec(folder / "spec.toml")
    found = [row for row in read_rows([rows]) if row.key["kind"] == "run"]
    assert {(row.key["arm"], row.key["n_ids"]) for row in found} == {
        ("distill", 300),
        ("distill", 400),
        ("Mistral", 600),
    }
    for row in found:
        losses = [point["bits_per_byte"] for point in row.result["points"]]
        assert 2 < losses[-1] < losses[0] < 8
        sizes = [point["bytes"] for point in row.result["points"]]
        assert sizes[-1] == pytest.approx(found[0].result["points"][-1]["bytes"], rel=0.05)
    written = write_report([spec], [rows], folder / "out")
    text = (folder / "out" / "study.md").read_text()
    assert "| Mistral | 600 | scored-merges |" in text
    assert "baseline" in text
    assert len([path for path in written.files if path.suffix == ".svg"]) == 2


def losses(path: Path) -> dict[str, object]:
    return {row.identity: row.result for row in read_rows([path]) if row.key["kind"] == "run"}


def test_a_killed_study_gives_the_same_losses(loss_rows, corpus, tmp_path):
    """Killed hard after the first row, in the middle of the next run, a study ends with bit-identical losses."""
    spec = write(tmp_path, LOSS[: LOSS.index('[[loss.arms]]\nname = "Mistral"')])
    rows, work = tmp_path / "rows.jsonl", tmp_path / "work"
    command = [sys.executable, "-c", "from vocab.cli.app import main; main()", "study", "run", str(spec)]
    command = [*command, "--rows", str(rows), "--work", str(work), "--corpus", corpus, "--device", "cpu"]
    with subprocess.Popen(command) as started:
        deadline = time.monotonic() + 240
        while not list(work.glob("*/runs/distill-300-seed-1/log.jsonl")):
            assert started.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(0.3)
        started.send_signal(signal.SIGKILL)
    assert 0 < len(losses(rows)) < 4
    assert run_study(load_spec(spec), rows, work, corpus=[corpus], device="cpu").left_out == left_out(corpus)
    undisturbed = losses(loss_rows[0])
    assert losses(rows) == {key: undisturbed[key] for key in losses(rows)}
    assert len(losses(rows)) == 4


def test_contexts_and_batches_hold_the_same_bytes_in_all_arms(corpus, tmp_path):
    text = LOSS.replace("seq_len = 32", "seq_len = 32\ncontext_bytes = 64").replace("seeds = [0, 1]", "seeds = [0]")
    text = text[: text.index('[[loss.arms]]\nname = "Mistral"')].replace("sizes = [300, 400]", "sizes = [300, 4000]")
    spec = load_spec(write(tmp_path, text.replace('["distill", 400]', '["distill", 4000]')))
    run_study(spec, tmp_path / "rows.jsonl", tmp_path / "work", corpus=[corpus], device="cpu")
    few, many = [row.result for row in read_rows([tmp_path / "rows.jsonl"]) if row.key["kind"] == "run"]
    assert few["tokens_per_step"] > 1.5 * many["tokens_per_step"]
    for result in (few, many):
        assert result["tokens_per_step"] * result["bytes_per_token"] / 8 == pytest.approx(64, rel=0.03)


INTERRUPTED = """
import vocab.experiments
from vocab.cli.app import main

def interrupted(*_, **__):
    raise KeyboardInterrupt

vocab.experiments.run_study = interrupted
main()
"""


def test_ctrl_c_says_that_rows_are_kept(tmp_path):
    command = [sys.executable, "-c", INTERRUPTED, "study", "run", str(write(tmp_path, SPEED))]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 130
    kept = Path("study-small-speed") / "small-speed.jsonl"
    assert done.stderr == f"vocab: stopped; rows are kept in {kept}: repeat the command to go on\n"


def test_rows_of_other_settings_are_refused(tmp_path):
    spec = load_spec(write(tmp_path, SPEED))
    rows = tmp_path / "rows.jsonl"
    run_study(spec, rows, tmp_path, device="cpu")
    other = load_spec(write(tmp_path, SPEED.replace("cycles = 4", "cycles = 5")))
    with pytest.raises(StudyError, match="other settings"):
        run_study(other, rows, tmp_path, device="cpu")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('source = "package:mistral_common/data/tokenizer.model.v1"', 'source = "package:none_such/a"'), "none_such"),
        (("sizes = [600]", "sizes = [100]"), "arm Mistral at 100 ids cannot be built: target 100 is too small"),
        (("choosing_megabytes = 0.4", "choosing_megabytes = 400"), "and the study needs 400"),
    ],
)
def test_a_study_that_cannot_be_run_says_why(corpus, tmp_path, change, says):
    text = LOSS.replace(*change)
    start, stop = text.index("[[loss.arms]]"), text.index('[[loss.arms]]\nname = "Mistral"')
    head, arm = text[:start], text[stop:]
    size = arm.partition("sizes = [")[2].partition("]")[0]
    spec = load_spec(write(tmp_path, head.replace('["distill", 400]', f'["Mistral", {size}]') + arm))
    with pytest.raises(Exception, match=says):
        run_study(spec, tmp_path / "rows.jsonl", tmp_path / "work", corpus=[corpus], device="cpu")


def test_losses_need_text(tmp_path):
    spec = load_spec(write(tmp_path, LOSS))
    with pytest.raises(StudyError, match="name text with `corpus`"):
        run_study(spec, tmp_path / "rows.jsonl", tmp_path / "work", device="cpu")


def test_only_the_timings_that_are_named_run(tmp_path):
    path = tmp_path / "small-speed.toml"
    path.write_text(SPEED)
    study = load_spec(path)
    name = study.timings[1].name
    done = run_study(study, tmp_path / "rows.jsonl", tmp_path, device="cpu", timings=[name])
    assert {row.key["timing"] for row in done.rows} == {name}
    assert done.n_new == 2
    with pytest.raises(StudyError, match="has no timing head-slow; it has: head-eager-micro-4"):
        run_study(study, tmp_path / "rows.jsonl", tmp_path, device="cpu", timings=["head-slow"])


def test_a_study_of_counts_has_the_same_rows_each_time_and_tells_vocabularies_apart(corpus, cl100k, tmp_path):
    first_ranks = Vocabulary.from_tokens(list(cl100k.tokens())[:20_000], cl100k.pattern)
    first_ranks.save(tmp_path / "source")
    source = f"source = {json.dumps(str(tmp_path / 'source'))}"
    study = load_spec(write(tmp_path, NGRAM.replace("build = ", f"{source}\nbuild = ")))
    rows = [run_study(study, tmp_path / f"{k}.jsonl", tmp_path / f"work-{k}", corpus=[corpus]).rows for k in range(2)]
    assert [(row.key, row.result) for row in rows[0]] == [(row.key, row.result) for row in rows[1]]
    assert run_study(study, tmp_path / "0.jsonl", tmp_path / "work-0", corpus=[corpus]).n_new == 0
    assert len(rows[0]) == 5
    n_held_out = {sum(row.result["document_bytes"]) for row in rows[0]}
    assert len(n_held_out) == 1
    bits = {(row.key["arm"], row.key["n_ids"]): sum(row.result["document_bits"]) for row in rows[0]}
    assert 1 < bits["distill", 300] / n_held_out.pop() < 4
    assert bits["distill", 2000] < bits["rank", 2000]
    written = write_report([study], [tmp_path / "0.jsonl"], tmp_path / "report")
    assert "At 2,000 ids, bits per byte beside distill: " in written.sentences[1]
    assert "rank (+" in written.sentences[1]
    assert "superwords (" in written.sentences[1]
