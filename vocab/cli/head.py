"""`vocab head`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vocab.cli.corpora import (
    ColumnOption,
    CorpusOption,
    CountsOption,
    DocumentsOption,
    EncodingErrorsOption,
    MinCountOption,
    OnErrorOption,
    ThreadsOption,
    read_options,
)
from vocab.cli.coverage import ByOption, ChatsOption, LeastOption, Named, show_coverage
from vocab.cli.screen import say
from vocab.cli.shared_options import Result
from vocab.cli.whole_numbers import means_number, whole_number

if TYPE_CHECKING:
    from vocab.interop import CutHead


def head(
    model: Annotated[Path, typer.Argument(help="Folder of a Hugging Face model with its tokenizer, safetensors.")],
    keep: Annotated[
        str,
        typer.Option(
            "--keep",
            metavar="N|PATH",
            help="How many ids to keep, like 32k, the most used ones; or a JSON list of ids, or a result of vocab "
            "prune. Single bytes and special tokens are always kept.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    chats: ChatsOption = None,
    by: ByOption = None,
    min_coverage: LeastOption = 0.9,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier result in the folder.")] = False,
    corpus: CorpusOption = None,
    counts: CountsOption = None,
    min_count: MinCountOption = 1,
    column: ColumnOption = "text",
    documents: DocumentsOption = "block",
    encoding_errors: EncodingErrorsOption = "replace",
    on_error: OnErrorOption = "stop",
    threads: ThreadsOption = None,
) -> Result:
    """Cut a model's output vocabulary alone: rows of its head and lists of ids, for serving engines.

    Ids stay as they are, so the tokenizer does. Ids that are cut can be read and never be written. The folder gets the
    rows with keep_ids and inv_map (head.safetensors), one tensor of ids for SGLang's --output-token-map and
    Megatron-Bridge (output_token_map.pt), and a record with the coverage of each domain (head.json).
    """
    from vocab import interop
    from vocab.formats import load_lossless

    options = read_options(column, documents, encoding_errors, on_error)
    named = Named(chats, by, corpus, counts, min_count, options, threads)
    uses = named.uses(load_lossless(model), str(model))
    chosen = whole_number(keep) if means_number(keep) and not Path(keep).exists() else keep
    done = interop.cut_head(model, chosen, uses, out, force=force)
    show_coverage(uses, {done.ids.size: uses.coverage(done.ids)}, min_coverage)
    _show(done)
    return Result(done.record)


def _show(done: CutHead) -> None:
    rows, tied = done.record["rows"], done.record["tied_to_the_embedding"]
    whose = f"{done.record['head']}{', which is the embedding too' if tied else ''}"
    say(f"Kept {rows['new']:,} of {rows['old']:,} rows of {whose}; {done.record['always_kept']:,} of them always.")
    if done.record["vllm_ascend_pack"]:
        say("The head is packed as vllm-ascend reads it: vllm_ascend_pack.pt is for VLLM_LMHEAD_PRUNE_PACK.")
    say(f"Wrote {done.out}.")
