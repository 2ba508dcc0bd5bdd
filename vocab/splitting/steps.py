"""Splits of several steps, with what is done to text before them, as a tokenizer.json states them.

Added tokens that are text are taken out first. The normalizer changes what is between them; then each step cuts every
piece that the one before it left. All of it is written as one line of JSON behind a comment of regular expressions, so
that counts can say by what they were made.

Source: huggingface/tokenizers `pre_tokenizer.rs`, `pattern.rs`, `normalizer.rs` (`split`).
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from vocab.arrays import end_to_end
from vocab.errors import SourceError
from vocab.markers import MARKER, marked
from vocab.reading import parse_json
from vocab.splitting.added_texts import AddedText, AddedTextFinder, any_of
from vocab.splitting.known_patterns import KERNELS, ends_by_regex
from vocab.splitting.marks import AT_MARKS, Mark, with_spaces
from vocab.splitting.normalization import Normalization, normalization
from vocab.splitting.preparation import MARK
from vocab.splitting.regex_ends import regex_ends
from vocab.splitting.split_step import SplitStep

COMMENT = "(?#steps)"
# Characters of a normalizer or a split that are shown: T5 and XLM-R have hundreds of thousands.
_LONGEST_SHOWN = 300


@dataclass(frozen=True)
class SplitSteps:
    """All that is done to a text before tokens are looked for in its pieces.

    Attributes:
        steps: the splits, in order.
        normalizer: the normalizer as JSON; "" for none.
        added: added tokens that are recognised in every text.
        has_prefix_space: whether a space is put before text that begins without one, after an added token too.
        mark: whether ▁ is written for spaces, and where one is put before: see `marks`. In prepared text it is a space.
    """

    steps: tuple[SplitStep, ...]
    normalizer: str = ""
    added: tuple[AddedText, ...] = field(default=())
    has_prefix_space: bool = False
    mark: Mark = ""

    @classmethod
    def parse(cls, text: str) -> SplitSteps:
        """Read what `to_text` writes; raises SourceError for anything else."""
        return _parsed(text)

    def to_text(self) -> str:
        """One line that says everything; equal steps give equal text."""
        content: dict[str, Any] = {"steps": [[step.regex, step.behavior, step.on_bytes] for step in self.steps]}
        content |= {"normalizer": json.loads(self.normalizer)} if self.normalizer else {}
        content |= {"added": [list(added) for added in sorted(self.added)]} if self.added else {}
        content |= {"prefix_space": True} if self.has_prefix_space else {}
        content |= {"mark": self.mark} if self.mark else {}
        return COMMENT + json.dumps(content, ensure_ascii=False, sort_keys=True)

    def portable_text(self) -> str:
        """The same, equal for two spellings of the same splits."""
        known = [replace(step, regex=_portable(step.regex)) for step in self.steps]
        return replace(self, steps=tuple(known)).to_text()

    @property
    def description(self) -> str:
        """What is done to text, in order, for people to read."""
        added = f"{len(self.added)} added tokens taken out, " if self.added else ""
        normalizer = f"normalizer {_shown(self.normalizer)}, " if self.normalizer else ""
        prefix = "a space put before, " if self.has_prefix_space else ""
        prefix += f"▁ for spaces ({self.mark}), " if self.mark else ""
        splits = ", then ".join(_shown(step.regex) for step in self.steps)
        return f"{added}{normalizer}{prefix}split pattern {splits or 'none'}"

    @property
    def changes_text(self) -> bool:
        """Whether a text may be another one when it is prepared."""
        return bool(self.normalizer or self.added or self.has_prefix_space or self.mark)

    @property
    def cuts_at_marks(self) -> bool:
        """Whether text is cut before each ▁ by what runs it, and not only to be counted."""
        return AT_MARKS in self.steps

    @property
    def one_regex(self) -> str | None:
        """The regular expression of a split that is nothing else; None for any other."""
        if self.changes_text or len(self.steps) != 1 or self.steps[0] != SplitStep(self.steps[0].regex):
            return None
        return self.steps[0].regex

    @cached_property
    def _normalization(self) -> Normalization | None:
        return normalization(self.normalizer) if self.normalizer else None

    @cached_property
    def _finders(self) -> tuple[AddedTextFinder, AddedTextFinder]:
        """Of tokens that are looked for before the normalizer, and of those that are looked for after it."""
        raw = {added.text: added for added in self.added if not added.is_normalized}
        after = {self.normalized(added.text): added for added in self.added if added.is_normalized}
        return AddedTextFinder.of(raw), AddedTextFinder.of(after)

    def normalized(self, text: str, *, is_whole: bool = True) -> str:
        """The text as the normalizer leaves it, without regard to added tokens; see `prepared` for `is_whole`."""
        return self._normalization.normalized(text, is_whole=is_whole) if self._normalization else text

    def prepared(self, text: bytes, *, is_whole: bool = True) -> bytes:
        """One text as its pieces are looked for: normalized, with added tokens between markers.

        With `is_whole=False` it is a stretch from within a text, before which no space is put.
        """
        before, after = self._finders
        characters, parts = text.decode(), []
        for raw in before.stretches(characters):
            if raw.added:
                parts.append(marked(raw.added.text))
                continue
            normal = self.normalized(characters[raw.begin : raw.end], is_whole=is_whole)
            for found in after.stretches(normal):
                if found.added:
                    parts.append(marked(found.added.text))
                    continue
                is_first = raw.begin == found.begin == 0 and self._leaves_beginning(characters[: raw.end])
                parts.append(
                    self._spaced(normal[found.begin : found.end], is_whole=is_whole, is_first=is_first).encode()
                )
        return b"".join(parts)

    def _spaced(self, piece: str, *, is_whole: bool, is_first: bool) -> str:
        """A normalized stretch between added tokens with its spaces, and the one that is put before it."""
        if self.mark:
            mark = self.mark if is_whole or self.mark == "spaced" else "never"
            return with_spaces(piece, mark, is_first=is_first)
        return " " + piece if self.has_prefix_space and is_whole and not piece.startswith(" ") else piece

    def _leaves_beginning(self, text: str) -> bool:
        """Whether what the normalizer leaves of a text is taken for its beginning, where that is asked."""
        return self.mark != "first" or not self._normalization or self._normalization.leaves_beginning(text)

    def prepared_documents(
        self, text: npt.NDArray[np.uint8], doc_starts: npt.NDArray[np.int64], *, are_whole: bool = True
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """The same for documents end to end: text[doc_starts[d] : doc_starts[d + 1]] is document d."""
        if not self.changes_text:
            return text, doc_starts
        raw = text.tobytes()
        changed = self._may_change(text, raw, doc_starts, are_whole=are_whole)
        if not changed.any():
            return text, doc_starts
        edges = doc_starts.tolist()
        documents = [
            self.prepared(raw[a:b], is_whole=are_whole) if is_changed else raw[a:b]
            for a, b, is_changed in zip(edges, edges[1:], changed.tolist(), strict=False)
        ]
        return end_to_end(documents)

    def _may_change(
        self, text: npt.NDArray[np.uint8], raw: bytes, doc_starts: npt.NDArray[np.int64], *, are_whole: bool
    ) -> npt.NDArray[np.bool_]:
        """Which documents must be prepared one by one, bool[n_documents]."""
        changed = np.zeros(doc_starts.size - 1, dtype=np.bool_)
        if are_whole and (self.has_prefix_space or self.mark in ("first", "always", "words")):
            changed |= np.diff(doc_starts) > 0
        if self.mark and (mark := MARK.encode()) in raw:
            _note(changed, [match.span() for match in re.finditer(mark, raw)], doc_starts)
        if self._normalization:
            changed |= self._normalization.may_change(text, doc_starts)
        if self.added:
            first, stop = int(doc_starts[0]), int(doc_starts[-1])
            spans = [match.span() for match in self._any_added.finditer(raw, first, stop)]
            _note(changed, spans, doc_starts)
        return changed

    @cached_property
    def _any_added(self) -> re.Pattern[bytes]:
        """Finds added tokens in bytes, whatever the text around them."""
        return re.compile(any_of([added.text for added in self.added]).encode())

    def ends(self, text: npt.NDArray[np.uint8], doc_starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Ends of the pieces of prepared documents, int64, rising. A marked token is one piece, markers included."""
        borders, inside = doc_starts, None
        if self.added:
            text, borders, inside = _without_marked(text, doc_starts)
        borders = np.unique(borders)
        for step in self.steps:
            borders = np.concatenate([borders[:1], step_ends(step, text, borders)])
        ends = borders[1:]
        return ends if inside is None else ends[~inside[ends]]


