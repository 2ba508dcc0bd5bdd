#!/usr/bin/env python3
"""Times splitting text into pre-tokens and counting them, beside `regex` and Hugging Face's pre-tokenizer.

    python benchmarks/bench_count.py --corpus DIR [--mb N] [--repeats N] [--json FILE]

All split as cl100k_base does and work on documents in memory. Ours counts the training and the held-out part apart,
in byte order, as `vocab.count` does. Counts are compared before anything is timed. Ratios are to `regex` + Counter.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import regex
from common import MB, THROUGHPUT_COLUMNS, interleaved, machine, sample, show, throughput, throughput_cells, write_json
from tokenizers import Regex, pre_tokenizers

from vocab.corpus.counting import CorpusPart, count_documents
from vocab.corpus.counts import merge
from vocab.corpus.documents import Document
from vocab.formats.byte_alphabet import to_characters
from vocab.splitting import CL100K_REGEX, SplitPattern

BASE = "regex + Counter"


def ours(texts: list[str], n_threads: int) -> Callable[[], CorpusPart]:
    pattern = SplitPattern(CL100K_REGEX)
    documents = [Document(text, len(text.encode())) for text in texts]
    return lambda: count_documents(documents, "benchmark", pattern, n_threads)


def with_regex(texts: list[str]) -> Callable[[], Counter[str]]:
    split = regex.compile(CL100K_REGEX)

    def call() -> Counter[str]:
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(split.findall(text))
        return counts

    return call


def with_tokenizers(texts: list[str]) -> Callable[[], Counter[str]]:
    """Split and ByteLevel, as before BPE; the Python lists and offsets that it makes are part of it."""
    split = pre_tokenizers.Split(Regex(SplitPattern(CL100K_REGEX).portable), behavior="isolated")
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    chain = pre_tokenizers.Sequence([split, as_bytes])

    def call() -> Counter[str]:
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(piece for piece, _ in chain.pre_tokenize_str(text))
        return counts

    return call


def verdicts(calls: dict[str, Callable[[], Any]]) -> dict[str, str]:
    """Whether all count the same; running them warms them up, too."""
    expected = {piece.encode(): n for piece, n in calls[BASE]().items()}
    found = {}
    for name, call in calls.items():
        got = call()
        if isinstance(got, CorpusPart):
            counts = merge([got.train, got.held_out])
            got = dict(zip(counts.pretokens(), counts.counts.tolist(), strict=True))
            found[name] = _verdict(got, expected)
        elif name == BASE:
            found[name] = "yes"
        else:
            found[name] = _verdict(got, {to_characters(piece): n for piece, n in expected.items()})
    return found


def _verdict(got: dict[Any, int], expected: dict[Any, int]) -> str:
    different = sum(got.get(piece) != n for piece, n in expected.items()) + len(got.keys() - expected.keys())
    return "yes" if different == 0 else f"NO: {different} of {len(expected)} pre-tokens"


def measure(calls: dict[str, Callable[[], Any]], n_bytes: int, repeats: int) -> dict[str, Any]:
    """MB/s, ratio and exactness of each call."""
    exact = verdicts(calls)
    results = throughput(interleaved(calls, repeats), BASE, n_bytes)
    return {name: row | {"same_counts": exact[name]} for name, row in results.items()}


COLUMNS = ["", *THROUGHPUT_COLUMNS, "same counts"]


def rows(results: dict[str, Any]) -> list[list[str]]:
    """The table's rows out of what --json writes."""
    return [[name, *throughput_cells(row), row["same_counts"]] for name, row in results.items()]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time counting pre-tokens.")
    parser.add_argument("--corpus", type=Path, required=True, help="folder made by build_corpus.py")
    parser.add_argument("--mb", type=float, default=50, help="MB of training text to count")
    parser.add_argument("--repeats", type=int, default=3, help="rounds; the median is shown")
    parser.add_argument("--json", type=Path, help="file for the results")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    facts = machine()
    texts = sample(arguments.corpus, int(arguments.mb * MB), held_out=False)
    n_bytes = sum(len(text.encode()) for text in texts)
    calls: dict[str, Callable[[], Any]] = {
        "vocab, 1 thread": ours(texts, 1),
        "vocab, 2 threads": ours(texts, 2),
        BASE: with_regex(texts),
        "tokenizers + Counter": with_tokenizers(texts),
    }
    results = measure(calls, n_bytes, arguments.repeats)
    title = f"Splitting and counting: {n_bytes / MB:.1f} MB in {len(texts)} documents"
    show(title, COLUMNS, rows(results), facts)
    settings = {"text_bytes": n_bytes, "documents": len(texts), "repeats": arguments.repeats}
    write_json(arguments.json, {"machine": facts, "settings": settings, "results": results})


if __name__ == "__main__":
    main()
