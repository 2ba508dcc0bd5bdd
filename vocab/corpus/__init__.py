"""Documents, counts of pre-tokens, and the built-in profile."""
