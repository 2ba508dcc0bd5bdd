"""For mkdocs: the README as the first page, and links out of docs/ to where they are read.

Links to files of the repository that are no pages stay as text, so that a strict build has nothing to complain of.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

_ROOT = Path(__file__).resolve().parents[1]
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the README as index.md."""
    text = (_ROOT / "README.md").read_text(encoding="utf-8").replace("](docs/", "](")
    files.append(File.generated(config, "index.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn links to what is no page into text."""

    def replaced(found: re.Match[str]) -> str:
        target = found[2]
        return found[0] if files.get_file_from_path(target) else f"{found[1]} (`{target.removeprefix('../')}`)"

    return _LINK.sub(replaced, markdown)
