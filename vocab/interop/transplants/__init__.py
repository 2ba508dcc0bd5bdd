"""Hugging Face checkpoints that follow a new vocabulary."""
