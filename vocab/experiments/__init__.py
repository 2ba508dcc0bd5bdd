"""Studies: what the choice and the size of a vocabulary do to the speed of training and to the loss.

    from vocab.experiments import load_spec, run_study, write_report

    study = load_spec("hamming-cpu")
    run_study(study, Path("rows.jsonl"), Path("work"))
    write_report([study], [Path("rows.jsonl")], Path("report"))

A specification (TOML) says what is compared. Runs add rows to a file of JSON lines, and rows alone give the report:
specification ─> runs ─> rows ─> analysis ─> report, figures, page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocab.lazy import lazy_exports

if TYPE_CHECKING:
    from vocab.experiments.example_study import new_study
    from vocab.experiments.loss.loss_analysis import ArmFinding, Estimate, LossFinding, Run, analyse_loss
    from vocab.experiments.loss.loss_spec import Arm, LossStudy
    from vocab.experiments.ngram.ngram_analysis import NgramFinding, analyse_ngrams
    from vocab.experiments.ngram.ngram_spec import NgramStudy
    from vocab.experiments.report.study_report import StudyReport, write_report
    from vocab.experiments.rows import StudyRow, read_rows
    from vocab.experiments.size_choice import SizeChoice, SizeReason, choose_size
    from vocab.experiments.spec import builtin_studies, load_spec
    from vocab.experiments.speed.interval import Interval
    from vocab.experiments.speed.speed_analysis import SizeTime, SpeedFinding, analyse_speed
    from vocab.experiments.speed.speed_spec import SpeedStudy, TimingSpec
    from vocab.experiments.study_places import rows_of
    from vocab.experiments.study_run import StudyRun, run_study
    from vocab.experiments.vocabulary_comparison import VocabularyComparison, compare_vocabularies

__all__ = [
    "Arm",
    "ArmFinding",
    "Estimate",
    "Interval",
    "LossFinding",
    "LossStudy",
    "NgramFinding",
    "NgramStudy",
    "Run",
    "SizeChoice",
    "SizeReason",
    "SizeTime",
    "SpeedFinding",
    "SpeedStudy",
    "StudyReport",
    "StudyRow",
    "StudyRun",
    "TimingSpec",
    "VocabularyComparison",
    "analyse_loss",
    "analyse_ngrams",
    "analyse_speed",
    "builtin_studies",
    "choose_size",
    "compare_vocabularies",
    "load_spec",
    "new_study",
    "read_rows",
    "rows_of",
    "run_study",
    "write_report",
]

_HOMES = {
    "Arm": "vocab.experiments.loss.loss_spec",
    "ArmFinding": "vocab.experiments.loss.loss_analysis",
    "Estimate": "vocab.experiments.loss.loss_analysis",
    "Interval": "vocab.experiments.speed.interval",
    "LossFinding": "vocab.experiments.loss.loss_analysis",
    "LossStudy": "vocab.experiments.loss.loss_spec",
    "NgramFinding": "vocab.experiments.ngram.ngram_analysis",
    "NgramStudy": "vocab.experiments.ngram.ngram_spec",
    "Run": "vocab.experiments.loss.loss_analysis",
    "SizeChoice": "vocab.experiments.size_choice",
    "SizeReason": "vocab.experiments.size_choice",
    "SizeTime": "vocab.experiments.speed.speed_analysis",
    "SpeedFinding": "vocab.experiments.speed.speed_analysis",
    "SpeedStudy": "vocab.experiments.speed.speed_spec",
    "StudyReport": "vocab.experiments.report.study_report",
    "StudyRow": "vocab.experiments.rows",
    "StudyRun": "vocab.experiments.study_run",
    "TimingSpec": "vocab.experiments.speed.speed_spec",
    "VocabularyComparison": "vocab.experiments.vocabulary_comparison",
    "analyse_loss": "vocab.experiments.loss.loss_analysis",
    "analyse_ngrams": "vocab.experiments.ngram.ngram_analysis",
    "analyse_speed": "vocab.experiments.speed.speed_analysis",
    "builtin_studies": "vocab.experiments.spec",
    "choose_size": "vocab.experiments.size_choice",
    "compare_vocabularies": "vocab.experiments.vocabulary_comparison",
    "load_spec": "vocab.experiments.spec",
    "new_study": "vocab.experiments.example_study",
    "read_rows": "vocab.experiments.rows",
    "rows_of": "vocab.experiments.study_places",
    "run_study": "vocab.experiments.study_run",
    "write_report": "vocab.experiments.report.study_report",
}
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
