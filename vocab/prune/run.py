"""`prune`: from a source vocabulary and a counted corpus to a smaller vocabulary with its report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from vocab.corpus.counting import CorpusCounts
from vocab.corpus.mixture import corpus_facts
from vocab.corpus.profile import builtin_profile
from vocab.encoding.encoder import CHARACTER_METHODS, INFERENCE_METHODS, LOOKS_AHEAD, InferenceMethod
from vocab.errors import CorpusError, TargetError
from vocab.formats import load
from vocab.formats.tokenizer_json import is_token_text
from vocab.prune.bound import Objective
from vocab.prune.certificate import Certificate
from vocab.prune.distill import distill
from vocab.prune.evaluation import Evaluation, Evaluator
from vocab.prune.optimal import Found, Limits, polish, search, set_alive
from vocab.prune.pricing import PriceBook
from vocab.prune.prior import Evidence, with_prior
from vocab.prune.reachable import spellable, unreachable
from vocab.prune.report import Report, Row, make_row
from vocab.prune.result import PruneResult
from vocab.prune.selection import BASELINES, METHODS, Method, by_frequency, by_leaf, by_rank
from vocab.prune.tokenmonster import Scorer, by_tokenmonster
from vocab.threads import n_cores
from vocab.vocabulary import Vocabulary

# Rounds of replacing tokens that no text produces; the replacements are early ranks, so one round nearly always does.
_MAX_REPAIRS = 5

# Inference methods whose tokens the plain checker can count.
CHECKABLE: tuple[InferenceMethod, ...] = ("merges", "least-tokens", "longest-prefix")

Alive = npt.NDArray[np.bool_]
Progress = Callable[[str, int, int], None]


def prune(
    source: Vocabulary | str,
    target: int,
    *,
    corpus: CorpusCounts | None = None,
    method: Method = "distill",
    inference: InferenceMethod | None = None,
    seed: int = 0,
    keep: Sequence[bytes] = (),
    special: Sequence[str] = (),
    pad_to_multiple_of: int = 1,
    certify: bool = False,
    limits: Limits | None = None,
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> PruneResult:
    """Prune `source` (a Vocabulary, or what `vocab.load` takes) to exactly `target` ids.

    Single bytes and special tokens are always kept and count towards the target, as do `keep` (tokens of the source
    by their bytes) and `special` (texts of new special tokens). Without `corpus` the built-in profile is used.
    `inference` is merges unless another is asked for; a SentencePiece source has only its own.
    `pad_to_multiple_of` is only reported: no id is invented. `seed` is for the method tokenmonster, the only one with
    chance in it. `on_progress` hears (stage, done, all). The result is the same for any `n_threads` (default: all
    cores).

    Raises TargetError for a target or option that cannot be met, CorpusError when the corpus was counted with another
    split pattern, SourceError when the source cannot be loaded.
    """
    whole = load(source) if isinstance(source, str) else source
    inference = inference_for(whole, inference, method)
    if certify and inference not in CHECKABLE:
        raise TargetError(f"what runs with {inference} cannot be certified, only with {', '.join(CHECKABLE)}")
    job = _Job(whole, target, corpus, inference, keep, special, n_threads, on_progress, limits)
    if method not in METHODS:
        raise TargetError(f"no method is called {method!r}; there are {', '.join(METHODS)}")
    if pad_to_multiple_of < 1:
        raise TargetError(f"--pad-to-multiple-of must be at least 1, not {pad_to_multiple_of}")
    certify = certify or (method == "optimal" and inference in CHECKABLE)
    used_seed = seed if method == "tokenmonster" else None
    return job.result(method, job.select(method, seed), pad_to_multiple_of, used_seed, certify=certify)


def best_possible(
    source: Vocabulary | str,
    target: int,
    *,
    corpus: CorpusCounts | None = None,
    keep: Sequence[bytes] = (),
    special: Sequence[str] = (),
    limits: Limits | None = None,
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> Certificate:
    """A lower bound on the tokens of every vocabulary of the target size, and the best vocabulary found beside it.

    Arguments and errors are those of `prune`; the vocabulary is for least-tokens.
    """
    whole = load(source) if isinstance(source, str) else source
    if whole.inference in CHARACTER_METHODS:
        raise TargetError(f"no bound is known for {whole.source.name}, which comes from SentencePiece")
    job = _Job(whole, target, corpus, "least-tokens", keep, special, n_threads, on_progress, limits)
    return job.certificate(job.select("optimal"))


def check_request(
    source: Vocabulary, target: int, *, keep: Sequence[bytes] = (), special: Sequence[str] = ()
) -> tuple[list[str], Alive, int]:
    """Special tokens of the result, protected tokens (bool[n_tokens]) and how many ordinary ones to keep.

    Cheap, so that a request that cannot be met is refused before a corpus is counted. Raises TargetError.
    """
    all_special = _all_special(source, special)
    protected = _protected(source, keep)
    return all_special, protected, _checked_target(source, target, len(all_special), protected)


def inference_for(source: Vocabulary, wanted: InferenceMethod | None, method: Method = "distill") -> InferenceMethod:
    """The method that the result is run with; raises TargetError for one that the source's format cannot have."""
    if source.inference not in CHARACTER_METHODS:
        if wanted in CHARACTER_METHODS:
            raise TargetError(f"{wanted} needs a source from SentencePiece, which {source.source.name} is not")
        return wanted or "merges"
    if wanted not in (None, source.inference):
        raise TargetError(f"{source.source.name} comes from SentencePiece, which runs {source.inference}, not {wanted}")
    if method in ("optimal", "tokenmonster"):
        raise TargetError(f"the method {method} is not for a source from SentencePiece: choose another with --method")
    return source.inference


