"""Byte strings as the tokens of a vocabulary, for the tokens in an id map that the other side lacks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vocab.arrays import end_to_end
from vocab.utf8 import is_utf8
from vocab.vocabulary import Vocabulary


def spellings(vocabulary: Vocabulary, tokens: Mapping[int, bytes], *, splits: bool = False) -> dict[str, list[int]]:
    """Encode byte strings, each as one pre-token: {id elsewhere: ids here}.

    With byte fallback, strings that are not UTF-8 become single bytes. Bytes without a token are left out. With
    `splits` text is split first, so that a string may be several pre-tokens.
    """
    if splits:
        texts = {k: token.decode() for k, token in tokens.items() if is_utf8(token)}
        as_text = dict(zip(map(str, texts), vocabulary.encode_batch(list(texts.values())), strict=True))
        rest = spellings(vocabulary, {k: token for k, token in tokens.items() if k not in texts})
        return {str(k): (as_text | rest)[str(k)] for k in tokens}
    whole = {k: token for k, token in tokens.items() if not vocabulary.byte_fallback or is_utf8(token)}
    blob, starts = end_to_end(list(whole.values()))
    ranks, sizes = vocabulary.encoder.encode_pretokens(blob, starts)
    by_rank = vocabulary.rank_ids
    lengths = np.diff(starts)
    is_token = np.arange(ranks.size) - np.repeat(starts[:-1], lengths) < np.repeat(sizes, lengths)
    ids = by_rank[ranks[is_token]].tolist()
    ends = np.cumsum(sizes)
    spelt = {k: ids[a:b] for k, a, b in zip(whole, (ends - sizes).tolist(), ends.tolist(), strict=True)}
    of_bytes = vocabulary.encoder.trie.byte_tokens
    by_bytes = {k: of_bytes[list(token)] for k, token in tokens.items() if k not in whole}
    all_ids = spelt | {k: by_rank[found[found >= 0]].tolist() for k, found in by_bytes.items()}
    return {str(k): all_ids[k] for k in tokens}
