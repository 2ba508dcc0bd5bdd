"""The same text in the ids of two vocabularies, cut into pieces, with the places where both begin a token."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vocab.arrays import Ints
from vocab.model.data.shards import token_bytes
from vocab.utf8 import utf8
from vocab.vocabulary import Vocabulary


@dataclass(frozen=True)
class Piece:
    """A part of a document, without a token before it.

    Attributes:
        student: ids of the student's tokens, int64 (n_student,).
        teacher: ids of the teacher's, int64 (n_teacher,).
        student_places: numbers of the student's tokens that begin where one of the teacher's does, int64 (n_aligned,).
        teacher_places: numbers of these of the teacher's, int64 (n_aligned,).
        n_bytes: bytes of its text in UTF-8.
    """

    student: Ints
    teacher: Ints
    student_places: Ints
    teacher_places: Ints
    n_bytes: int


class Aligner:
    """Cuts texts into pieces for two vocabularies whose tokens give every text back.

    Args:
        student: the vocabulary of the pieces' student ids.
        teacher: that of their teacher ids.
        most_tokens: tokens of a piece at most.
        untaught: the student's ids of tokens that the teacher lacks, int64: they are never a place to compare at,
            because the teacher's probability of such a token is that of several tokens in a row.

    Attributes:
        n_unaligned: texts that the vocabularies do not give back with equal bytes; they are left out.
    """

    def __init__(self, student: Vocabulary, teacher: Vocabulary, most_tokens: int, untaught: Ints) -> None:
        self.student, self.teacher, self.most_tokens, self.untaught = student, teacher, most_tokens, untaught
        self.n_unaligned = 0
        self._sizes = [token_bytes(vocabulary).astype(np.int64) for vocabulary in (student, teacher)]

    def pieces(self, texts: Iterable[str]) -> Iterator[Piece]:
        """Pieces of at most `most_tokens` tokens of either vocabulary, which begin and end where both do."""
        for batch in _batched(texts, 64):
            both = (self.student.encode_batch(batch), self.teacher.encode_batch(batch))
            for text, ours, theirs in zip(batch, *both, strict=True):
                yield from self._of_text(text, np.array(ours, dtype=np.int64), np.array(theirs, dtype=np.int64))

    def _of_text(self, text: str, ours: Ints, theirs: Ints) -> Iterator[Piece]:
        starts, others = (_starts(sizes[ids]) for sizes, ids in zip(self._sizes, (ours, theirs), strict=True))
        is_whole = starts[-1] == others[-1] == len(utf8(text)) + self.student.pattern.has_dummy_prefix
        if not is_whole:
            self.n_unaligned += 1
            return
        common, a, b = np.intersect1d(starts, others, assume_unique=True, return_indices=True)
        for first, last in _cuts(a, b, self.most_tokens):
            taught = np.arange(first, last)[~np.isin(ours[a[first:last]], self.untaught)]
            yield Piece(
                ours[a[first] : a[last]],
                theirs[b[first] : b[last]],
                a[taught] - a[first],
                b[taught] - b[first],
                int(common[last] - common[first]),
            )


def _batched(texts: Iterable[str], n: int) -> Iterator[tuple[str, ...]]:
    """`itertools.batched`, which Python 3.11 lacks."""
    remaining = iter(texts)
    while batch := tuple(itertools.islice(remaining, n)):
        yield batch


def _starts(sizes: Ints) -> Ints:
    """Byte offset of each token, and the end of the text."""
    starts = np.zeros(sizes.size + 1, dtype=np.int64)
    np.cumsum(sizes, out=starts[1:])
    return starts


def _cuts(a: Ints, b: Ints, most: int) -> Iterator[tuple[int, int]]:
    """Runs of common boundaries, each of at most `most` tokens on both sides, but one boundary at least."""
    first = 0
    while first < a.size - 1:
        ends = [int(np.searchsorted(side, side[first] + most, side="right")) - 1 for side in (a, b)]
        last = max(first + 1, min(ends))
        yield first, last
        first = last


def fingerprint_of(pieces: Sequence[Piece]) -> str:
    """Digest of the ids of pieces in their order."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece.student.tobytes())
        digest.update(piece.teacher.tobytes())
    return digest.hexdigest()[:16]


def padded_ids(rows: Sequence[npt.NDArray[np.integer]], start: int | None) -> Ints:
    """Ids of pieces, each after the start, as int64 (n_rows, longest); padded at the end with 0."""
    n_before = 0 if start is None else 1
    ids = np.zeros((len(rows), max(row.size for row in rows) + n_before), dtype=np.int64)
    for k, row in enumerate(rows):
        ids[k, n_before : n_before + row.size] = row
    if start is not None:
        ids[:, 0] = start
    return ids
