"""Checks a certificate with the standard library alone, so that nobody need trust the package that wrote it.

    python check_certificate.py certificate.zip [report.json]

Two things are proven. No choice of at most n_keep of the candidates, those always kept among them, writes the counted
pre-tokens in fewer than bound_tokens tokens, however text is cut into tokens. And the kept ones need exactly `tokens`.
Other entries of header.json are words about the corpus and the search. Only a report.json beside it repeats them.
The proof is Lagrangian. Let each place where a token fits cost its segment's count plus a price. Let n be the number of
tokens to choose. Then the shortest paths, less the n largest sums of a token's prices, bound every choice from below.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import os
import re
import struct
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

Place = tuple[int, int]
Prices = dict[Place, int]

METHODS = ("merges", "least-tokens", "longest-prefix")

# What is larger is not read. A certificate may come from anybody, and a small file can unpack to any size.
MAX_HEADER_BYTES = 1 << 16
MAX_TEXT_BYTES = 1 << 30  # each of the three texts, unpacked
MAX_EXPANSION = 64  # of a text above MIN_EXPANDED_BYTES; hexadecimal digits of real tokens shrink about sixfold
MIN_EXPANDED_BYTES = 1 << 26
MAX_REPORT_BYTES = 1 << 26
MAX_PREFIX_BYTES = 1 << 28  # of all beginnings of all candidates: 23 kB for a single long one
MAX_INTEGER = (1 << 63) - 1

TEXTS = ("counts", "candidates", "prices")
LINES = {
    "counts": rb"(?:[0-9a-f]{2})+ [0-9]{1,19}",
    "candidates": rb"(?:[0-9a-f]{2})+ (?:always|kept|dropped)",
    "prices": rb"(?:[0-9a-f]{2})+(?: [0-9]{1,19}:[0-9]{1,19}:[0-9]{1,19})+",
}
INTEGERS = ("version", "n_candidates", "n_keep", "n_always_kept", "tokens", "bound_tokens", "bound_numerator", "unit")
STRINGS = ("format", "inference", *(f"{name}_sha256" for name in TEXTS))
# What the standard library raises when a file is damaged, or nested too deep.
DAMAGE = (
    OSError,
    LookupError,
    ValueError,
    TypeError,
    RuntimeError,
    EOFError,
    ArithmeticError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)


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
        The claims, as in header.json. `objective`, `split_pattern_sha256` and `search` are not proven.

    Raises:
        RejectedError: a claim does not hold, or the file is damaged or too large; the message says which.
    """
    header, counts, states, prices = read(path)
    if report is not None:
        same = as_text(read_report(report)) == as_text(header)
        require(same, f"the certificate is not the one that {report} states: another corpus or vocabulary")
    candidates, unit, n_keep = set(states), header["unit"], header["n_keep"]
    always = {token for token, state in states.items() if state == "always"}
    kept = [token for token, state in states.items() if state != "dropped"]
    needed = {bytes([b]) for b in b"".join([*counts, *candidates])}
    require(needed <= always, "a single byte of the text or of a candidate is not always kept")
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
        members = unpacked(path)
        header = parsed(members["header"])
        check_header(header)
        for name in TEXTS:
            require(hashlib.sha256(members[name]).hexdigest() == header[f"{name}_sha256"], f"{name}.txt was altered")
        rows = {name: rows_of(name, members.pop(name)) for name in TEXTS}
        counts = {bytes.fromhex(token): int(count) for token, count in rows["counts"]}
        states = {bytes.fromhex(token): state for token, state in rows["candidates"]}
        prices = {bytes.fromhex(segment): dict(map(priced, places)) for segment, *places in rows["prices"]}
    except DAMAGE as error:
        raise RejectedError(f"{path} is no certificate: {one_line(error)}") from None
    n_places = sum(len(places) - 1 for places in rows["prices"])
    require(len(counts) == len(rows["counts"]) and len(states) == len(rows["candidates"]), "a line is there twice")
    require(len(prices) == len(rows["prices"]) and sum(map(len, prices.values())) == n_places, "a price is there twice")
    return header, counts, states, prices


def unpacked(path: str) -> dict[str, bytes]:
    """The four members of a file by name, without their endings, each within its size."""
    check_directory(path)
    with zipfile.ZipFile(path) as archive:
        names = ["header.json", *(f"{name}.txt" for name in TEXTS)]
        require(sorted(archive.namelist()) == sorted(names), f"it holds other members than {', '.join(names)}")
        return {name.rpartition(".")[0]: member(archive, archive.getinfo(name)) for name in names}


