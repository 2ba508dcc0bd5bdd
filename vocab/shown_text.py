"""Text from outside for people to read: on a terminal, in Markdown, in HTML. It can say anything and do nothing."""

from __future__ import annotations

import re
import unicodedata

# Control characters, those that turn the direction of text or are not seen, lone surrogates, other line ends.
_ESCAPED = ("Cc", "Cf", "Cs", "Zl", "Zp")
_JOINERS = "\u200c\u200d"  # scripts and emoji need them, and they do nothing else
_MARKDOWN = re.compile(r"[\\`*\[\]<>|&~]|(?<![^\W_])_|_(?![^\W_])")
_BLOCK = re.compile(r"^(\d*)(?=(?:#+|[-+=]+|[.)])(?:\s|$))")


def on_screen(text: str) -> str:
    """Text for a terminal, whose lines and tabs stay: what could move the cursor or hide is written as in Python."""
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" else _visible(c) for c in text)


def one_line(text: str) -> str:
    """Text for one line of a terminal: line ends are written as in Python, too."""
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    if unicodedata.category(character) in _ESCAPED and character not in _JOINERS:
        return ascii(character)[1:-1]
    return character


def in_markdown(text: str) -> str:
    """Text as Markdown that shows it in one line, in a table too: no markup, no HTML, no link, no picture."""
    return _BLOCK.sub(r"\1\\", _MARKDOWN.sub(r"\\\g<0>", one_line(text)))


def in_code(text: str) -> str:
    """Text as a code span of Markdown."""
    shown = one_line(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    return f"{fence} {shown} {fence}" if "`" in shown else f"`{shown}`"
