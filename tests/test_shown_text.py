"""Text from outside is shown, and does nothing: on a terminal, in Markdown, in HTML."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from vocab.shown_text import in_code, in_markdown, on_screen, one_line

NASTY = st.text(st.sampled_from("ab1 \\`*_[]()<>|&~#+-=.!\n\r\t\x1b\x07\u202e\u2028\ud800:/é中\u200d"), max_size=30)


@given(NASTY)
def test_no_control_character_reaches_a_terminal(text):
    shown = on_screen(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff]", shown)
    assert shown.count("\n") == text.count("\n")
    assert "\n" not in one_line(text)
    assert "\t" not in one_line(text)
    shown.encode()


def test_what_is_printable_stays():
    text = "naïve 世界 👩\u200d👩 [/b] :smile: 1.5 %"
    assert on_screen(text) == one_line(text) == text
    assert on_screen("a\tb\nc\x1b[31m\u202e") == "a\tb\nc\\x1b[31m\\u202e"


@given(NASTY)
def test_markdown_shows_the_text_and_nothing_else(text):
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(f"Named {in_markdown(text)} here.")
    assert html.unescape(re.sub("</?p>|\n$", "", page)) == f"Named {one_line(text)} here."


@given(NASTY.map(str.strip).filter(bool))
def test_markdown_at_the_beginning_of_a_line_is_one_paragraph_of_text(text):
    shown = one_line(text).strip()
    page = MarkdownIt("commonmark", {"html": True}).render(in_markdown(shown))
    assert html.unescape(page) == f"<p>{shown}</p>\n"


@given(NASTY)
def test_a_table_keeps_its_columns(text):
    page = (
        MarkdownIt("commonmark", {"html": True})
        .enable("table")
        .render(f"| a | b |\n|---|---|\n| {in_markdown(text)} | 1 |")
    )
    cells = re.findall("<td>(.*?)</td>", page)
    assert [html.unescape(cell) for cell in cells] == [one_line(text).strip(), "1"]


@given(NASTY.filter(str.strip))
def test_a_code_span_shows_the_text(text):
    page = MarkdownIt("commonmark", {"html": True}).render(f"Text: {in_code(text)}.")
    code = re.fullmatch("<p>Text: <code>(.*)</code>.</p>\n", page)
    assert code
    assert html.unescape(code[1]).strip() == one_line(text).strip()


@pytest.mark.parametrize("number", ["-1.25%", "+0.4%", "1,000", "–", "cl100k_base", "0.5 ± 0.1"])
def test_ordinary_names_and_numbers_need_no_escape(number):
    assert in_markdown(number) == number
