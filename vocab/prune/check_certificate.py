"""Checks a certificate with the standard library alone, so that nobody need trust the package that wrote it.

    python check_certificate.py certificate.zip [report.json]

Two things are proven. No choice of at most n_keep of the candidates, those always kept among them, writes the counted
pre-tokens in fewer than bound_tokens tokens, however text is cut into tokens. And the kept ones need exactly `tokens`.
Other entries of header.json are words about the corpus and the search. Only a report.json beside it repeats them.
Candidates are strings of bytes. Byte pieces of SentencePiece that repeat one are in every choice and not counted.
The proof is Lagrangian. Let each place where a token fits cost its segment's count plus a price. Let n be the number of
tokens to choose. Then the shortest paths, less the n largest sums of a token's prices, bound every choice from below.
Without a token of those n, the next largest sum takes its place. With another token, its sum takes the place of the
last of them. Where the bound then exceeds `tokens`, the token is in every choice as good as the kept one, or in none.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import json
import os
import re
import struct
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Any

Place = tuple[int, int]
Prices = dict[Place, int]
Rules = Mapping[bytes, dict[int, int]]  # {token: {bytes of the left part, or 0 for any: its order, or its score}}

RULED_METHODS = ("scored-merges", "unigram")  # of SentencePiece; bytes stand for characters that are not kept
METHODS = ("merges", "least-tokens", "longest-prefix", "wordpiece", *RULED_METHODS)

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
    "counts": rb"(?:[0-9a-f]{2})+ @",
    "candidates": rb"(?:[0-9a-f]{2})+ (?:dropped|(?:always|kept)(?: -?@| @:@(?:,@:@)*)?)",
    "prices": rb"(?:[0-9a-f]{2})+(?: @:@:@)+",
}  # where @ stands for a number
SETTLED = ("n_in_every", "n_in_none")
INTEGERS = ("version", "n_candidates", "n_keep", "n_always_kept", "tokens", "bound_tokens", "bound_numerator", "unit",
            *SETTLED)  # fmt: skip
STRINGS = ("format", "inference", *(f"{name}_sha256" for name in TEXTS))
# What the standard library raises when a file is damaged, or nested too deep.
DAMAGE = (OSError, LookupError, ValueError, TypeError, RuntimeError, EOFError, ArithmeticError, struct.error,
          zlib.error, zipfile.BadZipFile)  # fmt: skip


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
    header, counts, states, rules, prices = read(path)
    if report is not None:
        stated, own = (json.dumps(claims, sort_keys=True) for claims in (read_report(report), header))  # 1 is not 1.0
        require(stated == own, f"the certificate is not the one that {report} states: another corpus or vocabulary")
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
    n_select = max(0, n_keep - len(always))
    numerator = paths - sum(sorted(sums.values(), reverse=True)[:n_select])
    require(numerator == header["bound_numerator"], "the prices do not prove the bound that is claimed")
    require(header["bound_tokens"] == -(-numerator // unit), "the bound in tokens is not as claimed")
    found = settled(sums, candidates - always, n_select, header["tokens"] * unit - numerator)
    claimed = [header[name] for name in SETTLED]
    require(claimed == [*map(len, found)], "the numbers of tokens in every choice or in none are not as claimed")

    tokens = count_tokens(header["inference"], kept, rules, counts, segments)
    require(tokens == header["tokens"], "the kept tokens do not need as many tokens as claimed")
    gap = tokens / header["bound_tokens"] - 1 if header["bound_tokens"] > 0 else 0.0
    require(header["gap"] == gap, "the gap is not as claimed")
    return header


def settled(sums: Mapping[bytes, int], tokens: set[bytes], n: int, slack: int) -> tuple[set[bytes], set[bytes]]:
    """Which tokens are in every choice of n that costs at most `slack` more than the bound, and which in none."""
    largest = [*sorted((sums.get(token, 0) for token in tokens), reverse=True), 0]
    following, last = largest[min(n, len(tokens))], largest[min(n, len(tokens) + 1) - 1]
    is_in = {token for token in tokens if sums.get(token, 0) - following > slack}
    return is_in, {token for token in tokens if n == 0 or last - sums.get(token, 0) > slack}


def read(path: str) -> tuple[dict[str, Any], dict[bytes, int], dict[bytes, str], Rules, dict[bytes, Prices]]:
    """Read a file: header, {pre-token: count}, {token by rank: state}, `Rules`, {segment: {(start, end): price}}."""
    try:
        members = unpacked(path)
        header = parsed(members["header"])
        check_header(header)
        for name in TEXTS:
            require(hashlib.sha256(members[name]).hexdigest() == header[f"{name}_sha256"], f"{name}.txt was altered")
        rows = {name: rows_of(name, members.pop(name)) for name in TEXTS}
        counts = {bytes.fromhex(token): int(count) for token, count in rows["counts"]}
        states = {bytes.fromhex(token): state for token, state, *_ in rows["candidates"]}
        rules = {bytes.fromhex(token): ruled(rule[0]) for token, _, *rule in rows["candidates"] if rule}
        prices = {bytes.fromhex(segment): dict(map(priced, places)) for segment, *places in rows["prices"]}
    except DAMAGE as error:
        raise RejectedError(f"{path} is no certificate: {one_line(error)}") from None
    n_places = sum(len(places) - 1 for places in rows["prices"])
    require(len(counts) == len(rows["counts"]) and len(states) == len(rows["candidates"]), "a line is there twice")
    require(len(prices) == len(rows["prices"]) and sum(map(len, prices.values())) == n_places, "a price is there twice")
    return header, counts, states, rules, prices


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
    form = re.compile(LINES[name].replace(b"@", rb"[0-9]{1,19}"))
    wrong = next((k for k, line in enumerate(lines, 1) if not form.fullmatch(line)), None)
    require(wrong is None, f"line {wrong} of {name}.txt cannot be read")
    return [line.decode().split(" ") for line in lines]


def priced(text: str) -> tuple[Place, int]:
    start, end, price = map(int, text.split(":"))
    return (start, end), price


def ruled(text: str) -> dict[int, int]:
    return {int(n or 0): int(value) for n, _, value in (pair.rpartition(":") for pair in text.split(","))}


def read_report(path: str) -> Any:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - the standard library's simplest
            text = file.read(MAX_REPORT_BYTES + 1)
        require(len(text) <= MAX_REPORT_BYTES, f"{path} has more than the {MAX_REPORT_BYTES:,} bytes that are read")
        return parsed(text)["certificate"]
    except DAMAGE as error:
        raise RejectedError(f"{path} is no report with a certificate: {one_line(error)}") from None


def one_line(said: object) -> str:
    """What a file or an error says, on one short line without control characters."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(said)[:500])


