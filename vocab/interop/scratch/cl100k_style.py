"""A tokenizer in the style of cl100k_base: byte-level BPE behind its split pattern, trained from counts.

The counts are of whole documents: the pattern looks past line ends, so that training on lines would see other
pre-tokens. The merges are kept as ranks, and encoding is tiktoken's: any two neighbours that form a token are merged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vocab.corpus.counting import CorpusCounts
from vocab.corpus.mixture import corpus_summary
from vocab.corpus.skipped import SkippedSummary
from vocab.corpus.tally import Tally
from vocab.errors import CorpusError, TargetError
from vocab.interop.scratch.bpe_trainer import train_bpe
from vocab.progress import OnProgress
from vocab.splitting import CL100K_REGEX, SplitPattern
from vocab.vocabulary import Vocabulary

SPECIAL_TOKENS = ("<|endoftext|>",)  # unless others are asked for
PATTERN = SplitPattern(CL100K_REGEX)


def train(corpus: CorpusCounts, size: int, special: Sequence[str], on_progress: OnProgress | None = None) -> Vocabulary:
    """A vocabulary of `size` ids trained on the training counts of a corpus, with `special` as its last.

    Memory: as `train_bpe` says. Raises TargetError when the text is too small for the size, and CorpusError for counts
    of another split pattern.
    """
    counts = corpus.without_added().train
    if counts.pattern_sha256 != PATTERN.sha256:
        raise CorpusError("the corpus was counted with another split pattern: count it again with that of cl100k_base")
    tokens = train_bpe(counts, size - len(special), on_progress).tokens
    if len(tokens) < size - len(special):
        raise TargetError(
            f"size {size:,} is too large for so little text, which gives {len(tokens) + len(special):,} ids at most: "
            "give more"
        )
    return Vocabulary.from_tokens(tokens, PATTERN, {text: len(tokens) + k for k, text in enumerate(special)})


def summary_of(corpus: CorpusCounts) -> dict[str, Any]:
    """The figures of counts for a report, under the names of `TrainingText.summary`, and those of each part."""
    parts = corpus.parts
    tally = sum((part.tally for part in parts), Tally())
    n_held_out = sum(part.tally.n_documents_held_out for part in parts if part.held_out.n_pretokens)
    skipped = sum((part.skipped for part in parts), SkippedSummary())
    return {
        "places": [part.name for part in parts],
        "n_documents": tally.n_documents - n_held_out,
        "n_documents_held_out": n_held_out,
        "n_bytes": sum(part.train.n_bytes for part in parts),
        "held_out_rule": parts[0].held_out_rule,
        "n_rows_without_text": tally.n_rows_without_text,
        "n_rows_skipped": tally.n_rows_skipped,
        "n_documents_skipped": tally.n_documents_skipped,
        "n_documents_repaired": tally.n_documents_repaired,
        **skipped.for_report(),
        "parts": corpus_summary(corpus)["parts"],
    }
