"""The built-in corpus profile: pre-token counts of open texts and code, so that pruning needs no corpus to start.

The file is a Parquet table (part, held_out, pretoken, count) in the package; `scripts/build_profile.py` makes it and
`profile_manifest.json` beside it names every source with version, licence, sha256 and bytes.
"""

from __future__ import annotations

import json
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from vocab.corpus.arrow import blob_and_starts, numbers
from vocab.corpus.counting import CorpusCounts, CorpusPart
from vocab.corpus.tally import Tally
from vocab.pretokens.counts import PretokenCounts
from vocab.pretokens.table import PretokenTable
from vocab.splitting import SplitPattern

_FILE = "profile.parquet"
_METADATA = b"vocab.profile"
BUILTIN_NOTE = (
    "The built-in corpus profile was used: a mixture of open texts and code. For your own domain, --corpus with a "
    "sample of your text gives a better vocabulary."
)
_RESPLIT_NOTE = "It was counted with cl100k_base's split pattern and split again with the source's."


def builtin_profile(pattern: SplitPattern) -> CorpusCounts:
    """The built-in profile for a split pattern.

    It was counted with cl100k_base's pattern. For another, its pre-tokens are split again, which loses only what that
    pattern would join across their edges; a note says so.
    """
    profile = _stored_profile()
    if profile.train.pattern_sha256 == pattern.sha256:
        return profile
    parts = tuple(
        CorpusPart(
            name=part.name,
            train=_resplit(part.train, pattern),
            held_out=_resplit(part.held_out, pattern),
            tally=part.tally,
            weight=part.weight,
            held_out_rule=part.held_out_rule,
        )
        for part in profile.parts
    )
    return CorpusCounts(parts, prior=profile.prior, is_builtin=True, notes=(BUILTIN_NOTE, _RESPLIT_NOTE))


def read_ahead() -> None:
    """Read the built-in profile on a thread of its own, for `builtin_profile` to find it read."""
    _reading()


def _stored_profile() -> CorpusCounts:
    return _reading().result()


@cache
def _reading() -> Future[CorpusCounts]:
    thread = ThreadPoolExecutor(1)
    reading = thread.submit(_read_stored)
    thread.shutdown(wait=False)
    return reading


def _read_stored() -> CorpusCounts:
    with as_file(files(__package__) / _FILE) as path:
        return read_profile(path)


def read_profile(path: Path) -> CorpusCounts:
    """The profile that `write_profile` stored."""
    table = pq.ParquetFile(path).read()  # `read_table` would import all of pyarrow's datasets first
    summary = json.loads(table.schema.metadata[_METADATA])
    encoded = table["part"].combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    keys = 2 * numbers(encoded.indices) + numbers(table["held_out"].combine_chunks().cast(pa.uint8()))
    sides = {
        (name, held_out): _rows_as_counts(
            table, np.flatnonzero(keys == 2 * names.index(name) + held_out), summary["pattern_sha256"]
        )
        for name in summary["parts"]
        for held_out in (False, True)
    }
    parts = [
        CorpusPart(
            name=name,
            train=sides[name, False],
            held_out=sides[name, True],
            tally=Tally(n_documents=stored["n_documents"], n_bytes_read=stored["n_bytes_read"]),
            weight=stored["weight"],
            held_out_rule=summary["held_out_rule"],
        )
        for name, stored in summary["parts"].items()
    ]
    return CorpusCounts(tuple(parts), prior=summary["prior"], is_builtin=True, notes=(BUILTIN_NOTE,))


def _rows_as_counts(table: pa.Table, places: npt.NDArray[np.int64], pattern_sha256: str) -> PretokenCounts:
    """Counts of some rows, which `write_profile` puts one after another."""
    rows = table.slice(int(places[0]) if places.size else 0, places.size)
    counts = numbers(rows["count"].combine_chunks()).astype(np.uint64)
    pretokens = rows["pretoken"].combine_chunks().cast(pa.large_binary())
    return PretokenCounts(*blob_and_starts(pretokens), counts, pattern_sha256)


def write_profile(corpus: CorpusCounts, path: Path) -> None:
    """Store a counted corpus as a profile, with the weights of its parts and its prior."""
    sides = [(part.name, held, part.held_out if held else part.train) for part in corpus.parts for held in (0, 1)]
    summary: dict[str, Any] = {
        "pattern_sha256": corpus.parts[0].train.pattern_sha256,
        "prior": corpus.prior,
        "held_out_rule": corpus.parts[0].held_out_rule,
        "parts": {
            part.name: {
                "n_documents": part.tally.n_documents,
                "n_bytes_read": part.tally.n_bytes_read,
                "weight": part.weight,
            }
            for part in corpus.parts
        },
    }
    lengths = [side.n_pretokens for _, _, side in sides]
    names = np.repeat([name for name, _, _ in sides], lengths)
    table = pa.table(
        {
            "part": pa.array(names).dictionary_encode(),
            "held_out": pa.array(np.repeat([bool(held) for _, held, _ in sides], lengths)),
            "pretoken": pa.array([p for _, _, side in sides for p in side.pretokens()], pa.binary()),
            "count": pa.array(np.concatenate([side.counts for _, _, side in sides]).astype(np.uint32)),
        }
    ).replace_schema_metadata({_METADATA: json.dumps(summary)})
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=19,
        use_dictionary=["part"],
        column_encoding={"pretoken": "DELTA_BYTE_ARRAY", "count": "DELTA_BINARY_PACKED"},
    )


def _resplit(counts: PretokenCounts, pattern: SplitPattern) -> PretokenCounts:
    table = PretokenTable()
    text, starts = counts.blob, counts.starts
    if pattern.steps:
        text, starts = pattern.steps.prepared_documents(text, starts, are_whole=False)
    ends, firsts = pattern.ends_of_documents(text, starts)
    table.add(text, ends, np.repeat(counts.counts, np.diff(firsts)))
    return PretokenCounts.from_table(table, pattern.sha256)
