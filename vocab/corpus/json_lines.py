"""The texts of JSON lines: of a block at once by Arrow's parser, or of one line at a time by Python's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from vocab.corpus.arrow_columns import TextColumn
from vocab.corpus.column_paths import BadRow, RowText, bad_json, text_of_row
from vocab.reading import TooDeepError

# Digits of any length are taken; only that it is a number matters.
JSON_DECODER = json.JSONDecoder(parse_int=float)


def text_of_line(line: str, column: str) -> RowText:
    """The text of the row on one line."""
    try:
        row = JSON_DECODER.decode(line.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        return bad_json(error.msg, error.pos)
    except RecursionError:
        return BadRow(str(TooDeepError()))
    return text_of_row(row, column)


def texts_of_lines(lines: bytes, column: str) -> pa.Array | None:
    """The text of each line, null where it has none, by Arrow's parser.

    None when the lines need a closer look: some are blank or wrong, or none has a text.
    """
    import pyarrow.json as pj

    n_lines = lines.count(b"\n") + (not lines.endswith(b"\n"))
    # Arrow's parser ends the process at rows such as null that are no objects.
    if lines.count(b"\n{") + lines.startswith(b"{") != n_lines:
        return None
    way = _way(lines, column)
    if way is None:
        return None
    fields, kind = way
    try:
        table = pj.read_json(
            pa.BufferReader(lines),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(lines) + 1),
            parse_options=pj.ParseOptions(
                explicit_schema=pa.schema([(fields[0], kind)]), unexpected_field_behavior="ignore"
            ),
        )
        texts = TextColumn(fields[0], tuple(fields[1:]), "").texts(table.column(0).combine_chunks())
    except pa.ArrowException:
        return None
    return texts if len(texts) == n_lines and (texts.null_count < n_lines or not n_lines) else None


def _way(lines: bytes, column: str) -> tuple[list[str], pa.DataType] | None:
    """Names that lead to the text and the type of the first, going by the first line; the parser refuses others."""
    if "." not in column:
        return [column], pa.string()
    keys = column.split(".")
    if any(f'"{key}"'.encode() in lines for key in _joined_keys(keys)):
        return None  # such a key would go first, in whichever lines it is
    try:
        row = JSON_DECODER.decode(lines.partition(b"\n")[0].decode())
    except (ValueError, RecursionError):
        return None
    kind = _kind(row.get(keys[0]), keys[1:]) if isinstance(row, dict) else None
    return kind and (keys, kind)


def _joined_keys(keys: Sequence[str]) -> list[str]:
    """Every name with a dot in it that a column may have on the way."""
    ends = range(len(keys) + 1)
    return [".".join(keys[a:b]) for a in ends for b in ends if b - a > 1]


def _kind(value: Any, keys: Sequence[str]) -> pa.DataType | None:
    if not keys:
        return pa.string() if isinstance(value, str) else None
    if isinstance(value, list):
        kind = _kind(value[0], keys) if value else None
        return kind and pa.list_(kind)
    kind = _kind(value.get(keys[0]), keys[1:]) if isinstance(value, dict) else None
    return kind and pa.struct([(keys[0], kind)])
