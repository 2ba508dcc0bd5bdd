"""Byte strings as the tokens of a vocabulary: what an id map says of tokens that the other side lacks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vocab.arrays import end_to_end
from vocab.utf8 import is_utf8
from vocab.vocabulary import Vocabulary


def spellings(vocabulary: Vocabulary, tokens: Mapping[int, bytes]) -> dict[str, list[int]]:
    """Ids that a vocabulary gives some byte strings, each as a pre-token of its own, by their ids elsewhere.

    What is no text is spelt byte by byte where the vocabulary goes from characters.
    """
    whole = {k: token for k, token in tokens.items() if not vocabulary.byte_fallback or is_utf8(token)}
    blob, starts = end_to_end(list(whole.values()))
    ids, sizes = vocabulary.encoder.encode_pretokens(blob, starts)
    ids += np.int32(vocabulary.first_id)
    begins = starts[:-1].tolist()
    spelt = {k: ids[a : a + n].tolist() for k, a, n in zip(whole, begins, sizes.tolist(), strict=True)}
    by_bytes = {k: [vocabulary.first_id + byte for byte in token] for k, token in tokens.items() if k not in whole}
    found = spelt | by_bytes
    return {str(k): found[k] for k in tokens}