def check_corpus(source: Vocabulary, corpus: CorpusCounts) -> None:
    """Raise CorpusError unless the corpus was counted with the split pattern of the source."""
    if corpus.parts[0].train.pattern_sha256 != source.pattern.sha256:
        raise CorpusError(
            f"the corpus was counted with another split pattern than that of {source.source.name}: count it again"
        )


class _Job:
    """One pruning: the source, the corpus and what is shared between methods."""

    def __init__(
        self,
        source: Vocabulary,
        target: int,
        corpus: CorpusCounts | None,
        inference: InferenceMethod,
        keep: Sequence[bytes],
        special: Sequence[str],
        n_threads: int | None,
        on_progress: Progress | None,
        limits: Limits | None = None,
    ) -> None:
        if inference not in INFERENCE_METHODS:
            raise TargetError(f"no inference method is called {inference!r}; there are {', '.join(INFERENCE_METHODS)}")
        if n_threads is not None and n_threads < 1:
            raise TargetError(f"at least 1 thread is needed, not {n_threads}")
        self.source = source
        self.target = target
        self.inference = inference
        self.n_threads = n_threads or n_cores()
        self.seconds: dict[str, float] = {}
        self.limits = limits or Limits()
        self._on_progress = on_progress or (lambda stage, done, total: None)
        self.special, self.protected, self.n_keep = check_request(source, target, keep=keep, special=special)
        self.corpus = corpus or builtin_profile(source.pattern)
        check_corpus(source, self.corpus)
        with self._stage("evaluate the source"):
            self.trie = source.encoder.trie
            looks_ahead = not LOOKS_AHEAD.isdisjoint((inference, source.inference))
            self.evaluator = Evaluator(self.trie, self.corpus, self.n_threads, keep_whole=looks_ahead)
            self.everything = np.ones(source.n_tokens, dtype=np.bool_)
            self.whole = self.evaluator.evaluate(self.everything, source.inference)

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        self._on_progress(name, 0, 1)
        started = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started
        self._on_progress(name, 1, 1)

    def select(self, method: Method, seed: int = 0) -> Alive:
        """Which tokens a method keeps, bool[n_tokens]."""
        if method == "rank":
            return by_rank(self.protected, self.n_keep)
        if method == "frequency":
            return by_frequency(self._uses, self.protected, self.n_keep)
        if method == "leaf":
            return by_leaf(self.source, self.trie, self._uses, self.protected, self.n_keep)
        if method == "tokenmonster":
            return self._by_tokenmonster(seed)
        if method == "optimal":
            return self._optimal()
        return self._distilled()[0]

    @cached_property
    def _evidence(self) -> Evidence:
        return with_prior(self.corpus.train, self.source, self.corpus.prior)

    @cached_property
    def _uses(self) -> npt.NDArray[np.int64]:
        """Uses of each token by the whole source, from the same evidence that distilling has."""
        return self.whole.uses * self._evidence.scale + self._evidence.pseudo

    def _by_tokenmonster(self, seed: int) -> Alive:
        with self._stage("put counts together"):
            scorer = Scorer(self.trie, self._evidence.counts, self.inference, self.n_threads)
        with self._stage("try vocabularies"):
            return by_tokenmonster(scorer, self.protected, self.n_keep, seed=seed, on_progress=self._on_progress)

    def _distilled(self, inference: InferenceMethod | None = None) -> tuple[Alive, PriceBook]:
        with self._stage("put counts together"):
            evidence = self._evidence
        with self._stage("price tokens"):
            book = PriceBook(self.trie, evidence.counts, inference or self.inference, self.n_threads)
        with self._stage("drop tokens"):
            distill(book, self.n_keep, self.protected, lambda k, n: self._on_progress("drop tokens", k, n))
        return book.alive.copy(), book

    @cached_property
    def _objective(self) -> Objective:
        return Objective.build(self.trie, self._evidence.counts, self.protected, self.n_keep, self.n_threads)

    @cached_property
    def _found(self) -> Found:
        """The bound and the best vocabulary for least-tokens, which no inference method can undercut."""
        book = self._distilled("least-tokens")[1]

        def hear(bound: int, best: int, done: int, total: int) -> None:
            gap = best / bound - 1 if bound > 0 else 0.0
            self._on_progress(
                f"raise the bound: {bound / 1e6:,.3f} M, best {best / 1e6:,.3f} M, {gap:.4%}", done, total
            )

        with self._stage("raise the bound"):
            return search(self._objective, book, self.limits, hear)

    def _optimal(self) -> Alive:
        """For least-tokens what the search found; for others the better of distilling and exchanges from there."""
        found = self._found
        if self.inference == "least-tokens":
            return found.alive
        distilled, book = self._distilled()
        tokens = book.total_tokens
        with self._stage("exchange tokens"):
            set_alive(book, found.alive)
            polish(book, self.protected, ~self.protected, lambda: self.limits.is_out_of_time)
        return book.alive if book.total_tokens < tokens else distilled

    def certificate(self, alive: Alive, vocabulary: Vocabulary | None = None) -> Certificate:
        """The proof of how near a vocabulary is to the best possible, on what it was chosen by."""
        found, counts = self._found, self._evidence.counts
        with self._stage("certify"):
            if self.inference == "least-tokens":
                tokens = self._objective.tokens(alive)
            else:
                encoder = (vocabulary or self._smaller(alive)).encoder
                _, sizes = encoder.encode_pretokens(counts.blob, counts.starts, self.n_threads)
                tokens = int((counts.counts.astype(np.int64) * sizes).sum())
        note = "the training counts of the corpus"
        if any(part.weight != 1 for part in self.corpus.parts):
            note += ", its parts by weight"
        if self._evidence.scale > 1:
            note += f", {self._evidence.scale}-fold, with pseudo-counts for the source's rank order"
        return Certificate(self.source, counts, note, self._objective, alive, self.inference, tokens, found)

    def _reachable(self, alive: Alive) -> tuple[Alive, Vocabulary, Evaluation, int]:
        """Replace tokens that no text produces by the next best ranks; returns how many are left as well.

        Left over are tokens asked for with `keep`. Single bytes are not counted: some are no part of any UTF-8 text.
        """
        banned = np.zeros_like(alive)
        for last_round in [False] * _MAX_REPAIRS + [True]:
            figures = self.evaluator.evaluate(alive, self.inference)
            vocabulary = self._smaller(alive)
            kept = np.flatnonzero(alive)
            lost = kept[unreachable(vocabulary, np.flatnonzero(~figures.is_used[kept] & (vocabulary.lengths > 1)))]
            replaced = lost[~self.protected[lost]]
            spare = np.flatnonzero(~alive & ~banned & spellable(self.source, alive))[: replaced.size]
            if last_round or replaced.size == 0 or spare.size < replaced.size:
                break
            banned[replaced] = True
            alive = alive & ~banned
            alive[spare] = True
        return alive, vocabulary, figures, int(lost.size)

    def result(
        self, method: Method, chosen: Alive, multiple_of: int, seed: int | None = None, *, certify: bool = False
    ) -> PruneResult:
        """The vocabulary of the chosen tokens, evaluated beside the baselines."""
        with self._stage("evaluate the result"):
            alive, vocabulary, figures, n_unreachable = self._reachable(chosen)
        rows = [self._row(self.source.source.name, self.everything, self.whole, self.source)]
        rows.append(self._row(method, alive, figures, vocabulary))
        with self._stage("evaluate the baselines"):
            for baseline in BASELINES:
                if baseline != method:
                    kept = self.select(baseline)
                    compared = self.evaluator.evaluate(kept, self.inference)
                    rows.append(self._row(baseline, kept, compared, vocabulary))
        certificate = self.certificate(alive, vocabulary) if certify else None
        report = Report(
            source={
                "name": self.source.source.name,
                "sha256": self.source.source.sha256,
                "n_ids": self.source.n_ids,
                "max_id": self.source.max_id,
                "split_pattern": self.source.pattern.regex,
            },
            target=self.target,
            n_ordinary=vocabulary.n_tokens,
            n_special=len(self.special),
            method=method,
            inference=self.inference,
            corpus=corpus_facts(self.corpus),
            rows=rows,
            n_unreachable=n_unreachable,
            multiple_of=multiple_of,
            seconds=self.seconds,
            seed=seed,
            certificate=certificate.facts if certificate else None,
        )
        return PruneResult(vocabulary, self.source, np.flatnonzero(alive) + self.source.first_id, report, certificate)

    def _smaller(self, alive: Alive) -> Vocabulary:
        name = f"{self.source.source.name}-{self.target}"
        return self.source.subset(
            alive, self.special, self.inference, replace(self.source.source, name=name, sha256=None)
        )

    def _row(self, name: str, alive: Alive, figures: Evaluation, of: Vocabulary) -> Row:
        n_unused = int(np.count_nonzero(~figures.is_used[alive]))
        return make_row(name, of.inference, of.n_ids, figures, self.whole, n_unused)


