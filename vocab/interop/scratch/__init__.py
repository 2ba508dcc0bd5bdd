"""Tokenizers trained from scratch."""
