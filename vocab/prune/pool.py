"""The pool: the candidates that a vocabulary is chosen from, the source's own tokens and others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vocab.corpus.counting import CorpusCounts
from vocab.corpus.counts import PretokenCounts
from vocab.encoding.lattice import TokenTrie
from vocab.errors import CorpusError, TargetError
from vocab.formats import TokenList, load_tokens
from vocab.formats.byte_alphabet import CHARACTER_TO_BYTE, to_bytes
from vocab.prune.mining import mine
from vocab.vocabulary import Source, Vocabulary

# In place of a tokenizer: substrings of the corpus itself.
CORPUS = "corpus"

# A substring must occur once in so many bytes of training text, and so many times at least.
_BYTES_PER_OCCURRENCE = 4_500_000
_LEAST_COUNT = 4

Alive = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Candidates:
    """Which tokens may be chosen beside the source's own, and which of all may not.

    Attributes:
        others: each "corpus" for substrings of the training text's pre-tokens, what `vocab.load` takes, a rank file
            without a split pattern, a Vocabulary, or a TokenList.
        min_documents: documents of the training text that a token must be in, single bytes and tokens to keep aside;
            counted as `Substrings.document_counts` are.
        min_count: occurrences that a substring of the corpus must have. Where parts of the corpus have weights, so do
            occurrences, and all are scaled to the size that the corpus really has. None: by the size of the corpus.
        max_bytes: length that a substring of the corpus may have.
        most: substrings of the corpus at most, the most frequent.
    """

    others: Sequence[str | Path | Vocabulary | TokenList] = ()
    min_documents: int = 1
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
        return not self.others and self.min_documents == 1

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
        return TokenList(other.source.name, list(other.tokens()))
    return load_tokens(other)


@dataclass(frozen=True)
class Origin:
    """Where candidates came from: how many there were, and how many of them the source lacks and the pool has.

    `min_count` and `max_bytes` are those of substrings of the corpus.
    """

    name: str
    n_found: int
    n_new: int
    min_count: int | None = None
    max_bytes: int | None = None


@dataclass(frozen=True)
class Pool:
    """Candidates in rank order: the source's tokens that may be kept, in its order, then the others by frequency.

    Attributes:
        vocabulary: all candidates as ordinary tokens; the source itself where these are just its tokens.
        old_ids: id of each in the source, -1 for what the source lacks, int64[n_candidates].
        origins: where others came from.
        min_documents: documents that each but the protected ones is in at least.
    """

    vocabulary: Vocabulary
    old_ids: npt.NDArray[np.int64]
    origins: tuple[Origin, ...] = ()
    min_documents: int = 1
    n_rare: int = field(default=0)  # tokens of the source that are in too few documents

    @classmethod
    def build(
        cls,
        source: Vocabulary,
        protected: Alive,
        corpus: CorpusCounts,
        wanted: Candidates,
        special: Iterable[str],
        n_threads: int = 1,
    ) -> Pool:
        """The pool of a source (protected bool[n_tokens]: what is never left out) and what is `wanted` besides.

        Other tokens must occur in the training text and not read like one of the `special` tokens in tokenizer.json.
        Raises SourceError for a tokenizer that cannot be read, TargetError for one that adds nothing, CorpusError
        where documents are asked for and were not counted.
        """
        if wanted.are_only_own:
            return cls(source, np.arange(source.n_tokens))
        train = corpus.train
        if wanted.min_documents > 1 and train.document_counts is None:
            raise CorpusError(
                f"{_name(corpus)} does not say how many documents hold a pre-token, so --min-documents "
                f"{wanted.min_documents} cannot be met: count the text again, or leave it out"
            )
        lists, named = _lists(corpus, wanted, n_threads)
        others = _others(source, lists, special)
        tokens = [*source.tokens(), *others]
        n_found, n_documents = _occurrences(tokens, train, n_threads)
        allowed = n_documents >= wanted.min_documents if wanted.min_documents > 1 else np.ones_like(n_found, np.bool_)
        allowed[source.n_tokens :] &= n_found[source.n_tokens :] > 0
        allowed[: source.n_tokens] |= protected
        chosen = [
            (-int(n_found[k]), len(tokens[k]), tokens[k]) for k in np.flatnonzero(allowed) if k >= source.n_tokens
        ]
        new = [token for *_, token in sorted(chosen)]
        own = np.flatnonzero(allowed[: source.n_tokens])
        origins = _counted(named, lists, set(new), source.source.name)
        return cls(
            Vocabulary.from_tokens(
                [*(tokens[k] for k in own.tolist()), *new],
                source.pattern,
                inference=source.inference,
                source=Source(f"{source.source.name} and others"),
            ),
            np.concatenate([own, np.full(len(new), -1)]),
            origins,
            wanted.min_documents,
            source.n_tokens - own.size,
        )

    @property
    def n_own(self) -> int:
        """Candidates that the source has; they come first."""
        return int(np.count_nonzero(self.old_ids >= 0))

    @cached_property
    def own(self) -> Vocabulary:
        """The source's tokens in the pool alone."""
        if self.n_own == self.vocabulary.n_tokens:
            return self.vocabulary
        tokens = [token for token, _ in zip(self.vocabulary.tokens(), range(self.n_own), strict=False)]
        return Vocabulary.from_tokens(tokens, self.vocabulary.pattern, inference=self.vocabulary.inference)

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


