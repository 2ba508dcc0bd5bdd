"""Default calls of a runtime: what a user gets who hands over a text and nothing else.

Special tokens in the text are recognised, tokens are put around it, and decoding leaves special tokens out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vocab.hard_texts import HARD_TEXTS
from vocab.interop.conversion.runtime_check import RuntimeCheck
from vocab.vocabulary import Vocabulary

# Special tokens that are tried in a text each.
_MOST_SPECIAL = 300


@dataclass(frozen=True)
class DefaultCalls:
    """The default calls of a runtime.

    Attributes:
        encode: texts to ids.
        decode: ids to a text.
        before: ids that are put before a text.
        after: ids that are put after it.
        cleans_up: whether decoding changes spaces, so that texts cannot be compared.
    """

    encode: Callable[[list[str]], list[list[int]]]
    decode: Callable[[list[int]], str]
    before: list[int]
    after: list[int]
    cleans_up: bool = False


def default_texts(vocabulary: Vocabulary, with_special: Sequence[str]) -> list[str]:
    """Hard texts, special tokens within text, and the texts given, which hold special tokens."""
    special = list(vocabulary.special_tokens)
    step = max(1, len(special) // _MOST_SPECIAL)
    tried = [text for token in special[::step] for text in (f"a{token}b", f"One  {token} \n two.{token}{token}")]
    return [*HARD_TEXTS, *tried, *with_special]


def compare_default_calls(
    check: RuntimeCheck, calls: DefaultCalls, vocabulary: Vocabulary, texts: Sequence[str]
) -> None:
    """Count texts of which a default call gives other ids, or another text back, than it must."""
    special = {id_ for text, id_ in vocabulary.special_tokens.items() if text not in vocabulary.user_defined}
    special |= {vocabulary.added_ids[text] for text in [vocabulary.unknown] if text in vocabulary.added_ids}
    keeps_text = not (vocabulary.pattern.is_sentencepiece or calls.cleans_up)
    for text, ids in zip(texts, calls.encode(list(texts)), strict=True):
        expected = [*calls.before, *vocabulary.encode(text, allow_special=True), *calls.after]
        is_other = ids != expected
        if keeps_text and not is_other:
            is_other = calls.decode(ids) != vocabulary.decode([k for k in ids if k not in special])
        check.n_default_texts += 1
        if is_other:
            check.n_default_different += 1
            check.first_different = check.first_different or text
