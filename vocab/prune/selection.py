"""Which candidates a method keeps."""

from __future__ import annotations

import numpy as np

from vocab.arrays import Ints, Mask
from vocab.choices import Method
from vocab.errors import TargetError
from vocab.prune.job import Job
from vocab.prune.methods.baselines import BASELINES, by_frequency, by_leaf, by_rank, by_score
from vocab.prune.methods.closing import close


def select(job: Job) -> Ints:
    """Candidates that the method of the request keeps, in the order of their new ranks, int64[n_keep]."""
    chosen = _chosen(job)
    return closed(job, chosen, job.mask(chosen[:0])) if job.request.closed else chosen


def closed(job: Job, chosen: Ints, banned: Mask) -> Ints:
    """Chosen candidates in order of rank, closed under merges by exchanges; none of `banned` (bool[n]) comes in.

    What comes in stands where its rank is among the others, or behind them where these have an order of their own.
    """
    others = np.flatnonzero(~job.mask(chosen))
    order = np.concatenate([chosen, others])
    if is_in_order(chosen):
        order.sort()
    candidates = job.pool.vocabulary
    in_order = candidates.subset(order, (), "merges", candidates.provenance)
    worth = np.zeros(order.size, dtype=np.int64)
    worth[: job.pool.n_own] = job.uses
    with job.stage("close under merges"):
        kept = close(in_order, job.mask(chosen)[order], job.protected[order], worth[order], banned[order])
    return order[kept]


def is_in_order(kept: Ints) -> bool:
    """Whether candidates keep the order of their ranks."""
    return bool((np.diff(kept) > 0).all())


def _chosen(job: Job) -> Ints:
    """Candidates that the method alone keeps, in the order of their new ranks, int64[n_keep]."""
    method = job.request.method
    if method in BASELINES:
        return select_baseline(job, method)
    if method == "tokenmonster":
        return np.flatnonzero(_by_tokenmonster(job))
    if method == "optimal":
        return _optimal(job)
    return job.distilled(job.inference).kept_tokens


def select_baseline(job: Job, method: Method) -> Ints:
    """Candidates that a baseline keeps, int64[n_keep], rising; raises TargetError where the source has too few."""
    n_own, n_keep = job.pool.n_own, job.request.n_keep
    if n_own < n_keep:
        raise TargetError(
            f"the method {method} keeps to the source's tokens, of which {n_own:,} may be kept: {n_keep:,} are too many"
        )
    return np.flatnonzero(_baseline(job, method, job.protected[:n_own]))


def _baseline(job: Job, method: Method, protected: Mask) -> Mask:
    """Tokens of the source that a baseline keeps, bool[n_own]."""
    own, n_keep = job.pool.own, job.request.n_keep
    if method == "frequency":
        return by_frequency(job.uses, protected, n_keep)
    if method == "leaf":
        return by_leaf(own, own.encoder.trie, job.uses, protected, n_keep)
    return by_score(own, protected, n_keep) if job.inference == "unigram" else by_rank(protected, n_keep)


def _by_tokenmonster(job: Job) -> Mask:
    """Candidates that TokenMonster's search keeps, bool[n_candidates]."""
    from vocab.prune.methods.tokenmonster import Scorer, by_tokenmonster

    request = job.request
    with job.stage("put counts together"):
        scorer = Scorer(job.trie, job.weighted_counts.counts, job.inference, job.n_threads)
    with job.stage("try vocabularies"):
        return by_tokenmonster(
            scorer, job.protected, request.n_keep, seed=request.seed, on_progress=job.report_progress
        )


def _optimal(job: Job) -> Ints:
    """Candidates of the best vocabulary for least-tokens; under another inference method improved from there."""
    from vocab.prune.bound.optimal import polish, set_kept
    from vocab.prune.methods.merge_ranks import recombine

    best = job.best_possible.kept
    if job.inference == "least-tokens":
        return np.flatnonzero(best)
    book = job.distilled(job.inference)
    distilled, n_tokens = book.kept_tokens, book.total_tokens
    with job.stage("exchange tokens"):
        if job.request.resolved_ranks == "reorder":
            recombine(book, best, job.request.n_keep, job.protected)
        else:
            set_kept(book, best)
            polish(book, job.protected, ~job.protected, lambda: job.deadline.is_over)
    return book.kept_tokens if book.total_tokens < n_tokens else distilled
