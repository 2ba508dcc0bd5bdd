"""From the chosen candidates to the result: every token reachable, fitted scores, the certificate and the report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vocab.analysis.evaluation import Evaluation
from vocab.analysis.reachable import spellable, unreachable
from vocab.arrays import Ints, Mask
from vocab.choices import CHARACTER_METHODS
from vocab.corpus.mixture import corpus_summary
from vocab.encoding.closed_merges import is_closed, parts_of_tokens
from vocab.formats.companions import KEY as COMPANIONS
from vocab.formats.tiktoken_file import obstacle as obstacle_to_tiktoken
from vocab.prune.certifying import certificate_of
from vocab.prune.job import Job
from vocab.prune.methods.baselines import baselines
from vocab.prune.report import Report, ReportRow, change, make_row
from vocab.prune.result import PruneResult
from vocab.prune.selection import closed, is_in_order, select_baseline
from vocab.vocabulary import Vocabulary

if TYPE_CHECKING:
    from vocab.prune.bound.certificate import Certificate

# Rounds of replacing tokens that no text produces; the replacements are early ranks, so one round nearly always does.
_MAX_REPAIRS = 5
# Superwords that a report names.
_N_SHOWN = 10


@dataclass(frozen=True)
class _Evaluated:
    """A vocabulary of kept candidates on the corpus.

    Attributes:
        kept: candidate numbers in the order of their new ranks, int64[n_kept].
        vocabulary: the same as a vocabulary.
        evaluation: its tokens on the corpus; `uses` and `is_used` may be by candidate or by new rank.
        n_unused: tokens that the corpus does not use.
        n_unreachable: tokens that no text produces; single bytes do not count, as some are no part of any UTF-8 text.
    """

    kept: Ints
    vocabulary: Vocabulary
    evaluation: Evaluation
    n_unused: int
    n_unreachable: int


def finish(job: Job, chosen: Ints) -> PruneResult:
    """The vocabulary of the chosen candidates with its report, and its certificate where one is needed."""
    with job.stage("evaluate the result"):
        result = _repaired(job, chosen)
        if job.request.refit:
            result = _refitted(job, result)
        above_least_tokens = _above_least_tokens(job, result)
    rows = _rows(job, result)
    certificate = certificate_of(job, result.kept, result.vocabulary) if job.request.needs_certificate else None
    report = _report(job, result, rows, above_least_tokens, certificate)
    old_ranks = job.pool.old_ranks[result.kept]
    kept_ids = np.where(old_ranks < 0, -1, job.source.rank_ids[old_ranks])
    return PruneResult(result.vocabulary, job.request.source, kept_ids, report, certificate)


def _repaired(job: Job, kept: Ints) -> _Evaluated:
    """Replace tokens that no text produces by the next best ranks; protected ones stay, though unreachable."""
    banned = np.zeros(job.pool.vocabulary.n_tokens, dtype=np.bool_)
    for n_repairs in range(_MAX_REPAIRS + 1):
        vocabulary = _vocabulary(job, kept)
        evaluation, is_used = _evaluate(job, kept, vocabulary)
        lost = kept[np.union1d(_unreachable(vocabulary, is_used), _unspellable(vocabulary))]
        replaced = lost[~(job.protected | _are_parts(job, kept, vocabulary))[lost]]
        spare = _spare(job, kept, banned)[: replaced.size]
        if n_repairs == _MAX_REPAIRS or replaced.size == 0 or spare.size < replaced.size:
            break
        banned[replaced] = True
        kept = _exchanged(kept, banned, spare)
        if job.request.closed:
            kept = closed(job, kept, banned)
    return _Evaluated(kept, vocabulary, evaluation, int(np.count_nonzero(~is_used)), int(lost.size))


def _spare(job: Job, kept: Ints, banned: Mask) -> Ints:
    """Candidates that may replace others, best rank first: not kept, not banned, and built from kept tokens."""
    mask = job.mask(kept)
    return np.flatnonzero(~mask & ~banned & spellable(job.pool.vocabulary, mask))


def _exchanged(kept: Ints, banned: Mask, spare: Ints) -> Ints:
    """Kept candidates without the banned ones and with the spare ones, last or where their rank is among the others."""
    exchanged = np.concatenate([kept[~banned[kept]], spare])
    return np.sort(exchanged) if is_in_order(kept) else exchanged


def _are_parts(job: Job, kept: Ints, vocabulary: Vocabulary) -> Mask:
    """Candidates that kept ones are merged from, which a closed vocabulary cannot lose, bool[n_candidates]."""
    if not job.request.closed:
        return job.mask(kept[:0])
    parts = parts_of_tokens(vocabulary.encoder.trie)
    return job.mask(kept[parts[parts[:, 0] >= 0].ravel()])


def _unreachable(vocabulary: Vocabulary, is_used: Mask) -> Ints:
    """Ranks longer than a byte that the corpus does not use and that no text produces."""
    return unreachable(vocabulary, np.flatnonzero(~is_used & (vocabulary.lengths > 1)))


def _unspellable(vocabulary: Vocabulary) -> Ints:
    """Ranks with a character that has no token, where merges go from characters."""
    return np.flatnonzero(~spellable(vocabulary, np.ones(vocabulary.n_tokens, dtype=np.bool_)))


def _refitted(job: Job, result: _Evaluated) -> _Evaluated:
    """The same tokens with scores fitted to the corpus."""
    from vocab.prune.methods.refit import refit

    with job.stage("fit scores"):
        counts = job.weighted_counts
        fitted = refit(result.vocabulary, counts.counts, scale=counts.scale, n_threads=job.n_threads).vocabulary
    evaluation, is_used = _evaluate(job, result.kept, fitted, is_fitted=True)
    n_unreachable = int(_unreachable(fitted, is_used).size)
    return _Evaluated(result.kept, fitted, evaluation, int(np.count_nonzero(~is_used)), n_unreachable)


def _evaluate(job: Job, kept: Ints, vocabulary: Vocabulary, *, is_fitted: bool = False) -> tuple[Evaluation, Mask]:
    """Tokens of a vocabulary of kept candidates on the corpus, and which of them are used, bool[n_kept]."""
    if is_in_order(kept) and not is_fitted and not job.crosses_words:  # there all candidates have a huge lattice
        evaluation = job.evaluator.evaluate(job.mask(kept), job.inference)
        return evaluation, evaluation.is_used[kept]
    evaluator = job.new_evaluator(vocabulary.encoder.trie)
    evaluation = evaluator.evaluate(np.ones(kept.size, dtype=np.bool_), job.inference)
    return evaluation, evaluation.is_used


def _vocabulary(job: Job, kept: Ints) -> Vocabulary:
    """Kept candidates and the special tokens as a vocabulary, named after the source and the target."""
    name = f"{job.source.name}-{job.request.target}"
    provenance = replace(job.source.provenance, name=name, sha256=None)
    if job.crosses_words:
        from vocab.formats.frame import with_split

        provenance = with_split(provenance, job.pool.vocabulary.pattern)
    subset = job.pool.vocabulary.subset(kept, job.request.special_tokens, job.inference, provenance)
    return replace(subset, user_defined=job.source.user_defined, added_texts=job.source.added_texts)


def _above_least_tokens(job: Job, result: _Evaluated) -> dict[str, float] | None:
    """Tokens above those of the same vocabulary under least-tokens, as shares; None for a SentencePiece source.

    There a byte may only stand for a character without a token, which least-tokens does not know.
    """
    if job.inference in CHARACTER_METHODS:
        return None
    if job.inference == "least-tokens":
        return {"train": 0.0, "held_out": 0.0}
    if job.crosses_words:  # there all candidates have a huge lattice
        evaluator = job.new_evaluator(result.vocabulary.encoder.trie)
        least = evaluator.evaluate(np.ones(result.kept.size, dtype=np.bool_), "least-tokens")
    else:
        least = job.evaluator.evaluate(job.mask(result.kept), "least-tokens")
    ours = result.evaluation
    return {"train": change(ours.train, least.train), "held_out": change(ours.held_out, least.held_out)}


def _rows(job: Job, result: _Evaluated) -> list[ReportRow]:
    """Rows of the report: the whole source, the result, and each baseline that the target allows."""
    base, request, vocabulary = job.source_evaluation, job.request, result.vocabulary

    def row(name: str, evaluation: Evaluation, of: Vocabulary, n_unused: int) -> ReportRow:
        return make_row(name, of.inference, of.n_ids, evaluation, base, n_unused)

    rows = [row(job.source.name, base, job.source, int(np.count_nonzero(~base.is_used)))]
    rows.append(row(request.method, result.evaluation, vocabulary, result.n_unused))
    with job.stage("evaluate the baselines"):
        for method in baselines(job.inference):
            if method != request.method and job.pool.n_own >= request.n_keep:
                kept = job.mask(select_baseline(job, method))
                kept = kept[: job.pool.n_own] if job.crosses_words else kept
                evaluation = job.own_evaluator.evaluate(kept, job.inference)
                rows.append(row(method, evaluation, vocabulary, int(np.count_nonzero(~evaluation.is_used[kept]))))
    return rows


def _superwords(job: Job, result: _Evaluated) -> dict[str, Any]:
    """The superwords of a result as JSON types: how many, their share of training tokens, the most frequent."""
    if not job.crosses_words:
        return {}
    first = job.pool.vocabulary.n_tokens - job.pool.n_superwords
    ranks = np.flatnonzero(result.kept >= first)
    uses = result.evaluation.uses
    most = ranks[np.lexsort((ranks, -uses[ranks]))[:_N_SHOWN]]
    blob, starts = result.vocabulary.blob.tobytes(), result.vocabulary.starts
    texts = [blob[starts[rank] : starts[rank + 1]].decode(errors="replace") for rank in most.tolist()]
    share = float(uses[ranks].sum() / max(1, uses.sum()))
    return {"superwords": {"n_in_result": ranks.size, "share_of_tokens": share, "most_frequent": texts}}


def _report(
    job: Job,
    result: _Evaluated,
    rows: list[ReportRow],
    above_least_tokens: dict[str, float] | None,
    certificate: Certificate | None,
) -> Report:
    """The report of a result."""
    source, request = job.source, job.request
    scores = "refitted" if request.refit else "source"
    n_new = int(np.count_nonzero(job.pool.old_ranks[result.kept] < 0))
    return Report(
        source={
            "name": source.name,
            "sha256": source.provenance.sha256,
            "n_ids": source.n_ids,
            "max_id": source.max_id,
            "split_pattern": source.pattern.shown,
        },
        target=request.target,
        n_ordinary=result.vocabulary.n_tokens,
        n_special=len(request.special_tokens),
        n_added_texts=len(result.vocabulary.user_defined & result.vocabulary.special_tokens.keys()),
        no_tiktoken=obstacle_to_tiktoken(result.vocabulary),
        dropped_special=request.dropped_special_tokens,
        not_carried=source.provenance.extras.get(COMPANIONS, {}).get("not_carried", []),
        method=request.method,
        inference=job.inference,
        ranks=request.resolved_ranks,
        above_least_tokens=above_least_tokens,
        corpus=corpus_summary(job.corpus),
        rows=rows,
        candidates=job.pool.summary() | {"n_new_in_result": n_new} | _superwords(job, result),
        n_unreachable=result.n_unreachable,
        multiple_of=request.pad_to_multiple_of,
        seconds=job.stopwatch.seconds,
        seed=request.seed if request.method == "tokenmonster" else None,
        scores=scores if job.inference == "unigram" else None,
        certificate=certificate.claims if certificate else None,
        unknown=source.unknown if source.n_stand_ins == 1 else None,
        character_coverage=request.character_coverage,
        closed=is_closed(result.vocabulary.encoder.trie) if job.inference == "merges" else None,
    )
