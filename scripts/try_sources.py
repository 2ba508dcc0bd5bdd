#!/usr/bin/env python3
"""Tries real tokenizers of ordinary packages: each is loaded, pruned to half and verified in every runtime.

    python scripts/try_sources.py --cache DIR [--only NAME ...] [--out docs/sources.md] [--keep-rows]

``source_packages.toml`` beside this script names the packages and their files. They are downloaded into the cache
once. A family is tried in a process of its own, with a time limit; its row is printed, and kept in the cache. With
``--keep-rows`` rows of an earlier run stand for the families that are not tried now; those without one are shown as
not tried. Rows that fail are shown as they are.

Needs the clients ``pip`` and ``npm``, and the packages tokenizers, transformers, tiktoken, sentencepiece,
mistral-common and rwkv for what is compared.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from source_packages import Family, lay_out, load_families
from text_sources import Source, SourceError, obtain, rewrite_pins

if TYPE_CHECKING:
    from vocab.interop import RuntimeCheck, Verification
    from vocab.measured import MeasuredTokenizer

RUNTIMES = ("tokenizers", "transformers", "tiktoken", "sentencepiece", "mistral-common", "rwkv")
SPARE_TOKENS = 300  # the bytes, and some more


# One family, in a process of its own


def try_folder(path: Path, megabytes: float) -> dict[str, Any]:
    """Loads, prunes and verifies; gives the cells of a row."""
    from vocab.errors import VocabError
    from vocab.formats import load

    start = time.monotonic()
    row: dict[str, Any] = {"verified": False}
    try:
        source = load(path)
        row |= facts(path, source)
        row |= pruned_and_verified(source, megabytes)
    except VocabError as error:
        row["result"] = f"not loaded: {error}" if "ids" not in row else f"not pruned: {error}"
    return row | {"seconds": time.monotonic() - start}


def pruned_and_verified(source: MeasuredTokenizer, megabytes: float) -> dict[str, Any]:
    """The cells of a family that was loaded."""
    from vocab.interop import trial_texts, verify
    from vocab.prune import prune

    if obstacle := getattr(source, "obstacle", None):
        return {"result": f"not pruned: {obstacle}"}
    target = max(source.n_ids // 2, min(source.n_ids, len(source.special_tokens) + SPARE_TOKENS))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "pruned"
        result = prune(source, target)
        result.save(out)
        verification = verify(out, trial_texts(result.vocabulary, int(megabytes * 1e6)))
    return {"target": result.vocabulary.n_ids, "verified": verification.agrees, "result": outcome(verification)}


def facts(path: Path, source: MeasuredTokenizer) -> dict[str, Any]:
    """What a tokenizer does to text, in few words, and what it holds."""
    texts = set(getattr(source, "user_defined", ()))
    return {
        "ids": source.n_ids,
        "special": len(source.special_tokens) - len(texts),
        "texts": len(texts),
        "normalizer": normalizer_of(path),
        "splits": splits_of(source),
    }


def normalizer_of(path: Path) -> str:
    """Kinds of the normalizers of a tokenizer.json; "" without one."""
    path = path / "tokenizer.json" if path.is_dir() else path
    if path.suffix != ".json" or not path.is_file():
        return ""
    one = json.loads(path.read_text("utf-8")).get("normalizer") or {}
    return ", ".join(part["type"] for part in one.get("normalizers", [one]) if part)


def splits_of(source: MeasuredTokenizer) -> str:
    """How many regular expressions cut text, and what runs them."""
    from vocab.splitting import SplitPattern

    pattern = source.pattern
    if getattr(source, "obstacle", None) or pattern is None:
        return "its runtime's"
    if pattern.is_sentencepiece:
        return "none"
    steps = [step.regex for step in pattern.steps.steps] if pattern.steps else [pattern.regex]
    compiled = sum(SplitPattern(regex).has_kernel for regex in steps)
    return f"{len(steps)}, {'compiled' if compiled == len(steps) else f'{compiled} compiled'}"


def outcome(verification: Verification) -> str:
    """What was compared and what differs, in one sentence or a few."""
    checks = [
        *verification.checks[1:],
        *([verification.chat] if verification.chat and verification.chat.version else []),
    ]
    names = ", ".join(check.runtime for check in checks if check.agrees)
    wrong = [differences(check) for check in [*verification.checks[:1], *checks] if not check.agrees]
    wrong += [] if verification.has_contiguous_ids else ["ids have holes"]
    return "; ".join([*([f"0 differences in {names}"] if names else []), *wrong])


def differences(check: RuntimeCheck) -> str:
    """What is different in one runtime."""
    if check.failure:
        return f"{check.runtime}: {check.failure}"
    counts = {
        "texts with other ids": check.n_different,
        "other texts back": check.n_not_restored,
        "special tokens with other ids": check.n_special_different,
        "default calls": check.n_default_different,
    }
    first = f" (first {check.first_different[:60]!r})" if check.first_different else ""
    return f"{check.runtime}: " + ", ".join(f"{n:,} {what}" for what, n in counts.items() if n) + first


# All families


def try_family(family: Family, arguments: argparse.Namespace) -> dict[str, Any]:
    """The row of a family: fetched, laid out and tried in a process with a time limit."""
    archive, found = obtain(family.package, arguments.cache, arguments.update_hashes)
    if found != family.package:
        rewrite_pins(arguments.packages, [(family.package, found)])
    with tempfile.TemporaryDirectory() as folder:
        path = lay_out(family, archive, Path(folder) / family.package.package.split("/")[-1])
        row = in_a_process(path, arguments)
    return names_of(family, found) | row


def names_of(family: Family, package: Source) -> dict[str, Any]:
    """The cells that are known without trying."""
    names = {"family": family.name, "kind": family.kind, "package": package.package, "registry": package.registry}
    return names | {"version": package.version, "licence": package.licence}


def in_a_process(path: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", str(path), "--megabytes", str(arguments.megabytes)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=arguments.seconds)
    except subprocess.TimeoutExpired:
        return {"verified": False, "result": f"stopped after {arguments.seconds} seconds", "seconds": arguments.seconds}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return {"verified": False, "result": f"failed: {last}", "seconds": None}
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    row["result"] = row["result"].replace(str(path), path.name)
    return row


def run(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows of all families in the order of the list; each is kept in the cache as soon as it is there."""
    kept = arguments.cache / "rows"
    kept.mkdir(parents=True, exist_ok=True)
    names = [family.name for family in load_families(arguments.packages)]
    if unknown := sorted(set(arguments.only) - set(names)):
        raise SourceError(f"{arguments.packages} has no family {', '.join(unknown)}")
    rows = []
    for name in names:
        place = kept / f"{name.replace('/', '+')}.json"
        if not arguments.only or name in arguments.only:
            # Read anew, because a pin may have been rewritten.
            family = next(one for one in load_families(arguments.packages) if one.name == name)
            row = try_family(family, arguments)
            place.write_text(json.dumps(row, ensure_ascii=False), "utf-8")
            print(f"{name}: {row['result']} ({row['seconds'] or 0:.0f} s)", flush=True)
        elif not arguments.keep_rows:
            continue
        rows.append(json.loads(place.read_text("utf-8")) if place.is_file() else not_tried(name, arguments.packages))
    return rows


