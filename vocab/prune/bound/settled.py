"""Which candidates of a certificate are in every choice as good as the kept one, and which in none."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from vocab.errors import CertificateError
from vocab.prune import check_certificate


@dataclass(frozen=True)
class Settled:
    """The candidates of a certificate by what its prices say of them.

    Attributes:
        tokens: tokens of the kept choice, under its inference method; no choice with more is as good.
        always: candidates that every choice has.
        in_every: others that are in every choice as good.
        in_none: candidates that are in no choice as good.
        open_kept: kept candidates of which neither is proven.
        kept: all candidates of the kept choice.
    """

    tokens: int
    always: frozenset[bytes]
    in_every: frozenset[bytes]
    in_none: frozenset[bytes]
    open_kept: frozenset[bytes]
    kept: frozenset[bytes]


def settled_tokens(path: Path) -> Settled:
    """Read a certificate.zip, whose claims `vocab check` verifies; raises CertificateError for a damaged one."""
    try:
        header, _, states, _, prices = check_certificate.read(str(path))
    except check_certificate.RejectedError as error:
        raise CertificateError(f"{path} is rejected: {error}") from None
    always = {token for token, state in states.items() if state == "always"}
    sums: Counter[bytes] = Counter()
    for segment, placed in prices.items():
        for (start, end), price in placed.items():
            sums[segment[start:end]] += price
    slack = header["tokens"] * header["unit"] - header["bound_numerator"]
    n_select = max(0, header["n_keep"] - len(always))
    in_every, in_none = check_certificate.settled(sums, states.keys() - always, n_select, slack)
    kept = {token for token, state in states.items() if state == "kept"}
    sets = (always, in_every, in_none, kept - in_every, kept | always)
    return Settled(header["tokens"], *map(frozenset, sets))
