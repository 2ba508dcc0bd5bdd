"""What the benchmarks share: documents of a corpus, timing and peak memory."""

from __future__ import annotations

import gc
import importlib.util
import json
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from vocab.corpus.counting import is_held_out
from vocab.corpus.documents import read_documents
from vocab.splitting import SplitPattern
from vocab.writing import write_text

T = TypeVar("T")
MB = 1_000_000
# Unlike corpora out of scripts/fetch_text.py, by what the names of their domains begin with.
CORPORA = {"English": ("books-en", "docs-", "markup"), "code": ("code-",), "languages": ("lang-",)}
THROUGHPUT_COLUMNS = ["MB/s", "ratio", "MB/CPU second"]


def corpus_files(corpus: Path) -> list[str]:
    """The files of a corpus, one a domain, sorted."""
    paths = sorted(str(path) for path in corpus.glob("*.jsonl.zst"))
    if not paths:
        sys.exit(f"{corpus} holds no .jsonl.zst files: make it with benchmarks/build_corpus.py")
    return paths


def documents(corpus: Path, *, held_out: bool) -> Iterator[str]:
    """Texts of the training or of the held-out part."""
    for path in corpus_files(corpus):
        yield from one_side(path, held_out)


def one_side(path: str, held_out: bool) -> Iterator[str]:
    """Documents of one file that are held out, or those that are not."""
    for text in read_documents(path):
        if is_held_out(text.encode()) == held_out:
            yield text


def mixed_texts(text: Path, corpus: str, *, held_out: bool) -> Iterator[str]:
    """Documents of one of CORPORA, one of each domain in turn: any first part of them is a mixture of all.

    `text` is the folder of scripts/fetch_text.py.
    """
    paths = [str(path) for path in sorted(text.glob("*.jsonl.zst")) if path.name.startswith(CORPORA[corpus])]
    for row in zip_longest(*(one_side(path, held_out) for path in paths)):
        yield from (one for one in row if one is not None)


def sample(corpus: Path, n_bytes: int, *, held_out: bool) -> list[str]:
    """About `n_bytes` of one part, of each domain its share: the first documents, as files are in hash order."""
    rows = json.loads((corpus / "manifest.json").read_text("utf-8"))["files"]
    total = sum(row["text_bytes"] for row in rows.values())
    texts: list[str] = []
    for path in corpus_files(corpus):
        share = n_bytes * rows[Path(path).name]["text_bytes"] // total
        texts += up_to(one_side(path, held_out), share)
    return texts


def up_to(texts: Iterable[str], n_bytes: int) -> Iterator[str]:
    """The first texts that fit into so many bytes."""
    used = 0
    for text in texts:
        used += len(text.encode())
        if used > n_bytes:
            return
        yield text


def untrained(pattern: SplitPattern, size: int) -> tuple[Tokenizer, trainers.BpeTrainer]:
    """Hugging Face's byte-level BPE behind a split pattern, with its trainer of `size` tokens."""
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(pattern.portable), behavior="isolated")
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, as_bytes])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return tokenizer, trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)


@dataclass(frozen=True)
class Timed:
    """One call: what it returned, wall seconds, processor seconds of all threads, and peak resident memory in MB."""

    result: Any
    seconds: float
    cpu_seconds: float
    peak_mb: float


def timed(call: Callable[[], Any]) -> Timed:
    """Run `call` once; the peak counts from here on, where the system can start it anew (Linux)."""
    gc.collect()
    _reset_peak()
    started, cpu_started = time.perf_counter(), time.process_time()
    result = call()
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    return Timed(result, seconds, cpu_seconds, _peak_mb())


def _reset_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5", "ascii")
    except OSError:
        return


def _peak_mb() -> float:
    """VmHWM, which begins anew with each program; ru_maxrss would start from the parent's."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text("ascii").split("VmHWM:")[1].split()[0]) * 1024 / MB
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / MB


def in_child(function: Callable[..., T], *arguments: object) -> T:
    """Run a function of a module in a fresh process, so that its peak memory is its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


class Laps(NamedTuple):
    """Repeats of one call: wall seconds, and processor seconds of all threads, which other work disturbs less."""

    seconds: list[float]
    cpu_seconds: list[float]


def interleaved(calls: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, Laps]:
    """Time the calls, one of each in turn, so that a busy machine is busy for all of them."""
    laps = {name: Laps([], []) for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            gc.collect()
            started, cpu_started = time.perf_counter(), time.process_time()
            call()
            laps[name].seconds.append(time.perf_counter() - started)
            laps[name].cpu_seconds.append(time.process_time() - cpu_started)
    return laps


def throughput(laps: Mapping[str, Laps], base: str, n_bytes: int) -> dict[str, dict[str, Any]]:
    """MB a second, by the clock and by the processor, and how many times as fast as the base, by the clock."""
    return {
        name: {
            "mb_per_second": [n_bytes / MB / one for one in lap.seconds],
            "mb_per_cpu_second": [n_bytes / MB / one for one in lap.cpu_seconds],
            "ratio": statistics.median(b / a for a, b in zip(lap.seconds, laps[base].seconds, strict=True)),
        }
        for name, lap in laps.items()
    }


def throughput_cells(row: Mapping[str, Any]) -> list[str]:
    """The cells of a row of `throughput` in a table with THROUGHPUT_COLUMNS."""
    return [spread(row["mb_per_second"]), f"{row['ratio']:.2f}", spread(row["mb_per_cpu_second"])]


def spread(values: list[float], digits: int = 1) -> str:
    """The median, and the least and greatest beside it when there are several."""
    middle = f"{statistics.median(values):.{digits}f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def installed(module: str) -> bool:
    """Whether a peer can be imported."""
    return importlib.util.find_spec(module) is not None


def write_json(path: Path | None, content: Mapping[str, object]) -> None:
    """Write results to a file, unless `path` is None."""
    if path is not None:
        write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
