"""Names and texts from outside on the screen: markup, emoji names and control characters are shown, not obeyed."""

import json
import os
import re
import subprocess
import sys

import pytest
import typer
from helpers.cli import run
from rich.progress import Progress

from vocab.cli.progress_lines import chosen_interval, lines_of
from vocab.cli.screen import _plain_console, console, stages, table
from vocab.cli.whole_numbers import whole_number
from vocab.vocabulary import Vocabulary

NASTY = "[/b] [red]x[/red] :smile: \x1b[2J\x07 \u202eback \udcff"
SHOWN = r"[/b] [red]x[/red] :smile: \x1b[2J\x07 \u202eback \udcff"
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def test_texts_tables_and_titles_are_shown_as_they_are(capsys):
    made = table(NASTY, [NASTY, "b"])
    made.add_row(NASTY, NASTY)
    console().print(made)
    console().print(NASTY, soft_wrap=True)
    shown = capsys.readouterr().out
    assert not CONTROL.search(shown)
    assert SHOWN in shown.splitlines()
    assert shown.count("[/b]") == 5


def test_stages_with_markup_in_their_names_are_shown():
    class Bar:
        def __init__(self) -> None:
            self.described: list[str] = []
            self.rates: list[str] = []
            self.tasks, self.task_ids = [type("Task", (), {"speed": None})()], [0]

        def add_task(self, stage: str, **_: object) -> int:
            self.described.append(stage)
            return 0

        def update(self, task: int, *, rate: str = "", **_: object) -> None:
            self.rates.append(rate)

    bar = Bar()
    stages(bar)(f"{NASTY.replace(':', '')}: \x1b[2J", 1, 2)
    assert bar.described == [SHOWN.replace(":", "")]
    assert bar.rates == [r"\x1b[2J"]


def test_files_of_any_name_are_counted_and_shown(cl100k, tmp_path):
    """A name that Rich takes for markup, one that moves the cursor and one that is not UTF-8."""
    for name in ("a[", "b\x1b[2J\u202e\n[", os.fsdecode(b"c\xff[")):
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "b].txt").write_text("some words, and some more words\n" * 400)
    done = run("count", "--corpus", "in", "--out", "counts[", where=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not CONTROL.search(done.stdout + done.stderr)
    Vocabulary.from_tokens(list(cl100k.tokens())[:400], cl100k.pattern).save(tmp_path / "[red]")
    for command in (("inspect", "[red]"), ("diff", "[red]", "[red]"), ("eval", "[red]", "--corpus", "in")):
        done = run(*command, where=tmp_path)
        assert done.returncode == 0, done.stderr
        assert not CONTROL.search(done.stdout + done.stderr)
        assert "[red]" in done.stdout


@pytest.mark.parametrize("text", ["[/b]", "\x1b[2J", "\u202e"])
def test_counts_info_shows_pretokens_and_corpora_as_they_are(tmp_path, text):
    (tmp_path / "t.txt").write_text(f"x {text} y\n" * 50, encoding="utf-8")
    assert run("count", "--corpus", "t.txt", "--out", "counts", where=tmp_path).returncode == 0
    for options in ((), ("--json",)):
        done = run("counts", "info", "counts", *options, where=tmp_path)
        assert done.returncode == 0, done.stderr
        assert not CONTROL.search(done.stdout + done.stderr)
    json.loads(done.stdout)


ROWS = [
    ("cl100k_base", "100,261", "3.345", "+0.00%", "23,429"),
    ("a name that goes on", "5,635,624", "2.888", "+27.45%", "1,787"),
]


def shown_at(width: int, capsys) -> str:
    made = table("a title", ["vocabulary", "ids", "bytes per token", "change", "unused"])
    for row in ROWS:
        made.add_row(*row)
    _plain_console()(width=width, highlight=False, markup=False, emoji=False).print(made)
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 200])
def test_no_table_breaks_a_number_or_a_line(width, capsys):
    shown = shown_at(width, capsys)
    assert all(len(line) <= width for line in shown.splitlines())
    for row in ROWS:
        assert all(cell in shown for cell in row[1:])
    assert "…" not in shown


def test_a_table_is_a_grid_where_it_fits_and_lists_elsewhere(capsys):
    assert [row[0] in shown_at(80, capsys) for row in ROWS] == [True, True]
    heading = next(line for line in shown_at(80, capsys).splitlines() if "vocabulary" in line)
    assert "change" in heading
    wrapped = shown_at(56, capsys)
    assert any("bytes" in line and "token" not in line for line in wrapped.splitlines())
    assert "─" in wrapped
    lists = shown_at(40, capsys).splitlines()
    assert lists[1:4] == ["cl100k_base", "  ids               100,261", "  bytes per token     3.345"]


def test_where_nobody_watches_progress_is_a_line_now_and_then():
    said = []
    bar = Progress(disable=True)
    bar.add_task("done", total=1, completed=1, rate="")
    task = bar.add_task("drop tokens", total=200, rate="1,234/s")
    bar.update(task, completed=50)
    with lines_of(bar, said.append, interval=0.01):
        while not said:
            pass
    assert re.fullmatch(r"vocab: drop tokens: 25%, 1,234/s, 0:00:0\d so far(, \d:\d\d:\d\d left)?", said[0])
    n_said = len(said)
    with lines_of(bar, said.append, interval=0):
        pass
    assert len(said) == n_said


@pytest.mark.parametrize(("text", "seconds"), [("3", 3), ("0", 0), ("-1", 0), ("often", 15), (None, 15)])
def test_the_environment_says_how_often(text, seconds, monkeypatch):
    monkeypatch.delenv("VOCAB_PROGRESS_SECONDS")
    if text is not None:
        monkeypatch.setenv("VOCAB_PROGRESS_SECONDS", text)
    assert chosen_interval() == seconds


@pytest.mark.parametrize(
    ("text", "number"), [("32000", 32000), ("32,000", 32000), ("32k", 32000), ("1.5M", 1500000), ("0.5k", 500)]
)
def test_whole_numbers_are_read_as_people_write_them(text, number):
    assert whole_number(text) == number


@pytest.mark.parametrize("text", ["", "k", "1.5", "32kk", "x", "1/0", "nan", "0.0005k"])
def test_what_is_no_whole_number_is_refused(text):
    with pytest.raises(typer.BadParameter, match="is not a whole number"):
        whole_number(text)


def test_help_lists_options_in_groups_the_common_ones_first(tmp_path):
    shown = run("prune", "--help", where=tmp_path).stdout
    groups = [line for line in shown.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert groups[:6] == ["Arguments:", "Options:", "Reading text:", "Choosing tokens:", "Superwords:", "Proof:"]
    assert (
        shown.index("--target") < shown.index("--corpus PATH") < shown.index("-o, --out") < shown.index("Reading text:")
    )
    assert shown.index("Choosing tokens:") < shown.index("--method") < shown.index("Superwords:")


def test_the_package_runs_as_a_module(tmp_path):
    done = subprocess.run([sys.executable, "-m", "vocab", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("vocab ")
