"""`Job`: what the steps of one pruning share, such as the corpus, the candidates and the bound, each made once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from vocab.analysis.evaluation import Evaluation, Evaluator
from vocab.arrays import Ints, Mask
from vocab.choices import InferenceMethod
from vocab.corpus.counting import CorpusCounts
from vocab.corpus.profile import builtin_profile
from vocab.corpus.spelt_counts import spelt_without
from vocab.encoding.encoder import LOOKS_AHEAD
from vocab.encoding.lattice import CountedLattice, TokenTrie
from vocab.encoding.unit_cuts import UnitCuts
from vocab.errors import TargetError
from vocab.pretokens.counts import PretokenCounts
from vocab.progress import OnProgress, Stopwatch
from vocab.prune.bound.limits import Deadline
from vocab.prune.candidates.coverage import covered
from vocab.prune.candidates.pool import Pool
from vocab.prune.candidates.prior import WeightedCounts, default_prior, says_how_frequent, with_prior
from vocab.prune.methods.distill import distill
from vocab.prune.methods.pricing import MAX_PRICED_BYTES, PriceBook
from vocab.prune.request import PruneRequest, check_corpus
from vocab.threads import n_cores
from vocab.vocabulary import Vocabulary

if TYPE_CHECKING:
    from vocab.prune.bound.by_bytes import ByBytes
    from vocab.prune.bound.objective import Objective
    from vocab.prune.bound.optimal import SearchResult


class Job:
    """One pruning under way.

    Attributes:
        request: what was asked for.
        source: the vocabulary to prune, under unigram with scores that every runtime adds up alike.
        words: the text counted with the source's split pattern, and the prior that was asked for.
        corpus: the text as tokens are chosen by it: `words`, or with superwords segments of units.
        inference: how text is cut into tokens with the result.
        pool: the candidates. "Candidate numbers" below are positions in it.
        protected: candidates that no method may drop, bool[n_candidates].
        source_evaluation: tokens of the whole source on the corpus.
        deadline: when the search for the bound must end.
        stopwatch: seconds by stage.
        n_threads: threads; no result depends on how many.
    """

    def __init__(self, request: PruneRequest, on_progress: OnProgress | None = None) -> None:
        self.request = request
        self.source = _with_rounded_scores(request.source)
        self.inference = request.resolved_inference
        self.n_threads = request.n_threads or n_cores()
        self.deadline = Deadline(request.limits.seconds)
        self.stopwatch = Stopwatch(on_progress)
        self.words = self._words()
        self.words.merge(self.n_threads)
        protected, allowed = _protected_and_allowed(request, self.words)
        with self.stage("gather candidates"):
            self.pool = Pool.build(
                self.source,
                protected,
                self.words,
                request.candidates,
                n_keep=request.n_keep,
                special=request.special_tokens,
                n_threads=self.n_threads,
                allowed=allowed,
                documents=request.documents,
            )
        _check_pool(self.pool, request)
        self.protected = np.zeros(self.pool.vocabulary.n_tokens, dtype=np.bool_)
        self.protected[: self.pool.n_own] = protected[self.pool.old_ranks[: self.pool.n_own]]
        self.corpus = self._segments() if self.crosses_words else self.words
        with self.stage("evaluate the source"):
            self.source_evaluation = self._evaluate_source()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a block as the stage `name`, and report its beginning and end."""
        with self.stopwatch.stage(name):
            yield

    def report_progress(self, stage: str, done: int, total: int) -> None:
        """Report how far a stage has come."""
        self.stopwatch.on_progress(stage, done, total)

    def _words(self) -> CorpusCounts:
        """The pre-tokens of the text, counted here where the text itself was given."""
        request = self.request
        if request.documents is None:
            return _with_prior(request, request.corpus)
        with self.stage("count pre-tokens"):
            return _with_prior(request, request.documents.count(self.source.pattern, self.n_threads))

    def _segments(self) -> CorpusCounts:
        """Segments of the units of the text, or whole units under merges, which look these up; with the same prior."""
        assert self.request.documents is not None  # the pool has superwords of it
        units = self.pool.vocabulary.pattern
        with self.stage("count segments"):
            cuts = units if self.inference == "merges" else UnitCuts(units, self.trie)
            segments = self.request.documents.count(cuts, self.n_threads)
            segments.merge(self.n_threads)
        return replace(segments, prior=self.words.prior)

    @property
    def crosses_words(self) -> bool:
        """Whether tokens may cross the edges of pre-tokens."""
        return self.pool.n_superwords > 0

    def _evaluate_source(self) -> Evaluation:
        """Evaluate the whole source, with the evaluator of the pool where that holds all its tokens."""
        n = self.source.n_tokens
        if self.pool.n_own < n or self.crosses_words:
            all_tokens = np.ones(n, dtype=np.bool_)
            evaluator = self.new_evaluator(self.source.encoder.trie, self.words)
            return evaluator.evaluate(all_tokens, self.source.inference)
        evaluation = self.evaluator.evaluate(np.arange(self.protected.size) < n, self.source.inference)
        return replace(evaluation, uses=evaluation.uses[:n], is_used=evaluation.is_used[:n])

    @property
    def trie(self) -> TokenTrie:
        """All candidates as a prefix tree."""
        return self.pool.trie

    @cached_property
    def evaluator(self) -> Evaluator:
        """Counts tokens for any selection of candidates."""
        return self.new_evaluator(self.trie)

    @cached_property
    def own_evaluator(self) -> Evaluator:
        """Counts tokens for any selection of the pool's own candidates, within the source's pre-tokens."""
        return self.new_evaluator(self.pool.own.encoder.trie, self.words) if self.crosses_words else self.evaluator

    def new_evaluator(self, trie: TokenTrie, corpus: CorpusCounts | None = None) -> Evaluator:
        """An evaluator for other tokens than the candidates in their order, or another corpus than `corpus`."""
        return Evaluator(trie, corpus or self.corpus, self.n_threads, keep_whole=self._looks_ahead)

    @property
    def _looks_ahead(self) -> bool:
        """Whether pre-tokens have to be whole for the inference method of the source or of the result."""
        return not LOOKS_AHEAD.isdisjoint((self.inference, self.source.inference))

    @cached_property
    def weighted_counts(self) -> WeightedCounts:
        """The counts that tokens are chosen by: of the corpus, and of the prior."""
        return with_prior(self.corpus.train, self.source, self.corpus.prior)

    @cached_property
    def uses(self) -> Ints:
        """Uses of each of the pool's own tokens by the whole source on `weighted_counts`, int64[n_own]."""
        counts = self.weighted_counts
        uses = self.source_evaluation.uses * counts.scale + counts.pseudo
        return uses[self.pool.old_ranks[: self.pool.n_own]]

    def distilled(self, inference: InferenceMethod) -> PriceBook:
        """Distil the candidates to the target under an inference method; returns the prices of what is left."""
        with self.stage("put counts together"):
            text = self._priced_text(inference)
        return self._distilled(self.trie, text, self.protected, self.request.n_keep, inference)

    def _priced_text(self, inference: InferenceMethod) -> PretokenCounts | CountedLattice:
        """The counts that tokens are chosen by, as the evaluator has cut them where it cuts for the same tokens."""
        corpus = self.corpus
        is_cut_alike = (inference in LOOKS_AHEAD) == self._looks_ahead
        if self.crosses_words or corpus.prior > 0 or not is_cut_alike or corpus.without_added() is not corpus:
            return self.weighted_counts.counts
        return self.evaluator.training(MAX_PRICED_BYTES)

    def _distilled(
        self,
        trie: TokenTrie,
        text: PretokenCounts | CountedLattice,
        protected: Mask,
        n_keep: int,
        inference: InferenceMethod,
    ) -> PriceBook:
        """The same for the tokens of a trie, of which `n_keep` are kept and the protected ones never dropped."""
        with self.stage("price tokens"):
            book = PriceBook(trie, text, inference, self.n_threads, looks_up=not self.request.closed)
        with self.stage("drop tokens"):
            self._reducer(inference)(
                book, n_keep, protected, lambda done, total: self.report_progress("drop tokens", done, total)
            )
        return book

    def _reducer(self, inference: InferenceMethod) -> Callable[..., None]:
        """The function that drops tokens, with ranks put in order meanwhile where that is asked for."""
        if self.request.resolved_ranks != "reorder" or inference != "merges":
            return distill
        from vocab.prune.methods.merge_ranks import distill_in_order

        return distill_in_order

    @cached_property
    def by_bytes(self) -> ByBytes:
        """The candidates as strings of bytes, each once."""
        from vocab.prune.bound.by_bytes import ByBytes

        return ByBytes.of(self.pool.vocabulary)

    @cached_property
    def known_counts(self) -> PretokenCounts:
        """The counts that the bound is of: those that tokens are chosen by, without what is unknown in any case."""
        from vocab.prune.bound.known_text import known_text

        with self.stage("put counts together"):
            return known_text(self.pool.vocabulary, self.weighted_counts.counts, self.n_threads)

    @cached_property
    def objective(self) -> Objective:
        """The tokens to be minimised under least-tokens, as a lattice over the candidates by their bytes."""
        from vocab.prune.bound.objective import Objective

        return Objective.build(self.by_bytes.vocabulary.encoder.trie, self.known_counts, *self._choice, self.n_threads)

    @property
    def _choice(self) -> tuple[Mask, int]:
        """Candidates by their bytes that no choice drops, bool[n_strings], and how many it keeps."""
        return self.by_bytes.mask(self.protected), self.request.n_keep + self.by_bytes.n_more

    @cached_property
    def best_possible(self) -> SearchResult:
        """The bound and the best choice of candidates by their bytes for least-tokens, which no method undercuts."""
        from vocab.prune.bound.optimal import search

        trie = self.by_bytes.vocabulary.encoder.trie
        book = self._distilled(trie, self.known_counts, *self._choice, "least-tokens")

        def report(bound: int, best: int, done: int, total: int) -> None:
            gap = best / bound - 1 if bound > 0 else 0.0
            news = f"{bound / 1e6:,.3f} M, best {best / 1e6:,.3f} M, {gap:.4%}"
            self.report_progress(f"raise the bound: {news}", done, total)

        with self.stage("raise the bound"):
            return search(self.objective, book, self.request.limits, report, self.deadline)

    def mask(self, kept: Ints) -> Mask:
        """Candidate numbers as bool[n_candidates]."""
        mask = np.zeros(self.pool.vocabulary.n_tokens, dtype=np.bool_)
        mask[kept] = True
        return mask


