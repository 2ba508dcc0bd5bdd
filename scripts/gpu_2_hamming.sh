#!/usr/bin/env bash
# On one H100 or H200: the study hamming-gpu, one timing after the other, each in a process of its own, for 9 minutes in all.
# Rows are written cycle by cycle. Needs vocab's requirements and torch; carries nothing.
# Rows of another GPU do not mix with these: name the timings that are still wanted.
# Usage: bash scripts/gpu_2_hamming.sh OUT [TIMING...]     (a folder; by default all timings, the head's first)
set -euo pipefail
out=$(realpath -m "${1:?name a folder for rows}")
shift
cd "$(dirname "$0")/.."
mkdir -p "$out"
export PYTHONPATH=.
end=$((SECONDS + 535))
if [ $# -eq 0 ]; then
    set -- $(python -c 'from vocab.experiments import load_spec
print(*(timing.name for timing in load_spec("hamming-gpu").timings))')
fi
for timing in "$@"; do
    left=$((end - SECONDS))
    [ "$left" -gt 20 ] || { echo "out of time before $timing"; break; }
    echo "== $timing, $left s left"
    timeout "$left" python -c "from vocab.cli.app import main; main()" study run hamming-gpu --timing "$timing" --rows "$out/hamming-gpu.jsonl" --work "$out/work" \
        || echo "$timing ended with code $?"
done
