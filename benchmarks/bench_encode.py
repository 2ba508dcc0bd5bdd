#!/usr/bin/env python3
"""Times encoding on one thread, document by document, beside tiktoken, tokenizers, bpe-openai and rs-bpe.

    python benchmarks/bench_encode.py --corpus DIR [--mb N] [--repeats N] [--json FILE]

The text is held out from the corpus. Vocabularies are cl100k_base, and 32,000 tokens of it distilled on a sample of
the training part. Ids are compared before anything is timed. Ratios are to tiktoken, or to tokenizers where
tiktoken has no such encoder.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from common import MB, THROUGHPUT_COLUMNS, installed, interleaved, sample, throughput, throughput_cells, write_json
from tables import machine, show

import vocab
from vocab import CorpusCounts, Vocabulary
from vocab.corpus.counting import count_documents
from vocab.prune import prune

Ids = Sequence[int] | npt.NDArray[np.int32]
Call = Callable[[], list[Ids]]
TARGET = 32_000


@dataclass(frozen=True)
class Text:
    """The documents to encode, as text and as UTF-8."""

    documents: list[str]
    raw: list[bytes]

    @property
    def n_bytes(self) -> int:
        return sum(map(len, self.raw))


def ours(vocabulary: Vocabulary, text: Text) -> Call:
    """The compiled encoder: UTF-8 bytes to an int32 array."""
    encode = vocabulary.encoder.encode
    return lambda: [encode(raw) for raw in text.raw]


def ours_at_once(vocabulary: Vocabulary, text: Text) -> Call:
    """The same on all documents end to end: what a call costs by itself is paid once. Ids differ at the seams."""
    joined = b"".join(text.raw)
    encode = vocabulary.encoder.encode
    return lambda: [encode(joined)]


def each(encode: Callable[[str], Ids]) -> Callable[[Vocabulary, Text], Call]:
    """A peer that takes a document as text."""
    return lambda _, text: lambda: [encode(document) for document in text.documents]


def our_lists(vocabulary: Vocabulary, text: Text) -> Call:
    return each(vocabulary.encode)(vocabulary, text)


def tiktoken(vocabulary: Vocabulary, text: Text) -> Call:
    return each(vocabulary.to_tiktoken().encode_ordinary)(vocabulary, text)


def tokenizers(vocabulary: Vocabulary, text: Text) -> Call:
    tokenizer = vocabulary.to_tokenizers()
    return each(lambda document: tokenizer.encode(document).ids)(vocabulary, text)


def bpe_openai(vocabulary: Vocabulary, text: Text) -> Call:
    import bpe_openai

    return each(bpe_openai.get_encoding("cl100k_base").encode_ordinary)(vocabulary, text)


def rs_bpe(vocabulary: Vocabulary, text: Text) -> Call:
    from rs_bpe import openai

    return each(openai.cl100k_base().encode)(vocabulary, text)


@dataclass(frozen=True)
class Peer:
    """An encoder: a function that makes the call to time, what it can encode with, and the package it needs."""

    name: str
    make: Callable[[Vocabulary, Text], Call]
    inference: tuple[str, ...] = ("merges", "least-tokens", "longest-prefix")
    needs: str = "vocab"
    is_fixed: bool = False  # knows cl100k_base only


PEERS = [
    Peer("vocab, bytes to array", ours),
    Peer("vocab, all documents at once", ours_at_once),
    Peer("vocab, text to list", our_lists),
    Peer("tiktoken", tiktoken, inference=("merges",)),
    Peer("tokenizers", tokenizers),
    Peer("bpe-openai", bpe_openai, needs="bpe_openai", is_fixed=True),
    Peer("rs-bpe", rs_bpe, needs="rs_bpe", is_fixed=True),
]


def vocabularies(corpus: Path, n_bytes: int) -> dict[str, Vocabulary]:
    """The vocabularies to encode with; special tokens left out, as tokenizers cannot hold cl100k_base's ids."""
    whole = replace(vocab.load("cl100k_base"), special_tokens={})
    texts = sample(corpus, n_bytes, held_out=False)
    counts = CorpusCounts((count_documents(texts, "sample", whole.pattern, n_threads=2),))
    return {
        "cl100k_base": whole,
        "32,000 for merges": prune(whole, TARGET, corpus=counts, inference="merges").vocabulary,
        "32,000 for least-tokens": prune(whole, TARGET, corpus=counts, inference="least-tokens").vocabulary,
    }


def calls_for(name: str, vocabulary: Vocabulary, text: Text) -> dict[str, Call]:
    """The calls to time for one vocabulary."""
    fits = [peer for peer in PEERS if vocabulary.inference in peer.inference and installed(peer.needs)]
    return {peer.name: peer.make(vocabulary, text) for peer in fits if not peer.is_fixed or name == "cl100k_base"}


def verdicts(calls: dict[str, Call]) -> dict[str, str]:
    """Whether each call gives the ids that the first does; running them warms them up, too."""
    first = [list(map(int, ids)) for ids in next(iter(calls.values()))()]
    verdicts = {}
    for name, call in calls.items():
        got = call()
        if len(got) != len(first):
            verdicts[name] = ""
            continue
        different = sum(list(map(int, a)) != b for a, b in zip(got, first, strict=True))
        verdicts[name] = "yes" if different == 0 else f"NO: {different} of {len(first)} documents"
    return verdicts


def measure(calls: dict[str, Call], n_bytes: int, repeats: int) -> dict[str, Any]:
    """MB/s, ratio and exactness of each call."""
    exact = verdicts(calls)
    base = "tiktoken" if "tiktoken" in calls else "tokenizers"
    results = throughput(interleaved(calls, repeats), base, n_bytes)
    return {name: row | {"same_ids": exact[name]} for name, row in results.items()}


COLUMNS = ["", *THROUGHPUT_COLUMNS, "same ids"]


def rows(results: dict[str, Any]) -> list[list[str]]:
    """The table's rows out of what --json writes for one vocabulary."""
    return [[name, *throughput_cells(row), row["same_ids"]] for name, row in results.items()]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time encoding beside other encoders.")
    parser.add_argument("--corpus", type=Path, required=True, help="folder made by build_corpus.py")
    parser.add_argument("--mb", type=float, default=10, help="MB of held-out text to encode")
    parser.add_argument("--train-mb", type=float, default=20, help="MB of training text to distill on")
    parser.add_argument("--repeats", type=int, default=5, help="rounds; the median is shown")
    parser.add_argument("--json", type=Path, help="file for the results")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    os.environ.update(RAYON_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")
    facts = machine()
    held_out = sample(arguments.corpus, int(arguments.mb * MB), held_out=True)
    text = Text(held_out, [document.encode() for document in held_out])
    size = f"{text.n_bytes / MB:.1f} MB in {len(held_out)} documents, one thread"
    results = {}
    for name, vocabulary in vocabularies(arguments.corpus, int(arguments.train_mb * MB)).items():
        results[name] = measure(calls_for(name, vocabulary, text), text.n_bytes, arguments.repeats)
        show(f"Encoding with {name}: {size}", COLUMNS, rows(results[name]), facts)
    settings = {"text_bytes": text.n_bytes, "documents": len(held_out), "repeats": arguments.repeats}
    write_json(arguments.json, {"machine": facts, "settings": settings, "results": results})


if __name__ == "__main__":
    main()
