"""`trace_frontier`: tokens that a corpus needs at every size of a vocabulary, by several methods, and the bound below.

Each method gives one order in which tokens go, read at all sizes: the vocabulary at a size holds that at every smaller
one. The bound is on the tokens of the training text and holds for every choice of the source's tokens and every
inference method; what the source's rank order adds to the evidence (the prior) guides `distill`, but is no part of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from vocab.analysis.evaluation import Compression, Evaluator
from vocab.choices import FrontierMethod, InferenceMethod
from vocab.corpus.counting import CorpusCounts
from vocab.corpus.mixture import corpus_summary
from vocab.corpus.profile import builtin_profile
from vocab.encoding.encoder import INFERENCE_METHODS, LOOKS_AHEAD
from vocab.environment import versions
from vocab.errors import TargetError
from vocab.formats import load_lossless
from vocab.prune.bound.objective import Objective
from vocab.prune.candidates.prior import Evidence, with_prior
from vocab.prune.frontier.bounds import DEFAULT_STEPS, bounds_along
from vocab.prune.frontier.drop_order import distilled_along
from vocab.prune.frontier.payoff import Decoder, Payoff, payoff, saved_by_doubling, saved_per_id
from vocab.prune.methods.baselines import by_frequency, by_rank, leaf_order
from vocab.prune.methods.pricing import PriceBook
from vocab.prune.request import check_corpus, check_has_bound
from vocab.sizes import sizes_between
from vocab.threads import n_cores
from vocab.vocabulary import Vocabulary

FRONTIER_METHODS: tuple[FrontierMethod, ...] = get_args(FrontierMethod)
DEFAULT_FIRST = 1000
DEFAULT_POINTS = 24

Alive = npt.NDArray[np.bool_]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One method at every size: tokens of the text that was chosen by and of the text held out, by rising size."""

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
        decoder: the model for which a token pays or not.
        corpus: what was counted.
        seconds: wall time by stage.
    """

    source: dict[str, Any]
    inference: InferenceMethod
    sizes: list[int]
    curves: list[Curve]
    bound: list[Compression]
    decoder: Decoder
    corpus: dict[str, Any]
    seconds: dict[str, float]

    @property
    def has_held_out(self) -> bool:
        """Whether any text was held out."""
        return self.curves[0].held_out[0].n_bytes > 0

    def payoff(self, curve: Curve) -> Payoff:
        """Where tokens stop paying along a curve: on held-out text, or on all of it where none is held out."""
        return payoff(self.sizes, [text.n_tokens for text in self._judged(curve)], self.decoder)

    def saved_by_doubling(self, curve: Curve) -> list[float | None]:
        """Share of those tokens that twice the ids would save at the rate from each size on."""
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
        """Everything as JSON types: figures at each size, savings from each size to the next, and where they stop."""
        return {
            "source": self.source,
            "inference": self.inference,
            "corpus": self.corpus,
            "decoder": {
                "width": self.decoder.width,
                "layers": self.decoder.layers,
                "n_body_parameters": self.decoder.n_body,
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
        found = self.payoff(curve)
        return {
            "method": curve.method,
            "train": self._side_json(curve.train) | {"above_bound": self.gaps(curve)},
            "held_out": self._side_json(curve.held_out),
            "least_compute": {
                "on": "held_out" if self.has_held_out else "train",
                "n_ids": found.n_ids,
                "within_1_per_cent": [found.from_n_ids, found.to_n_ids],
                "is_largest_size": found.is_last,
                "relative_compute": found.costs,
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
    source: Vocabulary | str,
    *,
    corpus: CorpusCounts | None = None,
    inference: InferenceMethod = "merges",
    methods: Sequence[FrontierMethod] = FRONTIER_METHODS,
    first: int = DEFAULT_FIRST,
    last: int | None = None,
    n_points: int = DEFAULT_POINTS,
    n_steps: int = DEFAULT_STEPS,
    decoder: Decoder | None = None,
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> Frontier:
    """Trace bytes a token over vocabulary size from `first` to `last` ids (default: all of the source's).

    Sizes are those of `sizes_between`, about `n_points` and the round ones. Without `corpus` the built-in profile is
    used; `n_steps` go into the bound at each of a few sizes, 0 leave it at what the whole source needs. `on_progress`
    hears (stage, done, all). The result is the same for any `n_threads` (default: all cores).

    Raises TargetError for sizes or methods that cannot be had, CorpusError when the corpus was counted with another
    split pattern, SourceError when the source cannot be loaded.
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
            "split_pattern": whole.pattern.regex,
        },
        inference=inference,
        sizes=tracer.sizes,
        curves=curves,
        bound=tracer.bound(curves, n_steps),
        decoder=decoder or Decoder(),
        corpus=corpus_summary(counted),
        seconds=tracer.seconds,
    )


