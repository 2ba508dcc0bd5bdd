#!/usr/bin/env python3
"""Builds the texts of docs/halve-a-vocabulary.md: technical English to train on and held out, and text outside it.

    python benchmarks/build_heal_corpus.py --out TEXT [--cache DIR]

The domain is the reStructuredText behind the handbooks of Python 3.11, Linux 6.1 and Debian's developers. One file in
ten is held out, by a hash of its name, so no document is on both sides. Outside the domain are sayings and poems in
English (`fortunes`) and the Debian Reference in French. All are packages of Debian, which `apt-get download` fetches.
Writes TEXT/train, TEXT/held-out, TEXT/outside-english and TEXT/outside-french.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Package: a pattern for the paths of its files, and the folder that they go to; None for train or held-out.
PACKAGES: dict[str, tuple[str, str | None]] = {
    "python3.11-doc": (r".*/html/_sources/.*\.rst\.txt", None),
    "linux-doc-6.1": (r".*/html/_sources/(?!translations/).*\.rst\.txt", None),
    "developers-reference": (r".*/_sources/.*\.rst\.txt", None),
    "fortunes": (r".*/fortunes/[a-z-]+", "outside-english"),
    "debian-reference-fr": (r".*\.txt\.gz", "outside-french"),
}
LEAST_BYTES, MOST_BYTES = 1_000, 2_000_000  # of a file; others are stubs and tables
PART_BYTES = 4_000  # of held-out and outside text, which is cut into files of about this size, so that samples are even


def archive(package: str, cache: Path) -> Path:
    """The .deb of a package, downloaded where the cache lacks it."""
    if not (there := sorted(cache.glob(f"{package}_*.deb"))):
        subprocess.run(["apt-get", "download", "-q", package], cwd=cache, check=True)
        there = sorted(cache.glob(f"{package}_*.deb"))
    return there[-1]


def texts(deb: Path, pattern: str) -> Iterator[tuple[str, str]]:
    """Paths and texts of the files of a package that fit a pattern."""
    with tempfile.TemporaryFile() as stream:
        subprocess.run(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=stream, check=True)
        stream.seek(0)
        with tarfile.open(fileobj=stream) as files:
            for member in files:
                if member.isfile() and re.fullmatch(pattern, member.name):
                    raw = files.extractfile(member).read()
                    yield (
                        member.name,
                        (gzip.decompress(raw) if member.name.endswith(".gz") else raw).decode("utf-8", "replace"),
                    )


def folder_of(path: str, name: str | None) -> str:
    if name is not None:
        return name
    return "held-out" if hashlib.sha256(path.encode()).digest()[0] % 10 == 0 else "train"


def parts(text: str) -> Iterator[str]:
    """A text in parts of about `PART_BYTES`, cut after lines."""
    part: list[str] = []
    size = 0
    for line in text.splitlines(keepends=True):
        part.append(line)
        size += len(line.encode())
        if size >= PART_BYTES:
            yield "".join(part)
            part, size = [], 0
    if part:
        yield "".join(part)


def build(out: Path, cache: Path) -> None:
    """Write each file into its folder, under its path with dashes; those that are only scored, in parts."""
    sizes: dict[str, int] = {}
    for package, (pattern, name) in PACKAGES.items():
        for path, text in texts(archive(package, cache), pattern):
            if not LEAST_BYTES <= len(text.encode()) <= MOST_BYTES:
                continue
            folder = folder_of(path, name)
            stem = path.removeprefix("./").removesuffix(".txt").replace("/", "-")
            for k, part in enumerate([text] if folder == "train" else parts(text)):
                target = out / folder / f"{stem}-{k}.txt"
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(part, "utf-8")
            sizes[folder] = sizes.get(folder, 0) + len(text.encode())
    for folder, size in sorted(sizes.items()):
        print(f"{folder}: {size / 1e6:.1f} MB in {len(list((out / folder).iterdir())):,} files")


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the texts of the experiment on healing.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the texts")
    parser.add_argument("--cache", type=Path, help="folder of downloaded packages (default: OUT-packages)")
    arguments = parser.parse_args()
    cache = arguments.cache or arguments.out.with_name(arguments.out.name + "-packages")
    cache.mkdir(parents=True, exist_ok=True)
    build(arguments.out, cache)


if __name__ == "__main__":
    main()