def _all_special(source: Vocabulary, new: Sequence[str]) -> list[str]:
    """Special tokens of the result: the source's in id order, then the new ones."""
    old = sorted(source.special_tokens, key=source.special_tokens.__getitem__)
    for text in new:
        if not text:
            raise TargetError("a special token cannot be empty")
        if is_token_text(source, text):
            raise TargetError(f"the special token {text!r} reads like an ordinary token in tokenizer.json: rename it")
        if text in old or list(new).count(text) > 1:
            raise TargetError(f"the special token {text!r} is there already")
    return [*old, *new]


def _protected(source: Vocabulary, keep: Sequence[bytes]) -> Alive:
    """Tokens that no method may drop, bool[n_tokens]: single bytes and those asked for."""
    protected: Alive = source.lengths == 1
    for token in keep:
        if token not in source.token_ids:
            raise TargetError(f"the token to keep {token!r} is not in {source.source.name}")
        protected[source.token_ids[token] - source.first_id] = True
        if source.inference in CHARACTER_METHODS:  # without its characters it could not be merged
            protected[[source.token_ids[c.encode()] - source.first_id for c in token.decode()]] = True
    return protected


def _checked_target(source: Vocabulary, target: int, n_special: int, protected: Alive) -> int:
    """How many ordinary tokens to keep; raises TargetError when the target cannot be met."""
    n_fixed = int(np.count_nonzero(protected))
    if target < n_fixed + n_special:
        raise TargetError(
            f"target {target} is too small: {n_fixed} single bytes and tokens to keep and {n_special} special tokens "
            f"are always kept, so the least is {n_fixed + n_special}"
        )
    largest = source.n_tokens + n_special
    if target == largest:
        raise TargetError(f"target {target} is the size of {source.source.name} itself: there is nothing to prune")
    if target > largest:
        raise TargetError(f"target {target} is above the {largest} ids of {source.source.name}: pruning cannot add any")
    return target - n_special
