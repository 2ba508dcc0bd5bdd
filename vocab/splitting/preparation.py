"""What SentencePiece does to text before it looks for pieces, but for normalization tables.

Source: google/sentencepiece `normalizer.cc`. SentencePiece writes a space as ▁ and may put one before each text; a ▁ in
the text itself is a space to it from then on. Here all of these are spaces, which are shorter and as distinct.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from vocab.arrays import end_to_end

MARK = "▁"
_MARK_BYTES = MARK.encode()


def byte_piece(byte: int) -> str:
    """How SentencePiece writes a byte."""
    return f"<0x{byte:02X}>"


def n_fallback_bytes(blob: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64]) -> int:
    """How many of the first tokens are bytes for characters without a token: single bytes in rising order."""
    is_single = np.diff(starts[:257]) == 1
    values = blob[starts[:256][: is_single.size]].astype(np.int64)
    rises = is_single & (np.diff(values, prepend=-1) > 0)
    return int(rises.size if rises.all() else np.argmin(rises))


def prepared(text: bytes, *, dummy_prefix: bool) -> bytes:
    """One text as its pieces are looked for in; an empty one stays empty."""
    return (b" " if text and dummy_prefix else b"") + text.replace(_MARK_BYTES, b" ")


def prepared_documents(
    text: npt.NDArray[np.uint8], doc_starts: npt.NDArray[np.int64], *, dummy_prefix: bool
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The same for documents that stand one after another: text[doc_starts[d] : doc_starts[d + 1]] is document d."""
    raw = text.tobytes()
    if _MARK_BYTES in raw:
        documents = [raw[a:b].replace(_MARK_BYTES, b" ") for a, b in itertools.pairwise(doc_starts.tolist())]
        text, doc_starts = end_to_end(documents)
    if not dummy_prefix:
        return text, doc_starts
    has_text = np.diff(doc_starts) > 0
    text = np.insert(text, doc_starts[:-1][has_text], np.uint8(0x20))
    return text, doc_starts + np.concatenate([[0], np.cumsum(has_text, dtype=np.int64)])
