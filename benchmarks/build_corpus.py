#!/usr/bin/env python3
"""Builds the corpus of the benchmarks: about 200 MB of books, technical text, code and twelve languages.

    python benchmarks/build_corpus.py --out DIR [--text DIR] [--cache DIR]

The text is that of scripts/fetch_text.py, which takes packages by name and checks their sha256; `--text` names a
folder where it has been run already. Documents there are in hash order, so the first ones of a domain are an even
sample of it. Writes DIR/<domain>.jsonl.zst and DIR/manifest.json with bytes and sha256 of each file.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zstandard

MB = 1_000_000
LEVEL = 10
FETCH = Path(__file__).resolve().parents[1] / "scripts" / "fetch_text.py"

# Domain: at most so many MB of text.
CODE = ("c", "cpp", "go", "js", "python", "rust")
LANGUAGES = ("de", "es", "fr", "it", "ja", "ko", "pl", "pt", "ru", "tr", "uk", "zh")
MIX: dict[str, int] = {
    "books-en": 30,
    "docs-technical": 30,
    "markup": 5,
    **{f"code-{name}": 10 for name in CODE},
    **{f"lang-{name}": 15 for name in LANGUAGES},
}
LEAST_MB = 150


def fetch(out: Path, cache: Path | None) -> None:
    """Run scripts/fetch_text.py for the domains of the mix."""
    wanted = [argument for domain in MIX for argument in ("--domain", domain)]
    caching = ["--cache", str(cache)] if cache else []
    most = str(max(MIX.values()))
    command = [sys.executable, str(FETCH), "--out", str(out), "--max-mb-per-domain", most, *caching, *wanted]
    subprocess.run(command, check=True)


def capped_lines(path: Path, max_bytes: int) -> Iterator[tuple[bytes, dict[str, str]]]:
    """The first JSON lines of a file whose texts fit into `max_bytes`, each with what it says."""
    used = 0
    with zstandard.open(path, "rb") as stream:
        for line in io.BufferedReader(stream):
            row = json.loads(line)
            used += len(row["text"].encode())
            if used > max_bytes:
                return
            yield line, row


def write_domain(source: Path, target: Path, max_bytes: int) -> dict[str, Any]:
    """Write one domain's file, under another name until it is whole; returns its row of the manifest."""
    temporary = target.with_name(target.name + ".tmp")
    documents: Counter[str] = Counter()
    text_bytes = 0
    lines_digest = hashlib.sha256()
    with temporary.open("wb") as file, zstandard.ZstdCompressor(level=LEVEL).stream_writer(file) as writer:
        for line, row in capped_lines(source, max_bytes):
            writer.write(line)
            lines_digest.update(line)
            documents[row["source"]] += 1
            text_bytes += len(row["text"].encode())
    temporary.replace(target)
    return {
        "documents": documents.total(),
        "text_bytes": text_bytes,
        "file_bytes": target.stat().st_size,
        "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
        "lines_sha256": lines_digest.hexdigest(),  # the same whatever the version of zstandard
        "documents_by_source": dict(sorted(documents.items())),
    }


def sources(text: Path, files: dict[str, dict[str, Any]]) -> list[dict[str, str]]:
    """Registry, package, version, licence and sha256 of the packages that documents came from."""
    used = {name for row in files.values() for name in row["documents_by_source"]}
    domains = json.loads((text / "manifest.json").read_text("utf-8"))["domains"]
    rows = [row for domain in domains.values() for row in domain["sources"] if row["package"] in used]
    fields = ("registry", "package", "version", "licence", "sha256")
    unique = {tuple(str(row[field]) for field in fields) for row in rows}
    return [dict(zip(fields, values, strict=True)) for values in sorted(unique)]


def build(out: Path, text: Path) -> None:
    """Cut each domain to its cap and write the manifest."""
    out.mkdir(parents=True, exist_ok=True)
    files = {}
    for domain, max_mb in MIX.items():
        name = f"{domain}.jsonl.zst"
        files[name] = write_domain(text / name, out / name, max_mb * MB)
        print(f"{domain}: {files[name]['documents']} documents, {files[name]['text_bytes'] / MB:.1f} MB")
    total = sum(row["text_bytes"] for row in files.values())
    content = {"version": 1, "text_bytes": total, "files": files, "sources": sources(text, files)}
    (out / "manifest.json").write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", "utf-8")
    print(f"{total / MB:.1f} MB in {len(files)} files")
    if total < LEAST_MB * MB:
        sys.exit(f"the corpus is smaller than {LEAST_MB} MB: are sources missing from {text}?")


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the corpus of the benchmarks.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the corpus")
    parser.add_argument("--text", type=Path, help="folder of scripts/fetch_text.py (default: run it, into OUT-text)")
    parser.add_argument("--cache", type=Path, help="folder for downloads of scripts/fetch_text.py")
    arguments = parser.parse_args()
    text = arguments.text or arguments.out.with_name(arguments.out.name + "-text")
    if arguments.text is None:
        fetch(text, arguments.cache)
    build(arguments.out, text)


if __name__ == "__main__":
    main()