def _with_rounded_scores(source: Vocabulary) -> Vocabulary:
    """Under unigram the source with scores that all runtimes add up alike; else the source itself."""
    if source.inference != "unigram" or source.scores is None:
        return source
    from vocab.prune.methods.refit import rounded

    return replace(source, scores=rounded(source.scores, source.n_stand_ins))


def _protected_and_allowed(request: PruneRequest, corpus: CorpusCounts) -> tuple[Mask, Mask]:
    """Tokens of the source that no method may drop, and those that may be kept, both bool[n_tokens]."""
    protected = request.protected
    if request.character_coverage is None:
        return protected, np.ones_like(protected)
    needed, allowed = covered(request.source, corpus.train, request.character_coverage)
    protected = protected | needed
    if (n := int(np.count_nonzero(protected))) > request.n_keep:
        raise TargetError(
            f"target {request.target} is too small for `character_coverage` {request.character_coverage:g}: it needs "
            f"{n:,} tokens, and {request.n_keep:,} ordinary ones are wanted"
        )
    return protected, allowed | protected


def _with_prior(request: PruneRequest, corpus: CorpusCounts | None) -> CorpusCounts:
    """The corpus, or the built-in profile, with the prior that was asked for or else the default one."""
    corpus = corpus or builtin_profile(request.source.pattern)
    check_corpus(request.source, corpus)
    corpus = spelt_without(corpus, request.source.encoder.lacking, request.source.name)
    if request.prior is not None:
        return replace(corpus, prior=request.prior)
    if not says_how_frequent(request.source):
        return replace(corpus, prior=0.0)
    if request.candidates.includes_corpus and not corpus.is_builtin:
        return replace(corpus, prior=default_prior(sum(part.train.n_bytes for part in corpus.parts)))
    return corpus


def _check_pool(pool: Pool, request: PruneRequest) -> None:
    """Raise TargetError when there are fewer candidates than tokens to keep."""
    if (n := pool.vocabulary.n_tokens) < request.n_keep:
        documents = f" in {pool.min_documents} documents or more" if pool.min_documents > 1 else ""
        raise TargetError(
            f"target {request.target} cannot be met: there are {n:,} candidates{documents}, and {request.n_keep:,} "
            "ordinary tokens are wanted"
        )
