"""`vocab draft`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vocab.choices import DraftFormat
from vocab.cli.corpora import (
    ColumnOption,
    CorpusOption,
    CountsOption,
    DocumentsOption,
    EncodingErrorsOption,
    MinCountOption,
    OnErrorOption,
    ThreadsOption,
    corpus_of,
    read_options,
)
from vocab.cli.named_files import ReplaceOption
from vocab.cli.screen import console

if TYPE_CHECKING:
    from vocab.pretokens.counts import PretokenCounts
    from vocab.vocabulary import Vocabulary


def draft(
    source: Annotated[
        str,
        typer.Argument(help="Result of vocab prune; or with --size the target's vocabulary, as for prune --source."),
    ],
    file_format: Annotated[
        DraftFormat,
        typer.Option(
            "--format",
            help="eagle3: tensors d2t and t2d as safetensors, for EAGLE-3 checkpoints in vLLM and SGLang; sglang: the "
            "list of ids for --speculative-token-map.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="File to write.")],
    size: Annotated[
        int | None,
        typer.Option("--size", help="Take this many of the target's most used ids instead, special tokens included."),
    ] = None,
    target_rows: Annotated[
        int | None, typer.Option("--target-rows", help="Length of t2d: the target's vocab_size, where that is padded.")
    ] = None,
    force: ReplaceOption = False,
    corpus: CorpusOption = None,
    counts: CountsOption = None,
    min_count: MinCountOption = 1,
    column: ColumnOption = "text",
    documents: DocumentsOption = "block",
    encoding_errors: EncodingErrorsOption = "replace",
    on_error: OnErrorOption = "stop",
    threads: ThreadsOption = None,
) -> None:
    """Write which ids of a target model its draft model may propose, for speculative decoding."""
    from vocab import interop
    from vocab.errors import TargetError
    from vocab.formats import load_lossless
    from vocab.threads import n_cores

    def counted(target: Vocabulary) -> PretokenCounts:
        from vocab.corpus.profile import builtin_profile

        options = read_options(column, documents, encoding_errors, on_error)
        named = corpus_of(corpus, counts, target.pattern, options, threads or n_cores(), min_count)
        return (named or builtin_profile(target.pattern)).train

    if size is None:
        if corpus or counts:
            raise TargetError("a corpus is for --size: a result of vocab prune has its tokens chosen already")
        drafted = interop.draft_of_result(source)
    else:
        target = load_lossless(source)
        drafted = interop.draft_of_most_used(target, size, counted(target))
    interop.write_draft(drafted, out, file_format, n_rows=target_rows, force=force)
    console().print(f"Wrote {out}: {drafted.target_ids.size:,} of the {drafted.n_target:,} ids of {drafted.source}.")
