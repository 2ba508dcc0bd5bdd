"""What a step frees stays with the program, so that the next step does not fault it in again."""

import platform
import subprocess
import sys

import pytest

pytest.importorskip("torch")

pytestmark = pytest.mark.slow

# Pages faulted in by a step, the median of five after five that warm up: the heap may still grow in one of them.
STEPS = """
import resource, statistics, torch
from vocab.model.timing import bench
from vocab.model.network.config import preset

{setting}
settings = bench.BenchSettings(batch=2, seq_len=256, part="step")
call = bench.calls_for_sizes(preset("micro"), [16384], settings, torch.device("cpu"))["16384"]
for _ in range(5):
    call()
pages = []
for _ in range(5):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    call()
    pages.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(statistics.median(pages))
"""


def faults(setting: str = "") -> int:
    code = [sys.executable, "-c", STEPS.format(setting=setting)]
    return int(subprocess.run(code, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="glibc's malloc")
def test_a_step_faults_nothing_in_again():
    left = faults("bench.keep_freed_memory = lambda: None")
    assert left > 1000
    assert faults() < left / 10
