"""Lattice and inference methods: pre-tokens to tokens."""
