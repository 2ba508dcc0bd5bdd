"""Characters that must stay known where a vocabulary has an unknown token for all others.

Source: google/sentencepiece `trainer_interface.cc` (`character_coverage`): the most frequent characters that make up a
share of the text are kept.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vocab.arrays import Ints, Mask
from vocab.pretokens.counts import PretokenCounts
from vocab.vocabulary import Vocabulary

_N_CODES = 0x110000


def is_character(source: Vocabulary) -> Mask:
    """Which tokens are one character, bool[n_tokens]; those that stand for unknown text are none.

    Under wordpiece a space says that a piece begins a word, and is no character of its own.
    """
    n_marks = [source.inference == "wordpiece" and token.startswith(b" ") for token in source.tokens()]
    lengths = np.array([len(token.decode()) for token in source.tokens()]) - np.array(n_marks, dtype=np.int64)
    single: Mask = lengths == 1
    single[: source.n_stand_ins] = False
    return single


def covered(source: Vocabulary, counts: PretokenCounts, share: float) -> tuple[Mask, Mask]:
    """The tokens that a coverage of characters leaves.

    Args:
        source: a vocabulary with an unknown token.
        counts: the text, as counts of pre-tokens.
        share: share of the text's characters that must stay known, of those that are known to the source.

    Returns:
        (needed, allowed), both bool[n_tokens]: the characters needed for that share and the unknown token, and the
        tokens that are made of these alone.
    """
    single = is_character(source)
    texts = [token.decode() for token in source.tokens()]
    known = np.zeros(_N_CODES, dtype=np.bool_)
    known[[ord(text[-1]) for text, is_single in zip(texts, single.tolist(), strict=True) if is_single]] = True
    needed = _most_frequent(np.where(known, _uses(counts), 0), share)
    needed[ord(" ")] = True  # without ▁ no word could be told from the one before it
    spelt = [bool(needed[_codes(text)].all()) for text in texts]
    allowed: Mask = np.array(spelt, dtype=np.bool_)
    allowed[: source.n_stand_ins] = True
    chosen = allowed & single
    chosen[: source.n_stand_ins] = True
    return chosen, allowed


def _codes(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)


def _uses(counts: PretokenCounts) -> Ints:
    """How often each code point occurs in the text, int64[0x110000]."""
    rows = counts.without_added()
    is_first = (rows.blob & 0xC0) != 0x80
    before = np.concatenate([[0], np.cumsum(is_first, dtype=np.int64)])
    times = np.repeat(rows.counts.astype(np.int64), np.diff(before[rows.starts]))
    uses = np.zeros(_N_CODES, dtype=np.int64)
    np.add.at(uses, _codes(rows.blob.tobytes().decode()), times)
    return uses


def _most_frequent(uses: Ints, share: float) -> Mask:
    """The fewest code points whose uses make up a share of all uses; of equal ones the lower first."""
    order = np.lexsort((np.arange(uses.size), -uses))
    reached = np.cumsum(uses[order])
    n = int(np.searchsorted(reached, share * float(reached[-1]))) + 1 if reached[-1] and share > 0 else 0
    needed = np.zeros(uses.size, dtype=np.bool_)
    needed[order[:n]] = True
    needed &= uses > 0
    return needed
