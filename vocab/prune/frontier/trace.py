"""`trace_frontier`: tokens that a corpus needs at every size of a vocabulary, by several methods, and the bound below.

Each method drops tokens in one order, which is read at all sizes: the vocabulary at a size holds that at every smaller
size. The bound is on the tokens of the training text. It holds for every choice of the source's tokens and every
inference method. The prior, by which the source's rank order counts, guides `distill` but has no part in the bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from vocab.analysis.evaluation import Compression, Evaluator
from vocab.arrays import Ints, Mask
from vocab.choices import CHARACTER_METHODS, FRONTIER_METHODS, FrontierMethod, InferenceMethod
from vocab.corpus.counting import CorpusCounts
from vocab.corpus.mixture import corpus_summary
from vocab.corpus.profile import builtin_profile
from vocab.corpus.spelt_counts import spelt_without
from vocab.encoding.encoder import LOOKS_AHEAD
from vocab.encoding.inference import INFERENCE_METHODS
from vocab.environment import versions
from vocab.errors import TargetError
from vocab.formats import load_lossless
from vocab.measured import MeasuredTokenizer
from vocab.progress import OnProgress, Stopwatch
from vocab.prune.bound.objective import Objective
from vocab.prune.candidates.prior import with_prior
from vocab.prune.frontier.bounds import DEFAULT_STEPS, bounds_at
from vocab.prune.frontier.drop_order import distilled_at
from vocab.prune.frontier.payoff import ComputeModel, Payoff, payoff, saved_by_doubling, saved_per_id
from vocab.prune.methods.baselines import by_frequency, by_rank, leaf_order
from vocab.prune.methods.pricing import PriceBook
from vocab.prune.request import check_corpus
from vocab.sizes import sizes_between
from vocab.threads import n_cores
from vocab.vocabulary import Vocabulary

DEFAULT_FIRST = 1000
DEFAULT_POINTS = 24


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One method at every size.

    Attributes:
        method: how tokens are ordered.
        train: tokens of the text that tokens were chosen by, by rising size.
        held_out: tokens of the text held out, by rising size.
    """

    method: FrontierMethod
    train: list[Compression]
    held_out: list[Compression]


