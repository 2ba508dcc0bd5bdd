"""The pool: the candidates that a vocabulary is chosen from, the source's own tokens and others."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vocab.arrays import Mask
from vocab.corpus.counting import CorpusCounts
from vocab.corpus.held_documents import HeldDocuments
from vocab.encoding.lattice import TokenTrie
from vocab.errors import CorpusError, TargetError
from vocab.formats import TokenList, load_tokens
from vocab.pretokens.counts import PretokenCounts
from vocab.prune.candidates.superwords import UNITS, Superwords
from vocab.splitting import SplitPattern
from vocab.splitting.byte_alphabet import CHARACTER_TO_BYTE, to_bytes
from vocab.vocabulary import Provenance, Vocabulary

# In place of a tokenizer: substrings of the corpus itself.
CORPUS = "corpus"
# The name of superwords among origins.
SUPERWORDS = "superwords"

# A substring must occur at least _LEAST_COUNT times, and once in every _BYTES_PER_TOKEN bytes of training text divided
# by the target. The last token kept saves about twice that. Rarer substrings gain nothing on held-out text.
_BYTES_PER_TOKEN = 64
# With superwords the last token kept saves more, and twice as many occurrences lose nothing on held-out text.
_BYTES_PER_TOKEN_ACROSS_WORDS = 32
_LEAST_COUNT = 4
# Documents that a substring must be in by default; docs/benchmarks.md has the gain on held-out text.
_LEAST_DOCUMENTS = 2


@dataclass(frozen=True)
class Candidates:
    """The tokens that a vocabulary may be chosen from, besides the source's own.

    Attributes:
        others: where other tokens come from. Each is "corpus" for substrings of the training text's pre-tokens, what
            `vocab.load` takes, a rank file without a split pattern, a Vocabulary, or a TokenList.
        min_documents: documents of the training text that a token must be in, the source's too. Single bytes and tokens
            to keep are exempt; documents are counted as `Substrings.document_counts` are. None for 2 for substrings of
            the corpus, where documents were counted, and 1 for all others.
        min_count: occurrences that a substring of the corpus must have; None for `default_min_count`. Parts of a corpus
            count by weight, scaled to the real size of the corpus.
        max_bytes: length of a substring of the corpus at most.
        most: substrings of the corpus at most; the most frequent ones are taken.
        superwords: which runs of pre-tokens may be chosen as well; None for none.
    """

    others: Sequence[str | Path | Vocabulary | TokenList] = ()
    min_documents: int | None = None
    min_count: int | None = None
    max_bytes: int = 32
    most: int = 1_000_000
    superwords: Superwords | None = None

    def __post_init__(self) -> None:
        for name in ("min_documents", "min_count", "max_bytes", "most"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise TargetError(f"`{name}` must be at least 1, not {value}")

    @property
    def source_only(self) -> bool:
        """Whether the pool is just the source's tokens."""
        return not self.others and self.min_documents in (None, 1) and not self.superwords

    @property
    def includes_corpus(self) -> bool:
        """Whether substrings of the corpus are candidates."""
        return CORPUS in self.others

    def read(self) -> Candidates:
        """Read all tokenizers, and hold their tokens. Raises SourceError for one that cannot be read."""
        return replace(self, others=[_as_list(other) for other in self.others])


def _as_list(other: str | Path | Vocabulary | TokenList) -> str | TokenList:
    if isinstance(other, TokenList) or other == CORPUS:
        return other  # type: ignore[return-value]
    if isinstance(other, Vocabulary):
        return TokenList(other.name, list(other.tokens()))
    return load_tokens(other)


@dataclass(frozen=True)
class Origin:
    """One source of other candidates.

    Attributes:
        name: "corpus", "superwords", or the name of a tokenizer.
        n_found: tokens that it has.
        n_new: tokens of it that the source lacks and the pool has.
        min_count: least occurrences of substrings of the corpus or of superwords; None for a tokenizer.
        min_documents: least documents of these; None for a tokenizer.
        max_bytes: bytes of the longest of these; None for a tokenizer.
    """

    name: str
    n_found: int
    n_new: int
    min_count: int | None = None
    min_documents: int | None = None
    max_bytes: int | None = None


