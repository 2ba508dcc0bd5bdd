"""A hint where the source's tokens fit the user's text badly, with what tokens of the text's own would save."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vocab.corpus.counting import CorpusCounts
    from vocab.prune import Report
    from vocab.vocabulary import Vocabulary

# A share of the tokens from which the hint is worth its line.
_WORTH_SAYING = 0.05


def saved_by_own_tokens(pruned: Vocabulary, corpus: CorpusCounts) -> float | None:
    """What BPE trained on the user's text would save, as a share; None where that is not known."""
    from vocab.interop.scratch.source_fit import saved_from_scratch
    from vocab.threads import n_cores

    return None if corpus.is_builtin else saved_from_scratch(pruned, corpus, n_cores())


def fit_sentences(report: Report) -> list[str]:
    """What to do where the source fits badly; nothing where it fits well or that is not known."""
    saved, name = report.saved_from_scratch, report.source["name"]
    if saved is None or saved < _WORTH_SAYING:
        return []
    return [
        f"BPE trained on this text would need {saved:.1%} fewer tokens, because {name} has few of its words.",
        "Tokens of the text's own: --inference least-tokens --candidates corpus, or vocab train-tokenizer.",
    ]
