#!/usr/bin/env bash
# On one H100 or H200, in less than 9 minutes: correctness on the GPU, attention back ends, the head over sizes, and both big presets
# beside transformers. Needs torch, transformers and rich; carries nothing. Rows are written one by one.
# Usage: bash scripts/gpu_1_throughput.sh OUT     (a folder)
set -euo pipefail
out=$(realpath -m "${1:?name a folder for rows}")
cd "$(dirname "$0")/.."
mkdir -p "$out"
export PYTHONPATH=. PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
timeout 535 python benchmarks/bench_gpu.py --out "$out/throughput.jsonl" 2>&1 | tee "$out/throughput.log"
