"""Filters of the collected text: what is worth keeping, which language it can be in, how long it may be."""

from __future__ import annotations

import re

MIN_CHARS = 80
MAX_CHARS = 200_000
MAX_MEAN_LINE = 2_000

# Terms of use at the head of a file that its package's own licence does not override.
COPYLEFT = re.compile(
    r"terms of the GNU|under the (?:GNU|L?GPL)|GNU (?:Lesser |Affero )?General Public|GNU Free Documentation"
    r"|Mozilla Public License|CC[- ]BY[- ](?:SA|NC)|licenses/by-(?:sa|nc)|Attribution-(?:Share|NonComm)"
)
HEAD = 6_000

SCRIPTS = {
    "ar": r"[\u0600-\u06ff]", "fa": r"[\u0600-\u06ff]", "ur": r"[\u0600-\u06ff]", "he": r"[\u0590-\u05ff]",
    "hi": r"[\u0900-\u097f]", "mr": r"[\u0900-\u097f]", "ne": r"[\u0900-\u097f]", "bn": r"[\u0980-\u09ff]",
    "ta": r"[\u0b80-\u0bff]", "te": r"[\u0c00-\u0c7f]", "ml": r"[\u0d00-\u0d7f]", "th": r"[\u0e00-\u0e7f]",
    "ru": r"[\u0400-\u04ff]", "uk": r"[\u0400-\u04ff]", "bg": r"[\u0400-\u04ff]", "el": r"[\u0370-\u03ff]",
    "ja": r"[\u3040-\u30ff\u4e00-\u9fff]", "ko": r"[\uac00-\ud7a3]", "zh": r"[\u3400-\u9fff]",
}  # fmt: skip
ENGLISH_WORDS = "the and of to is that for with this be are from you your not can it an by or"
ENGLISH = frozenset(ENGLISH_WORDS.split())
LANGUAGE_CODES = (
    "ar bg bn ca cs da de el es et eu fa fi fr gl he hi hr hu hy id it ja ka ko lt lv ml mr ms nb ne nl pl "
    "pt ro ru sk sl sr sv sw ta te th tr uk ur vi zh"
)
LANGUAGES = frozenset(LANGUAGE_CODES.split())
ALIASES = {"iw": "he", "in": "id", "no": "nb", "jp": "ja", "kr": "ko", "cz": "cs", "ua": "uk"}


def language(code: str) -> str:
    """``zh_CN`` and ``zh-Hans`` are ``zh``; a language that has no domain of its own is ``other``."""
    base = re.split(r"[-_@]", code.lower())[0]
    base = ALIASES.get(base, base)
    return base if base in LANGUAGES or base == "en" else "other"


def pieces(text: str) -> list[str]:
    """A text cut at line ends into pieces that are not too long."""
    if len(text) <= MAX_CHARS:
        return [text]
    out, start = [], 0
    while start < len(text):
        end = text.rfind("\n", start, start + MAX_CHARS) + 1 if start + MAX_CHARS < len(text) else len(text)
        end = end or start + MAX_CHARS
        out.append(text[start:end])
        start = end
    return out


def copyleft(text: str) -> bool:
    """Whether a file's head names copyleft or non-commercial terms."""
    return COPYLEFT.search(text, 0, HEAD) is not None


def worth_keeping(text: str) -> bool:
    """False for scraps, minified or generated code, encoded data and tables of numbers."""
    if len(text) < MIN_CHARS or "\ufffd" in text or "DO NOT EDIT" in text[:2000]:
        return False
    if len(text) / (text.count("\n") + 1) > MAX_MEAN_LINE:
        return False
    encoded = sum(len(run) for run in re.findall(r"[A-Za-z0-9+/=]{120,}", text))
    digits = sum(len(run) for run in re.findall(r"[0-9]+|0x[0-9a-fA-F]+", text))
    return encoded < 0.05 * len(text) and digits < 0.25 * len(text)


def in_language(text: str, code: str) -> bool:
    """Whether at least half of a text, by paragraphs, can be of a language."""
    blocks = text.split("\n\n") if "\n\n" in text else text.split("\n")
    return 2 * sum(len(block) for block in blocks if is_language(block, code)) >= len(text)


def is_language(text: str, code: str) -> bool:
    """Whether a short text can be of a language: it has its script, or else it is not plainly English."""
    if code in SCRIPTS:
        letters = len(re.findall(r"[^\W\d_]", text))
        return letters > 0 and len(re.findall(SCRIPTS[code], text)) >= 0.2 * letters
    words = re.findall(r"[^\W\d_]+(?:'[a-z]+)?", text.lower())
    return bool(words) and sum(word in ENGLISH for word in words) < 0.12 * len(words)
