"""`vocab generate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from vocab.cli.screen import is_shown
from vocab.cli.shared_options import Result
from vocab.shown_text import on_screen


def generate(
    model: Annotated[Path, typer.Argument(help="Folder of a run of `vocab train`, or the folder `model` in it.")],
    prompt: Annotated[str, typer.Option("--prompt", help="Text to continue. [default: the start of a document]")] = "",
    n_tokens: Annotated[int, typer.Option("--tokens", min=1, help="Most tokens to add.")] = 200,
    temperature: Annotated[float, typer.Option("--temperature", help="0 takes the likeliest token.")] = 0.8,
    top_p: Annotated[float, typer.Option("--top-p", help="Draw from the likeliest tokens of this share.")] = 0.95,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the draws.")] = 0,
    vocabulary: Annotated[
        str | None, typer.Option("--vocab", help="Vocabulary. [default: the one beside the model]")
    ] = None,
) -> Result:
    """Sample text from a model that `vocab train` made."""
    from vocab.formats import load_lossless
    from vocab.model import require_torch
    from vocab.threads import sleep_when_waiting

    require_torch("generating text")
    sleep_when_waiting()
    from vocab.model.export.generate import generate as generate_text
    from vocab.model.export.transformers_folder import load_export
    from vocab.model.hardware.parallel import choose_device

    directory = model / "model" if (model / "model").is_dir() else model
    decoder = load_export(directory).to(choose_device("auto"))
    loaded = load_lossless(vocabulary or directory)
    text = generate_text(decoder, loaded, prompt, n_tokens, temperature=temperature, top_p=top_p, seed=seed)
    if is_shown():
        typer.echo(on_screen(prompt + text) if sys.stdout.isatty() else prompt + text)
    return Result({"prompt": prompt, "text": text})