@dataclass(frozen=True)
class Pool:
    """Candidates in rank order: the source's tokens that may be kept, in its order, then the others by frequency.

    Attributes:
        vocabulary: all candidates as ordinary tokens; the source itself where these are just its tokens.
        old_ranks: rank of each in the source, -1 for what the source lacks, int64[n_candidates].
        origins: where other tokens came from.
        min_documents: documents that each token is in at least, protected ones excepted.
        n_rare: tokens of the source that are in too few documents.
        n_without_character: tokens of the source with a character that does not stay known.
        n_superwords: superwords, which come last. With any, units of text take the place of pre-tokens.
    """

    vocabulary: Vocabulary
    old_ranks: npt.NDArray[np.int64]
    origins: tuple[Origin, ...] = ()
    min_documents: int = 1
    n_rare: int = 0
    n_without_character: int = 0
    n_superwords: int = 0

    @classmethod
    def build(
        cls,
        source: Vocabulary,
        protected: Mask,
        corpus: CorpusCounts,
        candidates: Candidates,
        n_keep: int,
        special: Iterable[str],
        n_threads: int = 1,
        allowed: Mask | None = None,
        documents: HeldDocuments | None = None,
    ) -> Pool:
        """Gather the source's tokens and other candidates, from which `n_keep` tokens will be chosen.

        Tokens of other tokenizers must occur in the training text.

        Args:
            source: the vocabulary to prune.
            protected: tokens of the source that are never left out, bool[n_tokens].
            corpus: the counted text.
            candidates: which tokens may be chosen besides the source's.
            n_keep: ordinary tokens of the result, by which the least count of substrings goes.
            special: special tokens of the result; no candidate may read like one in tokenizer.json.
            n_threads: threads; the pool does not depend on how many.
            allowed: tokens of the source whose characters stay known, bool[n_tokens]: no others may be chosen; None for
                all. Only what cannot have other candidates is limited so.
            documents: the text itself, which superwords need.

        Raises:
            SourceError: a tokenizer cannot be read.
            TargetError: a tokenizer adds nothing, or no superword is frequent enough.
            CorpusError: documents are asked for and were not counted.
        """
        if allowed is not None and not allowed.all():
            own = np.flatnonzero(allowed)
            named = replace(source.provenance, name=f"{source.name}, in part")
            texts = sorted(source.special_tokens, key=source.special_tokens.__getitem__)
            part = source.subset(own, texts, source.inference, named)
            return cls(part, own, n_without_character=source.n_tokens - own.size)
        if candidates.source_only:
            return cls(source, np.arange(source.n_tokens))
        min_documents = candidates.min_documents or 1
        if min_documents > 1 and corpus.train.document_counts is None:
            raise CorpusError(
                f"{_name(corpus)} does not say how many documents hold a pre-token, so `min_documents` "
                f"{min_documents} cannot be met: count the text again, or leave it out"
            )
        candidates = candidates.read()
        limits = _Limits.of(corpus, candidates, n_keep)
        mined = _mined(corpus, candidates, limits, n_threads) if candidates.includes_corpus else {}
        lists = [other for other in candidates.others if isinstance(other, TokenList)]
        allowed, listed = _occurring(source, lists, corpus.train, min_documents, n_threads)
        left_out = source.token_ids.keys() | _special_tokens(special)
        counts = {token: n for token, n in (mined | listed).items() if token not in left_out}
        found = _superwords(documents, corpus, candidates, source, limits, n_threads)
        superwords = {token: n for token, n in found.items() if token not in left_out and token not in counts}
        new = [*_in_order(counts), *_in_order(superwords)]
        own = np.flatnonzero(allowed | protected)
        origins = [_origin(read.name, read.tokens, counts) for read in lists]
        if candidates.superwords:
            origins.insert(0, limits.origin(SUPERWORDS, found, superwords, candidates.superwords))
        if candidates.includes_corpus:
            origins.insert(0, limits.origin(CORPUS, mined, counts, candidates))
        _check_each_adds(origins, source.name)
        tokens = [*map(source.__getitem__, own.tolist()), *new]
        return cls(
            _vocabulary(tokens, source, UNITS if candidates.superwords else source.pattern),
            np.concatenate([own, np.full(len(new), -1)]),
            tuple(origins),
            min_documents,
            source.n_tokens - own.size,
            n_superwords=len(superwords),
        )

    @property
    def n_own(self) -> int:
        """How many candidates the source has; they come first."""
        return int(np.count_nonzero(self.old_ranks >= 0))

    @cached_property
    def own(self) -> Vocabulary:
        """The source's tokens in the pool, as a vocabulary."""
        if self.n_own == self.vocabulary.n_tokens:
            return self.vocabulary
        tokens = list(islice(self.vocabulary.tokens(), self.n_own))
        return _vocabulary(tokens, self.vocabulary, self.vocabulary.pattern)

    @cached_property
    def trie(self) -> TokenTrie:
        """All candidates as a prefix tree."""
        return self.vocabulary.encoder.trie

    def summary(self) -> dict[str, Any]:
        """The candidates as a report describes them."""
        return {
            "n_candidates": self.vocabulary.n_tokens,
            "n_of_source": self.n_own,
            "n_of_source_left_out": self.n_rare,
            "n_without_character": self.n_without_character,
            "min_documents": self.min_documents,
            "others": [vars(origin) for origin in self.origins],
        }


