"""Split patterns: text to pre-tokens."""

from vocab.splitting.added_texts import AddedText
from vocab.splitting.patterns import (
    CL100K_REGEX,
    GPT2_REGEX,
    LINES_REGEX,
    LLAMA3_REGEX,
    O200K_REGEX,
    TEKKEN_REGEX,
    SplitPattern,
)

__all__ = [
    "CL100K_REGEX",
    "GPT2_REGEX",
    "LINES_REGEX",
    "LLAMA3_REGEX",
    "O200K_REGEX",
    "TEKKEN_REGEX",
    "AddedText",
    "SplitPattern",
]