def check_directory(path: str) -> None:
    """Reject a list of members that is longer than four, before it is read into memory."""
    with open(path, "rb") as file:  # noqa: PTH123 - the standard library's simplest
        file.seek(max(0, file.seek(0, os.SEEK_END) - 42))
        tail = file.read()
    is_plain = tail[-22:-18] == b"PK\5\6" and tail[:4] != b"PK\6\7"
    require(is_plain and len(tail) == 42, f"{path} is no certificate: it is not a zip file as one is written")
    n_entries, n_bytes = struct.unpack("<10xHL6x", tail[-22:])
    require(n_entries == 4 and n_bytes <= MAX_HEADER_BYTES, "it does not hold four members")


def member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """The bytes of a member; no more than the allowed ones are unpacked."""
    name, size = entry.filename, entry.file_size
    most = MAX_HEADER_BYTES if name == "header.json" else MAX_TEXT_BYTES
    require(entry.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED), f"{name} is packed in an unknown way")
    require(size <= most, f"{name} has {size:,} bytes, more than the {most:,} that are read")
    is_bomb = size > max(MIN_EXPANDED_BYTES, MAX_EXPANSION * entry.compress_size)
    require(not is_bomb, f"{name} unpacks to more than {MAX_EXPANSION} times its size, as no real one does")
    return archive.read(entry)


def parsed(text: bytes) -> Any:
    """A JSON object without repeated names."""

    def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        require(len(dict(pairs)) == len(pairs), "a name is there twice in its JSON")
        return dict(pairs)

    return json.loads(text.decode(), object_pairs_hook=without_repeats)


def check_header(header: Any) -> None:
    """Reject claims that are missing or of another type: true integers, so that no sum is rounded."""
    require(type(header) is dict, "header.json holds no object")
    for name in INTEGERS:
        value = header.get(name)
        fits = type(value) is int and -MAX_INTEGER <= value <= MAX_INTEGER
        require(fits, f"the claim {name} is missing or no integer of 64 bits")
    for name in STRINGS:
        require(type(header.get(name)) is str, f"the claim {name} is missing or no text")
    require(type(header.get("gap")) is float, "the claim gap is missing or no decimal number")
    require(header["format"] == "vocab-certificate" and header["version"] == 1, "the format is not known")
    require(header["inference"] in METHODS, f"the inference method {one_line(header['inference'])} is not known here")


def rows_of(name: str, text: bytes) -> list[list[str]]:
    """The fields of a text's lines, which must have its form to the byte."""
    lines = text.split(b"\n")
    require(lines.pop() == b"", f"{name}.txt does not end with a line end")
    form = re.compile(LINES[name])
    wrong = next((k for k, line in enumerate(lines, 1) if not form.fullmatch(line)), None)
    require(wrong is None, f"line {wrong} of {name}.txt cannot be read")
    return [line.decode().split(" ") for line in lines]


def priced(text: str) -> tuple[Place, int]:
    start, end, price = map(int, text.split(":"))
    return (start, end), price


def read_report(path: str) -> Any:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - the standard library's simplest
            text = file.read(MAX_REPORT_BYTES + 1)
        require(len(text) <= MAX_REPORT_BYTES, f"{path} has more than the {MAX_REPORT_BYTES:,} bytes that are read")
        return parsed(text)["certificate"]
    except DAMAGE as error:
        raise RejectedError(f"{path} is no report with a certificate: {one_line(error)}") from None


def as_text(claims: Any) -> str:
    """Claims as one text, in which 1, 1.0 and true differ."""
    return json.dumps(claims, sort_keys=True)


def one_line(said: object) -> str:
    """What a file or an error says, on one short line without control characters."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(said)[:500])


def prefixes_of(tokens: set[bytes]) -> set[bytes]:
    n_bytes = sum(len(token) * (len(token) + 1) // 2 for token in tokens)
    require(n_bytes <= MAX_PREFIX_BYTES, f"the candidates are too long: their beginnings have {n_bytes:,} bytes")
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
    n = n_parts = len(pretoken)
    ends = [*range(1, n + 1), 0]  # where the part that starts here ends; 0 where none starts
    befores = list(range(-1, n))  # where the part before this one starts
    pairs: list[tuple[int, int, int, int]] = []

    def offer(start: int, middle: int, end: int) -> None:
        rank = ranks.get(pretoken[start:end]) if start >= 0 and end else None
        if rank is not None:
            heapq.heappush(pairs, (rank, start, middle, end))

    for middle in range(1, n):
        offer(middle - 1, middle, middle + 1)
    while pairs:
        _, start, middle, end = heapq.heappop(pairs)
        if (ends[start], ends[middle]) == (middle, end):
            ends[start], ends[middle], befores[end] = end, 0, start
            n_parts -= 1
            offer(befores[start], start, end)
            offer(start, end, ends[end])
    return n_parts


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
        sys.exit(f"rejected: {one_line(error)}")