def default_min_count(n_bytes: int) -> int:
    """Occurrences that a substring must have in so many bytes of training text."""
    return max(_LEAST_COUNT, round(n_bytes / _BYTES_PER_OCCURRENCE))


def _lists(corpus: CorpusCounts, wanted: Candidates, n_threads: int) -> tuple[list[list[bytes]], list[Origin]]:
    """Tokens of each origin, and what they are."""
    lists, origins = [], []
    for other in wanted.read().others:
        if isinstance(other, TokenList):
            lists.append(other.tokens)
            origins.append(Origin(other.name, len(other.tokens), 0))
        else:
            n_bytes = sum(part.train.n_bytes for part in corpus.parts)
            min_count = wanted.min_count or default_min_count(n_bytes)
            scaled = -(-min_count * corpus.train.n_bytes // max(1, n_bytes))
            found = mine(
                corpus.train,
                scaled,
                min_documents=wanted.min_documents,
                max_bytes=wanted.max_bytes,
                most=wanted.most,
                n_threads=n_threads,
            )
            lists.append(found.as_bytes())
            origins.append(Origin(CORPUS, found.counts.size, 0, min_count, wanted.max_bytes))
    return lists, origins


def _others(source: Vocabulary, lists: Sequence[Sequence[bytes]], special: Iterable[str]) -> list[bytes]:
    """Tokens of the lists that the source lacks, each once."""
    names = {to_bytes(text) for text in special if all(c in CHARACTER_TO_BYTE for c in text)}
    left_out = source.token_ids.keys() | names | {b""}
    return [token for token in dict.fromkeys(chain.from_iterable(lists)) if token not in left_out]


def _occurrences(
    tokens: Sequence[bytes], train: PretokenCounts, n_threads: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """How often each token occurs in the training text, and in how many documents at most."""
    blob = np.frombuffer(b"".join(tokens), dtype=np.uint8)
    starts = np.concatenate([[0], np.cumsum([len(token) for token in tokens])])
    documents = train.document_counts if train.document_counts is not None else np.zeros_like(train.counts)
    trie = TokenTrie.build(blob, starts)
    return trie.occurrences(
        train.blob, train.starts, train.counts.astype(np.int64), documents.astype(np.int64), n_threads
    )


def _counted(
    origins: Sequence[Origin], lists: Sequence[Sequence[bytes]], new: set[bytes], source: str
) -> tuple[Origin, ...]:
    """The origins with how many tokens of each are new; raises TargetError for a tokenizer of which none is."""
    counted = tuple(
        replace(origin, n_new=sum(token in new for token in tokens))
        for origin, tokens in zip(origins, lists, strict=True)
    )
    for origin in counted:
        if origin.n_new == 0 and origin.min_count is None:
            raise TargetError(
                f"--candidates {origin.name} adds nothing: none of its {origin.n_found:,} tokens is both missing from "
                f"{source} and in the corpus often enough"
            )
    return counted
