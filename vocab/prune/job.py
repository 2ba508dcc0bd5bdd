"""One pruning from what was asked for to its result: what is shared between methods, baselines, bound and report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from vocab.analysis.evaluation import Evaluation, Evaluator
from vocab.analysis.reachable import spellable, unreachable
from vocab.choices import InferenceMethod, Method, Ranks
from vocab.corpus.counting import CorpusCounts
from vocab.corpus.mixture import corpus_summary
from vocab.corpus.profile import builtin_profile
from vocab.encoding.encoder import CHARACTER_METHODS, INFERENCE_METHODS, LOOKS_AHEAD
from vocab.encoding.lattice import TokenTrie
from vocab.errors import TargetError
from vocab.prune.bound.certificate import Certificate
from vocab.prune.bound.objective import Objective
from vocab.prune.bound.optimal import Found, Limits, polish, search, set_alive
from vocab.prune.candidates.pool import Candidates, Pool
from vocab.prune.candidates.prior import Evidence, default_prior, with_prior
from vocab.prune.methods.baselines import BASELINES, baselines, by_frequency, by_leaf, by_rank, by_score
from vocab.prune.methods.distill import distill
from vocab.prune.methods.merge_ranks import distill_in_order, kept_tokens, recombine
from vocab.prune.methods.pricing import PriceBook
from vocab.prune.methods.refit import refit, rounded
from vocab.prune.methods.tokenmonster import Scorer, by_tokenmonster
from vocab.prune.report import Report, Row, change, make_row
from vocab.prune.request import check_corpus, check_pool, check_request
from vocab.prune.result import PruneResult
from vocab.threads import n_cores
from vocab.vocabulary import Vocabulary

# Rounds of replacing tokens that no text produces; the replacements are early ranks, so one round nearly always does.
_MAX_REPAIRS = 5
# With more the corpus would hardly count; and sums of counts must fit into 63 bits.
_MOST_PRIOR = 1000

Alive = npt.NDArray[np.bool_]
Tokens = npt.NDArray[np.int64]
Progress = Callable[[str, int, int], None]


class Job:
    """One pruning: the source, the corpus and what is shared between methods."""

    def __init__(
        self,
        source: Vocabulary,
        target: int,
        corpus: CorpusCounts | None,
        inference: InferenceMethod,
        candidates: Candidates | None,
        prior: float | None,
        keep: Sequence[bytes],
        special: Sequence[str],
        n_threads: int | None,
        on_progress: Progress | None,
        limits: Limits | None = None,
        ranks: Ranks = "source",
        fit_scores: bool = False,
    ) -> None:
        if inference not in INFERENCE_METHODS:
            raise TargetError(f"no inference method is called {inference!r}; there are {', '.join(INFERENCE_METHODS)}")
        if n_threads is not None and n_threads < 1:
            raise TargetError(f"at least 1 thread is needed, not {n_threads}")
        self._given = source
        self.source = source = _with_rounded_scores(source)
        self.target = target
        self.fits_scores = fit_scores
        self.inference = inference
        self.ranks = ranks
        self.n_threads = n_threads or n_cores()
        self.seconds: dict[str, float] = {}
        self.limits = limits or Limits()
        self._on_progress = on_progress or (lambda stage, done, total: None)
        wanted = candidates or Candidates()
        self.special, of_source, self.n_keep = check_request(
            source, target, keep=keep, special=special, candidates=wanted
        )
        self.corpus = _with_prior(corpus or builtin_profile(source.pattern), prior, wanted)
        check_corpus(source, self.corpus)
        with self._stage("gather candidates"):
            self.pool = Pool.build(source, of_source, self.corpus, wanted, self.n_keep, self.special, self.n_threads)
        check_pool(self.pool, self.n_keep, target)
        self.trie = self.pool.trie
        self.protected = np.zeros(self.pool.vocabulary.n_tokens, dtype=np.bool_)
        self.protected[: self.pool.n_own] = of_source[self.pool.old_ranks[: self.pool.n_own]]
        with self._stage("evaluate the source"):
            self.whole = self._evaluated_source()

    def _evaluated_source(self) -> Evaluation:
        """Figures of the whole source, by the evaluator of the pool where that has all its tokens."""
        n = self.source.n_tokens
        if self.pool.n_own < n:
            everything = np.ones(n, dtype=np.bool_)
            return self._new_evaluator(self.source.encoder.trie).evaluate(everything, self.source.inference)
        figures = self.evaluator.evaluate(np.arange(self.protected.size) < n, self.source.inference)
        return replace(figures, uses=figures.uses[:n], is_used=figures.is_used[:n])

    @cached_property
    def evaluator(self) -> Evaluator:
        """Counts tokens of any part of the pool."""
        return self._new_evaluator(self.trie)

    def _new_evaluator(self, trie: TokenTrie) -> Evaluator:
        looks_ahead = not LOOKS_AHEAD.isdisjoint((self.inference, self.source.inference))
        return Evaluator(trie, self.corpus, self.n_threads, keep_whole=looks_ahead)

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        self._on_progress(name, 0, 1)
        started = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started
        self._on_progress(name, 1, 1)

    def select(self, method: Method, seed: int = 0) -> Tokens:
        """The candidates that a method keeps, in the order of their new ranks, int64[n_keep]."""
        if method in BASELINES:
            return self._baseline(method)
        if method == "tokenmonster":
            return np.flatnonzero(self._by_tokenmonster(seed))
        if method == "optimal":
            return self._optimal()
        return kept_tokens(self._distilled(self.inference))

    def _baseline(self, method: Method) -> Tokens:
        """What a method keeps that knows of the source's tokens only; raises TargetError where those are too few."""
        own, n_own = self.pool.own, self.pool.n_own
        if n_own < self.n_keep:
            raise TargetError(
                f"the method {method} keeps to the source's tokens, of which {n_own:,} may be kept: {self.n_keep:,} "
                "are too many"
            )
        protected = self.protected[:n_own]
        if method == "rank":
            goes_by_score = self.inference == "unigram"
            kept = by_score(own, protected, self.n_keep) if goes_by_score else by_rank(protected, self.n_keep)
            return np.flatnonzero(kept)
        if method == "frequency":
            return np.flatnonzero(by_frequency(self._uses, protected, self.n_keep))
        return np.flatnonzero(by_leaf(own, own.encoder.trie, self._uses, protected, self.n_keep))

    @cached_property
    def _evidence(self) -> Evidence:
        return with_prior(self.corpus.train, self.source, self.corpus.prior)

    @cached_property
    def _uses(self) -> npt.NDArray[np.int64]:
        """Uses of each of the pool's own tokens by the whole source, from the same evidence that distilling has."""
        uses = self.whole.uses * self._evidence.scale + self._evidence.pseudo
        return uses[self.pool.old_ranks[: self.pool.n_own]]

    def _by_tokenmonster(self, seed: int) -> Alive:
        with self._stage("put counts together"):
            scorer = Scorer(self.trie, self._evidence.counts, self.inference, self.n_threads)
        with self._stage("try vocabularies"):
            return by_tokenmonster(scorer, self.protected, self.n_keep, seed=seed, on_progress=self._on_progress)

    def _distilled(self, inference: InferenceMethod) -> PriceBook:
        with self._stage("put counts together"):
            evidence = self._evidence
        with self._stage("price tokens"):
            book = PriceBook(self.trie, evidence.counts, inference, self.n_threads)
        reorders = self.ranks == "reorder" and inference == "merges"
        with self._stage("drop tokens"):
            by_steps = distill_in_order if reorders else distill
            by_steps(book, self.n_keep, self.protected, lambda k, n: self._on_progress("drop tokens", k, n))
        return book

    @cached_property
    def _objective(self) -> Objective:
        return Objective.build(self.trie, self._evidence.counts, self.protected, self.n_keep, self.n_threads)

    @cached_property
    def _found(self) -> Found:
        """The bound and the best vocabulary for least-tokens, which no inference method can undercut."""
        book = self._distilled("least-tokens")

        def hear(bound: int, best: int, done: int, total: int) -> None:
            gap = best / bound - 1 if bound > 0 else 0.0
            self._on_progress(
                f"raise the bound: {bound / 1e6:,.3f} M, best {best / 1e6:,.3f} M, {gap:.4%}", done, total
            )

        with self._stage("raise the bound"):
            return search(self._objective, book, self.limits, hear)

    def _optimal(self) -> Tokens:
        """For least-tokens what the search found; for others the better of distilling and going on from there."""
        found = self._found
        if self.inference == "least-tokens":
            return np.flatnonzero(found.alive)
        book = self._distilled(self.inference)
        kept, tokens = kept_tokens(book), book.total_tokens
        with self._stage("exchange tokens"):
            if self.ranks == "reorder":
                recombine(book, found.alive, self.n_keep, self.protected)
            else:
                set_alive(book, found.alive)
                polish(book, self.protected, ~self.protected, lambda: self.limits.is_out_of_time)
        return kept_tokens(book) if book.total_tokens < tokens else kept

    def certificate(self, kept: Tokens, vocabulary: Vocabulary | None = None) -> Certificate:
        """The proof of how near a vocabulary is to the best possible, on what it was chosen by."""
        found, counts, alive = self._found, self._evidence.counts, self._alive(kept)
        with self._stage("certify"):
            if self.inference == "least-tokens":
                tokens = self._objective.tokens(alive)
            else:
                encoder = (vocabulary or self._smaller(kept)).encoder
                _, sizes = encoder.encode_pretokens(counts.blob, counts.starts, self.n_threads)
                tokens = int((counts.counts.astype(np.int64) * sizes).sum())
        note = "the training counts of the corpus"
        if any(part.weight != 1 for part in self.corpus.parts):
            note += ", its parts by weight"
        if self._evidence.scale > 1:
            note += f", {self._evidence.scale}-fold, with pseudo-counts for the source's rank order"
        return Certificate(self.pool.vocabulary, counts, note, self._objective, kept, self.inference, tokens, found)

    def _alive(self, kept: Tokens) -> Alive:
        """Kept candidates as bool[n_candidates]."""
        alive = np.zeros(self.pool.vocabulary.n_tokens, dtype=np.bool_)
        alive[kept] = True
        return alive

    def _evaluate(self, kept: Tokens, vocabulary: Vocabulary, *, is_fitted: bool = False) -> tuple[Evaluation, Alive]:
        """Figures of a vocabulary of kept candidates, and which of them are used, bool[n_kept]."""
        if is_in_order(kept) and not is_fitted:
            figures = self.evaluator.evaluate(self._alive(kept), self.inference)
            return figures, figures.is_used[kept]
        evaluator = self._new_evaluator(vocabulary.encoder.trie)
        figures = evaluator.evaluate(np.ones(kept.size, dtype=np.bool_), self.inference)
        return figures, figures.is_used

    def _reachable(self, kept: Tokens) -> tuple[Tokens, Vocabulary, Evaluation, int, int]:
        """Replace tokens that no text produces by the next best ranks.

        Returns what is kept then, with its figures, how many are unused, and how many are unreachable all the same:
        tokens asked for with `keep`. Single bytes are not counted: some are no part of any UTF-8 text.
        """
        banned = np.zeros(self.pool.vocabulary.n_tokens, dtype=np.bool_)
        for last_round in [False] * _MAX_REPAIRS + [True]:
            vocabulary = self._smaller(kept)
            figures, is_used = self._evaluate(kept, vocabulary)
            lost = unreachable(vocabulary, np.flatnonzero(~is_used & (vocabulary.lengths > 1)))
            lost = kept[np.union1d(lost, np.flatnonzero(~spellable(vocabulary, np.ones(kept.size, dtype=np.bool_))))]
            replaced = lost[~self.protected[lost]]
            alive = self._alive(kept)
            spare = np.flatnonzero(~alive & ~banned & spellable(self.pool.vocabulary, alive))[: replaced.size]
            if last_round or replaced.size == 0 or spare.size < replaced.size:
                break
            banned[replaced] = True
            was_in_order = is_in_order(kept)
            kept = np.concatenate([kept[~banned[kept]], spare])
            kept = np.sort(kept) if was_in_order else kept
        return kept, vocabulary, figures, int(np.count_nonzero(~is_used)), int(lost.size)

    def _fitted(self, kept: Tokens, vocabulary: Vocabulary) -> tuple[Vocabulary, Evaluation, int, int]:
        """The vocabulary with fitted scores, its figures, and how many tokens are unused and unreachable."""
        with self._stage("fit scores"):
            evidence = self._evidence
            fitted = refit(vocabulary, evidence.counts, scale=evidence.scale, n_threads=self.n_threads).fitted
        figures, is_used = self._evaluate(kept, fitted, is_fitted=True)
        lost = unreachable(fitted, np.flatnonzero(~is_used & (fitted.lengths > 1)))
        return fitted, figures, int(np.count_nonzero(~is_used)), int(lost.size)

    def result(
        self, method: Method, chosen: Tokens, multiple_of: int, seed: int | None = None, *, certify: bool = False
    ) -> PruneResult:
        """The vocabulary of the chosen tokens, evaluated beside the baselines."""
        with self._stage("evaluate the result"):
            kept, vocabulary, figures, n_unused, n_unreachable = self._reachable(chosen)
            if self.fits_scores:
                vocabulary, figures, n_unused, n_unreachable = self._fitted(kept, vocabulary)
            above_least = self._above_least_tokens(kept, figures)
        old_ranks = self.pool.old_ranks[kept]
        rows = [self._row(self.source.name, self.whole, self.source, _n_unused(self.whole))]
        rows.append(self._row(method, figures, vocabulary, n_unused))
        with self._stage("evaluate the baselines"):
            for baseline in baselines(self.inference):
                if baseline != method and self.pool.n_own >= self.n_keep:
                    others = self._alive(self.select(baseline))
                    compared = self.evaluator.evaluate(others, self.inference)
                    rows.append(self._row(baseline, compared, vocabulary, _n_unused(compared, others)))
        certificate = self.certificate(kept, vocabulary) if certify else None
        report = Report(
            source={
                "name": self.source.name,
                "sha256": self.source.provenance.sha256,
                "n_ids": self.source.n_ids,
                "max_id": self.source.max_id,
                "split_pattern": self.source.pattern.regex,
            },
            target=self.target,
            n_ordinary=vocabulary.n_tokens,
            n_special=len(self.special),
            method=method,
            inference=self.inference,
            ranks=self.ranks,
            above_least_tokens=above_least,
            corpus=corpus_summary(self.corpus),
            rows=rows,
            candidates=self.pool.facts | {"n_new_in_result": int(np.count_nonzero(old_ranks < 0))},
            n_unreachable=n_unreachable,
            multiple_of=multiple_of,
            seconds=self.seconds,
            seed=seed,
            scores=None if self.inference != "unigram" else "refitted" if self.fits_scores else "source",
            certificate=certificate.facts if certificate else None,
        )
        kept_ids = np.where(old_ranks < 0, -1, old_ranks + self.source.first_id)
        return PruneResult(vocabulary, self._given, kept_ids, report, certificate)

    def _above_least_tokens(self, kept: Tokens, figures: Evaluation) -> dict[str, float] | None:
        """Tokens more than kept candidates need at least, as shares; not defined where bytes only stand for others."""
        if self.inference in CHARACTER_METHODS:
            return None
        least = self.evaluator.evaluate(self._alive(kept), "least-tokens")
        return {"train": change(figures.train, least.train), "held_out": change(figures.held_out, least.held_out)}

    def _smaller(self, kept: Tokens) -> Vocabulary:
        name = f"{self.source.name}-{self.target}"
        provenance = replace(self.source.provenance, name=name, sha256=None)
        return self.pool.vocabulary.subset(kept, self.special, self.inference, provenance)

    def _row(self, name: str, figures: Evaluation, of: Vocabulary, n_unused: int) -> Row:
        return make_row(name, of.inference, of.n_ids, figures, self.whole, n_unused)


def _with_rounded_scores(source: Vocabulary) -> Vocabulary:
    """Under unigram the source with scores that all runtimes add up alike; else as it is."""
    if source.inference != "unigram" or source.scores is None:
        return source
    return replace(source, scores=rounded(source.scores))


def _with_prior(corpus: CorpusCounts, prior: float | None, wanted: Candidates) -> CorpusCounts:
    """The corpus with the prior asked for, or with the default one; raises TargetError for one that cannot be."""
    if prior is None:
        n_bytes = sum(part.train.n_bytes for part in corpus.parts)
        of_corpus = wanted.wants_corpus and not corpus.is_builtin
        return replace(corpus, prior=default_prior(n_bytes)) if of_corpus else corpus
    if not 0 <= prior <= _MOST_PRIOR:
        raise TargetError(f"--prior is a share of the corpus from 0 to {_MOST_PRIOR}, not {prior:g}")
    return replace(corpus, prior=prior)


def is_in_order(kept: Tokens) -> bool:
    """Whether candidates keep the order of their ranks."""
    return bool((np.diff(kept) > 0).all())


def _n_unused(figures: Evaluation, alive: Alive | None = None) -> int:
    return int(np.count_nonzero(~(figures.is_used if alive is None else figures.is_used[alive])))