@dataclass(frozen=True, kw_only=True)
class Frontier:
    """Curves over the same sizes, and the bound below them.

    Attributes:
        source: name, sha256, n_ids and split pattern of the vocabulary whose tokens could be kept.
        inference: how text is cut into tokens.
        sizes: ids, special tokens included, rising.
        curves: one for each method, in the order asked for.
        bound: tokens of the training text that any choice at each size needs at least, under any inference method.
        model: the decoder for which a token pays or does not.
        corpus: what was counted.
        seconds: wall time by stage.
    """

    source: dict[str, Any]
    inference: InferenceMethod
    sizes: list[int]
    curves: list[Curve]
    bound: list[Compression]
    model: ComputeModel
    corpus: dict[str, Any]
    seconds: dict[str, float]

    @property
    def has_held_out(self) -> bool:
        """Whether any text was held out."""
        return self.curves[0].held_out[0].n_bytes > 0

    def payoff(self, curve: Curve) -> Payoff:
        """Where tokens stop paying along a curve: on held-out text, or on all of it where none is held out."""
        return payoff(self.sizes, [text.n_tokens for text in self._judged(curve)], self.model)

    def saved_by_doubling(self, curve: Curve) -> list[float | None]:
        """Share of those tokens that twice the ids would save, at the rate from each size on."""
        return saved_by_doubling(self.sizes, [text.n_tokens for text in self._judged(curve)])

    def _judged(self, curve: Curve) -> list[Compression]:
        return curve.held_out if self.has_held_out else curve.train

    def gaps(self, curve: Curve) -> list[float]:
        """Training tokens above the bound at each size, as a share of it."""
        return [
            text.n_tokens / least.n_tokens - 1 if least.n_tokens else 0.0
            for text, least in zip(curve.train, self.bound, strict=True)
        ]

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON types: figures at each size, savings between sizes, where tokens stop paying."""
        return {
            "source": self.source,
            "inference": self.inference,
            "corpus": self.corpus,
            "decoder": {
                "width": self.model.width,
                "layers": self.model.n_layers,
                "n_body_parameters": self.model.n_body,
            },
            "sizes": self.sizes,
            "bound": {
                "of": "training tokens of any choice of the source's tokens, under any inference method",
                "tokens_at_least": [text.n_tokens for text in self.bound],
                "bytes_per_token_at_most": [text.bytes_per_token for text in self.bound],
            },
            "curves": [self._curve_json(curve) for curve in self.curves],
            "seconds": self.seconds,
            "versions": dict(versions()),
        }

    def _curve_json(self, curve: Curve) -> dict[str, Any]:
        payoff = self.payoff(curve)
        return {
            "method": curve.method,
            "train": self._side_json(curve.train) | {"above_bound": self.gaps(curve)},
            "held_out": self._side_json(curve.held_out),
            "least_compute": {
                "on": "held_out" if self.has_held_out else "train",
                "n_ids": payoff.n_ids,
                "within_1_per_cent": [payoff.from_n_ids, payoff.to_n_ids],
                "is_largest_size": payoff.is_last,
                "relative_compute": payoff.costs,
            },
        }

    def _side_json(self, texts: Sequence[Compression]) -> dict[str, Any]:
        tokens = [text.n_tokens for text in texts]
        return {
            "n_bytes": texts[0].n_bytes,
            "tokens": tokens,
            "bytes_per_token": [text.bytes_per_token for text in texts],
            "tokens_saved_per_added_id": saved_per_id(self.sizes, tokens),
            "share_saved_by_doubling": saved_by_doubling(self.sizes, tokens),
        }


def trace_frontier(
    source: MeasuredTokenizer | str | Path,
    *,
    corpus: CorpusCounts | None = None,
    inference: InferenceMethod = "merges",
    methods: Sequence[FrontierMethod] = FRONTIER_METHODS,
    first: int = DEFAULT_FIRST,
    last: int | None = None,
    n_points: int = DEFAULT_POINTS,
    n_steps: int = DEFAULT_STEPS,
    model: ComputeModel | None = None,
    n_threads: int | None = None,
    on_progress: OnProgress | None = None,
) -> Frontier:
    """Trace the tokens of a corpus over vocabulary size, by several methods, with the bound below them.

    Args:
        source: what `vocab.load` takes, or a vocabulary that is loaded already.
        corpus: the counted text; None for the built-in profile.
        inference: how text is cut into tokens.
        methods: how tokens are ordered, each once; a Frontier marks where those of the first stop paying.
        first: the smallest size, in ids.
        last: the largest size, in ids; None for the source's.
        n_points: sizes at equal ratios, besides the round ones and the powers of two (see `sizes_between`).
        n_steps: steps of the search for the bound at each of a few sizes; 0 leaves the search out.
        model: the decoder for which a token pays or does not; None for width 2048 and 24 layers.
        n_threads: threads; None for all cores. The result does not depend on how many.
        on_progress: is called with a stage's name, how much of it is done, and how much there is.

    Raises:
        TargetError: sizes or methods that cannot be had.
        CorpusError: the corpus was counted with another split pattern.
        SourceError: the source cannot be loaded.
    """
    whole = load_lossless(source)
    last = whole.n_ids if last is None else last
    check_frontier(whole, first, last, methods, inference)
    counted = corpus or builtin_profile(whole.pattern)
    check_corpus(whole, counted)
    tracer = _Tracer(whole, counted, inference, sizes_between(first, last, n_points), n_threads, on_progress)
    curves = [tracer.curve(method) for method in methods]
    return Frontier(
        source={
            "name": whole.name,
            "sha256": whole.provenance.sha256,
            "n_ids": whole.n_ids,
            "split_pattern": whole.pattern.shown,
        },
        inference=inference,
        sizes=tracer.sizes,
        curves=curves,
        bound=tracer.bound(curves, n_steps),
        model=model or ComputeModel(),
        corpus=corpus_summary(counted),
        seconds={name: round(seconds, 3) for name, seconds in tracer.stopwatch.seconds.items()},
    )


def check_frontier(
    source: Vocabulary, first: int, last: int, methods: Sequence[str], inference: str = "merges"
) -> None:
    """Raise TargetError unless the source can have a bound and such sizes, by known methods; cheap, before counting."""
    if source.inference in CHARACTER_METHODS:
        raise TargetError(
            f"{source.name} goes from characters, and the frontier is of tokens that go from bytes: prune it to a few "
            "sizes and compare their reports"
        )
    n_bytes, n_special = int(np.count_nonzero(source.lengths == 1)), len(source.special_tokens)
    if first < n_bytes + n_special:
        raise TargetError(
            f"no vocabulary has {first} ids: {n_bytes} single bytes and {n_special} special tokens are always kept, so "
            f"start from {n_bytes + n_special} or more"
        )
    if last > source.n_ids:
        raise TargetError(f"sizes cannot go to {last}: {source.name} has {source.n_ids} ids")
    if first >= last:
        raise TargetError(f"there are no sizes from {first} to {last}: start below the last")
    if unknown := [method for method in methods if method not in FRONTIER_METHODS]:
        raise TargetError(f"no order is called {unknown[0]!r}; there are {', '.join(FRONTIER_METHODS)}")
    if not methods or len(set(methods)) < len(methods):
        raise TargetError("name at least one method, and each of them once")
    if inference not in INFERENCE_METHODS:
        raise TargetError(f"no inference method is called {inference!r}; there are {', '.join(INFERENCE_METHODS)}")


class _Tracer:
    """What the curves of one frontier share: the corpus, the prices that guide methods, the stopwatch."""

    def __init__(
        self,
        source: Vocabulary,
        corpus: CorpusCounts,
        inference: InferenceMethod,
        sizes: list[int],
        n_threads: int | None,
        on_progress: OnProgress | None,
    ) -> None:
        self.source = source
        self.corpus = spelt_without(corpus, source.encoder.lacking, source.name)
        self.inference = inference
        self.sizes = sizes
        self.n_threads = n_threads or n_cores()
        self.protected: Mask = source.lengths == 1
        self.trie = source.encoder.trie
        self.stopwatch = Stopwatch(on_progress)
        looks_ahead = not LOOKS_AHEAD.isdisjoint((inference, source.inference))
        with self.stopwatch.stage("prepare the corpus"):
            self.evaluator = Evaluator(self.trie, self.corpus, self.n_threads, keep_whole=looks_ahead)
            self._weighted_counts = with_prior(self.corpus.train, source, corpus.prior)

    @property
    def _numbers(self) -> list[int]:
        """Ordinary tokens kept at each size, rising."""
        return [size - len(self.source.special_tokens) for size in self.sizes]

    def curve(self, method: FrontierMethod) -> Curve:
        """Measure a method at every size."""
        measured = []
        with self.stopwatch.stage(method):
            for kept in self._kept_at_sizes(method):
                measured.append(self.evaluator.compression(kept, self.inference))
                self.stopwatch.on_progress(method, len(measured), len(self.sizes))
        train, held_out = zip(*reversed(measured), strict=True)
        return Curve(method=method, train=list(train), held_out=list(held_out))

    def _kept_at_sizes(self, method: FrontierMethod) -> Iterator[Mask]:
        """The tokens that a method keeps, bool[n_tokens], at each size from the largest down."""
        numbers = self._numbers[::-1]
        if method == "distill":
            book = PriceBook(self.trie, self._weighted_counts.counts, self.inference, self.n_threads)
            yield from distilled_at(book, numbers, self.protected)
        elif method == "leaf":
            yield from self._leaves_at(numbers)
        elif method == "frequency":
            yield from (by_frequency(self._uses, self.protected, n_keep) for n_keep in numbers)
        else:
            yield from (by_rank(self.protected, n_keep) for n_keep in numbers)

    def _leaves_at(self, numbers: list[int]) -> Iterator[Mask]:
        """The tokens that leaf pruning keeps, bool[n_tokens], at each of the falling numbers."""
        n_tokens = self.source.n_tokens
        order = leaf_order(self.source, self.trie, self._uses, self.protected, n_tokens - numbers[-1])
        for n_keep in numbers:
            kept = np.ones(n_tokens, dtype=np.bool_)
            kept[order[: n_tokens - n_keep]] = False
            yield kept

    @cached_property
    def _uses(self) -> Ints:
        """Uses of each token by the whole source, on the counts that distilling works on, int64[n_tokens]."""
        all_tokens = np.ones(self.source.n_tokens, dtype=np.bool_)
        uses = self.evaluator.evaluate(all_tokens, self.source.inference).uses
        return uses * self._weighted_counts.scale + self._weighted_counts.pseudo

    def bound(self, curves: Sequence[Curve], n_steps: int) -> list[Compression]:
        """The fewest training tokens that any choice could need at each size."""
        stage = "raise the bound"
        n_always = int(np.count_nonzero(self.protected))
        with self.stopwatch.stage(stage):
            objective = Objective.build(self.trie, self.corpus.train, self.protected, self._numbers[-1], self.n_threads)
            by_size = zip(*(curve.train for curve in curves), strict=True)
            tokens = bounds_at(
                objective,
                [n - n_always for n in self._numbers],
                [min(text.n_tokens for text in texts) for texts in by_size],
                n_steps,
                lambda done, total: self.stopwatch.on_progress(stage, done, total),
            )
        n_bytes = curves[0].train[0].n_bytes
        return [Compression(n_bytes, n) for n in tokens]
