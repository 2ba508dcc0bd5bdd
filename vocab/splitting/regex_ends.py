"""Ends of pre-tokens by the `regex` package, for patterns without a kernel."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import regex

from vocab.errors import SourceError
from vocab.splitting.byte_alphabet import BYTE_TO_CHARACTER

Behavior = Literal["isolated", "merged_with_previous", "merged_with_next"]

# Pieces up to this many characters are cut once for each distinct one.
_LONGEST_KEPT = 64

# A pattern may come from a file. Ordinary ones cut a million characters a second, and those that backtrack without end
# none at all.
_SECONDS, _CHARACTERS_PER_SECOND = 10.0, 10_000
_MOST_COPIES = 1_000_000  # of parts of a pattern that are repeated a fixed number of times, which take memory
# An escaped character, a class, the beginning or end of a group, or a fixed repeat of what stands before it.
_PART = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|(?P<open>\()|(?P<close>\))|\{(?P<copies>\d+)(?:,\d*)?\}|.", re.DOTALL
)
_LONGEST_SHOWN = 200


def regex_ends(
    text: npt.NDArray[np.uint8],
    doc_starts: npt.NDArray[np.int64],
    pattern: str,
    behavior: Behavior = "isolated",
    *,
    on_bytes: bool = False,
) -> npt.NDArray[np.int64]:
    """Ends in bytes of the pieces of documents, int64, rising; the layout is that of `SplitPattern.ends_of_documents`.

    Text that the pattern does not match stays as pieces of its own, so that nothing is lost.

    Args:
        text: UTF-8, uint8.
        doc_starts: int64[n_documents + 1]; documents begin at the beginning of a character, unless `on_bytes`.
        pattern: the regular expression.
        behavior: what becomes of matches: a piece each, or one with the text before or after them.
        on_bytes: whether the pattern sees each byte as a character of GPT-2's alphabet.
    """
    first, stop = int(doc_starts[0]), int(doc_starts[-1])
    raw = text[first:stop]
    if on_bytes:
        characters = raw.tobytes().decode("latin-1").translate(BYTE_TO_CHARACTER)
        begins = np.arange(raw.size + 1)
    else:
        characters = raw.tobytes().decode()
        begins = np.append(np.flatnonzero((raw & 0xC0) != 0x80), raw.size)
    places = np.searchsorted(begins, doc_starts - first)
    ends = np.fromiter(_ends(characters, places.tolist(), compiled(pattern), behavior), dtype=np.int64)
    return begins[ends] + first


def _ends(characters: str, places: list[int], pattern: Any, behavior: Behavior) -> Iterator[int]:
    """Ends in characters; short pieces that were cut before are not cut again."""
    known: dict[str, list[int]] = {}
    for start, stop in pairwise(places):
        piece = characters[start:stop]
        if len(piece) > _LONGEST_KEPT:
            yield from (start + end for end in _piece_ends(piece, pattern, behavior))
            continue
        ends = known.get(piece)
        if ends is None:
            ends = known[piece] = _piece_ends(piece, pattern, behavior)
        yield from [start + end for end in ends]


def _piece_ends(piece: str, pattern: Any, behavior: Behavior) -> list[int]:
    spans = _spans(piece, pattern)
    begins = {} if behavior == "merged_with_previous" else {begin for begin, _ in spans}
    edges = {} if behavior == "merged_with_next" else {end for _, end in spans}
    edges = {*begins, *edges, *([len(piece)] if piece else [])} - {0}
    return sorted(edges)


def _spans(piece: str, pattern: Any) -> list[tuple[int, int]]:
    """Places of all matches; raises SourceError when they take longer than any ordinary pattern does.

    `regex` measures the time of the whole process, which other threads spend as well, so that it is asked again until
    this thread has spent the time itself.
    """
    most = seconds = _SECONDS + len(piece) / _CHARACTERS_PER_SECOND
    began = time.thread_time()
    while True:
        try:
            return [match.span() for match in pattern.finditer(piece, timeout=seconds)]
        except TimeoutError:
            if time.thread_time() - began > most / 2:
                raise SourceError(
                    f"the split pattern takes more than {most / 2:,.0f} seconds for {len(piece):,} characters, as "
                    f"one that backtracks without end does: {pattern.pattern[:_LONGEST_SHOWN]}"
                ) from None
            seconds *= 2


def _n_copies(pattern: str) -> int:
    """How many characters, classes and escapes there are once every fixed repeat is written out."""
    totals, last = [0], 0  # of each group that is open, and of the part before
    for part in _PART.finditer(pattern):
        if part["open"]:
            totals.append(0)
        elif part["copies"]:
            more = last * (max(1, int(part["copies"][:9])) - 1)
            last += more
            totals[-1] += more
        else:
            last = totals.pop() if part["close"] and len(totals) > 1 else 1
            totals[-1] += last
    return sum(totals)


@cache
def compiled(pattern: str) -> Any:
    """The pattern compiled by `regex`; raises SourceError for what is no regular expression there, or far too large."""
    shown = pattern[:_LONGEST_SHOWN]
    if _n_copies(pattern) > _MOST_COPIES:
        raise SourceError(f"the split pattern repeats its parts more than {_MOST_COPIES:,} times: {shown}")
    try:
        return regex.compile(pattern)
    except (regex.error, RecursionError, OverflowError) as error:
        raise SourceError(
            f"the split pattern is not a regular expression of the package regex ({error}): {shown}"
        ) from None
