"""`run_study`: the runs of a study that have no row yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vocab.corpus.read_options import ReadOptions
from vocab.errors import StudyError
from vocab.experiments.loss.loss_spec import LossStudy
from vocab.experiments.ngram.ngram_spec import NgramStudy
from vocab.experiments.rows import RowFile, StudyRow
from vocab.experiments.run_context import RunContext
from vocab.experiments.speed.speed_spec import SpeedStudy
from vocab.experiments.study import Study
from vocab.progress import OnProgress, silent
from vocab.threads import n_cores
from vocab.writing import locked_folder

# The seed of the timing of steps in a loss study.
_SEED = 0


@dataclass(frozen=True)
class StudyRun:
    """The state of a study after a run.

    Attributes:
        rows: all rows of its file.
        n_new: how many of them this run added.
        left_out: sentences on what reading the corpus left out.
    """

    rows: list[StudyRow]
    n_new: int
    left_out: tuple[str, ...] = ()


def run_study(
    study: SpeedStudy | LossStudy | NgramStudy,
    rows_path: Path,
    work: Path,
    *,
    corpus: Sequence[str] = (),
    options: ReadOptions | None = None,
    device: str = "auto",
    n_threads: int | None = None,
    timings: Sequence[str] = (),
    on_progress: OnProgress | None = None,
) -> StudyRun:
    """Do the runs and cycles that have no row yet. A study that was killed resumes where it stopped.

    Args:
        study: the study, from `load_spec`.
        rows_path: file of rows, which gets a row for each run or cycle as soon as it is done.
        work: folder for vocabularies, shards and unfinished runs.
        corpus: files and folders of text, which a `LossStudy` and an `NgramStudy` need.
        options: how they are read.
        device: "cpu", "cuda" or "auto".
        n_threads: threads for counting and encoding; None for one a core.
        timings: names of the timings to run of a `SpeedStudy`; none for all.
        on_progress: is called with (stage, done, total).

    Raises:
        StudyError: for names of timings that the study lacks, a study of loss without `corpus`, rows of other settings,
            and a vocabulary that cannot be built.
        CorpusError: for text that cannot be read, or too little of it.
        TrainingError: when a model cannot be trained.
        OutputError: when rows cannot be written.
        MissingExtraError: without torch.
    """
    from vocab.model import require_torch

    require_torch("a study")
    from vocab.experiments.provenance import origin
    from vocab.experiments.speed.speed_runs import run_speed
    from vocab.model.hardware.parallel import choose_device

    device = choose_device(device).type
    with RowFile(rows_path) as rows:
        _check_same_settings(rows, study)
        n_before = len(rows.rows)
        left_out: tuple[str, ...] = ()
        context = RunContext(rows, device, origin(study, device), on_progress or silent)
        if isinstance(study, SpeedStudy):
            run_speed(study, context, timings)
        elif timings:
            raise StudyError(f"the study {study.name} measures loss: `timings` are for studies of speed")
        elif not corpus:
            raise StudyError(f"the study {study.name} measures loss: name text with `corpus`")
        else:
            run = _run_loss if isinstance(study, LossStudy) else _run_ngrams
            with locked_folder(work):
                left_out = run(study, context, work, list(corpus), options or ReadOptions(), n_threads or n_cores())  # type: ignore[arg-type]
    return StudyRun(rows.rows, len(rows.rows) - n_before, left_out)


def _run_loss(
    study: LossStudy, context: RunContext, work: Path, corpus: list[str], options: ReadOptions, n_threads: int
) -> tuple[str, ...]:
    from vocab.experiments.loss.loss_runs import LossRuns, sizes_of
    from vocab.experiments.speed.speed_runs import run_timing

    sizes = sizes_of(study)
    run_timing(study.name, study.step_timing, sizes, sizes[0], _SEED, context)
    return LossRuns(study, context, work, corpus, options, n_threads).run()


def _run_ngrams(
    study: NgramStudy, context: RunContext, work: Path, corpus: list[str], options: ReadOptions, n_threads: int
) -> tuple[str, ...]:
    from vocab.experiments.ngram.ngram_runs import NgramRuns

    return NgramRuns(study, context, work, corpus, options, n_threads).run()


def _check_same_settings(rows: RowFile, study: Study) -> None:
    for row in rows.rows:
        if row.study == study.name and row.origin.get("spec_sha256") != study.sha256:
            raise StudyError(
                f"{rows.path} has rows of {study.name} with other settings: give the study another name, or its rows "
                "another file"
            )
