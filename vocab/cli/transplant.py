"""`vocab transplant`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vocab.choices import RowInit
from vocab.cli.screen import console, progress, table
from vocab.cli.shared_options import Result

_MOST_SHOWN = 200  # names in one list, and characters of ids in one setting

if TYPE_CHECKING:
    from rich.progress import Progress

    from vocab.progress import OnProgress


def transplant(
    model: Annotated[
        Path,
        typer.Argument(
            help="Folder of a Hugging Face model, or of an adapter of peft, in safetensors; or a GGUF file."
        ),
    ],
    vocabulary: Annotated[
        Path, typer.Option("--vocab", metavar="DIR", help="Result of vocab prune of that model's tokenizer.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write, or file for a GGUF model.")],
    pad_to_multiple_of: Annotated[
        int, typer.Option("--pad-to-multiple-of", min=1, help="Round the rows of embedding and head up to a multiple.")
    ] = 1,
    also_follow: Annotated[
        list[str] | None,
        typer.Option("--also-follow", metavar="TENSOR", help="A tensor with a row for each id; may be repeated."),
    ] = None,
    leave: Annotated[
        list[str] | None,
        typer.Option("--leave", metavar="TENSOR", help="A tensor with as many rows by chance; may be repeated."),
    ] = None,
    init: Annotated[
        RowInit,
        typer.Option(
            "--init", help="What the row of a new token starts from: the mean of the rows that spell it, or the first."
        ),
    ] = "mean",
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier result in the folder.")] = False,
) -> Result:
    """Write a model for its pruned vocabulary: embedding and head rows, every token id, tokenizer files.

    Rows of kept tokens are copied bit by bit; tokens new to the source start from the rows that spell them.
    The model is streamed, never loaded, and only read.
    """
    from vocab import interop

    with progress() as bar:
        done = interop.transplant(
            model,
            vocabulary,
            out,
            pad_to_multiple_of=pad_to_multiple_of,
            also_follow=also_follow or (),
            leave=leave or (),
            init=init,
            force=force,
            on_progress=_rates(bar),
        )
    _show(done.record, out)
    return Result(done.record)


def _rates(bar: Progress) -> OnProgress:
    task = bar.add_task("write the model", total=None, rate="")

    def on_progress(stage: str, done: int, total: int) -> None:
        speed = bar.tasks[0].speed
        bar.update(task, completed=done, total=total, rate=f"{speed / 1e6:,.0f} MB/s" if speed else "")

    return on_progress


def _show(record: dict[str, Any], out: Path) -> None:
    screen = console()
    shown = table(
        f"{record['model']} for {record['vocab_size']['new']:,} rows", ["tensor", "dtype", "old", "new"], n_text=2
    )
    for tensor in record["tensors"]:
        shapes = ("×".join(map(str, tensor[key])) for key in ("old_shape", "new_shape"))
        shown.add_row(tensor["name"], tensor["dtype"], *shapes)
    screen.print(shown)
    rows, size = record["rows"], record["n_bytes"]
    screen.print(
        f"{rows['kept']:,} rows kept, {rows['spelt']:,} from the rows that spell them, "
        f"{rows['new_special'] + rows['padding']:,} from the mean of all; {size['old'] / 1e9:.2f} GB → "
        f"{size['new'] / 1e9:.2f} GB."
    )
    if record["tokens_compared_with_the_model"] is None:
        screen.print("The model's folder has no tokenizer that can be read: that the id map is of it was not checked.")
    for change in record["ids"]:
        if change["old"] != change["new"]:
            screen.print(f"{change['setting']}: {_short(change['old'])} → {_short(change['new'])}")
    for note in record["notes"]:
        screen.print(f"{note}.")
    _show_not_followed(record)
    screen.print(f"Wrote {out} in {record['seconds']:.1f} s.")


def _short(value: Any) -> str:
    text = str(value)
    return f"{len(value):,} ids" if len(text) > _MOST_SHOWN and isinstance(value, list | dict) else text


def _show_not_followed(record: dict[str, Any]) -> None:
    """What may be bound to ids and is as it was, and files that are not in the result."""
    screen = console()
    numbers = [f"{one['setting']} ({one['value']})" for one in record["not_followed"]]
    for said, names in (
        ("As many rows by chance, left as they are", record["left_alone"]),
        ("Equal to an old id of an added token, not followed", numbers),
        ("Left out", record["left_out"]),
    ):
        if names:
            more = f" and {len(names) - _MOST_SHOWN:,} more, listed in transplant.json" if names[_MOST_SHOWN:] else ""
            screen.print(f"{said}: {', '.join(names[:_MOST_SHOWN])}{more}.")