def prefixes_of(tokens: set[bytes]) -> set[bytes]:
    n_bytes = sum(len(token) * (len(token) + 1) // 2 for token in tokens)
    require(n_bytes <= MAX_PREFIX_BYTES, f"the candidates are too long: their beginnings have {n_bytes:,} bytes")
    return {token[:n] for token in tokens for n in range(1, len(token) + 1)}


def ends_from(text: bytes, start: int, tokens: Container[bytes], prefixes: set[bytes]) -> Iterator[int]:
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


def check_rules(inference: str, kept: list[bytes], rules: Rules) -> None:
    """Reject values that a method does not go by, and tokens that are not made of kept characters."""
    if inference not in RULED_METHODS:
        return require(not rules, f"{inference} goes by no orders or scores, which are there")
    known: Container[bytes] = rules if inference == "unigram" else set(kept)
    for token in kept:
        spelt = b"".join(c for c in map(str.encode, token.decode(errors="ignore")) if c in known)
        is_spelt = spelt == token or (len(token) == 1 and token not in rules)
        require(is_spelt, "a kept token has a character that is not kept")
    single = all(set(rule) == {0} for rule in rules.values())
    return require(single or inference != "unigram", "a score is not a single number")


def characters(text: bytes, tokens: Container[bytes]) -> Iterator[tuple[int, int, bool]]:
    """Where each character begins and ends, cut off at the end of the text, and whether it is a token."""
    start = 0
    while start < len(text):
        lead = text[start]
        width = 1 if lead < 0xC0 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
        end = min(start + width, len(text))
        yield start, end, text[start:end] in tokens
        start = end


def count_tokens(
    inference: str, kept: list[bytes], rules: Rules, counts: Mapping[bytes, int], segments: Mapping[bytes, int]
) -> int:
    """Tokens that the kept ones (in rank order) make of the corpus."""
    check_rules(inference, kept, rules)
    tokens, ranks = set(kept), {token: {0: rank} for rank, token in enumerate(kept)}
    prefixes = prefixes_of(tokens)
    n_of: dict[str, Callable[[bytes], int]] = {
        "least-tokens": lambda text: shortest_path(text, tokens, prefixes, 1, {}),
        "longest-prefix": lambda text: n_greedy(text, tokens, prefixes),
        "wordpiece": lambda text: n_greedy(text, tokens, prefixes),
        "merges": lambda text: 1 if text in ranks else n_merged(text, range(len(text)), ranks),
        "scored-merges": lambda text: n_merged(text, parts(text, tokens), rules),
        "unigram": lambda text: n_best_scored(text, prefixes, rules),
    }
    texts = counts if inference == "merges" else segments  # merges look whole pre-tokens up
    return sum(count * n_of[inference](text) for text, count in texts.items())


def n_greedy(text: bytes, tokens: set[bytes], prefixes: set[bytes]) -> int:
    n = start = 0
    while start < len(text):
        n, start = n + 1, max(ends_from(text, start, tokens, prefixes))
    return n


def parts(text: bytes, tokens: set[bytes]) -> list[int]:
    """Where characters that are tokens begin, and bytes of others."""
    found = characters(text, tokens)
    return [k for start, end, is_known in found for k in ([start] if is_known else range(start, end))]


def n_best_scored(text: bytes, prefixes: set[bytes], scores: Rules) -> int:
    """Tokens of the path of highest score, of equal ones that whose last token begins first."""
    best: dict[int, tuple[int, int]] = {0: (0, 0)}  # the score and the tokens of the best path to each place
    for start, end, is_known in characters(text, scores):
        score, n = best[start]
        if not is_known:
            best[end] = score, n + end - start
        for stop in ends_from(text, start, scores, prefixes) if is_known else ():
            new = score + scores[text[start:stop]][0]
            if stop not in best or new > best[stop][0]:
                best[stop] = new, n + 1
    return best[len(text)][1]


def n_merged(text: bytes, begins: Sequence[int], orders: Rules) -> int:
    """Parts left of those that begin at these places, when pairs of least order, then further left, are merged."""
    n_parts = len(begins)
    ends = [0] * (len(text) + 1)  # where the part that starts here ends; 0 where none starts
    befores = [-1] * (len(text) + 1)  # where the part before this one starts
    for start, end in itertools.pairwise([*begins, len(text)]):
        ends[start], befores[end] = end, start
    pairs: list[tuple[int, int, int, int]] = []

    def offer(start: int, middle: int, end: int) -> None:
        if start >= 0 and end and (order := orders.get(text[start:end])):
            by = order.get(middle - start, order.get(0))
            if by is not None:
                heapq.heappush(pairs, (by, start, middle, end))

    for middle in begins[1:]:
        offer(befores[middle], middle, ends[middle])
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
    aside = ", repeated byte pieces aside" if header["inference"] in RULED_METHODS else ""
    n_in, n_keep = header["n_always_kept"] + header["n_in_every"], header["n_keep"]
    return (
        f"{header['tokens']:,} tokens under {header['inference']}: at most {header['gap']:.4%} above the "
        f"{header['bound_tokens']:,} that any {n_keep:,} of {header['n_candidates']:,} candidates need{aside}; "
        f"{n_in:,} candidates are in every choice as good, and {header['n_in_none']:,} in none"
    )


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or re.fullmatch("-h|--help", sys.argv[1]):
        sys.exit("usage: check_certificate.py CERTIFICATE [REPORT]")
    try:
        print("proven:", claims_sentence(check(*sys.argv[1:])))  # noqa: T201
    except RejectedError as error:
        sys.exit(f"rejected: {one_line(error)}")