def _shown(text: str) -> str:
    """A text that people can read: of a long one its beginning and its digest."""
    if len(text) <= _LONGEST_SHOWN:
        return text
    return f"{text[:_LONGEST_SHOWN]}… (sha256 {hashlib.sha256(text.encode()).hexdigest()})"


@cache
def _parsed(text: str) -> SplitSteps:
    try:
        content = parse_json(text.removeprefix(COMMENT))
        return SplitSteps(
            steps=tuple(
                SplitStep(str(regex), behavior, bool(on_bytes)) for regex, behavior, on_bytes in content["steps"]
            ),
            normalizer=json.dumps(content["normalizer"], sort_keys=True) if content.get("normalizer") else "",
            added=tuple(AddedText(str(added[0]), *map(bool, added[1:])) for added in content.get("added", ())),
            has_prefix_space=bool(content.get("prefix_space", False)),
            mark=content.get("mark", ""),
        )
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise SourceError(f"the split is not one that vocab wrote ({error}): {text[:200]}") from None


def _note(changed: npt.NDArray[np.bool_], spans: list[tuple[int, int]], doc_starts: npt.NDArray[np.int64]) -> None:
    """Mark the documents (bool[n_documents]) that spans of bytes touch.

    What is found in several documents at once may hide what is in the later ones.
    """
    begins, ends = np.array(spans, dtype=np.int64).reshape(-1, 2).T
    is_within = (ends > doc_starts[0]) & (begins < doc_starts[-1])
    firsts = np.searchsorted(doc_starts, begins[is_within], side="right") - 1
    lasts = np.searchsorted(doc_starts, ends[is_within] - 1, side="right") - 1
    steps = np.zeros(changed.size + 1, dtype=np.int64)
    np.add.at(steps, firsts.clip(min=0), 1)
    np.add.at(steps, (lasts + 1).clip(max=changed.size), -1)
    changed |= np.cumsum(steps[:-1]) > 0


