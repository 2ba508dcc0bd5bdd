#!/usr/bin/env python3
"""Compares tokens that cross words with tokens inside words and with BPE trained from scratch, on the same documents.

    python benchmarks/bench_superwords.py --corpus DIR [--target N] [--text SIZE] [--merges-text SIZE]
        [--proof-text SIZE] [--json FILE] [--only NAME ...]

DIR is the output of build_corpus.py. Each part runs in a process of its own, from text to vocabulary, and is scored on
the held-out documents by the encoder that it is made for. None has special tokens, so that all have the same number of
ids to spend. Parts that are slower by the byte choose from a sample of documents. The proof goes through
check_certificate.py. What a run with --json wrote before stays for the parts that are not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_scratch import n_bytes_of, source
from common import MB, corpus_files, documents, in_child, timed, untrained, write_json
from tables import machine, show

from vocab.choices import InferenceMethod
from vocab.corpus.held_documents import hold_documents
from vocab.corpus.process_memory import parse_bytes
from vocab.prune import Candidates, Certificate, Limits, Superwords, check_certificate, prune

CountTokens = Callable[[list[str]], int]


@dataclass(frozen=True)
class Job:
    """What every part gets; `most_bytes` are held of the text by parts that hold it."""

    corpus: Path
    target: int
    n_threads: int
    most_bytes: int
    gap: float
    seconds: float


@dataclass(frozen=True)
class Made:
    """A vocabulary as a function that counts tokens, bytes of the text that it was made from, and more about it."""

    n_tokens: CountTokens
    n_trained_on: int
    n_superwords: int | None = None
    certificate: Certificate | None = None


def whole(job: Job) -> Made:
    """cl100k_base as it is."""
    return Made(_by_tiktoken(source().to_tiktoken()), 0)


def _by_tiktoken(encoding: Any) -> CountTokens:
    return lambda texts: sum(len(encoding.encode_ordinary(text)) for text in texts)


def train_tokenizers(job: Job) -> Made:
    """Hugging Face's BPE trainer behind cl100k's split."""
    read = 0

    def texts() -> Iterable[str]:
        nonlocal read
        for text in documents(job.corpus, held_out=False):
            read += len(text.encode())
            yield text

    tokenizer, trainer = untrained(source().pattern, job.target)
    tokenizer.train_from_iterator(texts(), trainer)
    return Made(lambda given: sum(len(tokenizer.encode(text).ids) for text in given), read)


def chosen(
    job: Job, inference: InferenceMethod = "least-tokens", *, superwords: bool = True, certify: bool = False
) -> Made:
    """Ours, from text held in memory."""
    held = hold_documents(corpus_files(job.corpus), most_bytes=job.most_bytes)
    candidates = Candidates(("corpus",), superwords=Superwords() if superwords else None)
    options: dict[str, Any] = {"method": "optimal", "limits": Limits(job.gap / 100, job.seconds)} if certify else {}
    result = prune(
        source(),
        job.target,
        documents=held,
        inference=inference,
        candidates=candidates,
        n_threads=job.n_threads,
        **options,
    )
    vocabulary = result.vocabulary
    return Made(
        lambda texts: sum(map(len, vocabulary.encode_batch(texts))),
        result.report.result.train.n_bytes,
        result.report.candidates.get("superwords", {}).get("n_in_result"),
        result.certificate,
    )


def inside_words(job: Job) -> Made:
    return chosen(job, superwords=False)


def for_merges(job: Job) -> Made:
    return chosen(job, "merges")


def certified(job: Job) -> Made:
    return chosen(job, certify=True)


@dataclass(frozen=True)
class Part:
    """A row of the table."""

    title: str
    make: Callable[[Job], Made]
    size: str = "text"  # which option says how much text is held


BASE = "tokenizers"
PARTS = {
    BASE: Part("BPE from scratch, tokenizers", train_tokenizers),
    "cl100k": Part("cl100k_base, all 100,256", whole),
    "words": Part("distill, tokens inside pre-tokens, least-tokens", inside_words),
    "superwords": Part("distill, superwords, least-tokens", chosen),
    "merges": Part("distill, superwords, merges", for_merges, "merges_text"),
    "certified": Part("optimal, superwords, least-tokens, with its proof", certified, "proof_text"),
}


def run_part(job: Job, name: str) -> dict[str, Any]:
    """Figures of one part: what it costs, and its tokens on held-out text."""
    made = timed(lambda: PARTS[name].make(job))
    held_out = list(documents(job.corpus, held_out=True))
    result: Made = made.result
    return {
        "seconds": made.seconds,
        "cpu_seconds": made.cpu_seconds,
        "peak_mb": made.peak_mb,
        "n_trained_on": result.n_trained_on,
        "n_superwords": result.n_superwords,
        "n_tokens": result.n_tokens(held_out),
        "n_bytes": n_bytes_of(held_out),
        "certificate": checked(result.certificate) if result.certificate else None,
    }


def checked(certificate: Certificate) -> dict[str, Any]:
    """Facts about a certificate that the plain checker accepts, with its time; a rejected one ends the run."""
    with tempfile.NamedTemporaryFile(suffix=".zip") as file:
        n_bytes = file.write(certificate.as_zip())
        file.flush()
        started = time.perf_counter()
        subprocess.run([sys.executable, check_certificate.__file__, file.name], check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - started
    return {
        "gap": certificate.gap,
        "n_bytes": n_bytes,
        "check_seconds": seconds,
        "n_candidates": certificate.claims["n_candidates"],
        "search": certificate.claims["search"],
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare tokens that cross words with others.")
    parser.add_argument("--corpus", type=Path, required=True, help="folder made by build_corpus.py")
    parser.add_argument("--target", type=int, default=32_000, help="tokens of the vocabularies")
    parser.add_argument("--text", default="200MB", help="text held in memory at most, of more a sample by hash")
    parser.add_argument("--merges-text", default="50MB", help="the same for the part for merges")
    parser.add_argument("--proof-text", default="25MB", help="the same for the part with a proof")
    parser.add_argument("--gap", type=float, default=0.3, help="per cent above the bound at which the proof may stop")
    parser.add_argument("--seconds", type=float, default=900, help="seconds after which the search for the proof stops")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS), help="only these parts")
    parser.add_argument("--json", type=Path, help="file for the results")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    n_threads = len(os.sched_getaffinity(0))
    os.environ.update(RAYON_NUM_THREADS=str(n_threads), TOKENIZERS_PARALLELISM="true")
    facts = machine()
    parts: dict[str, Any] = {}
    if arguments.json and arguments.json.exists():
        parts = json.loads(arguments.json.read_text("utf-8"))["parts"]
    for name in arguments.only:
        most = parse_bytes(getattr(arguments, PARTS[name].size))
        job = Job(arguments.corpus, arguments.target, n_threads, most, arguments.gap, arguments.seconds)
        parts[name] = in_child(run_part, job, name)
        print(f"{PARTS[name].title}: {parts[name]}", flush=True)
        write_json(arguments.json, {"machine": facts, "settings": settings(arguments, n_threads), "parts": parts})
    show(f"{arguments.target:,} tokens on held-out text, {n_threads} threads", COLUMNS, rows(parts), facts)
    print(*proof_lines(parts), sep="\n")


def settings(arguments: argparse.Namespace, n_threads: int) -> dict[str, Any]:
    names = ("target", "text", "merges_text", "proof_text", "gap", "seconds")
    return {"threads": n_threads} | {name: getattr(arguments, name) for name in names}


COLUMNS = ["", "MB", "seconds", "CPU seconds", "peak MB", "superwords", "bytes a token", "against BPE"]


def rows(parts: dict[str, Any]) -> list[list[str]]:
    """The table's rows out of what --json writes."""
    base = parts.get(BASE)
    table = []
    for name, part in ((name, parts[name]) for name in PARTS if name in parts):
        change = f"{base['n_tokens'] / part['n_tokens'] - 1:+.1%}" if base else ""
        costs = ("seconds", "cpu_seconds", "peak_mb")
        cells = [f"{part[key]:,.0f}" if part["n_trained_on"] else "" for key in costs]
        superwords = "" if part["n_superwords"] is None else f"{part['n_superwords']:,}"
        size = f"{part['n_trained_on'] / MB:.0f}"
        table.append([PARTS[name].title, size, *cells, superwords, f"{part['n_bytes'] / part['n_tokens']:.3f}", change])
    return table


def proof_lines(parts: dict[str, Any]) -> list[str]:
    """A sentence on the proof, where there is one."""
    proof = parts.get("certified", {}).get("certificate")
    if not proof:
        return []
    search = proof["search"]
    return [
        f"The vocabulary with its proof is {proof['gap']:.3%} above the bound of {proof['n_candidates']:,} candidates. "
        f"It took {search['n_steps']} steps. The search stopped by {search['stopped_by']}. The certificate has "
        f"{proof['n_bytes'] / MB:.0f} MB, and the plain checker accepts it in {proof['check_seconds']:.0f} seconds."
    ]


if __name__ == "__main__":
    main()
