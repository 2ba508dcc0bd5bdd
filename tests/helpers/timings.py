"""Synthetic timings of output heads, with effects that are known."""

import numpy as np

from vocab.experiments.rows import StudyRow
from vocab.experiments.spec import load_spec
from vocab.experiments.speed.speed_analysis import AGAIN
from vocab.sizes import size_facts

SPEC = load_spec("hamming-cpu")
# As measured on real machines: a clock that drifts by 2%, 0.4% between calls, 0.1% of every size's own.
DRIFT, NOISE, OF_SIZE, ALIGNED = 0.02, 0.004, 0.001, -0.03


def cycles(effect: float, seed: int, n_cycles: int = 20) -> list[StudyRow]:
    """Synthetic timings: time follows size, alignment up to a multiple of 8, and `effect` for each bit."""
    rng = np.random.default_rng(seed)
    own = dict(zip(SPEC.sizes, rng.normal(0, OF_SIZE, len(SPEC.sizes)), strict=True))
    rows = []
    for cycle in range(n_cycles):
        drift, seconds = rng.normal(0, DRIFT), {}
        for name in [*map(str, SPEC.sizes), AGAIN]:
            size = SPEC.reference if name == AGAIN else int(name)
            facts = size_facts(size)
            log = np.log(0.05 * size / SPEC.reference) + ALIGNED * min(facts.trailing_zeros, 3) + own[size]
            log += effect * facts.hamming_weight + drift + rng.normal(0, NOISE)
            seconds[name] = float(np.exp(log))
        key = {"kind": "cycle", "timing": "t", "machine": "m", "cycle": cycle}
        rows.append(StudyRow("s", key, {"seconds": seconds}, {}))
    return rows
