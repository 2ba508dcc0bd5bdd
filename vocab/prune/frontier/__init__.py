"""Tokens of a corpus at every vocabulary size."""
