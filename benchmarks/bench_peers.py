#!/usr/bin/env python3
"""Times encoding with cl100k_base and counting beside gigatoken, tiktoken and rs-bpe: the first pass, and the next.

    python benchmarks/bench_peers.py --text TEXT [--mb N] [--document-bytes N] [--rounds N] [--json FILE]

TEXT is the output of scripts/fetch_text.py; of each domain the same number of bytes is taken. One call a document, one
thread. Each round makes every encoder anew and times two passes over the text, one encoder after the other. Ids are
compared with those of tiktoken before anything is timed, and counts with each other. Figures are processor seconds, and
ratios are of the same round, so that other work on the machine disturbs both sides alike.
"""

from __future__ import annotations

import argparse
import base64
import gc
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from common import MB, corpus_files, installed, spread, up_to, write_json
from tables import machine, show

import vocab
from vocab import Vocabulary
from vocab.corpus.counting import count_documents
from vocab.corpus.documents import read_documents
from vocab.pretokens.counts import merge
from vocab.splitting import GPT2_REGEX, SplitPattern

OURS, BASE = "vocab", "gigatoken"
Encode = Callable[[str], Any]


def documents(text: Path, n_bytes: int, document_bytes: int) -> list[str]:
    """The first bytes of each domain, in pieces of about `document_bytes` characters, domains in turn."""
    paths = corpus_files(text)
    joined = ["\n".join(up_to(read_documents(path), n_bytes // len(paths))) for path in paths]
    starts = range(0, max(map(len, joined)), document_bytes)
    return [one[k : k + document_bytes] for k in starts for one in joined if one[k : k + document_bytes]]


def encoders(vocabulary: Vocabulary, ranks: Path) -> dict[str, Callable[[], Encode]]:
    """What makes each encoder anew, without what it remembers of text; those that are installed."""

    def ours() -> Encode:
        vocabulary.encoder.limit_cache(vocabulary.encoder.cache_bytes)
        return vocabulary.encode_to_numpy

    def gigatoken() -> Encode:
        import gigatoken

        encode: Encode = gigatoken.Tokenizer.from_tiktoken(ranks).encode
        return encode

    def rs_bpe() -> Encode:
        from rs_bpe import openai

        encode: Encode = openai.cl100k_base().encode
        return encode

    encoding = vocabulary.to_tiktoken()
    makers = {OURS: ours, "gigatoken": gigatoken, "rs-bpe": rs_bpe, "tiktoken": lambda: encoding.encode_ordinary}
    return {name: make for name, make in makers.items() if installed(name.replace("-", "_")) or name == OURS}


def seconds(call: Callable[[], object]) -> float:
    """Processor seconds of a call."""
    gc.collect()
    started = time.process_time()
    call()
    return time.process_time() - started


def n_different(encode: Encode, texts: Sequence[str], expected: Sequence[list[int]]) -> int:
    """Documents whose ids are not those expected."""
    return sum([int(k) for k in encode(text)] != ids for text, ids in zip(texts, expected, strict=True))


def time_encoders(makers: dict[str, Callable[[], Encode]], texts: list[str], rounds: int) -> dict[str, Any]:
    """Seconds of the first and of the second pass in each round."""
    expected = [list(ids) for ids in map(makers["tiktoken"](), texts)]
    rows: dict[str, Any] = {
        name: {"different": n_different(make(), texts, expected), "first": [], "warm": []}
        for name, make in makers.items()
    }
    for _ in range(rounds):
        for name, make in makers.items():
            encode = make()
            for row in ("first", "warm"):
                rows[name][row].append(seconds(lambda: [encode(text) for text in texts]))  # noqa: B023 (called at once)
    return rows


def time_counting(texts: list[str], rounds: int) -> dict[str, Any]:
    """Seconds of counting the text as one document with GPT-2's pattern, the only one that gigatoken counts by."""
    import gigatoken

    raw, pattern = "".join(texts), SplitPattern(GPT2_REGEX)
    encoded = raw.encode()

    def ours() -> dict[bytes, int]:
        part = count_documents([raw], "text", pattern)
        counts = merge([part.train, part.held_out])
        return dict(zip(counts.pretokens(), counts.counts.tolist(), strict=True))

    def theirs() -> list[tuple[bytes, int]]:
        counted: list[tuple[bytes, int]] = gigatoken.gigatoken_rs.pretokenized_counts(encoded)
        return counted

    peer = dict(theirs())
    mine = ours()
    different = sum(mine.get(key) != n for key, n in peer.items()) + len(mine.keys() - peer.keys())
    calls = {OURS: lambda: count_documents([raw], "text", pattern), BASE: theirs}
    rows: dict[str, Any] = {name: {"different": different, "first": []} for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            rows[name]["first"].append(seconds(call))
    return rows


def cells(rows: dict[str, Any], name: str, column: str, n_bytes: int) -> list[str]:
    """MB/s, and how many times as fast as gigatoken in the same round."""
    own = rows[name][column]
    speed = spread([n_bytes / MB / one for one in own])
    if BASE not in rows:
        return [speed, ""]
    return [speed, f"{statistics.median(b / a for a, b in zip(own, rows[BASE][column], strict=True)):.2f}"]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time encoding and counting beside other programs.")
    parser.add_argument("--text", type=Path, required=True, help="folder made by scripts/fetch_text.py")
    parser.add_argument("--mb", type=float, default=20, help="MB of text")
    parser.add_argument("--document-bytes", type=int, default=10_000, help="characters of a document")
    parser.add_argument("--rounds", type=int, default=5, help="rounds; the median is shown")
    parser.add_argument("--json", type=Path, help="file for the results")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    os.environ.update(RAYON_NUM_THREADS="1")
    facts = machine("gigatoken", "tiktoken")
    texts = documents(arguments.text, int(arguments.mb * MB), arguments.document_bytes)
    n_bytes = sum(len(text.encode()) for text in texts)
    vocabulary = vocab.load("cl100k_base")
    with tempfile.TemporaryDirectory() as folder:
        ranks = Path(folder) / "cl100k_base.tiktoken"
        lines = (base64.b64encode(token) + b" %d\n" % k for k, token in enumerate(vocabulary.tokens()))
        ranks.write_bytes(b"".join(lines))
        encoding = time_encoders(encoders(vocabulary, ranks), texts, arguments.rounds)
    table = [
        [name, *cells(encoding, name, "first", n_bytes), *cells(encoding, name, "warm", n_bytes), str(row["different"])]
        for name, row in encoding.items()
    ]
    title = f"Encoding, cl100k_base, {n_bytes / MB:.1f} MB in {len(texts)} documents, one thread"
    columns = ["", "first pass MB/CPU s", "× gigatoken", "warm MB/CPU s", "× gigatoken", "documents that differ"]
    show(title, columns, table, facts)
    counting = time_counting(texts, arguments.rounds) if installed(BASE) else {}
    counted = [
        [name, *cells(counting, name, "first", n_bytes), str(row["different"])] for name, row in counting.items()
    ]
    show("Counting by GPT-2's pattern", ["", "MB/CPU s", "× gigatoken", "counts that differ"], counted, facts)
    settings = {"text_bytes": n_bytes, "documents": len(texts), "rounds": arguments.rounds}
    write_json(arguments.json, {"machine": facts, "settings": settings, "encoding": encoding, "counting": counting})


if __name__ == "__main__":
    main()