def not_tried(name: str, packages: Path) -> dict[str, Any]:
    """The row of a family of which no row was kept."""
    family = next(one for one in load_families(packages) if one.name == name)
    return names_of(family, family.package) | {"verified": False, "result": "not tried yet", "seconds": None}


# The page

HEAD = """\
# Tokenizers of ordinary packages

Each row is a real tokenizer out of a package that anyone can download. `vocab` loads it and prunes it to half of its
ids with the built-in profile. `vocab.interop.verify` then compares the result with every runtime that loads it.
Compared are ids, decoded texts, special tokens and default calls. The texts are {megabytes:g} MB of the profile's
held-out words, each token alone, random rows of tokens, and texts that broke tokenizers before.

Of {n} tokenizers, {n_verified} came through with 0 differences. Every other row says why it has no such result.

Versions: {versions}. Machine: {machine}, shared with other work. To repeat it, which also downloads the packages:

    python scripts/try_sources.py --cache DIR --out docs/sources.md

"Splits" counts the regular expressions that cut text, and says whether compiled splitters run them. "Added tokens"
are special ones and, after the +, those that are text. "s" are seconds of loading, pruning and verifying together.

| family | package | kind | normalizer | splits | added tokens | ids | pruned to | result | s |
|---|---|---|---|---|--:|--:|--:|---|--:|
"""


def page(rows: Sequence[dict[str, Any]], megabytes: float) -> str:
    """The page in Markdown."""
    head = HEAD.format(
        megabytes=megabytes,
        n=len(rows),
        n_verified=sum(row["verified"] for row in rows),
        versions=", ".join(f"{name} {found}" for name in RUNTIMES if (found := version_of(name))),
        machine=machine(),
    )
    return head + "".join("| " + " | ".join(map(cell, cells(row))) + " |\n" for row in rows)


def cells(row: dict[str, Any]) -> list[str]:
    """The cells of a row as text, before Markdown."""
    registry = row["registry"].partition("-")[0]
    has_facts = "ids" in row
    return [
        row["family"],
        f"{registry} `{row['package']}` {row['version']}, {row['licence'] or 'no licence stated'}",
        row["kind"],
        row.get("normalizer") or "–",
        row.get("splits", "–"),
        f"{row['special']:,} + {row['texts']:,}" if has_facts else "–",
        f"{row['ids']:,}" if has_facts else "–",
        f"{row['target']:,}" if "target" in row else "–",
        row["result"],
        "–" if row["seconds"] is None else f"{row['seconds']:.0f}",
    ]


def cell(text: str) -> str:
    """Text that no table of Markdown takes for an edge, and no page for HTML."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ").strip()


def version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def machine() -> str:
    """The processor and the versions that matter."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.is_file() else []
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    return f"{os.cpu_count()} cores of {model}, Python {platform.python_version()}"


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Try real tokenizers of ordinary packages.")
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/vocab-sources").expanduser())
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="only this family (may be repeated)"
    )
    parser.add_argument("--out", type=Path, help="write the page here")
    parser.add_argument("--keep-rows", action="store_true", help="take rows of an earlier run for all other families")
    parser.add_argument("--megabytes", type=float, default=1.0, help="MB of the built-in profile's words to encode")
    parser.add_argument("--seconds", type=int, default=900, help="time limit of a family")
    parser.add_argument("--packages", type=Path, default=Path(__file__).with_name("source_packages.toml"))
    parser.add_argument("--update-hashes", action="store_true", help="pin the archives as they are")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main() -> int:
    arguments = parse()
    if arguments.child:
        print(json.dumps(try_folder(arguments.child, arguments.megabytes)))
        return 0
    try:
        rows = run(arguments)
    except SourceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if arguments.out:
        arguments.out.write_text(page(rows, arguments.megabytes), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
