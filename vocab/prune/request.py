"""`PruneRequest`: all that a pruning is asked for, checked before anything long begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from vocab.arrays import Mask
from vocab.choices import CHARACTER_METHODS, METHODS, RANKS, InferenceMethod, Method, Ranks
from vocab.corpus.counting import CorpusCounts
from vocab.corpus.held_documents import HeldDocuments
from vocab.encoding.characters import characters_of
from vocab.encoding.closed_merges import parts_of_tokens, with_parts
from vocab.encoding.encoder import LOOKS_AHEAD
from vocab.encoding.inference import INFERENCE_METHODS
from vocab.errors import CorpusError, TargetError
from vocab.formats.tokenizer_json import is_token_text
from vocab.number_words import number_of
from vocab.prune.bound.limits import Limits
from vocab.prune.candidates.coverage import is_character
from vocab.prune.candidates.pool import Candidates
from vocab.prune.candidates.superwords import why_no_superwords
from vocab.prune.dropped_special import dropped_special_tokens
from vocab.utf8 import NEVER_IN_UTF8
from vocab.vocabulary import Vocabulary

# Inference methods whose tokens the plain checker can count.
CHECKABLE: tuple[InferenceMethod, ...] = (
    "merges", "least-tokens", "longest-prefix", "scored-merges", "unigram", "wordpiece",
)  # fmt: skip
# Methods that can choose ranks as well as tokens.
ORDERING: tuple[Method, ...] = ("distill", "optimal")
# Methods and inference methods that choose superwords.
SUPERWORD_METHODS: tuple[Method, ...] = ("distill", "optimal")
SUPERWORD_INFERENCE: tuple[InferenceMethod, ...] = ("least-tokens", "merges")
# Above this the corpus would hardly count; and sums of counts must fit into 63 bits.
_MOST_PRIOR = 1000


@dataclass(frozen=True, kw_only=True, eq=False)
class PruneRequest:
    """All that a pruning is asked for.

    Construction checks everything and takes milliseconds, so a request is refused before a corpus is counted. Add the
    corpus later with `dataclasses.replace(request, corpus=...)`.

    Attributes:
        source: the vocabulary to prune.
        target: ids in the result, special tokens included.
        corpus: text to choose tokens by; None for the built-in profile.
        documents: that text itself, in place of its counts; superwords need it.
        method: how tokens are chosen.
        inference: how text is cut into tokens with the result; None for merges, or for a SentencePiece source's own,
            or for longest-prefix where the source has that.
        ranks: "source" keeps the source's order of ranks, "reorder" puts them in the order that merging needs fewest
            tokens with; None for "reorder" with the method optimal under merges, else "source".
        seed: random seed of the method tokenmonster; the other methods use none.
        candidates: which tokens may be chosen besides the source's, and in how many documents each must be.
        prior: pre-tokens that the source's rank order is worth for each one counted, from 0 to 1,000; None for the
            corpus's own, or for `default_prior` where substrings of the corpus are candidates.
        keep: tokens of the source, by their bytes, that are never dropped.
        special: texts of new special tokens.
        drop_special: special tokens of the source to leave out, by their texts; * and ? stand for any characters.
        character_coverage: share of the text's characters that must stay known, from 0 to 1, where the source has an
            unknown token: the most frequent ones are kept, and no others. None for all that the source has.
        pad_to_multiple_of: multiple for which the report states the embedding rows; no id is added.
        refit: whether to fit the scores of a Unigram source to the corpus.
        closed: whether every token must be one merge of two kept tokens of lower rank, under merges.
        certify: whether to prove how far the result is above the best possible.
        limits: when the search for the bound stops.
        n_threads: threads; None for all cores.

    Raises:
        TargetError: a target or an option that cannot be met.
        CorpusError: the corpus was counted with another split pattern.
    """

    source: Vocabulary
    target: int
    corpus: CorpusCounts | None = None
    documents: HeldDocuments | None = None
    method: Method = "distill"
    inference: InferenceMethod | None = None
    ranks: Ranks | None = None
    seed: int = 0
    candidates: Candidates = Candidates()
    prior: float | None = None
    keep: Sequence[bytes] = ()
    special: Sequence[str] = ()
    drop_special: Sequence[str] = ()
    character_coverage: float | None = None
    pad_to_multiple_of: int = 1
    refit: bool = False
    closed: bool = False
    certify: bool = False
    limits: Limits = Limits()
    n_threads: int | None = None

    def __post_init__(self) -> None:
        self._check_names()
        self._check_superwords()
        self._check_source()
        self._check_inference()
        self._check_numbers()
        self._check_target()
        if self.corpus is not None:
            check_corpus(self.source, self.corpus)

    @property
    def resolved_inference(self) -> InferenceMethod:
        """The inference method of the result."""
        if self.source.inference in CHARACTER_METHODS:
            return self.source.inference
        return self.inference or ("longest-prefix" if self.source.inference == "longest-prefix" else "merges")

    @property
    def resolved_ranks(self) -> Ranks:
        """Whose order the ranks of the result have."""
        reorders = self.method == "optimal" and self.resolved_inference == "merges"
        return self.ranks or ("reorder" if reorders else "source")

    @property
    def needs_certificate(self) -> bool:
        """Whether the result comes with a certificate: asked for, or of the method optimal, which needs the bound."""
        return self.certify or (self.method == "optimal" and self.resolved_inference in CHECKABLE)

    @cached_property
    def special_tokens(self) -> list[str]:
        """Special tokens of the result: the source's in id order, then the new ones."""
        gone = set(self.dropped_special_tokens)
        kept = [text for text in self.source.special_tokens if text not in gone]
        return [*sorted(kept, key=self.source.special_tokens.__getitem__), *self.special]

    @cached_property
    def dropped_special_tokens(self) -> list[str]:
        """Special tokens of the source that are left out, in id order."""
        return dropped_special_tokens(self.source, self.drop_special)

    @cached_property
    def protected(self) -> Mask:
        """Tokens of the source that no method may drop, bool[n_tokens]: single bytes and those of `keep`."""
        source = self.source
        protected: Mask = source.lengths == 1
        if source.n_stand_ins == 1:  # what is lost is unknown text
            protected = is_character(source) if self.character_coverage is None else np.zeros_like(protected)
            protected[0] = True
        shared = [id_ for text, id_ in source.added_ids.items() if text not in source.special_tokens]
        for token in [*self.keep, *(source[id_] for id_ in shared)]:
            protected[source.ranks_of(source.token_ids[token])] = True
            if source.inference in CHARACTER_METHODS:  # without its characters it could not be merged
                characters = [c.encode() for c in characters_of(token.decode(), source.inference)]
                protected[source.ranks_of([source.token_ids[c] for c in characters if c in source.token_ids])] = True
        if self.closed:
            protected = with_parts(protected, parts_of_tokens(source.encoder.trie))
        return protected

    @property
    def n_keep(self) -> int:
        """Ordinary tokens of the result."""
        return self.target - len(self.special_tokens)

    def _check_names(self) -> None:
        """Refuse methods that do not exist."""
        if self.method not in METHODS:
            raise TargetError(f"no method is called {self.method!r}; there are {', '.join(METHODS)}")
        if self.inference not in (None, *INFERENCE_METHODS):
            raise TargetError(
                f"no inference method is called {self.inference!r}; there are {', '.join(INFERENCE_METHODS)}"
            )
        if self.ranks not in (None, *RANKS):
            raise TargetError(f"ranks are {' or '.join(RANKS)}, not {self.ranks!r}")

    def _check_superwords(self) -> None:
        """Refuse superwords where text has none, and where what chooses or runs them does not cross words."""
        if self.corpus is not None and self.documents is not None:
            raise TargetError("give either `corpus` or `documents`: counts of the text, or the text itself")
        if not self.candidates.superwords:
            return
        if reason := why_no_superwords(self.source):
            raise TargetError(reason)
        if self.resolved_inference not in SUPERWORD_INFERENCE:
            raise TargetError(
                f"superwords are chosen for {' and '.join(SUPERWORD_INFERENCE)}, not for {self.resolved_inference}: "
                "choose another `inference`"
            )
        if self.method not in SUPERWORD_METHODS:
            raise TargetError(
                f"the method {self.method} chooses no superwords: choose {' or '.join(SUPERWORD_METHODS)} with `method`"
            )

    def _check_source(self) -> None:
        """Refuse what a source from SentencePiece cannot have, and what only such a source can."""
        name, inference = self.source.name, self.source.inference
        if inference not in CHARACTER_METHODS:
            if self.inference in CHARACTER_METHODS:
                raise TargetError(f"{self.inference} needs a source from SentencePiece, which {name} is not")
            return
        if self.inference not in (None, inference):
            raise TargetError(f"{name} comes from {_kind(self.source)}, which runs {inference}, not {self.inference}")
        if self.method in ("optimal", "tokenmonster"):
            raise TargetError(
                f"the method {self.method} is not for a source from {_kind(self.source)}: choose another with `method`"
            )
        if self.method == "leaf" and inference in ("unigram", "wordpiece"):
            raise TargetError(f"the method leaf goes by merges, which {name} has none of: choose another")
        self._check_own_candidates()

    def _check_own_candidates(self) -> None:
        """Refuse other candidates than the tokens of a source from SentencePiece."""
        if not self.candidates.source_only:
            raise TargetError(
                f"{self.source.name} comes from {_kind(self.source)}, where other candidates have no scores and "
                "documents of a token are not counted: leave out `candidates` and `min_documents`"
            )

    def _check_inference(self) -> None:
        """Refuse what the inference method of the result does not allow."""
        inference, name = self.resolved_inference, self.source.name
        lacking = self.source.encoder.lacking
        if inference in LOOKS_AHEAD and lacking:
            raise TargetError(f"{inference} needs all 256 single bytes, of which {name} lacks {len(lacking)}")
        if inference != "merges" and not set(lacking) <= set(NEVER_IN_UTF8):
            raise TargetError(
                f"{name} has no token for some bytes of text, which its runtime leaves out under merges only"
            )
        if self.certify and inference not in CHECKABLE:
            raise TargetError(f"what runs with {inference} cannot be certified, only with {', '.join(CHECKABLE)}")
        if self.ranks == "reorder" and inference != "merges":
            raise TargetError(f"ranks mean nothing to {inference}: they can be reordered for merges only")
        if self.ranks == "reorder" and self.method not in ORDERING:
            raise TargetError(
                f"the method {self.method} keeps the source's order of ranks; {' and '.join(ORDERING)} can reorder"
            )
        if self.refit and inference != "unigram":
            raise TargetError(f"`refit` fits the scores of unigram, which {inference} does not have")
        if self.closed and inference != "merges":
            raise TargetError(f"`closed` is for merges, and {inference} makes no token by merges of ranks")

    def _check_numbers(self) -> None:
        """Refuse numbers out of range."""
        if self.pad_to_multiple_of < 1:
            raise TargetError(f"`pad_to_multiple_of` must be at least 1, not {self.pad_to_multiple_of}")
        if self.n_threads is not None and self.n_threads < 1:
            raise TargetError(f"`n_threads` must be at least 1, not {self.n_threads}")
        if (share := self.character_coverage) is not None:
            if self.source.n_stand_ins != 1:
                raise TargetError(
                    f"`character_coverage` needs an unknown token, which {self.source.name} does not have"
                )
            if not 0 <= share <= 1:
                raise TargetError(f"`character_coverage` is a share from 0 to 1, not {share:g}")
        if self.prior is not None and not 0 <= self.prior <= _MOST_PRIOR:
            raise TargetError(f"`prior` is a share of the corpus from 0 to {_MOST_PRIOR}, not {self.prior:g}")

    def _check_target(self) -> None:
        """Refuse tokens to keep and special tokens that cannot be, and a target too small for them or too large."""
        self._check_special()
        for token in self.keep:
            if token not in self.source.token_ids:
                raise TargetError(f"the token to keep {token!r} is not in {self.source.name}")
        n_fixed, n_special = int(np.count_nonzero(self.protected)), len(self.special_tokens)
        if self.target < n_fixed + n_special:
            raise TargetError(
                f"target {self.target:,} is too small: {number_of(n_fixed, 'token')} for single bytes, characters or "
                f"by `keep`, and {number_of(n_special, 'special token')} always stay, so the least is "
                f"{n_fixed + n_special:,}"
            )
        name, largest = self.source.name, self.source.n_tokens + n_special
        if self.target < largest or self.candidates.others or self.candidates.superwords:
            return
        if self.target == largest:
            raise TargetError(f"target {self.target} is the size of {name} itself: there is nothing to prune")
        raise TargetError(
            f"target {self.target} is above the {largest} ids of {name}: only `candidates` can add tokens"
        )

    def _check_special(self) -> None:
        """Refuse new special tokens that are empty, there already, or written like an ordinary token."""
        for text in self.special:
            if not text:
                raise TargetError("a special token cannot be empty")
            if is_token_text(self.source, text):
                raise TargetError(
                    f"the special token {text!r} reads like an ordinary token in tokenizer.json: rename it"
                )
            if text in self.source.special_tokens or list(self.special).count(text) > 1:
                raise TargetError(f"the special token {text!r} is there already")


@dataclass(frozen=True, kw_only=True, eq=False)
class BoundRequest(PruneRequest):
    """What the search for the best possible vocabulary is asked for: the method optimal under least-tokens.

    No inference method needs fewer tokens than least-tokens, so the bound holds for all, those of SentencePiece too.
    """

    method: Method = field(default="optimal", init=False)
    inference: InferenceMethod | None = field(default="least-tokens", init=False)

    @property
    def resolved_inference(self) -> InferenceMethod:
        """That of the bound, whatever the source runs."""
        return "least-tokens"

    def _check_source(self) -> None:
        if self.source.inference in CHARACTER_METHODS:
            self._check_own_candidates()


def _kind(source: Vocabulary) -> str:
    """What a source that goes from characters is of."""
    return "WordPiece" if source.inference == "wordpiece" else "SentencePiece"


def check_corpus(source: Vocabulary, corpus: CorpusCounts) -> None:
    """Raise CorpusError unless the corpus was counted with the split pattern of the source."""
    if corpus.parts[0].train.pattern_sha256 != source.pattern.sha256:
        raise CorpusError(
            f"the corpus was counted with another split pattern than that of {source.name}: count it again"
        )
