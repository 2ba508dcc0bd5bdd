"""Patterns from files: those that backtrack without end, or grow without bound, are refused in one sentence."""

import time

import pytest

from vocab.errors import SourceError
from vocab.splitting import SplitPattern, regex_ends
from vocab.splitting.regex_ends import compiled


def test_a_pattern_that_backtracks_without_end_is_stopped(monkeypatch):
    monkeypatch.setattr(regex_ends, "_SECONDS", 0.2)
    began = time.thread_time()
    with pytest.raises(SourceError, match=r"takes more than .* for 61 characters, as one that .*: \(a\|aa\)\+\$"):
        SplitPattern("(a|aa)+$").ends(b"a" * 60 + b"b")
    assert 0.1 <= time.thread_time() - began < 5


def test_time_that_other_threads_spend_does_not_count(monkeypatch):
    """`regex` counts the time of the process: without asking again, a slow text beside a busy thread would fail."""
    monkeypatch.setattr(regex_ends, "_SECONDS", 0.02)
    calls = []

    class Slow:
        pattern = "x"

        def finditer(self, piece, timeout):
            calls.append(timeout)
            if len(calls) < 4:
                raise TimeoutError
            return iter(())

    assert regex_ends._spans("", Slow()) == []
    assert calls == [0.02, 0.04, 0.08, 0.16]


def test_the_time_grows_with_the_text(monkeypatch):
    monkeypatch.setattr(regex_ends, "_SECONDS", 0.0)
    text = "ab 1" * 20_000
    ends = SplitPattern(r"\w+|\W").ends(text.encode())
    assert ends[-1] == len(text)


@pytest.mark.parametrize("pattern", ["((a{1000}){100}){100}", "a{4000000000}", "a{1001}{1000,}", f"a{{{10**30}}}"])
def test_a_pattern_of_too_many_copies_is_not_compiled(pattern, monkeypatch):
    monkeypatch.setattr(regex_ends.regex, "compile", lambda *_: pytest.fail("compiled"))
    with pytest.raises(SourceError, match="repeats its parts more than 1,000,000 times"):
        compiled(pattern)


def test_patterns_within_the_limit_are_compiled():
    assert compiled("(?:a{1000}){1,1000}").fullmatch("a" * 2000)
    assert compiled(r"\p{N}{1,3}|[^\n]{0,60000}").match("12")
    runs = "|".join(rf"\s{{{2**k}}}(?!\S)" for k in range(10))  # beside each other, repeats do not multiply
    assert compiled(runs).match(" " * 512)


@pytest.mark.parametrize("pattern", ["(" * 100_000, "(?:" * 3000 + "a" + ")" * 3000, "(a"])
def test_what_is_no_pattern_is_one_short_sentence(pattern):
    with pytest.raises(SourceError, match="is not a regular expression") as caught:
        compiled(pattern)
    assert len(str(caught.value)) < 500
