"""From what was chosen to a certificate: the bound, and how near to it the result is on the same counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from vocab.arrays import Ints
from vocab.choices import InferenceMethod
from vocab.prune.job import Job
from vocab.vocabulary import Vocabulary

if TYPE_CHECKING:
    from vocab.prune.bound.certificate import Certificate


def certificate_of(job: Job, kept: Ints, vocabulary: Vocabulary) -> Certificate:
    """The proof of how near kept candidates are to the best possible, on the counts that they were chosen by.

    `kept` are their numbers in the order of the ranks of `vocabulary`, which they make.
    """
    from vocab.prune.bound.token_rules import token_rules

    with job.stage("certify"):
        n_tokens = _certified_tokens(job, kept, vocabulary)
    return _proven(job, job.by_bytes.numbers_of(kept), job.inference, n_tokens, token_rules(vocabulary))


def bound_certificate(job: Job) -> Certificate:
    """The proof of the bound, with the best vocabulary for least-tokens that was found."""
    best = job.best_possible
    return _proven(job, np.flatnonzero(best.kept), "least-tokens", best.tokens, {})


def _proven(
    job: Job, strings: Ints, inference: InferenceMethod, n_tokens: int, rules: Mapping[bytes, str]
) -> Certificate:
    """The certificate of candidates by their bytes, which need `n_tokens` under an inference method."""
    from vocab.prune.bound.certificate import Proof

    return Proof(
        candidates=job.by_bytes.vocabulary,
        n_repeated=job.by_bytes.n_repeated,
        n_put_in=job.by_bytes.n_put_in,
        counts=job.known_counts,
        counts_note=_counts_note(job),
        objective=job.objective,
        kept=strings,
        rules=rules,
        inference=inference,
        tokens=n_tokens,
        search=job.best_possible,
    ).certificate()


def _certified_tokens(job: Job, kept: Ints, vocabulary: Vocabulary) -> int:
    """Tokens of kept candidates on the counts that they were chosen by."""
    if job.inference == "least-tokens":
        return job.objective.tokens(job.mask(kept))
    counts = job.known_counts
    _, sizes = vocabulary.encoder.encode_pretokens(counts.blob, counts.starts, job.n_threads)
    return int((counts.counts.astype(np.int64) * sizes).sum())


def _counts_note(job: Job) -> str:
    """What a certificate says of the counts."""
    note = "the training counts of the corpus"
    if any(part.weight != 1 for part in job.corpus.parts):
        note += ", its parts by weight"
    if (scale := job.weighted_counts.scale) > 1:
        note += f", {scale}-fold, with pseudo-counts for the source's rank order"
    if n_unknown := job.weighted_counts.counts.n_occurrences - job.known_counts.n_occurrences:
        note += f", without {n_unknown:,} pre-tokens with text that is unknown in any case"
    return note