def _name(corpus: CorpusCounts) -> str:
    return "the built-in profile" if corpus.is_builtin else f"the corpus {corpus.parts[0].name}"


def default_min_count(n_bytes: int, n_keep: int, *, crosses_words: bool = False) -> int:
    """Occurrences that a substring must have in `n_bytes` of training text to be one of `n_keep` tokens."""
    per_token = _BYTES_PER_TOKEN_ACROSS_WORDS if crosses_words else _BYTES_PER_TOKEN
    return max(_LEAST_COUNT, n_bytes // (per_token * n_keep))


def _in_order(counts: dict[bytes, int]) -> list[bytes]:
    """Tokens by frequency, of equal ones the shortest first."""
    return sorted(counts, key=lambda token: (-counts[token], len(token), token))


def _vocabulary(tokens: Sequence[bytes], source: Vocabulary, pattern: SplitPattern) -> Vocabulary:
    """Candidates as a vocabulary. It lacks the special tokens above the ordinary ones, whose ids candidates take."""
    name = Provenance(f"{source.name} and others")
    below = {text: id_ for text, id_ in source.special_tokens.items() if id_ < source.first_id}
    found = Vocabulary.from_tokens(tokens, pattern, below, source.inference, name, source.first_id)
    return replace(found, leaves_out=source.leaves_out)


@dataclass(frozen=True)
class _Limits:
    """What substrings of the corpus and superwords must meet.

    Attributes:
        min_count: occurrences at the corpus's own size.
        weighted_count: occurrences where parts count by weight.
        min_documents: documents of a substring. What only one document has is more often a name than a word.
    """

    min_count: int
    weighted_count: int
    min_documents: int

    @classmethod
    def of(cls, corpus: CorpusCounts, candidates: Candidates, n_keep: int) -> _Limits:
        """The limits for a corpus."""
        n_bytes = sum(part.train.n_bytes for part in corpus.parts)
        least = default_min_count(n_bytes, n_keep, crosses_words=candidates.superwords is not None)
        min_count = candidates.min_count or least
        weighted = -(-min_count * corpus.train.n_bytes // max(1, n_bytes))
        documents = 1 if corpus.train.document_counts is None else _LEAST_DOCUMENTS
        return cls(min_count, weighted, candidates.min_documents or documents)

    def origin(
        self, name: str, found: Collection[bytes], chosen: Container[bytes], wanted: Candidates | Superwords
    ) -> Origin:
        """The origin of what was found, of which some are candidates."""
        least = self.min_documents if isinstance(wanted, Candidates) else wanted.min_documents
        origin = _origin(name, found, chosen)
        return replace(origin, min_count=self.min_count, min_documents=least, max_bytes=wanted.max_bytes)


def _mined(corpus: CorpusCounts, candidates: Candidates, limits: _Limits, n_threads: int) -> dict[bytes, int]:
    """Substrings of the training text with their counts."""
    from vocab.prune.candidates.mining import mine

    substrings = mine(
        corpus.train,
        limits.weighted_count,
        min_documents=limits.min_documents,
        max_bytes=candidates.max_bytes,
        most=candidates.most,
        n_threads=n_threads,
    )
    return dict(zip(substrings.as_bytes(), substrings.counts.tolist(), strict=True))


def _superwords(
    documents: HeldDocuments | None,
    corpus: CorpusCounts,
    candidates: Candidates,
    source: Vocabulary,
    limits: _Limits,
    n_threads: int,
) -> dict[bytes, int]:
    """Superwords of the training text with their counts; none where none are wanted."""
    from vocab.prune.candidates.superword_mining import mine_superwords

    wanted = candidates.superwords
    if not wanted:
        return {}
    if documents is None:
        raise TargetError("superwords are found in text itself: name a corpus, not counts or the built-in profile")
    weights = [part.weight for part in corpus.parts]
    found = mine_superwords(documents, weights, source.pattern, wanted, limits.weighted_count, n_threads)
    if not found.counts.size:
        raise TargetError(
            f"no superword occurs {limits.min_count:,} times in {wanted.min_documents:,} documents of the training "
            "text: lower `candidates_min_count` or `superword_documents`, or leave superwords out"
        )
    return dict(zip(found.as_bytes(), found.counts.tolist(), strict=True))


def _occurring(
    source: Vocabulary, lists: Sequence[TokenList], train: PretokenCounts, min_documents: int, n_threads: int
) -> tuple[Mask, dict[bytes, int]]:
    """The source's tokens in enough documents, bool[n_tokens], and such tokens of the lists with their counts."""
    if not lists and min_documents == 1:
        return np.ones(source.n_tokens, dtype=np.bool_), {}
    own, lacking = source.token_ids, set(source.encoder.lacking)
    listed = dict.fromkeys(chain(*(read.tokens for read in lists)))
    others = [token for token in listed if token and token not in own and lacking.isdisjoint(token)]
    documents = train.document_counts if train.document_counts is not None else train.counts
    n_found, n_documents = _vocabulary([*own, *others], source, source.pattern).encoder.trie.occurrences(
        train.blob, train.starts, train.counts.astype(np.int64), documents.astype(np.int64), n_threads
    )
    allowed = n_documents >= min_documents if min_documents > 1 else np.ones_like(n_found, dtype=np.bool_)
    counts = (n_found * allowed)[len(own) :].tolist()
    return allowed[: len(own)], {token: n for token, n in zip(others, counts, strict=True) if n > 0}


def _special_tokens(texts: Iterable[str]) -> set[bytes]:
    """Byte strings that tokenizer.json would write like these special tokens."""
    return {to_bytes(text) for text in texts if all(c in CHARACTER_TO_BYTE for c in text)}


def _origin(name: str, tokens: Collection[bytes], chosen: Container[bytes]) -> Origin:
    return Origin(name, len(tokens), sum(token in chosen for token in tokens))


def _check_each_adds(origins: Iterable[Origin], source: str) -> None:
    """Raise TargetError for a tokenizer that adds no candidate."""
    for origin in origins:
        if origin.n_new == 0 and origin.min_count is None:
            raise TargetError(
                f"`candidates` {origin.name} adds nothing: none of its {origin.n_found:,} tokens is both missing from "
                f"{source} and in the corpus often enough"
            )
