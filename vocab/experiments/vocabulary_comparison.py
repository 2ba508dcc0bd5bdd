"""`compare_vocabularies`: which vocabulary is better for a model, by a study that is written, run and reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vocab.choices import Preset
from vocab.corpus.read_options import ReadOptions
from vocab.errors import CorpusError, OutputError, StudyError
from vocab.experiments.comparison_answer import answer_of_counts, answer_of_training
from vocab.experiments.comparison_spec import arms_of, counting_study, study_toml, training_study
from vocab.experiments.loss.loss_analysis import analyse_loss
from vocab.experiments.loss.loss_spec import Arm, LossStudy
from vocab.experiments.loss.sample import n_bytes_of
from vocab.experiments.ngram.ngram_analysis import analyse_ngrams
from vocab.experiments.ngram.ngram_spec import NgramStudy
from vocab.experiments.report.study_report import write_report
from vocab.experiments.rows import StudyRow
from vocab.experiments.study_run import run_study
from vocab.progress import OnProgress
from vocab.writing import write_text

_SPEC, _WORK = "study.toml", "work"
_COUNTED_MEGABYTES, _TRAINED_MEGABYTES = 20.0, 0.4


@dataclass(frozen=True)
class VocabularyComparison:
    """Which of some vocabularies is better.

    Attributes:
        answer: the answer in a few sentences.
        files: the study, its rows, and the report with figures and page.
        left_out: sentences on what reading the corpus left out.
    """

    answer: list[str]
    files: list[Path]
    left_out: tuple[str, ...]


def compare_vocabularies(
    sources: Sequence[str],
    corpus: Sequence[str],
    out: Path,
    *,
    megabytes: float | None = None,
    trains: bool = False,
    preset: Preset = "micro",
    n_seeds: int = 3,
    options: ReadOptions | None = None,
    device: str = "auto",
    n_threads: int | None = None,
    on_progress: OnProgress | None = None,
) -> VocabularyComparison:
    """Compare vocabularies by the loss of models of the same text; the first is the baseline.

    By default n-grams are counted, which needs no seeds and takes a minute. Or the same model is trained through each,
    and losses are compared at equal text, tokens, compute and time. A comparison that was killed goes on.

    Args:
        sources: arguments of `vocab.load`, two or more.
        corpus: files and folders of text.
        out: folder for the study, its rows, the report and the page.
        megabytes: MB of text that is counted or trained on; None for 20 and 0.4. Less where the corpus is smaller.
        trains: whether models are trained.
        preset: shape of the models that are trained.
        n_seeds: models that are trained for each vocabulary.
        options: how the corpus is read.
        device: "cpu", "cuda" or "auto".
        n_threads: threads for counting and encoding; None for one a core.
        on_progress: is called with (stage, done, total).

    Raises:
        StudyError: fewer than two vocabularies, one that cannot encode every text, or another comparison in `out`.
        CorpusError: text that cannot be read, or none.
        OutputError: the folder cannot be written.
        MissingExtraError: without torch, or without the packages that draw.
    """
    arms, options = arms_of(sources), options or ReadOptions()
    study = _study(out.name or "comparison", arms, corpus, options, (trains, megabytes, preset, n_seeds))
    _keep(study, out / _SPEC)
    rows_path = out / f"{study.name}.jsonl"
    done = run_study(
        study,
        rows_path,
        out / _WORK,
        corpus=corpus,
        options=options,
        device=device,
        n_threads=n_threads,
        on_progress=on_progress,
    )
    answer = _answer(study, done.rows)
    report = write_report([study], [rows_path], out, answer=answer, force=True)
    return VocabularyComparison(answer, [out / _SPEC, rows_path, *report.files], done.left_out)


def _study(
    name: str,
    arms: tuple[Arm, ...],
    corpus: Sequence[str],
    options: ReadOptions,
    how: tuple[bool, float | None, Preset, int],
) -> NgramStudy | LossStudy:
    trains, megabytes, preset, n_seeds = how
    available = n_bytes_of(corpus, options) // 1000 / 1000
    if not available:
        raise CorpusError(f"corpus {', '.join(corpus)} holds less than a kilobyte of text: give more")
    if trains:
        return training_study(name, arms, megabytes or _TRAINED_MEGABYTES, available, preset, n_seeds)
    return counting_study(name, arms, min(available, megabytes or _COUNTED_MEGABYTES))


def _keep(study: NgramStudy | LossStudy, path: Path) -> None:
    """Write the study's file, unless it is there; raises StudyError and OutputError for what else is there."""
    text, folder = study_toml(study), path.parent
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file: name a folder with `out`")
    if not path.exists():
        if folder.exists() and any(folder.iterdir()):
            raise OutputError(f"{folder} holds other files: name an empty folder, or a new one, with `out`")
        folder.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    elif path.read_bytes() != text.encode():
        raise StudyError(f"{folder} holds another comparison: name another folder with `out`")


def _answer(study: NgramStudy | LossStudy, rows: Sequence[StudyRow]) -> list[str]:
    if isinstance(study, NgramStudy):
        return answer_of_counts(analyse_ngrams(rows, study), len(rows[0].result["document_bytes"]))
    return answer_of_training(analyse_loss(rows, study))
