#!/usr/bin/env python3
"""Times training BPE from text beside rustbpe and Hugging Face tokenizers, one of each in turn.

    python benchmarks/bench_bpe_trainers.py --corpus CORPUS [--mb 25] [--tokens 32000] [--repeats N] [--json FILE]

All train on the same documents behind cl100k_base's split. Before anything is timed, the tokens and merges of ours are
compared with those of tokenizers, id by id, and the tokens of rustbpe, which breaks ties in another way, as a set.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import (
    MB,
    THROUGHPUT_COLUMNS,
    installed,
    interleaved,
    sample,
    spread,
    throughput,
    throughput_cells,
    untrained,
    write_json,
)
from tables import machine, show

from vocab import PretokenCounts, SplitPattern
from vocab.corpus.counting import count_documents
from vocab.interop.scratch.bpe_trainer import TrainedBpe, train_bpe
from vocab.splitting import CL100K_REGEX
from vocab.splitting.byte_alphabet import to_characters
from vocab.threads import n_cores

PATTERN = SplitPattern(CL100K_REGEX)
OURS, FROM_COUNTS, RUSTBPE, TOKENIZERS = "vocab", "vocab, from counts", "rustbpe", "tokenizers"
Call = Callable[[], Any]


def counted(texts: list[str]) -> PretokenCounts:
    """Counts of all documents, held out or not."""
    from vocab.pretokens.counts import merge

    part = count_documents(texts, "benchmark", PATTERN, n_cores())
    return merge([part.train, part.held_out], n_threads=n_cores())


def with_tokenizers(texts: list[str], n_tokens: int) -> dict[str, Any]:
    """Hugging Face's trainer; the model in its tokenizer.json."""
    tokenizer, trainer = untrained(PATTERN, n_tokens)
    tokenizer.train_from_iterator(texts, trainer)
    model: dict[str, Any] = json.loads(tokenizer.to_str())["model"]
    return model


def with_rustbpe(texts: list[str], n_tokens: int) -> list[bytes]:
    """The tokens of rustbpe."""
    import rustbpe

    trainer = rustbpe.Tokenizer()
    trainer.train_from_iterator(iter(texts), n_tokens, pattern=CL100K_REGEX)
    return [bytes(token) for token, _ in trainer.get_mergeable_ranks()]


def calls(texts: list[str], n_tokens: int) -> dict[str, Call]:
    """Everything that is timed and installed."""
    counts = counted(texts)
    timed: dict[str, Call] = {
        OURS: lambda: train_bpe(counted(texts), n_tokens),
        FROM_COUNTS: lambda: train_bpe(counts, n_tokens),
        TOKENIZERS: lambda: with_tokenizers(texts, n_tokens),
    }
    if installed("rustbpe"):
        timed[RUSTBPE] = lambda: with_rustbpe(texts, n_tokens)
    return timed


def verdicts(timed: dict[str, Call]) -> dict[str, str]:
    """How the results of each agree with those of tokenizers; running all warms them up, too."""
    model = timed[TOKENIZERS]()
    names = sorted(model["vocab"], key=model["vocab"].__getitem__)
    said = {TOKENIZERS: "yes"}
    for name in (OURS, FROM_COUNTS):
        said[name] = "yes" if is_same(timed[name](), names, model["merges"]) else "NO"
    if RUSTBPE in timed:
        same = len(set(names) & {to_characters(token) for token in timed[RUSTBPE]()})
        said[RUSTBPE] = f"{same:,} of {len(names):,} tokens"
    return said


def is_same(ours: TrainedBpe, names: list[str], merges: list[list[str]]) -> bool:
    """Whether tokens and merges are those of tokenizers, which keeps the last of two merges of one pair."""
    last = {(a, b): k for k, (a, b) in enumerate(ours.merges.tolist())}
    pairs = [[names[a], names[b]] for a, b in sorted(last, key=last.__getitem__)]
    return [to_characters(token) for token in ours.tokens] == names and pairs == [list(pair) for pair in merges]


def measure(timed: dict[str, Call], n_bytes: int, repeats: int) -> dict[str, Any]:
    """Seconds, MB/s and ratio of each call, and whether it gives the same tokens."""
    said = verdicts(timed)
    laps = interleaved(timed, repeats)
    results = throughput(laps, RUSTBPE if RUSTBPE in timed else TOKENIZERS, n_bytes)
    return {name: row | {"seconds": laps[name].seconds, "same": said[name]} for name, row in results.items()}


COLUMNS = ["", "seconds", *THROUGHPUT_COLUMNS, "same tokens and merges"]


def rows(results: dict[str, Any]) -> list[list[str]]:
    """The table's rows out of what --json writes."""
    return [[name, spread(row["seconds"]), *throughput_cells(row), row["same"]] for name, row in results.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description="Time training BPE beside rustbpe and tokenizers.")
    parser.add_argument("--corpus", type=Path, required=True, help="folder made by build_corpus.py")
    parser.add_argument("--mb", type=float, default=25, help="MB of training text")
    parser.add_argument("--tokens", type=int, default=32_000, help="tokens to train")
    parser.add_argument("--repeats", type=int, default=3, help="rounds; the median is shown")
    parser.add_argument("--json", type=Path, help="file for the results")
    arguments = parser.parse_args()
    facts = machine()
    texts = sample(arguments.corpus, int(arguments.mb * MB), held_out=False)
    n_bytes = sum(len(text.encode()) for text in texts)
    results = measure(calls(texts, arguments.tokens), n_bytes, arguments.repeats)
    show(f"{arguments.tokens:,} tokens from {n_bytes / MB:.1f} MB", COLUMNS, rows(results), facts)
    settings = {"text_bytes": n_bytes, "tokens": arguments.tokens, "mb": arguments.mb, "repeats": arguments.repeats}
    write_json(arguments.json, {"machine": facts, "settings": settings, "results": results})


if __name__ == "__main__":
    main()
