"""Reading and writing vocabularies, one module a format.

Nothing heavy is imported until a name is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocab.lazy import lazy_exports

if TYPE_CHECKING:
    from vocab.formats.bytes_of_ids import ByteTable, byte_table, write_byte_table
    from vocab.formats.id_map import IdMap, read_id_map
    from vocab.formats.loading import TokenList, load, load_lossless, load_tokens
    from vocab.formats.python_tokenizers import Encodes, measured
    from vocab.formats.runtime_tokenizer import Runtime, RuntimeTokenizer

__all__ = [
    "ByteTable",
    "Encodes",
    "IdMap",
    "Runtime",
    "RuntimeTokenizer",
    "TokenList",
    "byte_table",
    "load",
    "load_lossless",
    "load_tokens",
    "measured",
    "read_id_map",
    "write_byte_table",
]

_HOMES = {
    "ByteTable": "vocab.formats.bytes_of_ids",
    "byte_table": "vocab.formats.bytes_of_ids",
    "IdMap": "vocab.formats.id_map",
    "TokenList": "vocab.formats.loading",
    "Encodes": "vocab.formats.python_tokenizers",
    "Runtime": "vocab.formats.runtime_tokenizer",
    "RuntimeTokenizer": "vocab.formats.runtime_tokenizer",
    "measured": "vocab.formats.python_tokenizers",
    "load": "vocab.formats.loading",
    "load_lossless": "vocab.formats.loading",
    "load_tokens": "vocab.formats.loading",
    "read_id_map": "vocab.formats.id_map",
    "write_byte_table": "vocab.formats.bytes_of_ids",
}
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
