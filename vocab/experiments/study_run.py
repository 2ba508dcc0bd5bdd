"""`run_study`: the runs of a specification that have no row yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vocab.errors import StudyError
from vocab.experiments.rows import RowFile
from vocab.experiments.spec import Spec
from vocab.threads import n_cores

if TYPE_CHECKING:
    from vocab.experiments.rows import Row

Heard = Callable[[str, int, int], None]
SEED = 0


@dataclass(frozen=True)
class Done:
    """Rows of the study now, and how many of them are new."""

    rows: list[Row]
    n_new: int


def run_study(
    spec: Spec,
    rows_path: Path,
    work: Path,
    *,
    corpus: Sequence[str] = (),
    device: str = "auto",
    n_threads: int | None = None,
    on_progress: Heard | None = None,
) -> Done:
    """Do what has no row yet, and add a row to `rows_path` for each run or cycle as soon as it is done.

    `work` keeps vocabularies, shards and unfinished runs, in a folder for each specification and text; a study that was
    killed goes on from there. `corpus` is text for studies of loss. `device` is cpu, cuda or auto; `on_progress` hears
    (stage, done, all).

    Raises StudyError for a study that cannot be run, and what training and reading of text raise.
    """
    from vocab.model import require_torch

    require_torch("a study")
    from vocab.experiments.provenance import origin
    from vocab.experiments.speed.speed_study import run_speed
    from vocab.model.training.parallel import choose_device

    device = choose_device(device).type
    rows = RowFile(rows_path)
    _check_same_spec(rows, spec)
    n_before, hear = len(rows.rows), on_progress or (lambda stage, done, total: None)
    about = origin(spec, device)
    if spec.speed:
        run_speed(spec, spec.speed, rows, device, about, hear)
    elif spec.loss:
        if not corpus:
            raise StudyError(f"the study {spec.name} trains models: name text with --corpus")
        from vocab.experiments.loss.loss_study import LossStudy, sizes_of
        from vocab.experiments.speed.speed_study import run_timing

        sizes = sizes_of(spec.loss)
        run_timing(spec.name, spec.loss.step_timing, sizes, sizes[0], SEED, rows, device, about, hear)
        LossStudy(spec, spec.loss, rows, work, list(corpus), device, n_threads or n_cores()).run(about, hear)
    return Done(rows.rows, len(rows.rows) - n_before)


def _check_same_spec(rows: RowFile, spec: Spec) -> None:
    for row in rows.rows:
        if row.study == spec.name and row.origin.get("spec_sha256") != spec.sha256:
            raise StudyError(
                f"{rows.path} has rows of {spec.name} with other settings: give the study another name, or its rows "
                "another file"
            )
