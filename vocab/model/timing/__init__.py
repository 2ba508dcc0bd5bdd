"""Timing training steps: interleaved benchmarks, throughput, kernels."""
