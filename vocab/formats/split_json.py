"""The normalizer and the pre-tokenizer of a byte-level tokenizer.json as a split pattern.

Source: huggingface/tokenizers `pre_tokenizers/` (`split.rs`, `digits.rs`, `punctuation.rs`, `byte_level.rs`).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

import regex
from tokenizers import Tokenizer

from vocab.errors import SourceError
from vocab.formats.frame import added_texts, ordinary_texts
from vocab.hard_texts import HARD_TEXTS
from vocab.markers import MARKER_BYTE
from vocab.splitting import GPT2_REGEX, SplitPattern
from vocab.splitting.byte_alphabet import to_bytes
from vocab.splitting.dialect import from_oniguruma
from vocab.splitting.normalization import flat_steps
from vocab.splitting.split_step import SplitStep
from vocab.splitting.steps import SplitSteps

_BEHAVIORS = {
    "Isolated": "isolated",
    "MergedWithPrevious": "merged_with_previous",
    "MergedWithNext": "merged_with_next",
}
_PUNCTUATION = r"[\p{P}!-/:-@\[-`{-~]"


def split_pattern(frame: Mapping[str, Any]) -> SplitPattern:
    """The split of a frame; raises SourceError, as the end of a sentence, for steps that are not known.

    Splits must leave all of the text, and end as bytes.
    """
    steps, prefix_space, as_bytes = [], False, False
    for k, step in enumerate(flat_steps(frame["pre_tokenizer"], "pretokenizers")):
        if step["type"] == "ByteLevel":
            if step.get("add_prefix_space") and k > 0:
                raise SourceError("puts a space before each piece of a split (add_prefix_space after another split)")
            prefix_space = prefix_space or bool(step.get("add_prefix_space"))
            steps += [SplitStep(GPT2_REGEX, on_bytes=as_bytes)] if step.get("use_regex", True) else []
            as_bytes = True
        else:
            steps.append(_split_step(step, as_bytes))
    if not as_bytes:
        raise SourceError("does not write text as bytes (it has no ByteLevel)")
    normalizer = frame["normalizer"]
    texts = ordinary_texts(frame)
    return SplitPattern.of_steps(
        SplitSteps(
            steps=tuple(steps),
            normalizer=json.dumps(normalizer, sort_keys=True) if _has_effect(normalizer) else "",
            added=tuple(sorted(added for added in added_texts(frame) if added.text in texts)),
            has_prefix_space=prefix_space,
        )
    )


def _has_effect(normalizer: Mapping[str, Any] | None) -> bool:
    return bool(flat_steps(normalizer, "normalizers"))


def _split_step(step: Mapping[str, Any], as_bytes: bool) -> SplitStep:
    kind = step["type"]
    if kind == "Split":
        return _of_split(step, as_bytes)
    if kind == "Digits":
        return SplitStep(r"\p{N}" if step.get("individual_digits") else r"\p{N}+", on_bytes=as_bytes)
    if kind == "Punctuation":
        return _of_behavior(_PUNCTUATION, step.get("behavior", "Isolated"), as_bytes)
    raise SourceError(f"splits text with {kind}")


def _of_split(step: Mapping[str, Any], as_bytes: bool) -> SplitStep:
    pattern, behavior = step["pattern"], step["behavior"]
    if "Regex" in pattern:
        words = from_oniguruma(pattern["Regex"])
    else:
        words = regex.escape(pattern["String"], special_only=True, literal_spaces=True)
    if step.get("invert") and behavior == "Removed":
        behavior = "Isolated"  # what is matched stays, as tiktoken has it
    elif step.get("invert") and behavior not in ("Isolated", "Contiguous"):
        raise SourceError(f"splits text with an inverted Split of behavior {behavior}")
    return _of_behavior(words, behavior, as_bytes)


def _of_behavior(words: str, behavior: str, as_bytes: bool) -> SplitStep:
    if behavior == "Contiguous":
        return SplitStep(f"(?:{words})+", on_bytes=as_bytes)
    if behavior not in _BEHAVIORS:
        raise SourceError(f"drops text where it splits (a split of behavior {behavior})")
    return SplitStep(words, _BEHAVIORS[behavior], as_bytes)  # type: ignore[arg-type]


def differing_text(pattern: SplitPattern, runtime: Tokenizer) -> str | None:
    """A hard text that tokenizers splits in another way than a pattern does; None where there is none."""
    for text in HARD_TEXTS:
        prepared = pattern.prepared(text.encode())
        if MARKER_BYTE in prepared:
            continue
        normal = runtime.normalizer.normalize_str(text) if runtime.normalizer else text
        theirs = [to_bytes(piece) for piece, _ in runtime.pre_tokenizer.pre_tokenize_str(normal)]
        ends = pattern.ends(prepared).tolist()
        if theirs != [prepared[a:b] for a, b in itertools.pairwise([0, *ends])]:
            return text
    return None
