"""Options of `vocab prune` for superwords, and the text that they are found in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from vocab.cli.corpora import corpus_of, documents_bar, documents_of, note_skipped
from vocab.cli.grouped_help import SUPERWORDS

if TYPE_CHECKING:
    from vocab.corpus.read_options import ReadOptions
    from vocab.prune import PruneRequest, Superwords

SuperwordsOption = Annotated[
    bool,
    typer.Option(
        "--superwords",
        rich_help_panel=SUPERWORDS,
        help="Choose also among superwords: frequent runs of whole pre-tokens within a line of the corpus. Needs "
        "--corpus, and --inference merges or least-tokens.",
    ),
]
SuperwordWordsOption = Annotated[
    int,
    typer.Option(
        "--superword-words",
        rich_help_panel=SUPERWORDS,
        min=2,
        help="With --superwords: pre-tokens of a superword at most.",
    ),
]
SuperwordDocumentsOption = Annotated[
    int,
    typer.Option(
        "--superword-documents",
        rich_help_panel=SUPERWORDS,
        min=1,
        help="With --superwords: documents that each must be in at least.",
    ),
]
BarriersOption = Annotated[
    list[str] | None,
    typer.Option(
        "--superword-barrier",
        rich_help_panel=SUPERWORDS,
        metavar="digits|punctuation|line-ends",
        help="With --superwords: what no superword may hold. May be given several times.",
    ),
]
TextBytesOption = Annotated[
    str,
    typer.Option(
        "--superword-text",
        rich_help_panel=SUPERWORDS,
        help="With --superwords: text to hold in memory at most, like 200MB. Of more a sample by hash is taken.",
    ),
]


def superwords_of(words: int, documents: int, barriers: Sequence[str] | None) -> Superwords:
    """Which superwords are asked for; raises TargetError for a barrier that does not exist."""
    from vocab.prune import Superwords

    return Superwords(max_words=words, min_documents=documents, barriers=tuple(barriers or ()))  # type: ignore[arg-type]


def with_text(
    request: PruneRequest,
    corpora: Sequence[str] | None,
    tables: Sequence[str] | None,
    options: ReadOptions,
    min_count: int,
    most_bytes: str,
) -> PruneRequest:
    """The request with its text: counted, or with superwords the documents themselves in memory."""
    from vocab.corpus.held_documents import hold_documents
    from vocab.corpus.process_memory import parse_bytes
    from vocab.errors import TargetError
    from vocab.threads import n_cores

    if not request.candidates.superwords:
        n_threads = request.n_threads or n_cores()
        counted = corpus_of(corpora, tables, request.source.pattern, options, n_threads, min_count)
        return replace(request, corpus=counted)
    if tables or not corpora:
        raise TargetError("superwords are found in text itself: name it with `corpus`, and leave out `counts`")
    with documents_bar(corpora, "read documents") as on_block:
        held = hold_documents(documents_of(corpora, options), most_bytes=parse_bytes(most_bytes), on_block=on_block)
    for part in held.parts:
        note_skipped(replace(options, skipped=part.skipped))
    return replace(request, documents=held)