def _without_marked(
    text: npt.NDArray[np.uint8], doc_starts: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.bool_] | None]:
    """Spaces in the place of marked tokens, borders with theirs among them, and which places are inside of one.

    The last is bool[len(text) + 1], or None where no token is marked.
    """
    first, stop = int(doc_starts[0]), int(doc_starts[-1])
    marks = first + np.flatnonzero(text[first:stop] == MARKER)
    if not marks.size:
        return text, doc_starts, None
    opens, closes = marks[0::2], marks[1::2] + 1
    change = np.zeros(text.size + 1, dtype=np.int8)
    change[opens] += 1
    change[closes] -= 1
    covered = np.cumsum(change, dtype=np.int8) > 0
    blank = np.where(covered[:-1], np.uint8(0x20), text)
    inside = covered
    inside[opens] = False
    return blank, np.concatenate([doc_starts, opens, closes]), inside


def step_ends(step: SplitStep, text: npt.NDArray[np.uint8], borders: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Ends of the pieces that a step leaves of the stretches between borders, int64, rising."""
    if step == AT_MARKS:
        within = text[int(borders[0]) : int(borders[-1])]
        begins = np.flatnonzero(within == 0x20) + borders[0]
        return np.union1d(begins, borders)[1:]
    if step.has_kernel:
        return ends_by_regex(text, borders, step.regex)[0]
    return regex_ends(text, borders, step.regex, step.behavior, on_bytes=step.on_bytes)


def _portable(regex: str) -> str:
    return KERNELS[regex].portable if regex in KERNELS else regex
