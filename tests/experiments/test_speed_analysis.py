"""A planted effect of Hamming weight is found, and none is declared to be none, under alignment, drift and noise."""

import numpy as np
import pytest
from helpers.timings import SPEC, cycles
from scipy import stats

from vocab.errors import StudyError
from vocab.experiments.rows import StudyRow
from vocab.experiments.spec import load_spec
from vocab.experiments.speed.regression import HAMMING_WEIGHT, design, fit, variance_inflation
from vocab.experiments.speed.speed_analysis import analyse_speed
from vocab.experiments.speed.speed_spec import SpeedStudy

GPU = load_spec("hamming-gpu")
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]


@pytest.mark.parametrize("spec", [SPEC, GPU], ids=["cpu", "gpu"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_planted_effect_is_reported(seed, spec):
    found = analyse_speed(cycles(0.005, seed), spec, 768)
    assert found.verdict == "effect"
    assert found.hamming.low < 0.005 < found.hamming.high
    assert "matters even when alignment is known" in found.sentence


@pytest.mark.parametrize("spec", [SPEC, GPU], ids=["cpu", "gpu"])
@pytest.mark.parametrize("seed", SEEDS)
def test_without_an_effect_equivalence_is_declared(seed, spec):
    found = analyse_speed(cycles(0.0, seed), spec, 768)
    assert found.verdict == "no effect"
    assert "does not matter" in found.sentence
    # Alignment alone makes Hamming weight look costly as long as it is left out.
    assert found.hamming_alone.low > 0
    assert found.hamming_alone.estimate > 0.005
    assert found.again.low < 0 < found.again.high


def test_few_noisy_cycles_leave_it_open():
    rows = cycles(0.0, 0, n_cycles=3)
    rng = np.random.default_rng(1)
    for row in rows:
        for name in row.result["seconds"]:
            row.result["seconds"][name] *= float(np.exp(rng.normal(0, 0.05)))
    assert analyse_speed(rows, SPEC, 768).verdict == "undecided"


def test_the_same_rows_give_the_same_finding():
    rows = cycles(0.0, 4, n_cycles=6)
    assert analyse_speed(rows, SPEC, 768) == analyse_speed(rows, SPEC, 768)


def test_rows_of_two_machines_or_timings_are_not_mixed():
    rows = cycles(0.0, 0, n_cycles=2)
    for name in ("machine", "timing"):
        other = StudyRow("s", {**rows[0].key, name: "other"}, rows[0].result, {})
        with pytest.raises(StudyError, match="cannot stand in one comparison"):
            analyse_speed([*rows, other], SPEC, 768)


def test_cycles_of_other_sizes_are_not_mixed():
    rows = cycles(0.0, 0, n_cycles=2)
    del rows[1].result["seconds"][str(SPEC.sizes[-1])]
    with pytest.raises(StudyError, match="different sizes"):
        analyse_speed(rows, SPEC, 768)
    with pytest.raises(StudyError, match="to its end"):
        analyse_speed(rows[:1], SPEC, 768)


def test_sizes_that_cannot_tell_the_two_apart_are_refused():
    spec = SpeedStudy(name="s", question="q", sets={"powers": (64, 128, 256)}, timings=(), reference=64, margin=0.01)
    with pytest.raises(StudyError, match="do not tell Hamming weight from alignment"):
        design(np.array(spec.sizes), spec, 64)


def test_columns_hold_what_they_say():
    columns = design(np.array(SPEC.sizes), SPEC, 768)
    at = {size: k for k, size in enumerate(SPEC.sizes)}
    assert columns["hamming weight"][at[41985]] == 4
    assert columns["1 trailing zeros"][at[32770]] == 1
    assert columns["6 or more trailing zeros"][at[32768]] == 1
    assert not any(name.startswith("part of") for name in columns)
    columns = design(np.array(GPU.sizes), GPU, 2048)
    assert columns["part of the last tile left over"][GPU.sizes.index(32769)] == pytest.approx(np.log(32896 / 32769))
    waves = columns["part of the last wave left over"]
    tiles = 33920 / 128 * 8
    expected = np.log(np.ceil(tiles / 132) * 132 / tiles)
    assert waves[GPU.sizes.index(33920)] == pytest.approx(expected)


@pytest.mark.parametrize("spec", [SPEC, GPU], ids=["cpu", "gpu"])
def test_intervals_cover_what_they_claim(spec):
    """Sizes differ by noise of their own, and more above 40,000 ids; 95% intervals hold the truth 95 in 100 times."""
    sizes = np.array(spec.sizes)
    columns, rng, effect, covered, n_trials = design(sizes, spec, 768), np.random.default_rng(5), 0.001, 0, 1000
    spread = np.where(sizes > 40_000, 0.004, 0.002)
    for _ in range(n_trials):
        log_times = columns["log size"] + effect * columns[HAMMING_WEIGHT] + rng.normal(0, spread)
        interval = fit(columns, list(columns), log_times).hamming
        covered += interval.low < effect < interval.high
    assert 0.93 < covered / n_trials < 0.975


def test_a_fit_has_the_errors_of_another_program():
    """HC3 errors equal those written out from the definition, size by size."""
    columns = design(np.array(SPEC.sizes), SPEC, 768)
    rng = np.random.default_rng(3)
    log_times = rng.normal(0, 0.01, len(SPEC.sizes))
    matrix = np.column_stack([np.ones(log_times.size), *columns.values()])
    bread = np.linalg.inv(matrix.T @ matrix)
    coefficients = bread @ matrix.T @ log_times
    meat = np.zeros_like(bread)
    for row, value in zip(matrix, log_times, strict=True):
        left = (value - row @ coefficients) / (1 - row @ bread @ row)
        meat += left**2 * np.outer(row, row)
    at = 1 + list(columns).index(HAMMING_WEIGHT)
    error = np.sqrt((bread @ meat @ bread)[at, at])
    found = fit(columns, list(columns), log_times).hamming
    n_free = log_times.size - matrix.shape[1]
    assert found.estimate == pytest.approx(coefficients[at])
    assert (found.high - found.low) / 2 == pytest.approx(error * stats.t.ppf(0.975, n_free))


def test_a_size_with_a_coefficient_of_its_own_has_no_say():
    columns = {"log size": np.arange(6.0), "one": np.eye(6)[5], HAMMING_WEIGHT: np.array([1.0, 3, 2, 5, 1, 9])}
    log_times = np.array([0.0, 0.2, 0.1, 0.3, 0.0, 0.1])
    found = fit(columns, list(columns), log_times).hamming
    log_times[5] = 100
    again = fit(columns, list(columns), log_times).hamming
    assert [again.estimate, again.low] == pytest.approx([found.estimate, found.low])


def test_variance_inflation_of_the_sizes_of_studies():
    """Where Hamming weight rises with size it can hardly be told from it; other sizes lower that."""
    assert variance_inflation(design(np.array(GPU.sizes), GPU, 2048)) < 2
    assert 3 < variance_inflation(design(np.array(SPEC.sizes), SPEC, 768)) < 3.5
