"""Text of benchmarks, and the documents of a corpus that hold some of it.

Training on a benchmark's text makes its result worthless, so documents that share a run of words with one are left out.
A run is 13 words (Brown et al. 2020, arXiv 2005.14165, appendix C): letters made small, punctuation removed, divided at
white space. A row of a benchmark of 8 to 12 words is one run; fewer are too common to say anything. A character
of a script without spaces, such as Chinese, is a word.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vocab.corpus.batch import Batch
from vocab.corpus.benchmark_kernels import ALONE, LEFT_OUT, PART, SPACE, fill_slots, mark_matches, write_runs
from vocab.corpus.file_kinds import JSON_LINES, ending_of
from vocab.corpus.files import read_errors_named
from vocab.corpus.unpacking import UnpackedFile
from vocab.errors import CorpusError
from vocab.reading import parse_json, why_no_json
from vocab.splitting.class_runs import members
from vocab.splitting.classes import LETTER, N_CODE_POINTS, UPPER, class_table

# Words of a run: GPT-3 takes 13, and at least 8 where a benchmark is short.
LONGEST, SHORTEST = 13, 8
_PART_BYTES = 1 << 20
_MOST_ROW_BYTES = 1 << 26
_WITHOUT_SPACES = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"


@cache
def word_tables() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """What each code point is to words, uint8[0x110000], and its small letter, int32[0x110000]; read-only."""
    kinds = np.where(members(r"[\p{L}\p{M}\p{N}]"), PART, LEFT_OUT).astype(np.uint8)
    kinds[members(r"[\s\p{Z}]") > 0] = SPACE
    kinds[(members(_WITHOUT_SPACES) & members(r"[\p{L}\p{N}]")) > 0] = ALONE
    lowered = np.arange(N_CODE_POINTS, dtype=np.int32)
    for code in np.flatnonzero((class_table() & (LETTER | UPPER)) == LETTER | UPPER).tolist():
        lower = chr(code).lower()
        lowered[code] = ord(lower[0])  # one that becomes two characters, like İ, keeps the first
    for table in (kinds, lowered):
        table.setflags(write=False)
    return kinds, lowered


@dataclass(frozen=True)
class BenchmarkText:
    """Runs of words of some benchmarks.

    Attributes:
        names: the files.
        sha256: digest of all files; two of the same digest are equal.
        n_rows: rows in them.
        n_short_rows: rows of fewer than 8 words, which nothing is compared with.
        slots: uint64, a table of the hashes of all runs.
        lengths: int64, the numbers of words of the runs, the most frequent first.
    """

    names: tuple[str, ...] = field(compare=False)
    sha256: str
    n_rows: int = field(compare=False)
    n_short_rows: int = field(compare=False)
    slots: npt.NDArray[np.uint64] = field(compare=False, repr=False)
    lengths: npt.NDArray[np.int64] = field(compare=False, repr=False)

    def without(self, batch: Batch) -> Batch:
        """The batch without documents that share a run of words with a benchmark; it says how many these were."""
        matches = np.zeros(batch.n_documents, dtype=np.bool_)
        powers, beginnings = np.empty(self.lengths.size, dtype=np.uint64), np.empty(32, dtype=np.uint64)
        tables = word_tables()
        mark_matches(batch.text, batch.starts, *tables, self.lengths, powers, self.slots, beginnings, matches)
        n_bytes = int(np.diff(batch.starts)[matches].sum())
        return replace(batch.chosen(~matches), n_of_benchmarks=int(matches.sum()), n_bytes_of_benchmarks=n_bytes)

    def for_report(self) -> dict[str, Any]:
        """What it is, as JSON types."""
        return {
            "files": list(self.names),
            "sha256": self.sha256,
            "n_rows": self.n_rows,
            "n_short_rows": self.n_short_rows,
            "n_words": LONGEST,
        }


def read_benchmarks(paths: Sequence[Path | str]) -> BenchmarkText:
    """Read benchmarks.

    Args:
        paths: files of JSON lines, perhaps packed. All texts of a row count, one after the other: a prompt, its answer.

    Raises:
        CorpusError: a file cannot be read, is not JSON lines, or none has a row of 8 words.
    """
    digest, runs, lengths = hashlib.sha256(), [np.empty(0, dtype=np.uint64)], set()
    n_rows = n_short = 0
    for path in map(Path, paths):
        for text in _rows(path):
            digest.update(len(text).to_bytes(8, "little") + text)
            hashes, n_words = _runs(text)
            n_rows, n_short = n_rows + 1, n_short + (n_words == 0)
            if n_words:
                runs.append(hashes)
                lengths.add(n_words)
    if not lengths:
        names = ", ".join(map(str, paths))
        raise CorpusError(f"{names} has no row of {SHORTEST} words: nothing can be compared with it")
    every = np.unique(np.concatenate(runs))
    slots = np.zeros(1 << max(6, int(2 * every.size - 1).bit_length()), dtype=np.uint64)
    fill_slots(every, slots)
    order = np.array(sorted(lengths, reverse=True), dtype=np.int64)
    return BenchmarkText(tuple(map(str, paths)), digest.hexdigest(), n_rows, n_short, slots, order)


def _runs(text: bytes) -> tuple[npt.NDArray[np.uint64], int]:
    """Hashes of the runs of words of a row, and the words of each."""
    raw = np.frombuffer(text, dtype=np.uint8)
    hashes = np.empty(raw.size + 1, dtype=np.uint64)
    n, n_words = write_runs(raw, 0, raw.size, *word_tables(), SHORTEST, LONGEST, np.empty(32, dtype=np.uint64), hashes)
    return hashes[:n].copy(), n_words


def _rows(path: Path) -> Iterator[bytes]:
    """The texts of each row of a file, one after the other."""
    if ending_of(path) not in JSON_LINES:
        raise CorpusError(f"{path} is not named like JSON lines ({', '.join(sorted(JSON_LINES))}): name such a file")
    with read_errors_named(path), UnpackedFile(path) as stream:
        for number, line in enumerate(_lines(stream, path), 1):
            if not line.strip():
                continue
            try:
                row = parse_json(line)
                yield " ".join(_texts(row)).encode()
            except ValueError as error:
                raise CorpusError(f"{path} line {number:,} {why_no_json(error)}") from None


def _lines(stream: UnpackedFile, path: Path) -> Iterator[bytes]:
    rest = b""
    while part := stream.read(_PART_BYTES):
        *whole, rest = (rest + part).split(b"\n")
        yield from whole
        if len(rest) > _MOST_ROW_BYTES:
            raise CorpusError(f"{path} has a line of more than {_MOST_ROW_BYTES >> 20} MiB: put each row on a line")
    yield rest


def _texts(value: Any) -> Iterator[str]:
    """All strings of a JSON value, in their order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        yield from itertools.chain.from_iterable(map(_texts, value.values() if isinstance(value, dict) else value))
