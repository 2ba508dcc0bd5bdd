"""What `vocab draft` and `vocab head` share: whose tokens are counted, and how much of them ids cover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from vocab.cli.corpora import corpus_of
from vocab.cli.screen import console, say, table

if TYPE_CHECKING:
    from vocab.corpus.read_options import ReadOptions
    from vocab.interop import DomainCoverage, TokenUses
    from vocab.vocabulary import Vocabulary

ChatsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--chats",
        metavar="FILE",
        help="Conversations as JSON lines (messages with role and content), rendered by the model's own chat template; "
        "only tokens of the assistant are counted. May be given several times.",
    ),
]
ByOption = Annotated[
    str | None,
    typer.Option("--by", help="Field of a conversation that names its domain, like language. Default: its file."),
]
LeastOption = Annotated[
    float,
    typer.Option("--min-coverage", min=0.0, max=1.0, help="Warn of domains of which a smaller share is covered."),
]


@dataclass(frozen=True)
class Named:
    """What a command names to count uses of tokens in."""

    chats: list[str] | None
    by: str | None
    corpus: list[str] | None
    counts: list[str] | None
    min_count: int
    options: ReadOptions
    threads: int | None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is named."""
        return not (self.chats or self.corpus or self.counts)

    def uses(self, target: Vocabulary, folder: str) -> TokenUses:
        """Uses of each id of the target; of the built-in profile where nothing is named."""
        from vocab import interop
        from vocab.corpus.profile import builtin_profile
        from vocab.errors import TargetError
        from vocab.threads import n_cores

        if self.chats:
            if self.corpus or self.counts:
                raise TargetError("uses are counted in conversations or in a corpus: name one of the two")
            return interop.uses_of_chats(folder, self.chats, self.by)
        threads = self.threads or n_cores()
        named = corpus_of(self.corpus, self.counts, target.pattern, self.options, threads, self.min_count)
        return interop.uses_of_corpus(target, named or builtin_profile(target.pattern))


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.2%}"


def show_coverage(uses: TokenUses, by_size: dict[int, Sequence[DomainCoverage]], least: float) -> None:
    """Coverage of each domain at each size, and a warning where it is small."""
    from vocab.interop.serving.coverage_file import below

    columns = ["domain", "tokens", *(f"{size:,} ids" for size in by_size)]
    shown = table("Coverage of held-out tokens (of all those counted)", columns)
    for rows in zip(*by_size.values(), strict=True):
        cells = [f"{_percent(one.held_out)} ({_percent(one.counted)})" for one in rows]
        shown.add_row(rows[0].domain, f"{rows[0].n_counted + rows[0].n_held_out:,}", *cells)
    console().print(shown)
    for note in uses.notes:
        say(f"{note[0].upper()}{note[1:]}.")
    for size, coverage in by_size.items():
        for sentence in below(coverage, least):
            say(f"vocab: with {size:,} ids, {sentence}", err=True)
