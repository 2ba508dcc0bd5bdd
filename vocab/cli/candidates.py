"""Options that commands share for what a vocabulary may be chosen from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from vocab.cli.grouped_help import CHOOSING

if TYPE_CHECKING:
    from vocab.prune import Candidates, Superwords

CandidatesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--candidates",
        rich_help_panel=CHOOSING,
        metavar="corpus|PATH",
        help="Tokens to choose from besides the source's: corpus for frequent substrings of the corpus itself, or "
        "another tokenizer (what --source takes, and rank files like Llama 3's tokenizer.model). May be given several "
        "times. Such tokens have no old id.",
    ),
]
MinDocumentsOption = Annotated[
    int | None,
    typer.Option(
        "--min-documents",
        rich_help_panel=CHOOSING,
        min=1,
        help="Documents of the corpus that each token must be in, single bytes and --keep aside; a document counts "
        "once for each different pre-token in it that holds the token. [default: 2 for substrings of a corpus whose "
        "documents were counted, else 1]",
    ),
]
MinCandidateCountOption = Annotated[
    int | None,
    typer.Option(
        "--candidates-min-count",
        rich_help_panel=CHOOSING,
        min=1,
        help="With --candidates corpus or --superwords: times that such a token must occur. "
        "[default: training bytes / (64 x target), or / (32 x target) with --superwords; at least 4]",
    ),
]
MostCandidatesOption = Annotated[
    int,
    typer.Option(
        "--candidates-most",
        rich_help_panel=CHOOSING,
        min=1,
        help="With --candidates corpus: how many substrings at most.",
    ),
]
PriorOption = Annotated[
    float | None,
    typer.Option(
        "--prior",
        rich_help_panel=CHOOSING,
        min=0.0,
        metavar="SHARE",
        help="How much the source's rank order counts beside the corpus: 0.1 is worth a tenth of its pre-tokens. "
        "[default: 1.5 for the built-in profile; beside candidates of the corpus what 1 MB of text is, at most 0.1; "
        "else 0]",
    ),
]


def candidates_of(
    others: Sequence[str] | None,
    min_documents: int | None,
    min_count: int | None,
    most: int,
    superwords: Superwords | None = None,
) -> Candidates:
    """Read the tokenizers of --candidates; returns what may be chosen from."""
    from vocab.prune import Candidates

    return Candidates(
        tuple(others or ()), min_documents=min_documents, min_count=min_count, most=most, superwords=superwords
    ).read()
