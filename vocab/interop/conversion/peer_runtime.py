"""What `vocab verify` and `vocab lock` ask of another program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vocab.interop.conversion.default_calls import DefaultCalls

Encode = Callable[[list[str]], list[list[int]]]
Decode = Callable[[list[int]], str]


@dataclass(frozen=True)
class PeerRuntime:
    """Another program's encoding and decoding, and the id that it gives a special token.

    Attributes:
        encode: texts to ids, special tokens not recognised.
        decode: ids to a text.
        special_id: the id of a special token by its text; None without one.
        by_default: ids of a text by the call without options. mistral-common has none: there it is the text alone.
        n_ids: number of ids.
        default_calls: what it does by default; None where that is not compared.
    """

    encode: Encode
    decode: Decode
    special_id: Callable[[str], int | None]
    by_default: Callable[[str], list[int]]
    n_ids: int
    default_calls: DefaultCalls | None = None
