"""Checks a certificate with the standard library alone, so that nobody need trust the package that wrote it.

    python check_certificate.py certificate.zip [report.json]

Two things are proven. No choice of at most n_keep of the candidates, those always kept among them, writes the counted
pre-tokens in fewer than bound_tokens tokens, however text is cut into tokens. And the kept ones need exactly `tokens`.
The proof is Lagrangian. Let each place where a token fits cost its segment's count plus a price. Let n be the number of
tokens to choose. Then the shortest paths, less the n largest sums of a token's prices, bound every choice from below.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

Place = tuple[int, int]
Prices = dict[Place, int]

METHODS = ("merges", "least-tokens", "longest-prefix")


class RejectedError(Exception):
    """The certificate does not prove what it claims."""


def require(holds: bool, sentence: str) -> None:
    if not holds:
        raise RejectedError(sentence)


def check(path: str, report: str | None = None) -> dict[str, Any]:
    """Check that all claims of a certificate hold.

    Args:
        path: a certificate.zip.
        report: a report.json that must state the same claims, or None.

    Returns:
        The claims, as in header.json.

    Raises:
        RejectedError: a claim does not hold; the message says which.
    """
    header, counts, states, prices = read(path)
    if report is not None:
        stated = read_report(report)
        require(stated == header, f"the certificate is not the one that {report} states: another corpus or vocabulary")
    candidates, unit, n_keep = set(states), header["unit"], header["n_keep"]
    always = {token for token, state in states.items() if state == "always"}
    kept = [token for token, state in states.items() if state != "dropped"]
    require(all(bytes([b]) in always for b in range(256)), "a single byte is not always kept")
    require(len(kept) <= n_keep, f"{len(kept)} tokens are kept, more than {n_keep}")
    require(header["n_always_kept"] == len(always), "the number of tokens always kept is not as claimed")
    require(header["n_candidates"] == len(candidates), "the number of candidates is not as claimed")
    require(unit >= 1, "the unit of prices is below 1")

    prefixes = prefixes_of(candidates)
    segments: Counter[bytes] = Counter()
    for pretoken, count in counts.items():
        for segment in cut(pretoken, candidates, prefixes):
            segments[segment] += count
    sums: Counter[bytes] = Counter()
    for segment, priced in prices.items():
        require(segment in segments, "a price stands on a segment that the corpus does not have")
        for (start, end), price in priced.items():
            token = segment[start:end]
            require(price >= 0, "a price is below 0")
            require(0 <= start < end <= len(segment) and token in candidates, "a price stands on no candidate")
            require(token not in always, "a price stands on a token that is always kept")
            sums[token] += price
    paths = sum(
        shortest_path(segment, candidates, prefixes, count * unit, prices.get(segment, {}))
        for segment, count in segments.items()
    )
    numerator = paths - sum(sorted(sums.values(), reverse=True)[: max(0, n_keep - len(always))])
    require(numerator == header["bound_numerator"], "the prices do not prove the bound that is claimed")
    require(header["bound_tokens"] == -(-numerator // unit), "the bound in tokens is not as claimed")

    tokens = count_tokens(header["inference"], kept, counts, segments)
    require(tokens == header["tokens"], "the kept tokens do not need as many tokens as claimed")
    gap = tokens / header["bound_tokens"] - 1 if header["bound_tokens"] > 0 else 0.0
    require(header["gap"] == gap, "the gap is not as claimed")
    return header


def read(path: str) -> tuple[dict[str, Any], dict[bytes, int], dict[bytes, str], dict[bytes, Prices]]:
    """Read a file: header, {pre-token: count}, {token in rank order: state}, {segment: {(start, end): price}}."""
    try:
        with zipfile.ZipFile(path) as archive:
            header = json.loads(archive.read("header.json"))
            texts = {name: archive.read(f"{name}.txt") for name in ("counts", "candidates", "prices")}
        require(header["format"] == "vocab-certificate" and header["version"] == 1, "the format is not known")
        for name, text in texts.items():
            require(hashlib.sha256(text).hexdigest() == header[f"{name}_sha256"], f"{name}.txt was altered")
        rows = {name: [line.split(" ") for line in text.decode().splitlines()] for name, text in texts.items()}
        counts = {bytes.fromhex(token): int(count) for token, count in rows["counts"]}
        states = {bytes.fromhex(token): state for token, state in rows["candidates"]}
        prices = {bytes.fromhex(segment): dict(map(priced, places)) for segment, *places in rows["prices"]}
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise RejectedError(f"{path} is no certificate: {error}") from None
    n_places = sum(len(places) - 1 for places in rows["prices"])
    require(len(counts) == len(rows["counts"]) and len(states) == len(rows["candidates"]), "a line is there twice")
    require(len(prices) == len(rows["prices"]) and sum(map(len, prices.values())) == n_places, "a price is there twice")
    require(set(states.values()) <= {"always", "kept", "dropped"} and b"" not in states, "a candidate is not readable")
    require(min(counts.values(), default=0) >= 0 and b"" not in counts, "a count is below 0")
    return header, counts, states, prices


def priced(text: str) -> tuple[Place, int]:
    start, end, price = map(int, text.split(":"))
    return (start, end), price


def read_report(path: str) -> Any:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - the standard library's simplest
            return json.load(file)["certificate"]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise RejectedError(f"{path} is no report with a certificate: {error}") from None


def prefixes_of(tokens: set[bytes]) -> set[bytes]:
    return {token[:n] for token in tokens for n in range(1, len(token) + 1)}


def ends_from(text: bytes, start: int, tokens: set[bytes], prefixes: set[bytes]) -> Iterator[int]:
    """Where tokens that begin at `start` end."""
    for end in range(start + 1, len(text) + 1):
        piece = text[start:end]
        if piece not in prefixes:
            return
        if piece in tokens:
            yield end


def cut(pretoken: bytes, candidates: set[bytes], prefixes: set[bytes]) -> Iterator[bytes]:
    """The parts of a pre-token between which no candidate crosses."""
    begin = reach = 0
    for start in range(len(pretoken)):
        if start >= reach and start > begin:
            yield pretoken[begin:start]
            begin = start
        for end in ends_from(pretoken, start, candidates, prefixes):
            reach = max(reach, end)
    yield pretoken[begin:]


def shortest_path(segment: bytes, tokens: set[bytes], prefixes: set[bytes], step: int, prices: Prices) -> int:
    """Least cost from start to end, where an edge costs `step` and its price."""
    costs = [0] * (len(segment) + 1)
    for start in range(len(segment) - 1, -1, -1):
        costs[start] = min(
            costs[end] + step + prices.get((start, end), 0) for end in ends_from(segment, start, tokens, prefixes)
        )
    return costs[0]


def count_tokens(inference: str, kept: list[bytes], counts: Mapping[bytes, int], segments: Mapping[bytes, int]) -> int:
    """Tokens that the kept ones (in rank order) make of the corpus."""
    require(inference in METHODS, f"the inference method {inference} is not known here")
    tokens = set(kept)
    prefixes = prefixes_of(tokens)
    if inference == "least-tokens":
        return sum(count * shortest_path(s, tokens, prefixes, 1, {}) for s, count in segments.items())
    if inference == "longest-prefix":
        return sum(count * n_greedy(s, tokens, prefixes) for s, count in segments.items())
    ranks = {token: rank for rank, token in enumerate(kept)}
    return sum(count * n_merged(pretoken, ranks) for pretoken, count in counts.items())


def n_greedy(text: bytes, tokens: set[bytes], prefixes: set[bytes]) -> int:
    n = start = 0
    while start < len(text):
        start = max(ends_from(text, start, tokens, prefixes))
        n += 1
    return n


def n_merged(pretoken: bytes, ranks: Mapping[bytes, int]) -> int:
    """Tokens of byte-pair merges by rank, after tiktoken's look-up of the whole pre-token."""
    if pretoken in ranks:
        return 1
    parts = [pretoken[i : i + 1] for i in range(len(pretoken))]
    pairs = [ranks.get(a + b) for a, b in pairwise(parts)]
    while True:
        possible = [rank for rank in pairs if rank is not None]
        if not possible:
            return len(parts)
        i = pairs.index(min(possible))
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
        del pairs[i]
        for j in (i - 1, i):
            if 0 <= j < len(pairs):
                pairs[j] = ranks.get(parts[j] + parts[j + 1])


def claims_sentence(header: Mapping[str, Any]) -> str:
    """Say what an accepted certificate proves."""
    return (
        f"{header['tokens']:,} tokens under {header['inference']}: at most {header['gap']:.4%} above the "
        f"{header['bound_tokens']:,} that any {header['n_keep']:,} of {header['n_candidates']:,} candidates need"
    )


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or re.fullmatch("-h|--help", sys.argv[1]):
        sys.exit("usage: check_certificate.py CERTIFICATE [REPORT]")
    try:
        print("proven:", claims_sentence(check(*sys.argv[1:])))  # noqa: T201
    except RejectedError as error:
        sys.exit(f"rejected: {error}")
