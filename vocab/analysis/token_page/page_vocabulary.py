"""A vocabulary as a page holds it: tokens and split packed as text, and why the page cannot run it if it cannot."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vocab.analysis.composition import kind_of
from vocab.analysis.token_page.code_points import set_by_regex
from vocab.analysis.token_page.javascript_regex import CannotTranslateError, ClassTable, javascript_regex
from vocab.analysis.token_page.packed_numbers import packed_bytes, packed_numbers, packed_signed
from vocab.analysis.token_page.token_worth import TokenWorth
from vocab.arrays import end_to_end
from vocab.choices import InferenceMethod
from vocab.encoding.merging_kernels import NONE
from vocab.errors import SourceError
from vocab.measured import MeasuredTokenizer
from vocab.splitting.added_texts import WORD_CHARACTER
from vocab.splitting.normalization import normalization
from vocab.splitting.split_step import SplitStep
from vocab.splitting.steps import SplitSteps
from vocab.vocabulary import Vocabulary

# Methods that the page's encoder has.
_METHODS: frozenset[InferenceMethod] = frozenset({"merges", "least-tokens", "longest-prefix", "scored-merges"})


def page_vocabulary(
    vocabulary: MeasuredTokenizer, classes: ClassTable, worth: TokenWorth | None = None
) -> dict[str, Any]:
    """A vocabulary as JSON types.

    Args:
        vocabulary: what `vocab.load` gives.
        classes: takes the sets of characters of its split pattern.
        worth: uses and prices of its tokens; None where they are not known.

    Raises:
        SourceError: the tokenizer does not give the bytes of its tokens.
    """
    content = _tokens_of(vocabulary)
    content |= {"uses": packed_numbers(worth.uses), "prices": packed_signed(worth.prices)} if worth else {}
    try:
        return content | {"encoder": _encoder_of(vocabulary, classes), "refusal": None}
    except CannotTranslateError as reason:
        return content | {"encoder": None, "refusal": f"This page cannot run {vocabulary.name}: it has {reason}."}


def _tokens_of(vocabulary: MeasuredTokenizer) -> dict[str, Any]:
    by_id = {id_: token for token, id_ in vocabulary.token_ids.items()}
    if isinstance(vocabulary, Vocabulary):
        by_id = vocabulary.tokens_by_id
    blob, starts = end_to_end(list(by_id.values()))
    kinds = [kind_of(token) for token in by_id.values()]
    names = sorted(set(kinds))
    places = {name: k for k, name in enumerate(names)}
    return {
        "name": vocabulary.name,
        "inference": vocabulary.inference,
        "split": vocabulary.split_description,
        "n_ids": vocabulary.n_ids,
        "blob": packed_bytes(blob),
        "lengths": packed_numbers(np.diff(starts)),
        "ids": packed_signed(np.diff(np.array([*by_id], dtype=np.int64), prepend=0)),
        "special": dict(vocabulary.special_tokens),
        "kinds": names,
        "kind": packed_numbers([places[kind] for kind in kinds]),
    }


def _encoder_of(vocabulary: MeasuredTokenizer, classes: ClassTable) -> dict[str, Any]:
    """What the page's encoder needs besides tokens; raises CannotTranslateError."""
    if not isinstance(vocabulary, Vocabulary):
        raise CannotTranslateError("a runtime of its own")
    if vocabulary.inference not in _METHODS:
        raise CannotTranslateError(f"the inference method {vocabulary.inference}")
    try:
        encoder = vocabulary.encoder
    except SourceError as error:
        raise CannotTranslateError(f"no way to encode every text ({error})") from None
    return {
        "method": vocabulary.inference,
        "n_stand_ins": int(vocabulary.n_stand_ins),
        "byte_tokens": encoder.trie.byte_tokens.tolist(),
        "fuses": encoder.trie.has_unknown,
        "lacking": list(encoder.lacking),
        "order": _order(vocabulary),
        "pairs": None if vocabulary.pair_order is None else _pairs(vocabulary.pair_order),
        "added": _added(vocabulary),
        "split": _split(vocabulary, classes),
    }


def _order(vocabulary: Vocabulary) -> str | None:
    """Places in the order of merges, where that is not the order of ranks."""
    return None if vocabulary.scores is None else packed_numbers(vocabulary.merge_order)


def _pairs(order: npt.NDArray[np.int32]) -> dict[str, str]:
    """Merges by pair: where in the tokens each is, as distances, and its place in the order."""
    at = np.flatnonzero(order != NONE)
    return {"at": packed_numbers(np.diff(at, prepend=0)), "order": packed_numbers(order[at])}


def _added(vocabulary: Vocabulary) -> list[dict[str, Any]]:
    """Added tokens that every text is searched for, with the id of each."""
    steps = vocabulary.pattern.steps
    if vocabulary.added_texts:
        ids = vocabulary.added_ids
        found = steps.added if steps else ()
        return [
            {
                "text": one.text,
                "id": ids[one.text],
                "after": one.is_normalized,
                "normal": steps.normalized(one.text) if steps and one.is_normalized else one.text,
                "left": one.strips_left,
                "right": one.strips_right,
                "word": one.is_word,
            }
            for one in found
        ]
    return [{"text": text, "id": vocabulary.special_tokens[text]} for text in sorted(vocabulary.user_defined)]


def _split(vocabulary: Vocabulary, classes: ClassTable) -> dict[str, Any]:
    pattern = vocabulary.pattern
    steps = pattern.steps or SplitSteps(steps=(SplitStep(pattern.regex),))
    if steps.mark in ("words", "spaced"):
        raise CannotTranslateError(f"words that are prepared as its file says ({steps.mark})")
    form = None
    if steps.normalizer:
        form = normalization(steps.normalizer).form
        if form is None or steps.mark == "first":
            raise CannotTranslateError("a normalizer other than a normal form of Unicode")
    is_marked = pattern.is_sentencepiece or bool(steps.mark)
    return {
        "form": form,
        "by_text": bool(vocabulary.user_defined) and not vocabulary.added_texts,
        "spaces_marks": is_marked,
        "prefix": "always" if pattern.has_dummy_prefix or steps.has_prefix_space else steps.mark,
        "doubles": pattern.has_dummy_prefix,
        "word": classes.place_of(set_by_regex(WORD_CHARACTER, ignores_case=False))
        if any(one.is_word for one in steps.added)
        else None,
        "steps": [
            {
                "regex": javascript_regex(step.regex, classes),
                "behavior": step.behavior,
                "on_bytes": step.on_bytes,
            }
            for step in steps.steps
        ],
    }
