"""The texts of Parquet and Arrow columns, by the name of a column or a path into nested ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

import pyarrow as pa

from vocab.errors import CorpusError


@dataclass(frozen=True)
class TextColumn:
    """A column of text.

    Attributes:
        top: the column to read.
        fields: names of the fields that lead from it to the text, through lists where there are any.
        held: the columns of the file, for errors.
    """

    top: str
    fields: tuple[str, ...]
    held: str

    @classmethod
    def of(cls, schema: Any, column: str, path: Path) -> TextColumn:
        """Find a column; raises CorpusError when it is not there or holds something else than text."""
        held = shorten(", ".join(schema.names), 300, placeholder=" …")
        way = _way(schema, column.split("."))
        if way is None:
            raise CorpusError(f"{path} has no column {column!r} (it has: {held}); name one with `column`")
        fields, kind = way
        while _is_list(kind):
            kind = kind.value_type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if not (_is_text(kind) or pa.types.is_null(kind)):
            raise CorpusError(
                f"{path} has no text in column {column!r}, which holds {kind}; name another with `column`"
            )
        return cls(fields[0], tuple(fields[1:]), held)

    def texts(self, array: pa.Array) -> pa.Array:
        """The text of each row of the column `top`, null where there is none; several are joined by line ends."""
        import pyarrow.compute as pc  # a tenth of a second, which pruning does without

        n_rows, rows = len(array), None
        for name in (*self.fields, None):
            while _is_list(array.type):
                parents = pc.list_parent_indices(array)
                rows = parents if rows is None else rows.take(parents)
                array = pc.list_flatten(array)
            array = array if name is None else pc.struct_field(array, [name])
        if pa.types.is_null(array.type):
            array = array.cast(pa.string())
        return array if rows is None else _joined(array, rows, n_rows)


def _way(schema: Any, keys: Sequence[str]) -> tuple[list[str], pa.DataType] | None:
    """Names that lead to a column and its type; longer names go first."""
    for n in range(len(keys), 0, -1):
        name = ".".join(keys[:n])
        if (index := schema.get_field_index(name)) < 0:
            continue
        kind = schema.field(index).type
        if n == len(keys):
            return [name], kind
        while _is_list(kind):
            kind = kind.value_type
        if pa.types.is_struct(kind) and (rest := _way(pa.schema(list(kind)), keys[n:])):
            return [name, *rest[0]], rest[1]
    return None


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _joined(texts: pa.Array, rows: pa.Array, n_rows: int) -> pa.Array:
    """One text a row: those of its elements that are not null, joined by line ends."""
    elements: list[list[bytes]] = [[] for _ in range(n_rows)]
    values = texts.cast(pa.large_string()).view(pa.large_binary()).to_pylist()
    for row, text in zip(rows.to_pylist(), values, strict=True):
        if text is not None:
            elements[row].append(text)
    joined = [b"\n".join(found) if found else None for found in elements]
    return pa.array(joined, pa.large_binary()).view(pa.large_string())
