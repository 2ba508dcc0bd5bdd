"""`vocab bytes`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vocab.cli.screen import console
from vocab.cli.shared_options import Result


def token_bytes(
    source: Annotated[
        str, typer.Argument(help="Tokenizer, named as for `vocab prune --source`, or any other tokenizer.json.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="File to write: .npy for int32 bytes of each id, .json for the tokens as well."
        ),
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
) -> Result:
    """Write how many bytes of text each id stands for, for trainers that report bits per byte."""
    from vocab.formats import byte_table, write_byte_table

    table = byte_table(source)
    write_byte_table(table, out, force=force)
    n_none = sum(token is None for token in table.tokens)
    console().print(
        f"Wrote {out}: {len(table.tokens):,} ids of {table.name}, {n_none:,} of them with no bytes of text."
    )
    for note in table.notes:
        console().print(note)
    return Result({"name": table.name, "n_ids": len(table.tokens), "n_ids_without_bytes": n_none, "notes": table.notes})
