"""What training frees stays with the program, so that the next step does not fault it in again."""

import subprocess
import sys

import pytest

pytest.importorskip("torch")

# 40 MB, above glibc's highest threshold for mmap, six times; prints pages faulted in after the first.
FAULTS = """
import resource, sys, torch
from vocab.model.memory import keep_freed_memory
known = keep_freed_memory() if sys.argv[1] == "keep" else True
before = 0
for k in range(6):
    torch.full((10_000_000,), 1.0)
    before = before or resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before if known else "unknown")
"""


def faults(how: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_freed_memory_is_not_faulted_in_again():
    kept = faults("keep")
    if kept == "unknown":
        pytest.skip("this is not glibc")
    assert int(faults("leave")) > 50
    assert int(kept) < int(faults("leave")) / 10
