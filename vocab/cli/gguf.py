"""`vocab gguf`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from vocab.cli.named_files import ReplaceOption
from vocab.cli.screen import console, say
from vocab.cli.shared_options import Result


def gguf(
    directory: Annotated[Path, typer.Argument(help="Folder of a tokenizer: a result of vocab prune or transplant.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write, NAME.gguf.")],
    pre: Annotated[
        str | None,
        typer.Option("--pre", metavar="NAME", help="llama.cpp's pre-tokenizer. [default: by the split pattern]"),
    ] = None,
    weights: Annotated[
        bool,
        typer.Option("--weights", help="Write the weights too, of a model of Llama's architecture in safetensors."),
    ] = False,
    force: ReplaceOption = False,
) -> Result:
    """Write a tokenizer as a GGUF file without weights, and print the line that llama.cpp's converter needs.

    With --weights the file is a whole model, if that is a Llama's: a healed one, for example. Others go through
    llama.cpp's converter.

    What llama.cpp does in another way is said. vocab verify compares ids, where llama.cpp is installed.
    Needs the package gguf: pip install 'vocabkit[gguf]'.
    """
    from vocab.errors import SourceError
    from vocab.interop import write_gguf

    if not directory.is_dir():
        raise SourceError(f"{directory} is not a folder")
    written = write_gguf(directory, out, pre=pre, weights=weights, force=force)
    screen = console()
    kind = f"{written.model}, pre-tokenizer {written.pre}" if written.pre else written.model
    screen.print(f"Wrote {out}: {written.n_rows:,} rows, tokenizer {kind}.")
    for note in written.notes:
        screen.print(f"{note}.")
    if written.patch and not weights:
        screen.print("For convert_hf_to_gguf.py, in get_vocab_base_pre:")
        say(written.patch)
    return Result(asdict(written))
