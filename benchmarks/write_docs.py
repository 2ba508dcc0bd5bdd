#!/usr/bin/env python3
"""Writes docs/benchmarks.md from the results of the benchmarks.

    python benchmarks/write_docs.py --results DIR --out docs/benchmarks.md

DIR holds corpus.json (the manifest of the corpus), count.json, memory.json, encode.json, prune.json, superwords.json,
scratch.json, bpe_trainers.json and overfit.json, as --json wrote them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import bench_bpe_trainers
import bench_count
import bench_encode
import bench_memory
import bench_overfit
import bench_prune
import bench_scratch
import bench_superwords
from common import MB
from tables import machine_line

HEAD = """# Benchmarks

Written by `benchmarks/write_docs.py`; [benchmarks/README.md](../benchmarks/README.md) says how to run each. Calls were
timed one of each in turn, after a first one that compiles and warms up; medians, with the least and greatest in
brackets. {busy}
"""
BUSY = (
    "**The machine was busy with other work in these runs (see the load), so seconds are too high and scatter; "
    "CPU seconds and ratios are better guides.**"
)
PRUNE = """
Pruning starts from the counts of the corpus, training from its text; "with counting" adds the seconds of counting to
pruning's, and the ratio is of these, to distilling for merges. Pruning's time includes its report, for which the whole
source and three baselines are encoded. Bytes a token are on held-out documents, each vocabulary run with the encoder it
is made for: `merges` and `least-tokens` of `vocab`, tokenizers for its own, tiktoken for rustbpe's. "Against cl100k" is
how many more tokens that is than whole cl100k_base needs. Training from scratch may choose any byte string, pruning
only tokens of cl100k_base: what it compresses less is the price of ids that map to the old ones.
"""
SUPERWORDS = """
Each part goes from text to vocabulary in a process of its own, and candidates are cl100k's tokens and substrings of the
corpus, and superwords where it says so. MB are those of the training text: where it is less than the corpus has, a
sample of documents by hash. "Against BPE" is how many more held-out bytes a token holds. TokenMonster is not in the
table: its package takes its encoder and its vocabularies from the network, and its trainer is no part of the package.
The parts were run one after the other on a machine busy with much other work.
"""
ENCODE = """
Each document is a call, but for "all documents at once"; the ratio is to tiktoken, or to tokenizers for an inference
method that tiktoken does not have. "Same ids" compares all documents with the first row before anything is timed.
"""
COUNT = """
Documents are in memory, but where "file" says that a file of text is read. Trainers do not count apart from training,
so each makes as few tokens as it can. `vocab` also tells the training from the held-out part, counts documents, and
sorts. gigabpe knows only GPT-2's simpler pattern. The ratio is to `regex` + Counter with cl100k's; "same counts"
compares every distinct pre-token.
"""
MEMORY = """
The corpus again and again, shuffled, with fresh random identifiers in it, as JSON lines: far more than fits in the
memory that `vocab count` is held to. The peak is what the kernel saw; runs are what was spilled to disk and added up.
"""
SCRATCH = """
TEXT is the output of `scripts/fetch_text.py`. Every vocabulary has as many tokens and none of them special; all read
the same training documents, whole, and are scored on the same held-out ones, `optimal` under least-tokens. Pre-tokens
are long where no spaces are written, as in Chinese or Japanese, so among languages there is more to search, and it ends
above the gap asked for.
"""
BPE_TRAINERS = """
All train on the same documents in memory, and splitting and counting are part of the time but where it says "from
counts". The ratio is to rustbpe in the same round, above 1 for what is faster. Tokens and merges are compared with
those of tokenizers before anything is timed, id by id; rustbpe breaks ties in another way, so its tokens are compared
as a set.
"""
OVERFIT = """
Held-out tokens against whole cl100k_base; the first so many MB of each corpus are chosen by, and the held-out
documents are the same for all sizes. "Plain" is `distill` under least-tokens with cl100k's own tokens; "in n" says in
how many documents a candidate must be; a prior of n MB counts the source's rank order as much as so much text. "In n"
asks it of the source's own tokens too; too few are in so many documents where it says so. The defaults follow from
this: substrings of the corpus must be in two documents, the source's tokens need not, and the source's order counts
beside them as much as 1 MB of text, at most a tenth of the corpus. The runs were several, on the same documents.
"""


def markdown(columns: list[str], rows: list[list[str]]) -> str:
    """A table, its first column to the left."""
    rule = ["---", *["---:"] * (len(columns) - 1)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [columns, rule, *rows])


def section(title: str, command: str, text: str, tables: list[str], facts: dict[str, Any]) -> str:
    """One benchmark: command, what it means, tables, machine."""
    body = "\n".join(tables)
    return f"\n## {title}\n\n    {command}\n{text}\n{body}\n{machine_line(facts)}\n"


def corpus_section(manifest: dict[str, Any]) -> str:
    """The domains of the corpus."""
    rows = [
        [name.removesuffix(".jsonl.zst"), f"{row['documents']:,}", f"{row['text_bytes'] / MB:.1f}"]
        for name, row in manifest["files"].items()
    ]
    total = sum(row["documents"] for row in manifest["files"].values())
    rows.append(["all", f"{total:,}", f"{manifest['text_bytes'] / MB:.1f}"])
    table = markdown(["domain", "documents", "MB"], rows)
    text = f"From {len(manifest['sources'])} packages, pinned by sha256; a tenth of the documents is held out by hash."
    return f"\n## Corpus\n\n    python benchmarks/build_corpus.py --out CORPUS\n\n{text}\n\n{table}"


def prune_section(content: dict[str, Any]) -> str:
    """Pruning beside training."""
    settings = content["settings"]
    command = f"python benchmarks/bench_prune.py --corpus CORPUS --repeats {settings['repeats']}"
    tables = [markdown(bench_prune.COLUMNS, bench_prune.rows(content))]
    tables.append("Seconds by stage:\n\n" + markdown(*bench_prune.stage_rows(content)))
    title = f"A vocabulary of {settings['target']:,} tokens, {settings['threads']} threads"
    return section(title, command, PRUNE, tables, content["machine"])


def superwords_section(content: dict[str, Any]) -> str:
    """Tokens that cross words."""
    settings = content["settings"]
    sizes = " ".join(f"--{name.replace('_', '-')} {settings[name]}" for name in ("text", "merges_text", "proof_text"))
    only = " ".join(["--only", *content["parts"]] if len(content["parts"]) < len(bench_superwords.PARTS) else [])
    command = f"python benchmarks/bench_superwords.py --corpus CORPUS {sizes} {only}".rstrip()
    tables = [markdown(bench_superwords.COLUMNS, bench_superwords.rows(content["parts"]))]
    tables += [f"{line}\n" for line in bench_superwords.proof_lines(content["parts"])]
    title = f"{settings['target']:,} tokens that may cross words, {settings['threads']} threads"
    return section(title, command, SUPERWORDS, tables, content["machine"])


def encode_section(content: dict[str, Any]) -> str:
    """Encoding, a table a vocabulary."""
    settings = content["settings"]
    command = f"python benchmarks/bench_encode.py --corpus CORPUS --repeats {settings['repeats']}"
    tables = [
        f"### {name}\n\n" + markdown(bench_encode.COLUMNS, bench_encode.rows(results))
        for name, results in content["results"].items()
    ]
    size = f"{settings['text_bytes'] / MB:.1f} MB in {settings['documents']:,} held-out documents"
    return section(f"Encoding on one thread, {size}", command, ENCODE, tables, content["machine"])


def count_section(content: dict[str, Any]) -> str:
    """Splitting and counting."""
    settings = content["settings"]
    command = f"python benchmarks/bench_count.py --corpus CORPUS --repeats {settings['repeats']}"
    tables = [markdown(bench_count.COLUMNS, bench_count.rows(content["results"]))]
    size = f"{settings['text_bytes'] / MB:.1f} MB in {settings['documents']:,} documents"
    return section(f"Splitting and counting, {size}", command, COUNT, tables, content["machine"])


def memory_section(content: dict[str, Any]) -> str:
    """Counting in bounded memory."""
    settings = content["settings"]
    options = f"--gb {settings['gb']:g} --memory {settings['memory']}"
    command = f"python benchmarks/bench_memory.py --corpus CORPUS --scratch SCRATCH {options}"
    tables = [markdown(bench_memory.COLUMNS, bench_memory.rows(content["results"]))]
    return section("Counting in bounded memory", command, MEMORY, tables, content["machine"])


def scratch_section(content: dict[str, Any]) -> str:
    """Chosen vocabularies beside BPE from scratch."""
    settings = content["settings"]
    options = f"--mb {settings['mb']} --gap {settings['gap']:g} --corpora {' '.join(content['corpora'])}"
    command = f"python benchmarks/bench_scratch.py --text TEXT {options}"
    tables = [markdown(bench_scratch.COLUMNS, bench_scratch.rows(content["corpora"]))]
    return section(
        f"{settings['target']:,} tokens, chosen or from scratch", command, SCRATCH, tables, content["machine"]
    )


def bpe_trainers_section(content: dict[str, Any]) -> str:
    """Training from scratch."""
    settings = content["settings"]
    options = f"--mb {settings['mb']:g} --tokens {settings['tokens']} --repeats {settings['repeats']}"
    command = f"python benchmarks/bench_bpe_trainers.py --corpus CORPUS {options}"
    tables = [markdown(bench_bpe_trainers.COLUMNS, bench_bpe_trainers.rows(content["results"]))]
    title = f"Training {settings['tokens']:,} tokens from {settings['text_bytes'] / MB:.1f} MB"
    return section(title, command, BPE_TRAINERS, tables, content["machine"])


def overfit_section(content: dict[str, Any]) -> str:
    """Little text."""
    settings = content["settings"]
    names = " ".join(f'"{name}"' for name in settings["only"])
    command = f"python benchmarks/bench_overfit.py --text TEXT --mb {' '.join(map(str, settings['mb']))} --only {names}"
    tables = [markdown(["", *content["corpora"]], bench_overfit.rows(content["corpora"]))]
    return section(f"{settings['target']:,} ids from little text", command, OVERFIT, tables, content["machine"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Write docs/benchmarks.md.")
    parser.add_argument("--results", type=Path, required=True, help="folder of the JSON files")
    parser.add_argument("--out", type=Path, required=True, help="the Markdown file to write")
    arguments = parser.parse_args()
    names = ("corpus", "prune", "superwords", "scratch", "bpe_trainers", "overfit", "encode", "count", "memory")
    read = {name: json.loads((arguments.results / f"{name}.json").read_text("utf-8")) for name in names}
    loads = [read[name]["machine"]["load_1_minute"] for name in names[1:] if name != "overfit"]  # which has no times
    text = HEAD.format(busy=BUSY if max(loads) > 1 else "").rstrip() + "\n"
    text += corpus_section(read["corpus"]) + prune_section(read["prune"]) + superwords_section(read["superwords"])
    text += scratch_section(read["scratch"]) + bpe_trainers_section(read["bpe_trainers"])
    text += overfit_section(read["overfit"])
    text += encode_section(read["encode"]) + count_section(read["count"]) + memory_section(read["memory"])
    arguments.out.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
