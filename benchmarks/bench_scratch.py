#!/usr/bin/env python3
"""Compares vocabularies chosen from cl100k_base and the corpus itself with BPE trained from scratch, on three corpora.

    python benchmarks/bench_scratch.py --text DIR [--mb N] [--target N] [--json FILE] [--only NAME ...]

DIR is the output of scripts/fetch_text.py; its domains make three unlike corpora: English, code, and natural languages.
All read the same training documents, whole, and are scored on the held-out ones, each by the encoder it is made for.
None has special tokens, so that all have the same number of ids to spend.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from common import CORPORA, MB, in_child, installed, mixed_texts, untrained, up_to, write_json
from tables import machine, show

import vocab
from vocab import CorpusCounts, Vocabulary
from vocab.corpus.counting import count_documents
from vocab.interop.scratch.bpe_trainer import train_bpe
from vocab.prune import Candidates, Limits, Method, prune


@dataclass(frozen=True)
class Job:
    """What every part gets."""

    text: Path
    corpus: str
    n_bytes: int
    target: int
    n_threads: int
    gap: float

    def texts(self, *, held_out: bool) -> list[str]:
        """Documents to choose by, or those held out."""
        return list(up_to(mixed_texts(self.text, self.corpus, held_out=held_out), self.n_bytes))


@dataclass(frozen=True)
class Outcome:
    """Seconds from text to vocabulary, and what the vocabulary makes of held-out text; the gap is above the bound."""

    seconds: float
    n_tokens: int
    n_bytes: int
    n_trained_on: int
    gap: float | None = None


def source() -> Vocabulary:
    """cl100k_base without special tokens."""
    return replace(vocab.load("cl100k_base"), special_tokens={})


def whole(job: Job) -> Outcome:
    """cl100k_base as it is."""
    held_out, encoding = job.texts(held_out=True), source().to_tiktoken()
    n_tokens = sum(len(encoding.encode_ordinary(text)) for text in held_out)
    return Outcome(0.0, n_tokens, n_bytes_of(held_out), 0)


def pruned(job: Job, method: Method, candidates: Candidates | None = None) -> Outcome:
    """Ours, from text; counting too."""
    started = time.perf_counter()
    texts = chain(job.texts(held_out=False), job.texts(held_out=True))
    part = count_documents(texts, job.corpus, source().pattern, job.n_threads)
    options: dict[str, Any] = {"inference": "least-tokens", "candidates": candidates, "n_threads": job.n_threads}
    options["limits"] = Limits(job.gap / 100)
    report = prune(source(), job.target, corpus=CorpusCounts((part,)), method=method, **options).report
    after = report.result.held_out
    gap = report.certificate["gap"] if report.certificate else None
    return Outcome(time.perf_counter() - started, after.n_tokens, after.n_bytes, part.train.n_bytes, gap)


def own_tokens(job: Job) -> Outcome:
    return pruned(job, "optimal")


def with_candidates(job: Job) -> Outcome:
    return pruned(job, "optimal", Candidates(("corpus",)))


def train_tokenizers(job: Job) -> Outcome:
    """Hugging Face's BPE trainer behind cl100k's split."""
    texts = job.texts(held_out=False)
    tokenizer, trainer = untrained(source().pattern, job.target)
    started = time.perf_counter()
    tokenizer.train_from_iterator(texts, trainer)
    seconds = time.perf_counter() - started
    held_out = job.texts(held_out=True)
    n_tokens = sum(len(tokenizer.encode(text).ids) for text in held_out)
    return Outcome(seconds, n_tokens, n_bytes_of(held_out), n_bytes_of(texts))


def train_ours(job: Job) -> Outcome:
    """Ours from counts, whose tokens are those of tokenizers."""
    texts = job.texts(held_out=False)
    started = time.perf_counter()
    part = count_documents(texts, job.corpus, source().pattern, job.n_threads)
    tokens = train_bpe(part.train, job.target).tokens
    seconds = time.perf_counter() - started
    vocabulary, held_out = Vocabulary.from_tokens(tokens, source().pattern, {}), job.texts(held_out=True)
    n_tokens = sum(map(len, vocabulary.encode_batch(held_out)))
    return Outcome(seconds, n_tokens, n_bytes_of(held_out), n_bytes_of(texts))


def train_rustbpe(job: Job) -> Outcome:
    """rustbpe, whose vocabularies are run with tiktoken."""
    import rustbpe
    import tiktoken

    texts, pattern, trainer = job.texts(held_out=False), source().pattern.regex, rustbpe.Tokenizer()
    started = time.perf_counter()
    trainer.train_from_iterator(iter(texts), job.target, pattern=pattern)
    seconds = time.perf_counter() - started
    ranks = {bytes(token): rank for token, rank in trainer.get_mergeable_ranks()}
    encoding = tiktoken.Encoding("rustbpe", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    held_out = job.texts(held_out=True)
    n_tokens = sum(len(encoding.encode_ordinary(text)) for text in held_out)
    return Outcome(seconds, n_tokens, n_bytes_of(held_out), n_bytes_of(texts))


def n_bytes_of(texts: list[str]) -> int:
    return sum(len(text.encode()) for text in texts)


@dataclass(frozen=True)
class Part:
    """A row of the table, and the package that it needs."""

    title: str
    run: Callable[[Job], Outcome]
    needs: str = "vocab"


BASE = "tokenizers"
PARTS = {
    "cl100k": Part("cl100k_base, all 100,256", whole),
    "own": Part("optimal, cl100k's tokens", own_tokens),
    "candidates": Part("optimal, and candidates of the corpus", with_candidates),
    BASE: Part("BPE from scratch, tokenizers", train_tokenizers, "tokenizers"),
    "scratch": Part("BPE from scratch, vocab", train_ours),
    "rustbpe": Part("BPE from scratch, rustbpe", train_rustbpe, "rustbpe"),
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare chosen vocabularies with BPE trained from scratch.")
    parser.add_argument("--text", type=Path, required=True, help="folder made by scripts/fetch_text.py")
    parser.add_argument("--mb", type=int, default=1_000, help="training text at most")
    parser.add_argument("--target", type=int, default=32_000, help="tokens of the vocabularies")
    parser.add_argument("--gap", type=float, default=0.1, help="per cent above the bound at which optimal may stop")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS), help="only these parts")
    parser.add_argument("--corpora", nargs="+", choices=list(CORPORA), default=list(CORPORA), help="only these corpora")
    parser.add_argument("--json", type=Path, help="file for the results")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    n_threads = len(os.sched_getaffinity(0))
    os.environ.update(RAYON_NUM_THREADS=str(n_threads), TOKENIZERS_PARALLELISM="true")
    facts = machine()
    names = [name for name in arguments.only if installed(PARTS[name].needs)]
    corpora: dict[str, dict[str, Any]] = {}
    for corpus in arguments.corpora:
        job = Job(arguments.text, corpus, arguments.mb * MB, arguments.target, n_threads, arguments.gap)
        for name in names:
            outcome = in_child(PARTS[name].run, job)
            corpora.setdefault(corpus, {})[name] = vars(outcome)
            print(f"{corpus}, {PARTS[name].title}: {outcome.n_bytes / outcome.n_tokens:.3f}", flush=True)
        settings = {"target": arguments.target, "threads": n_threads, "gap": arguments.gap, "mb": arguments.mb}
        write_json(arguments.json, {"machine": facts, "settings": settings, "corpora": corpora})
    show(f"{arguments.target:,} tokens on held-out text, {n_threads} threads", COLUMNS, rows(corpora), facts)


COLUMNS = ["", "", "MB", "seconds", "above the bound", "bytes a token", "against BPE from scratch"]


def rows(corpora: dict[str, dict[str, Any]]) -> list[list[str]]:
    """The table's rows out of what --json writes."""
    table = []
    for corpus, parts in corpora.items():
        base = parts.get(BASE)
        for name, part in parts.items():
            change = f"{part['n_tokens'] / base['n_tokens'] - 1:+.2%}" if base else ""
            gap = "" if part["gap"] is None else f"{part['gap']:.4%}"
            cells = [corpus, PARTS[name].title, f"{part['n_trained_on'] / MB:.0f}", f"{part['seconds']:.0f}", gap]
            table.append([*cells, f"{part['n_bytes'] / part['n_tokens']:.3f}", change])
    return table


if __name__ == "__main__":
    main()
