"""`TokenWorth`: what tokens are used for in some text."""

from __future__ import annotations

from typing import NamedTuple

from vocab.arrays import Ints


class TokenWorth(NamedTuple):
    """What each ordinary token of a vocabulary is worth in a corpus, by rank.

    Attributes:
        uses: how often it is used, int64[n_tokens].
        prices: how many more tokens the corpus would be without it, int64[n_tokens].
    """

    uses: Ints
    prices: Ints