def check_frontier(
    source: Vocabulary, first: int, last: int, methods: Sequence[str], inference: str = "merges"
) -> None:
    """Raise TargetError unless the source can have a bound and such sizes, by known methods; cheap, before counting."""
    check_has_bound(source)
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
    """What the curves of one frontier share."""

    def __init__(
        self,
        source: Vocabulary,
        corpus: CorpusCounts,
        inference: InferenceMethod,
        sizes: list[int],
        n_threads: int | None,
        on_progress: Progress | None,
    ) -> None:
        self.source = source
        self.corpus = corpus
        self.inference = inference
        self.sizes = sizes
        self.n_threads = n_threads or n_cores()
        self.seconds: dict[str, float] = {}
        self.protected: Alive = source.lengths == 1
        self.trie = source.encoder.trie
        self._on_progress = on_progress or (lambda stage, done, total: None)
        looks_ahead = not LOOKS_AHEAD.isdisjoint((inference, source.inference))
        with self._stage("prepare the corpus"):
            self.evaluator = Evaluator(self.trie, corpus, self.n_threads, keep_whole=looks_ahead)
            self._evidence: Evidence = with_prior(corpus.train, source, corpus.prior)

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        self._on_progress(name, 0, 1)
        started = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - started, 3)
        self._on_progress(name, 1, 1)

    @property
    def _numbers(self) -> list[int]:
        """Ordinary tokens kept at each size, rising."""
        return [size - len(self.source.special_tokens) for size in self.sizes]

    def curve(self, method: FrontierMethod) -> Curve:
        """A method at every size."""
        found = []
        with self._stage(method):
            for alive in self._along(method):
                found.append(self.evaluator.compression(alive, self.inference))
                self._on_progress(method, len(found), len(self.sizes))
        train, held_out = zip(*reversed(found), strict=True)
        return Curve(method=method, train=list(train), held_out=list(held_out))

    def _along(self, method: FrontierMethod) -> Iterator[Alive]:
        """What a method keeps at each size, falling."""
        numbers = self._numbers[::-1]
        if method == "distill":
            book = PriceBook(self.trie, self._evidence.counts, self.inference, self.n_threads)
            yield from distilled_along(book, numbers, self.protected)
        elif method == "leaf":
            order = leaf_order(self.source, self.trie, self._uses, self.protected, self.source.n_tokens - numbers[-1])
            for n_keep in numbers:
                alive = np.ones(self.source.n_tokens, dtype=np.bool_)
                alive[order[: self.source.n_tokens - n_keep]] = False
                yield alive
        elif method == "frequency":
            yield from (by_frequency(self._uses, self.protected, n_keep) for n_keep in numbers)
        else:
            yield from (by_rank(self.protected, n_keep) for n_keep in numbers)

    @cached_property
    def _uses(self) -> npt.NDArray[np.int64]:
        """Uses of each token by the whole source, from the same evidence that distilling has."""
        everything = np.ones(self.source.n_tokens, dtype=np.bool_)
        uses = self.evaluator.evaluate(everything, self.source.inference).uses
        return uses * self._evidence.scale + self._evidence.pseudo

    def bound(self, curves: Sequence[Curve], n_steps: int) -> list[Compression]:
        """The fewest training tokens that any choice could need at each size."""
        name = "raise the bound"
        n_always = int(np.count_nonzero(self.protected))
        with self._stage(name):
            objective = Objective.build(self.trie, self.corpus.train, self.protected, self._numbers[-1], self.n_threads)
            measured = zip(*(curve.train for curve in curves), strict=True)
            fewest = [min(text.n_tokens for text in texts) for texts in measured]
            tokens = bounds_along(
                objective,
                [n - n_always for n in self._numbers],
                fewest,
                n_steps,
                lambda done, total: self._on_progress(name, done, total),
            )
        n_bytes = curves[0].train[0].n_bytes
        return [Compression(n_bytes, n) for n in tokens]
