"""Options that every command has: --config, --quiet, --json, and paths in place of --corpus."""

import json

import pytest
from helpers.cli import COMMANDS, entries, fails, run

from vocab.cli.app import app

TEXT = "some words, and some more words; these are the words of a small text\n" * 300
SMALL = ("--source", "cl100k_base", "--method", "rank", "--target", "1k")


@pytest.fixture
def work(cl100k, tmp_path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/a.txt").write_text(TEXT)
    (tmp_path / "b.txt").write_text(TEXT.upper())
    return tmp_path


def commands(command, name=""):
    """Each command that runs something, with its whole name."""
    if not getattr(command, "commands", None):
        return {name.strip(): command}
    return {k: v for key, below in command.commands.items() for k, v in commands(below, f"{name} {key}").items()}


EVERY = commands(COMMANDS(app))


@pytest.mark.parametrize("name", EVERY)
def test_every_command_has_them(name):
    options = {option for parameter in EVERY[name].params for option in parameter.opts}
    assert {"--config", "--quiet", "--json"} <= options


def test_paths_are_a_corpus(work):
    run("count", "texts", "b.txt", "--out", "one", where=work)
    run("count", "--corpus", "texts", "--corpus", "b.txt", "--out", "two", where=work)
    run("count", "--corpus", "b.txt", "texts", "-o", "three", where=work)
    one, two, three = ((work / name / "counts.parquet").read_bytes() for name in ("one", "two", "three"))
    assert one == two
    assert len(one) == len(three)
    assert "b.txt" in run("counts", "info", "three", where=work).stdout


def test_a_command_that_needs_text_says_so(work):
    done = run("count", "--out", "one", where=work)
    assert done.returncode == 2
    assert "Invalid value for --corpus: name the text" in done.stderr
    assert not (work / "one").exists()


def test_quiet_prints_nothing_and_writes_the_same(work):
    loud = run("prune", "texts", *SMALL, "--out", "loud", where=work)
    quiet = run("prune", "texts", *SMALL, "--out", "quiet", "--quiet", where=work)
    assert "cl100k_base" in loud.stdout
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    same = [name for name in entries(work / "loud") if not name.endswith(("report.json", ".vocab.json"))]
    assert len(same) > 5
    for name in ("tokenizer.json", "id_map.json"):
        assert (work / "loud" / name).read_bytes() == (work / "quiet" / name).read_bytes()
    assert run("inspect", "loud", where=work).stdout  # the command after a quiet one is loud


def test_json_is_the_report(work):
    done = run("prune", "texts", *SMALL, "--out", "r", "--json", where=work)
    assert json.loads(done.stdout) == json.loads((work / "r/report.json").read_text())


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("inspect cl100k_base", "name", "cl100k_base"),
        ("diff cl100k_base cl100k_base", "n_shared", 100_256),
        ("sizes --near 32000", "near", 32_000),
        ("bytes cl100k_base --out b.npy", "n_ids", 100_277),
    ],
)
def test_json_of_other_commands(line, key, value, work):
    assert json.loads(run(*line.split(), "--json", where=work).stdout)[key] == value


def test_json_of_eval_has_the_figures_of_its_table(work):
    first, second = json.loads(
        run("eval", "cl100k_base", "cl100k_base", "--corpus", "b.txt", "--json", where=work).stdout
    )
    assert first == second
    assert first["train"]["change"] == 0
    assert first["train"]["n_bytes"] + first["held_out"]["n_bytes"] == len(TEXT)


def test_a_report_is_read_back_as_options(work):
    run("prune", "texts", "b.txt", *SMALL, "--special", "<a>", "--special", "<b>", "--out", "one", where=work)
    options = json.loads((work / "one/report.json").read_text())["options"]
    assert options == {
        "source": "cl100k_base",
        "method": "rank",
        "target": 1000,
        "special": ["<a>", "<b>"],
        "corpus": ["texts", "b.txt"],
    }
    assert run("prune", "--config", "one/report.json", "--out", "two", where=work).returncode == 0
    for name in ("tokenizer.json", "id_map.json"):
        assert (work / "one" / name).read_bytes() == (work / "two" / name).read_bytes()
    assert json.loads((work / "two/report.json").read_text())["options"] == options


def test_the_command_line_wins_over_a_file(work):
    (work / "p.toml").write_text(
        'target = "1k"\nsource = "cl100k_base"\nmethod = "rank"\nmin_count = 2\nquiet = true\n'
    )
    assert "has no option --quiet" in fails(work, "prune", "--config", "p.toml")
    (work / "p.toml").write_text('target = "1k"\nsource = "cl100k_base"\nmethod = "rank"\nmin_count = 2\n')
    run("prune", "texts", "--config", "p.toml", "--target", "2,000", "-o", "r", where=work)
    options = json.loads((work / "r/report.json").read_text())["options"]
    assert (options["target"], options["min-count"], options["method"]) == (2000, 2, "rank")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("method = ", "is not TOML"),
        ("colour = 1", "prune has no option --colour"),
        ("certify = 1", "certify takes true or false"),
        ("seed = true", "seed takes a number"),
        ("special = '<a>'", "special takes a list, in [ ]"),
        ("target = [1]", "target takes a number"),
        ("[target]\na = 1", "target takes a number"),
        ("\xff", "no option"),
    ],
)
def test_a_file_that_is_wrong_is_refused(content, sentence, work):
    (work / "p.toml").write_text(content, encoding="latin-1")
    said = fails(work, "prune", "--config", "p.toml")
    assert "p.toml" in said
    assert sentence in said or "is not TOML" in said


def test_a_file_that_is_missing_or_no_report_is_refused(work):
    assert "none.toml cannot be read" in fails(work, "prune", "--config", "none.toml")
    (work / "x.json").write_text("{}")
    assert "x.json does not say which options" in fails(work, "prune", "--config", "x.json")
    (work / "x.json").write_text("{")
    assert "x.json is not JSON" in fails(work, "prune", "--config", "x.json")


def test_a_value_of_a_file_is_checked_as_on_the_command_line(work):
    (work / "p.toml").write_text('target = "many"\n')
    done = run("prune", "--config", "p.toml", where=work)
    assert done.returncode == 2
    assert "'many' is not a whole number" in done.stderr
