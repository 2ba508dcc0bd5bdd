#!/usr/bin/env python3
"""Times counting pre-tokens, beside `regex` + Counter and the counting stage of trainers.

    python benchmarks/bench_count.py --corpus DIR [--mb N] [--repeats N] [--json FILE]

Trainers do not count apart from training, so each is asked for no more tokens than it must make (256 single bytes and
a merge or two, a small part of its time). Ours tells training from held-out documents, counts documents too, and gives
its table sorted. Those that take texts get documents in memory; gigabpe reads a file of text and knows GPT-2's simpler
pattern only, so ours is timed on that file with that pattern as well. Counts are compared before anything is timed.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import regex
from common import (
    MB,
    THROUGHPUT_COLUMNS,
    installed,
    interleaved,
    sample,
    throughput,
    throughput_cells,
    untrained,
    write_json,
)
from tables import machine, show

from vocab.corpus.counting import CorpusPart, count, count_documents
from vocab.pretokens.counts import merge
from vocab.splitting import CL100K_REGEX, GPT2_REGEX, SplitPattern

BASE = "regex + Counter"
LEAST_TOKENS = 258
Call = Callable[[], Any]


def with_regex(texts: list[str]) -> Counter[str]:
    """What a few lines of Python do."""
    split = regex.compile(CL100K_REGEX)
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(split.findall(text))
    return counts


def with_tokenizers(texts: list[str]) -> None:
    """Hugging Face's BPE trainer, all cores."""
    tokenizer, trainer = untrained(SplitPattern(CL100K_REGEX), LEAST_TOKENS)
    tokenizer.train_from_iterator(texts, trainer)


def with_rustbpe(texts: list[str]) -> None:
    """Counts with rustbpe, all cores."""
    import rustbpe

    rustbpe.Tokenizer().train_from_iterator(iter(texts), LEAST_TOKENS, pattern=CL100K_REGEX)


def with_bpeasy(texts: list[str]) -> None:
    """Counts with bpeasy, whose engine takes no possessive quantifiers."""
    import bpeasy

    bpeasy.train_bpe(iter(texts), SplitPattern(CL100K_REGEX).portable, 128, LEAST_TOKENS)


def with_gigabpe(path: Path, n_threads: int) -> None:
    """Counts a file of text with gigabpe."""
    import gigabpe

    gigabpe.train_bpe([str(path)], vocab_size=LEAST_TOKENS, pretokenizer="bytelevel", threads=n_threads)


def calls(texts: list[str], path: Path, n_threads: int) -> dict[str, Call]:
    """Everything that is timed and installed."""
    cl100k, gpt2 = SplitPattern(CL100K_REGEX), SplitPattern(GPT2_REGEX)
    by_name: dict[str, Call] = {
        "vocab, 1 thread": lambda: count_documents(texts, "benchmark", cl100k, 1),
        f"vocab, {n_threads} threads": lambda: count_documents(texts, "benchmark", cl100k, n_threads),
        BASE: lambda: with_regex(texts),
        f"tokenizers, {n_threads} threads": lambda: with_tokenizers(texts),
    }
    if installed("rustbpe"):
        by_name[f"rustbpe, {n_threads} threads"] = lambda: with_rustbpe(texts)
    if installed("bpeasy"):
        by_name["bpeasy"] = lambda: with_bpeasy(texts)
    by_name["vocab, GPT-2, file, 1 thread"] = lambda: count(path, gpt2, n_threads=1)
    by_name[f"vocab, GPT-2, file, {n_threads} threads"] = lambda: count(path, gpt2, n_threads=n_threads)
    if installed("gigabpe"):
        by_name["gigabpe, GPT-2, file, 1 thread"] = lambda: with_gigabpe(path, 1)
        by_name[f"gigabpe, GPT-2, file, {n_threads} threads"] = lambda: with_gigabpe(path, n_threads)
    return by_name


def verdicts(timed: dict[str, Call]) -> dict[str, str]:
    """Whether ours counts what `regex` does; running all warms them up, too."""
    expected = {piece.encode(): n for piece, n in timed[BASE]().items()}
    verdicts = {}
    for name, call in timed.items():
        got = call()
        verdicts[name] = "yes" if name == BASE else ""
        if isinstance(got, CorpusPart) and "GPT-2" not in name:
            counts = merge([got.train, got.held_out])
            verdicts[name] = _verdict(dict(zip(counts.pretokens(), counts.counts.tolist(), strict=True)), expected)
    return verdicts


def _verdict(got: dict[bytes, int], expected: dict[bytes, int]) -> str:
    different = sum(got.get(piece) != n for piece, n in expected.items()) + len(got.keys() - expected.keys())
    return "yes" if different == 0 else f"NO: {different} of {len(expected)} pre-tokens"


def measure(timed: dict[str, Call], n_bytes: int, repeats: int) -> dict[str, Any]:
    """MB/s, ratio and exactness of each call."""
    exact = verdicts(timed)
    results = throughput(interleaved(timed, repeats), BASE, n_bytes)
    return {name: row | {"same_counts": exact[name]} for name, row in results.items()}


COLUMNS = ["", *THROUGHPUT_COLUMNS, "same counts"]


def rows(results: dict[str, Any]) -> list[list[str]]:
    """The table's rows out of what --json writes."""
    return [[name, *throughput_cells(row), row["same_counts"]] for name, row in results.items()]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time counting pre-tokens.")
    parser.add_argument("--corpus", type=Path, required=True, help="folder made by build_corpus.py")
    parser.add_argument("--mb", type=float, default=160, help="MB of training text to count")
    parser.add_argument("--repeats", type=int, default=3, help="rounds; the median is shown")
    parser.add_argument("--json", type=Path, help="file for the results")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    facts = machine()
    texts = sample(arguments.corpus, int(arguments.mb * MB), held_out=False)
    n_bytes = sum(len(text.encode()) for text in texts)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "corpus.txt"
        path.write_text("\n".join(texts), encoding="utf-8", newline="")
        results = measure(calls(texts, path, facts["cores"]), n_bytes, arguments.repeats)
    title = f"Splitting and counting: {n_bytes / MB:.1f} MB in {len(texts)} documents"
    show(title, COLUMNS, rows(results), facts)
    settings = {"text_bytes": n_bytes, "documents": len(texts), "repeats": arguments.repeats}
    write_json(arguments.json, {"machine": facts, "settings": settings, "results": results})


if __name__ == "__main__":
    main()
