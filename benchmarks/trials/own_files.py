"""Our own files with bits flipped, parts cut off or left out: read as they were written, or refused in one sentence.

What was interrupted, a count or a run of training, then goes on to the right result or is refused.
"""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from trials.bench import Bench
from trials.damaged import damaged
from trials.limited import limited
from trials.works import OUT, Prepared, made_inputs, prepared
from vocab.corpus.count_table import read_part
from vocab.experiments.rows import RowFile, StudyRow, read_rows
from vocab.formats.id_map import read_id_map
from vocab.model.data.shards import open_stream, read_metadata
from vocab.writing import check_target
from vocab.writing.result_mark import marked

INTERRUPTED = ("count", "train")

# Reads the folder of a kind, and gives all that it says.
Reader = Callable[[Path], Any]


def trials(bench: Bench) -> Iterator[str | None]:
    """Damage one file of ours after another."""
    folders = _folders(bench)
    expected = {kind: READERS[kind](folder) for kind, folder in folders.items()}
    states = {one.work.name: (one, _interrupted(bench, one)) for one in _commands(bench)}
    while True:
        for kind, folder in folders.items():
            yield _read_damaged(bench, kind, folder, expected[kind])
        for one, state in states.values():
            if state:
                yield _go_on(bench, one, state)


def _folders(bench: Bench) -> dict[str, Path]:
    inputs = made_inputs(bench.folder.parent)
    rows = bench.folder / "rows"
    rows.mkdir()
    with RowFile(rows / "rows.jsonl") as file:
        for cycle in range(6):
            key = {"kind": "cycle", "timing": "head", "machine": "a", "cycle": cycle}
            file.add(StudyRow("tiny", key, {"seconds": {"256": 0.25 * cycle, "again": 0.5}}, {"spec_sha256": "0"}))
    return {
        "counts": inputs / "counts",
        "shards": inputs / "shards",
        "id map": inputs / "small",
        "mark": inputs / "small",
        "rows": rows,
    }


def _read_damaged(bench: Bench, kind: str, folder: Path, expected: Any) -> str | None:
    """Damage one file of a copy; what is wrong with how it is read."""
    copy = bench.folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    name = bench.chance.choice([path.name for path in sorted(folder.glob(FILES[kind]))])
    raw = (copy / name).read_bytes()
    (copy / name).write_bytes(damaged(raw, bench.chance))

    def read() -> None:
        found = READERS[kind](copy)
        # A file of rows has no end: rows that were cut off are done again.
        if found != expected and not (kind == "rows" and all(row in expected for row in found)):
            raise AssertionError(f"another content: {str(found)[:200]}")

    fault = limited(read, bench.folder / "said.txt").fault
    return fault and f"{kind} with damaged {name}: {fault}"


def _counts(folder: Path) -> Any:
    part = read_part(folder / "counts.parquet")
    sides = [side for side in (part.train, part.held_out) if side is not None]
    return part.name, [(side.blob.tobytes(), side.starts.tobytes(), side.counts.tobytes()) for side in sides]


def _shards(folder: Path) -> Any:
    metadata = read_metadata(folder)
    streams = [open_stream(folder, metadata, side) for side in ("train", "held_out")]
    arrays = [[*one.files, one.documents, one.document_bytes] for one in streams]
    return metadata, [array.tobytes() for side in arrays for array in side]


def _id_map(folder: Path) -> Any:
    return read_id_map(folder)


def _mark(folder: Path) -> Any:
    """Whether a result may be replaced: only when each of its files is as it was written."""
    check_target(folder, force=True)
    return marked(folder, "result")


def _rows(folder: Path) -> Any:
    return [(row.identity, row.result, row.origin) for row in read_rows([folder / "rows.jsonl"])]


READERS: dict[str, Reader] = {"counts": _counts, "shards": _shards, "id map": _id_map, "mark": _mark, "rows": _rows}
FILES = {"counts": "counts.parquet", "shards": "*.*", "id map": "id_map.json", "mark": "*", "rows": "*.jsonl"}


def _commands(bench: Bench) -> list[Prepared]:
    return [one for one in prepared(bench) if one.work.name in INTERRUPTED]


def _interrupted(bench: Bench, one: Prepared) -> Path | None:
    """A folder in which the command was stopped when it had kept some state; None if that never happened."""
    where, kept = bench.folder / "run", bench.folder / f"interrupted {one.work.name}"
    for k in range(20):
        one.fresh(where)
        child = bench.start(one.work.call, where)
        time.sleep(one.seconds * (0.95 - 0.04 * k))
        child.send(signal.SIGTERM)  # which keeps more than a kill
        child.wait()
        if _state(where) and one.state_fault(where) is None and one.result_fault(where):
            shutil.copytree(where, kept)
            return kept
    return None


def _state(where: Path) -> list[Path]:
    """Files of an interrupted command that the next run reads."""
    return [path for path in sorted(where.rglob("*")) if path.is_file() and path.stat().st_size]


def _go_on(bench: Bench, one: Prepared, state: Path) -> str | None:
    """Damage a file of what a killed run left, and run again; what is wrong."""
    where = bench.folder / "run"
    shutil.rmtree(where)
    shutil.copytree(state, where)
    path = bench.chance.choice(_state(where))
    path.write_bytes(damaged(path.read_bytes(), bench.chance))
    child = bench.start(one.work.call, where)
    code = child.wait()
    name = path.relative_to(where)
    if code == 0:
        fault = one.result_fault(where)
        return fault and f"{fault}, with damaged {name}"
    fault = (
        one.refusal_fault(child, where, str(path.relative_to(where)).removeprefix(f"{OUT}/"))
        if code == 2
        else f"{one.work.name} ends with {code}: {child.complaint()}"
    )
    return fault and f"{fault}, with damaged {name}"
