"""Comparisons of n-gram losses: what differs is told apart, what does not is not, and p-values are adjusted by Holm."""

from dataclasses import replace

import numpy as np
import pytest

from vocab.errors import StudyError
from vocab.experiments.loss.loss_spec import Arm
from vocab.experiments.ngram.ngram_analysis import analyse_ngrams, holm
from vocab.experiments.ngram.ngram_section import ngram_section
from vocab.experiments.ngram.ngram_spec import NgramStudy
from vocab.experiments.rows import StudyRow

NAMES = ("distill", "better", "same", "rank")
STUDY = NgramStudy(
    name="s",
    question="q",
    arms=tuple(Arm(name=name, build="prune", sizes=(400,)) for name in NAMES),
    baseline="distill",
    order=3,
    megabytes=1.0,
)
N_DOCUMENTS = 300


def rows(changes: dict[str, float], seed: int = 0) -> list[StudyRow]:
    """Documents whose bits differ by a share, with noise of 1% for each document and vocabulary."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(100, 5000, N_DOCUMENTS)
    made = []
    for name, change in changes.items():
        bits = sizes * 2.0 * (1 + change) * (1 + rng.normal(0, 0.01, N_DOCUMENTS))
        result = {"document_bits": bits.tolist(), "document_bytes": sizes.tolist(), "inference": "merges"}
        result |= {"bytes_per_token": 3.0, "n_train_bytes": 10}
        made.append(StudyRow("s", {"kind": "run", "arm": name, "n_ids": 400}, result, {}))
    return made


def test_what_differs_is_told_apart():
    found = {
        one.arm: one for one in analyse_ngrams(rows({"distill": 0, "rank": 0.03, "same": 0, "better": -0.01}), STUDY)
    }
    assert found["distill"].change is None
    assert found["distill"].bits_per_byte == pytest.approx(2, rel=0.01)
    assert [found[name].differs for name in NAMES] == [False, True, False, True]
    assert found["rank"].low < 0.03 < found["rank"].high
    assert found["better"].high < 0


def test_intervals_cover_what_they_claim():
    covered = 0
    for seed in range(60):
        [_, one] = analyse_ngrams(rows({"distill": 0, "rank": 0.001}, seed), STUDY, seed)
        covered += one.low < 0.001 < one.high
    assert covered >= 52  # of 60, where 57 are expected


def test_holm_adjusts_for_all_comparisons():
    values = {("a", 1): 0.01, ("b", 1): 0.04, ("c", 1): 0.03}
    assert holm(values) == pytest.approx({("a", 1): 0.03, ("c", 1): 0.06, ("b", 1): 0.06})


def test_other_held_out_text_is_not_compared():
    mixed = [*rows({"distill": 0}), *rows({"rank": 0}, seed=1)]
    with pytest.raises(StudyError, match="different held-out text"):
        analyse_ngrams(mixed, STUDY)


def test_a_study_without_rows_says_so():
    assert "Not measured yet" in ngram_section(STUDY, []).text


def test_vocabularies_without_a_row_are_named():
    origin = {"corpus": ["text"], "machine": {"processor": "P", "n_cores": 2, "n_threads": 2}, "versions": {}}
    made = [replace(row, origin=origin | {"commit": "c"}) for row in rows({"distill": 0, "rank": 0.01})]
    assert ngram_section(STUDY, made).text.endswith("Not measured yet: better 400, same 400.")
