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

from vocab.corpus.counting import CorpusCounts
from vocab.encoding.lattice import TokenTrie
from vocab.errors import CorpusError, TargetError
from vocab.formats import TokenList, load_tokens
from vocab.formats.byte_alphabet import CHARACTER_TO_BYTE, to_bytes
from vocab.pretokens.counts import PretokenCounts
from vocab.prune.candidates.mining import mine
from vocab.vocabulary import Provenance, Vocabulary

# In place of a tokenizer: substrings of the corpus itself.
CORPUS = "corpus"

# A substring must occur once in so many bytes of training text for each token of the target, and so many times at
# least. The last token kept saves about twice that; from fewer occurrences held-out text gains nothing more.
_BYTES_PER_TOKEN = 64
_LEAST_COUNT = 4
# Documents that a substring must be in, unless told; what this gains on held-out text is in docs/benchmarks.md.
_LEAST_DOCUMENTS = 2

Alive = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Candidates:
    """Which tokens may be chosen beside the source's own, and which of all may not.

    Attributes:
        others: each "corpus" for substrings of the training text's pre-tokens, what `vocab.load` takes, a rank file
            without a split pattern, a Vocabulary, or a TokenList.
        min_documents: documents of the training text that a token must be in, single bytes and tokens to keep aside;
            counted as `Substrings.document_counts` are. None: 2 for substrings of the corpus, where documents were
            counted, and 1 for all others.
        min_count: occurrences that a substring of the corpus must have. Where parts of the corpus have weights, so do
            occurrences, and all are scaled to the size that the corpus really has. None: as `default_min_count` has it.
        max_bytes: length that a substring of the corpus may have.
        most: substrings of the corpus at most, the most frequent.
    """

    others: Sequence[str | Path | Vocabulary | TokenList] = ()
    min_documents: int | None = None
    min_count: int | None = None
    max_bytes: int = 32
    most: int = 1_000_000

    def __post_init__(self) -> None:
        for name in ("min_documents", "min_count", "max_bytes", "most"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise TargetError(f"{name} must be at least 1, not {value}")

    @property
    def are_only_own(self) -> bool:
        """Whether the pool is just the source's tokens."""
        return not self.others and self.min_documents in (None, 1)

    @property
    def wants_corpus(self) -> bool:
        """Whether substrings of the corpus are wanted."""
        return CORPUS in self.others

    def read(self) -> Candidates:
        """The same with all tokenizers read; raises SourceError where one cannot be."""
        return replace(self, others=[_as_list(other) for other in self.others])


def _as_list(other: str | Path | Vocabulary | TokenList) -> str | TokenList:
    if isinstance(other, TokenList) or other == CORPUS:
        return other  # type: ignore[return-value]
    if isinstance(other, Vocabulary):
        return TokenList(other.name, list(other.tokens()))
    return load_tokens(other)


@dataclass(frozen=True)
class Origin:
    """Where candidates came from: how many there were, and how many of them the source lacks and the pool has.

    `min_count`, `min_documents` and `max_bytes` are those of substrings of the corpus.
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
        origins: where others came from.
        min_documents: documents that each but the protected ones is in at least.
    """

    vocabulary: Vocabulary
    old_ranks: npt.NDArray[np.int64]
    origins: tuple[Origin, ...] = ()
    min_documents: int = 1
    n_rare: int = 0  # tokens of the source that are in too few documents

    @classmethod
    def build(
        cls,
        source: Vocabulary,
        protected: Alive,
        corpus: CorpusCounts,
        wanted: Candidates,
        n_keep: int,
        special: Iterable[str],
        n_threads: int = 1,
    ) -> Pool:
        """The pool of a source (protected bool[n_tokens]: what is never left out) and what is `wanted` besides.

        It is to choose `n_keep` tokens from.

        Other tokens must occur in the training text and not read like one of the `special` tokens in tokenizer.json.
        Raises SourceError for a tokenizer that cannot be read, TargetError for one that adds nothing, CorpusError
        where documents are asked for and were not counted.
        """
        if wanted.are_only_own:
            return cls(source, np.arange(source.n_tokens))
        min_documents = wanted.min_documents or 1
        if min_documents > 1 and corpus.train.document_counts is None:
            raise CorpusError(
                f"{_name(corpus)} does not say how many documents hold a pre-token, so --min-documents "
                f"{min_documents} cannot be met: count the text again, or leave it out"
            )
        wanted = wanted.read()
        mined, min_count = _mined(corpus, wanted, n_keep, n_threads) if wanted.wants_corpus else ({}, None)
        lists = [other for other in wanted.others if isinstance(other, TokenList)]
        allowed, listed = _occurring(source, lists, corpus.train, min_documents, n_threads)
        left_out = source.token_ids.keys() | _special_tokens(special)
        counts = {token: n for token, n in (mined | listed).items() if token not in left_out}
        new = sorted(counts, key=lambda token: (-counts[token], len(token), token))
        own = np.flatnonzero(allowed | protected)
        origins = [_origin(read.name, read.tokens, counts) for read in lists]
        if wanted.wants_corpus:
            found = _origin(CORPUS, mined, counts)
            least = _min_documents_of_substrings(corpus, wanted)
            found = replace(found, min_count=min_count, min_documents=least, max_bytes=wanted.max_bytes)
            origins.insert(0, found)
        _check_each_adds(origins, source.name)
        return cls(
            _vocabulary([*map(source.__getitem__, own.tolist()), *new], source),
            np.concatenate([own, np.full(len(new), -1)]),
            tuple(origins),
            min_documents,
            source.n_tokens - own.size,
        )

    @property
    def n_own(self) -> int:
        """Candidates that the source has; they come first."""
        return int(np.count_nonzero(self.old_ranks >= 0))

    @cached_property
    def own(self) -> Vocabulary:
        """The source's tokens in the pool alone."""
        if self.n_own == self.vocabulary.n_tokens:
            return self.vocabulary
        return _vocabulary(list(islice(self.vocabulary.tokens(), self.n_own)), self.vocabulary)

    @cached_property
    def trie(self) -> TokenTrie:
        """All candidates as a prefix tree."""
        return self.vocabulary.encoder.trie

    @property
    def facts(self) -> dict[str, Any]:
        """What a report says of the candidates."""
        return {
            "n_candidates": self.vocabulary.n_tokens,
            "n_of_source": self.n_own,
            "n_of_source_left_out": self.n_rare,
            "min_documents": self.min_documents,
            "others": [vars(origin) for origin in self.origins],
        }


def _name(corpus: CorpusCounts) -> str:
    return "the built-in profile" if corpus.is_builtin else f"the corpus {corpus.parts[0].name}"


def default_min_count(n_bytes: int, n_keep: int) -> int:
    """Occurrences that a substring must have in so many bytes of training text to be one of `n_keep` tokens."""
    return max(_LEAST_COUNT, n_bytes // (_BYTES_PER_TOKEN * n_keep))


def _vocabulary(tokens: Sequence[bytes], source: Vocabulary) -> Vocabulary:
    """Candidates as a vocabulary without the source's special tokens above the ordinary ones, whose ids they take."""
    name = Provenance(f"{source.name} and others")
    below = {text: id_ for text, id_ in source.special_tokens.items() if id_ < source.first_id}
    return Vocabulary.from_tokens(tokens, source.pattern, below, source.inference, name, source.first_id)


def _mined(corpus: CorpusCounts, wanted: Candidates, n_keep: int, n_threads: int) -> tuple[dict[bytes, int], int]:
    """Substrings of the training text with their counts, and the least count, at the corpus's own size."""
    n_bytes = sum(part.train.n_bytes for part in corpus.parts)
    min_count = wanted.min_count or default_min_count(n_bytes, n_keep)
    found = mine(
        corpus.train,
        -(-min_count * corpus.train.n_bytes // max(1, n_bytes)),
        min_documents=_min_documents_of_substrings(corpus, wanted),
        max_bytes=wanted.max_bytes,
        most=wanted.most,
        n_threads=n_threads,
    )
    return dict(zip(found.as_bytes(), found.counts.tolist(), strict=True)), min_count


def _min_documents_of_substrings(corpus: CorpusCounts, wanted: Candidates) -> int:
    """What occurs in one document only is a name there more often than a word of the language."""
    return wanted.min_documents or (1 if corpus.train.document_counts is None else _LEAST_DOCUMENTS)


def _occurring(
    source: Vocabulary, lists: Sequence[TokenList], train: PretokenCounts, min_documents: int, n_threads: int
) -> tuple[Alive, dict[bytes, int]]:
    """Which of the source's tokens are in enough documents, and tokens of the lists that are and occur, with counts."""
    if not lists and min_documents == 1:
        return np.ones(source.n_tokens, dtype=np.bool_), {}
    own = source.token_ids
    others = [token for token in dict.fromkeys(chain(*(read.tokens for read in lists))) if token and token not in own]
    documents = train.document_counts if train.document_counts is not None else train.counts
    n_found, n_documents = _vocabulary([*own, *others], source).encoder.trie.occurrences(
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
    """Raise TargetError for a tokenizer of which no token is a new candidate."""
    for origin in origins:
        if origin.n_new == 0 and origin.min_count is None:
            raise TargetError(
                f"--candidates {origin.name} adds nothing: none of its {origin.n_found:,} tokens is both missing from "
                f"{source} and in the corpus often enough"
            )
