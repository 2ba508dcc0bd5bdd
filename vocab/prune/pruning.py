"""`prune` and `best_possible`: from a source vocabulary and a counted corpus to a smaller vocabulary, or to a proof."""

from __future__ import annotations

from collections.abc import Sequence

from vocab.choices import InferenceMethod, Method, Ranks
from vocab.corpus.counting import CorpusCounts
from vocab.errors import TargetError
from vocab.formats import load_lossless
from vocab.prune.bound.certificate import Certificate
from vocab.prune.bound.optimal import Limits
from vocab.prune.candidates.pool import Candidates
from vocab.prune.job import Job, Progress
from vocab.prune.methods.baselines import METHODS
from vocab.prune.methods.merge_ranks import RANKS
from vocab.prune.request import check_has_bound, check_refit, inference_for
from vocab.prune.result import PruneResult
from vocab.vocabulary import Vocabulary

# Inference methods whose tokens the plain checker can count.
CHECKABLE: tuple[InferenceMethod, ...] = ("merges", "least-tokens", "longest-prefix")
# Methods that can choose ranks as well as tokens.
ORDERING: tuple[Method, ...] = ("distill", "optimal")


def prune(
    source: Vocabulary | str,
    target: int,
    *,
    corpus: CorpusCounts | None = None,
    method: Method = "distill",
    inference: InferenceMethod | None = None,
    ranks: Ranks | None = None,
    seed: int = 0,
    candidates: Candidates | None = None,
    prior: float | None = None,
    keep: Sequence[bytes] = (),
    special: Sequence[str] = (),
    pad_to_multiple_of: int = 1,
    refit: bool = False,
    certify: bool = False,
    limits: Limits | None = None,
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> PruneResult:
    """Prune `source` (a Vocabulary, or what `vocab.load` takes) to exactly `target` ids.

    Single bytes and special tokens are always kept and count towards the target, as do `keep` (tokens of the source
    by their bytes) and `special` (texts of new special tokens). Without `corpus` the built-in profile is used.
    `inference` is merges unless another is asked for; a SentencePiece source has only its own.
    `candidates` says which tokens may be chosen beside the source's, and in how many documents they must be; the
    methods rank, frequency and leaf keep to the source's. `ranks` "reorder" (under merges, by distill and optimal)
    puts kept tokens in the order in which merging comes nearest to the fewest tokens; "source" keeps the source's
    order; None is "reorder" for optimal and "source" for the others. `prior` is how many pre-tokens the source's
    own rank order is worth beside each that was counted (see `with_prior`); None is 1.5 for the built-in profile,
    what 1 MB of text is worth where substrings of the corpus are candidates, else 0. `pad_to_multiple_of` is only
    reported: no id is invented. `seed` is for the method tokenmonster, the only one with chance in it.
    `refit` fits the scores of a Unigram source to the corpus; all are rounded to multiples of 1/128 in any case.
    `on_progress` hears (stage, done, all). The result is the same for any `n_threads` (default: all cores).

    Raises TargetError for a target or option that cannot be met, CorpusError when the corpus was counted with another
    split pattern, SourceError when the source cannot be loaded.
    """
    whole = load_lossless(source)
    inference = inference_for(whole, inference, method)
    if certify and inference not in CHECKABLE:
        raise TargetError(f"what runs with {inference} cannot be certified, only with {', '.join(CHECKABLE)}")
    if method not in METHODS:
        raise TargetError(f"no method is called {method!r}; there are {', '.join(METHODS)}")
    if pad_to_multiple_of < 1:
        raise TargetError(f"--pad-to-multiple-of must be at least 1, not {pad_to_multiple_of}")
    ranks = _checked_ranks(ranks, method, inference)
    check_refit(refit, inference)
    options = (candidates, prior, keep, special, n_threads, on_progress, limits, ranks, refit)
    job = Job(whole, target, corpus, inference, *options)
    certify = certify or (method == "optimal" and inference in CHECKABLE)
    used_seed = seed if method == "tokenmonster" else None
    return job.result(method, job.select(method, seed), pad_to_multiple_of, used_seed, certify=certify)


def _checked_ranks(ranks: Ranks | None, method: Method, inference: InferenceMethod) -> Ranks:
    """What becomes of ranks; raises TargetError where they cannot be reordered."""
    if ranks not in (None, *RANKS):
        raise TargetError(f"ranks are {' or '.join(RANKS)}, not {ranks!r}")
    if ranks == "reorder" and inference != "merges":
        raise TargetError(f"ranks mean nothing to {inference}: they can be reordered for merges only")
    if ranks == "reorder" and method not in ORDERING:
        raise TargetError(
            f"the method {method} keeps the source's order of ranks; {' and '.join(ORDERING)} can reorder"
        )
    return ranks or ("reorder" if method == "optimal" and inference == "merges" else "source")


def best_possible(
    source: Vocabulary | str,
    target: int,
    *,
    corpus: CorpusCounts | None = None,
    candidates: Candidates | None = None,
    prior: float | None = None,
    keep: Sequence[bytes] = (),
    special: Sequence[str] = (),
    limits: Limits | None = None,
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> Certificate:
    """A lower bound on the tokens of every vocabulary of the target size, and the best vocabulary found beside it.

    Arguments and errors are those of `prune`; the vocabulary is for least-tokens.
    """
    whole = load_lossless(source)
    check_has_bound(whole)
    job = Job(whole, target, corpus, "least-tokens", candidates, prior, keep, special, n_threads, on_progress, limits)
    return job.certificate(job.select("optimal"))
