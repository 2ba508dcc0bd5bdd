"""Names and texts from outside on the screen: markup, emoji names and control characters are shown, not obeyed."""

import json
import os
import re

import pytest
from helpers.cli import run

from vocab.cli.screen import console, stages, table
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

        def update(self, task: int, *, rate: str, **_: object) -> None:
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
