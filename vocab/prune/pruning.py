"""`prune` and `best_possible`: from a source vocabulary and a counted corpus to a smaller vocabulary, or to a proof."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vocab.choices import InferenceMethod, Method, Ranks
from vocab.corpus.counting import CorpusCounts
from vocab.corpus.held_documents import HeldDocuments
from vocab.formats import load_lossless
from vocab.measured import MeasuredTokenizer
from vocab.progress import OnProgress
from vocab.prune.bound.certificate import Certificate
from vocab.prune.bound.limits import Limits
from vocab.prune.candidates.pool import Candidates
from vocab.prune.certifying import bound_certificate
from vocab.prune.finishing import finish
from vocab.prune.job import Job
from vocab.prune.request import BoundRequest, PruneRequest
from vocab.prune.result import PruneResult
from vocab.prune.selection import select


def prune(
    source: MeasuredTokenizer | str | Path,
    target: int,
    *,
    corpus: CorpusCounts | None = None,
    documents: HeldDocuments | None = None,
    method: Method = "distill",
    inference: InferenceMethod | None = None,
    ranks: Ranks | None = None,
    seed: int = 0,
    candidates: Candidates | None = None,
    prior: float | None = None,
    keep: Sequence[bytes] = (),
    special: Sequence[str] = (),
    drop_special: Sequence[str] = (),
    character_coverage: float | None = None,
    pad_to_multiple_of: int = 1,
    refit: bool = False,
    closed: bool = False,
    certify: bool = False,
    limits: Limits | None = None,
    n_threads: int | None = None,
    on_progress: OnProgress | None = None,
) -> PruneResult:
    """Prune a vocabulary to exactly `target` ids.

    Single bytes are always kept, and so are the source's special tokens but for those of `drop_special`.

    Args:
        source: what `vocab.load` takes, or a vocabulary that is loaded already.
        target: ids in the result, special tokens included.
        corpus: text to choose tokens by, counted with the source's split pattern; None for the built-in profile.
        documents: that text itself in memory, in place of its counts, as superwords need it.
        method: how tokens are chosen. "optimal" searches longest and proves how near it is to the best possible;
            "rank", "frequency" and "leaf" keep to the source's tokens whatever the candidates.
        inference: how text is cut into tokens with the result; None for "merges", or for "longest-prefix" where
            the source has that. A SentencePiece source has only its own.
        ranks: "source" keeps the source's order of merge ranks. "reorder" puts kept tokens in the order that merging
            needs fewest tokens with (under merges, by distill and optimal). None for "reorder" with the method optimal
            under merges, else "source".
        seed: random seed of the method tokenmonster; the other methods use none.
        candidates: which tokens may be chosen besides the source's, and in how many documents each must be.
        prior: pre-tokens that the source's own rank order is worth for each one counted (see `with_prior`). None for
            1.5 with the built-in profile, for what 1 MB of text is worth where substrings of the corpus are
            candidates, else 0. It is 0 where ranks only say how long tokens are.
        keep: tokens of the source, by their bytes, that are never dropped.
        special: texts of new special tokens.
        drop_special: special tokens of the source to leave out, by their texts; * and ? stand for any characters.
        character_coverage: share of the text's characters that must stay known, from 0 to 1, where the source has an
            unknown token: the most frequent ones are kept, and no others. None for all that the source has.
        pad_to_multiple_of: multiple for which the report states the embedding rows; no id is added.
        refit: whether to fit the scores of a Unigram source to the corpus. Scores are rounded to multiples of 1/128 in
            any case.
        closed: whether every token of two bytes or more must be one merge of two kept tokens of lower rank, under
            merges. Then runtimes that read only a list of merges, and look up no whole words, give the same ids.
        certify: whether to prove how far the result is above the best possible.
        limits: when the search for the bound stops.
        n_threads: threads; None for all cores. The result does not depend on how many.
        on_progress: is called with a stage's name, how much of it is done, and how much there is.

    Returns:
        The smaller vocabulary, the map from old ids to new ones, and the report.

    Raises:
        TargetError: a target or an option that cannot be met.
        CorpusError: the corpus was counted with another split pattern.
        SourceError: the source cannot be loaded.
    """
    request = PruneRequest(
        source=load_lossless(source),
        target=target,
        corpus=corpus,
        documents=documents,
        method=method,
        inference=inference,
        ranks=ranks,
        seed=seed,
        candidates=candidates or Candidates(),
        prior=prior,
        keep=keep,
        special=special,
        drop_special=drop_special,
        character_coverage=character_coverage,
        pad_to_multiple_of=pad_to_multiple_of,
        refit=refit,
        closed=closed,
        certify=certify,
        limits=limits or Limits(),
        n_threads=n_threads,
    )
    return run_request(request, on_progress)


def run_request(request: PruneRequest, on_progress: OnProgress | None = None) -> PruneResult:
    """Prune as a request asks; arguments, result and errors are those of `prune`."""
    job = Job(request, on_progress)
    return finish(job, select(job))


def best_possible(
    source: MeasuredTokenizer | str | Path,
    target: int,
    *,
    corpus: CorpusCounts | None = None,
    candidates: Candidates | None = None,
    prior: float | None = None,
    keep: Sequence[bytes] = (),
    special: Sequence[str] = (),
    drop_special: Sequence[str] = (),
    limits: Limits | None = None,
    n_threads: int | None = None,
    on_progress: OnProgress | None = None,
) -> Certificate:
    """Prove a lower bound on the tokens of every vocabulary of `target` ids, under any inference method.

    Arguments and errors are those of `prune`.

    Returns:
        The bound with its proof, and the best vocabulary found, which is for least-tokens.
    """
    request = BoundRequest(
        source=load_lossless(source),
        target=target,
        corpus=corpus,
        candidates=candidates or Candidates(),
        prior=prior,
        keep=keep,
        special=special,
        drop_special=drop_special,
        limits=limits or Limits(),
        n_threads=n_threads,
    )
    return run_bound_request(request, on_progress)


def run_bound_request(request: BoundRequest, on_progress: OnProgress | None = None) -> Certificate:
    """Prove a lower bound as a request asks; arguments, result and errors are those of `best_possible`."""
    return bound_certificate(Job(request, on_progress))
