"""Special tokens of a source that a pruning leaves out: which patterns name them, and which of them are needed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from vocab.errors import TargetError
from vocab.formats.companions import KEY, chat_template
from vocab.formats.frame import carried_frame
from vocab.vocabulary import Vocabulary


def dropped_special_tokens(source: Vocabulary, patterns: Sequence[str]) -> list[str]:
    """Special tokens that patterns name, in the order of their ids.

    Args:
        source: the vocabulary to prune.
        patterns: texts of special tokens, in which * and ? stand for any characters.

    Raises:
        TargetError: a pattern names no special token, or one that is needed.
    """
    dropped: set[str] = set()
    for pattern in patterns:
        named = {text for text in source.special_tokens if fnmatchcase(text, _without_classes(pattern))}
        if not named:
            raise TargetError(f"`drop_special` names {pattern!r}, which no special token of {source.name} is like")
        dropped |= named
    for text, use in _needed(source):
        if text in dropped:
            raise TargetError(f"the special token {text!r} cannot be dropped: {use}")
    return sorted(dropped, key=source.special_tokens.__getitem__)


def _without_classes(pattern: str) -> str:
    """The pattern with brackets as they stand, since special tokens are full of them."""
    return pattern.replace("[", "[[]")


def _needed(source: Vocabulary) -> Iterator[tuple[str, str]]:
    """Special tokens that something else of the source uses, each with what does."""
    for text in source.user_defined:
        yield text, "it is no special token but text, which would be cut in another way without it"
    if source.unknown:
        yield source.unknown, "text that no token spells becomes it"
    for role, text in source.provenance.extras.get(KEY, {}).get("roles", {}).items():
        yield text, f"it is the {role} of the source"
    frame = carried_frame(source) or {}
    around = json.dumps([frame.get("post_processor"), frame.get("padding")], ensure_ascii=False)
    template = json.dumps(chat_template(source), ensure_ascii=False)
    for text in source.special_tokens:
        written = json.dumps(text, ensure_ascii=False)
        if written in around:
            yield text, "the post-processor or the padding of the source uses it"
        if written[1:-1] in template:
            yield text, "the chat template of the source uses it"
