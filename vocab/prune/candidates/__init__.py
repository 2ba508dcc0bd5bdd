"""What a vocabulary may be chosen from: the source's tokens, mined substrings, a prior."""
