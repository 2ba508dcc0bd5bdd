"""How a tokenizer.json of pieces prepares text: its normalizer, where it writes ▁ for a space, and where it cuts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from vocab.errors import SourceError
from vocab.formats.frame import added_texts, ordinary_texts
from vocab.splitting import SplitPattern
from vocab.splitting.marks import AT_MARKS, Mark, uncrossed
from vocab.splitting.normalization import flat_steps
from vocab.splitting.preparation import MARK
from vocab.splitting.steps import SplitSteps

_TO_MARK = {"type": "Replace", "pattern": {"String": " "}, "content": MARK}
_SCHEMES: dict[str, Mark] = {"first": "first", "always": "always", "never": "never"}


def split_pattern(frame: Mapping[str, Any], pieces: Sequence[str]) -> SplitPattern:
    """The split of a frame; raises SourceError, as the end of a sentence, for steps that are not known.

    Args:
        frame: all but the tokens of a tokenizer.json.
        pieces: the pieces, with a space for ▁; none of them goes over a place where text is cut to be counted.
    """
    normalizer = flat_steps(frame["normalizer"], "normalizers")
    mark, is_cut = _mark(flat_steps(frame["pre_tokenizer"], "pretokenizers"), writes_mark=_TO_MARK in normalizer)
    if mark == "never" and not is_cut:
        normalizer = _without_last(normalizer)
    texts = ordinary_texts(frame)
    steps = SplitSteps(
        steps=(AT_MARKS if is_cut else uncrossed(pieces),),
        normalizer=json.dumps({"type": "Sequence", "normalizers": normalizer}, sort_keys=True) if normalizer else "",
        added=tuple(sorted(added for added in added_texts(frame) if added.text in texts)),
        mark=mark,
    )
    return SplitPattern.of_steps(steps)


def _without_last(normalizer: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """A normalizer without the step that writes ▁, where that is the last; ▁ and a space are the same in any case."""
    return normalizer[:-1] if normalizer and normalizer[-1] == _TO_MARK else normalizer


def _mark(steps: list[Mapping[str, Any]], *, writes_mark: bool) -> tuple[Mark, bool]:
    """Where a ▁ is put before, and whether text is cut at each ▁."""
    if writes_mark:
        steps = [step for step in steps if not _is_at_spaces(step)]  # there are no spaces left to cut at
    kinds = [step["type"] for step in steps]
    if not kinds:
        if not writes_mark:
            raise SourceError("does not write spaces as ▁")
        return "never", False
    if kinds not in (["Metaspace"], ["WhitespaceSplit", "Metaspace"]):
        raise SourceError(f"splits text with {', then '.join(kinds)}")
    if steps[-1].get("replacement") != MARK:
        raise SourceError(f"writes spaces as {steps[-1].get('replacement')!r} and not as ▁")
    scheme, is_cut = _SCHEMES[steps[-1]["prepend_scheme"]], bool(steps[-1]["split"])
    if len(kinds) == 1:
        return scheme, is_cut
    if scheme != "always" or not is_cut:
        raise SourceError("cuts text at white space without putting ▁ before each word")
    return "words", True


def _is_at_spaces(step: Mapping[str, Any]) -> bool:
    return bool(step["type"] == "Split" and step["pattern"] == {"String": " "})
