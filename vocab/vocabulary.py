"""`Vocabulary`: the tokens of a tokenizer as flat arrays, with all that is needed to encode with them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vocab.arrays import MAX_ID, Ints, Tokens, Utf8, end_to_end
from vocab.choices import CHARACTER_METHODS
from vocab.encoding.numbering import renumbered
from vocab.errors import SourceError
from vocab.origin import Provenance as Provenance
from vocab.splitting import SplitPattern
from vocab.splitting.added_texts import AddedText
from vocab.splitting.preparation import MARK, byte_piece, n_fallback_bytes

if TYPE_CHECKING:
    import sentencepiece
    import tiktoken
    import tokenizers

    from vocab.choices import InferenceMethod
    from vocab.encoding.encoder import Encoder
    from vocab.encoding.id_encoder import IdEncoder
    from vocab.encoding.unigram import Scores


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Ordinary tokens of ranks 0 … n_tokens - 1, special tokens, a split pattern and an inference method.

    A token's id is its rank + `first_id`, unless `ids` says otherwise. Frozen; equal when tokens, ids, pattern and
    method are. The arrays are read-only.

    Attributes:
        blob: all token bytes end to end in rank order, uint8.
        starts: offset in `blob` of each token, int64[n_tokens + 1].
        special_tokens: id of each special token by its text, below or above the ordinary ones. A source may leave
            holes.
        pattern: the split pattern, which cuts text into pre-tokens before anything else.
        inference: the inference method: merges, least-tokens, longest-prefix or ungreedy; for SentencePiece
            scored-merges or unigram.
        first_id: the least id of an ordinary token, that of rank 0 without `ids`; above 0 where special ones are first.
        scores: of SentencePiece's pieces, float32[n_tokens], or None; in `blob` their ▁ is a space. Under unigram from
            a tokenizer.json, float64 as there; sums are then rounded as tokenizers does it, else as sentencepiece does.
        byte_fallback: whether the first ranks are bytes for characters without a token, and for nothing else.
        leaves_out: whether text loses bytes without a token, as in tokenizers; else such a vocabulary cannot encode.
        provenance: where it came from.
        user_defined: those special tokens that are recognised in every text: added tokens that are text themselves.
        added_texts: how added tokens are found, where it is not just by their text.
        ids: id of each ordinary token by its rank, int64[n_tokens], where ids do not follow the order of merges.
        unknown: the special token that SentencePiece has for text that no token spells.
        pair_order: where BPE lists merges pair by pair, int32[len(blob)], else None. At starts[t] + k is the place of
            the merge of the first k bytes of token t with the rest of it, 2³¹ - 1 where there is no such merge.
    """

    blob: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]
    special_tokens: Mapping[str, int]
    pattern: SplitPattern
    inference: InferenceMethod = "merges"
    provenance: Provenance = field(default=Provenance("unnamed"))
    first_id: int = 0
    scores: npt.NDArray[np.floating[Any]] | None = None
    byte_fallback: bool = False
    user_defined: frozenset[str] = frozenset()
    unknown: str | None = None
    added_texts: tuple[AddedText, ...] = ()
    ids: npt.NDArray[np.int64] | None = None
    pair_order: npt.NDArray[np.int32] | None = None
    leaves_out: bool = False

    def __post_init__(self) -> None:
        for array in (self.scores, self.pair_order, self.ids, self.blob, self.starts):
            if array is not None:
                array.setflags(write=False)
        ordinary = set(self.rank_ids.tolist())
        if len(ordinary) < self.n_tokens:
            raise SourceError("two ordinary tokens share one id")
        if taken := [(text, id_) for text, id_ in self.special_tokens.items() if id_ in ordinary]:
            raise SourceError(f"special token {taken[0][0]!r} has id {taken[0][1]}, which an ordinary token has too")
        if min([self.first_id, *self.special_tokens.values()]) < 0 or self.max_id > MAX_ID:
            raise SourceError(f"an id is below 0 or above {MAX_ID:,}")
        if len(set(self.special_tokens.values())) < len(self.special_tokens):
            raise SourceError("two special tokens share one id")

    @classmethod
    def from_tokens(
        cls,
        tokens: Iterable[bytes],
        pattern: SplitPattern,
        special_tokens: Mapping[str, int] | None = None,
        inference: InferenceMethod = "merges",
        provenance: Provenance = Provenance("unnamed"),
        first_id: int = 0,
    ) -> Vocabulary:
        """A vocabulary from its tokens in rank order."""
        blob, starts = end_to_end(list(tokens))
        return cls(blob, starts, dict(special_tokens or {}), pattern, inference, provenance, first_id)

    def subset(
        self, kept: npt.NDArray[np.int64], special: Sequence[str], inference: InferenceMethod, provenance: Provenance
    ) -> Vocabulary:
        """The tokens of these ranks (int64[n_kept], in the order wanted) and special tokens of these texts, no holes.

        Special tokens below the ordinary ones stay below them; all keep their order, and new ones come last.
        """
        special_ids, ids = renumbered(self.special_tokens, special, kept.size, self.rank_ids, self.n_stand_ins == 1)
        lengths = self.lengths[kept]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        places = np.repeat(self.starts[kept] - starts[:-1], lengths) + np.arange(starts[-1])
        return replace(
            self,
            blob=self.blob[places],
            starts=starts,
            special_tokens=special_ids,
            inference=inference,
            provenance=provenance,
            first_id=int(ids.min(initial=len(special_ids))),
            scores=None if self.scores is None else self.scores[kept],
            ids=None if (np.diff(ids) == 1).all() else ids,
            pair_order=None if self.pair_order is None else self.pair_order[places],
        )

    @property
    def name(self) -> str:
        """The name or path that it was loaded by."""
        return self.provenance.name

    @property
    def n_tokens(self) -> int:
        """Number of ordinary tokens."""
        return self.starts.size - 1

    @property
    def n_ids(self) -> int:
        """Number of ordinary and special tokens: the vocabulary size."""
        return self.n_tokens + len(self.special_tokens)

    @property
    def max_id(self) -> int:
        """The highest id in use; n_ids - 1 when ids have no holes."""
        highest = self.first_id + self.n_tokens - 1 if self.ids is None else int(self.ids.max(initial=-1))
        return max([highest, *self.special_tokens.values()])

    @cached_property
    def rank_ids(self) -> npt.NDArray[np.int64]:
        """Id of each ordinary token by its rank, int64[n_tokens], read-only."""
        ids = np.arange(self.n_tokens) + self.first_id if self.ids is None else self.ids
        ids.setflags(write=False)
        return ids

    def ranks_of(self, ids: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Rank of the ordinary token of each id, int64; -1 for special tokens and ids that are not in use."""
        asked = np.asarray(ids, dtype=np.int64)
        ranks = np.full(self.max_id + 2, -1, dtype=np.int64)
        ranks[self.rank_ids] = np.arange(self.n_tokens)
        return ranks[np.where((asked < 0) | (asked > self.max_id), self.max_id + 1, asked)]

    def __getitem__(self, token_id: int) -> bytes:
        """Bytes of an ordinary token."""
        rank = token_id - self.first_id if self.ids is None else self._ranks.get(token_id, -1)
        if not 0 <= rank < self.n_tokens:
            raise IndexError(f"no token has id {token_id}")
        return self.blob[self.starts[rank] : self.starts[rank + 1]].tobytes()

    @cached_property
    def _ranks(self) -> dict[int, int]:
        """Rank of each ordinary token by its id."""
        return {id_: rank for rank, id_ in enumerate(self.rank_ids.tolist())}

    def tokens(self) -> Iterator[bytes]:
        """Bytes of the ordinary tokens in rank order."""
        blob, starts = self.blob.tobytes(), self.starts.tolist()
        return (blob[a:b] for a, b in itertools.pairwise(starts))

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Length in bytes of each ordinary token by rank, int64[n_tokens]."""
        return np.diff(self.starts)

    @cached_property
    def token_ids(self) -> dict[bytes, int]:
        """Id of each ordinary token by its bytes.

        A single byte that is both a fallback byte and a character has the character's id.
        """
        return dict(zip(self.tokens(), self.rank_ids.tolist(), strict=True))

    @property
    def tokens_by_id(self) -> dict[int, bytes]:
        """Bytes of each ordinary token by its id, in the order of ranks."""
        return dict(zip(self.rank_ids.tolist(), self.tokens(), strict=True))

    @cached_property
    def merge_order(self) -> npt.NDArray[np.int32]:
        """Place of each token in the order of merges, int32[n_tokens]: by rank, or by score, equal for equal scores."""
        if self.scores is None:
            return np.arange(self.n_tokens, dtype=np.int32)
        order: npt.NDArray[np.int32] = np.unique(-self.scores, return_inverse=True)[1].astype(np.int32)
        return order

    @property
    def _order_or_scores(self) -> npt.NDArray[Any]:
        """The merge order, or for unigram the scores as SentencePiece stores them, without those of bytes."""
        if self.inference == "unigram" and self.scores is not None:
            return self.scores[self.n_stand_ins :].astype(np.float32)
        return self.merge_order

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return (
            self.inference == other.inference
            and np.array_equal(self.rank_ids, other.rank_ids)
            and self.pattern.sha256 == other.pattern.sha256
            and dict(self.special_tokens) == dict(other.special_tokens)
            and (self.byte_fallback, self.user_defined) == (other.byte_fallback, other.user_defined)
            and np.array_equal(self._order_or_scores, other._order_or_scores)
            and (np.array_equal(self.starts, other.starts) and np.array_equal(self.blob, other.blob))
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Vocabulary {self.name}: {self.n_ids:,} ids, inference {self.inference}>"

    @property
    def split_description(self) -> str:
        """How text is split, for people to read."""
        return self.pattern.description

    @property
    def split_sha256(self) -> str:
        """Digest of how text is split."""
        return self.pattern.sha256

    @cached_property
    def encoder(self) -> Encoder:
        """The compiled encoder, of ranks and not ids; raises SourceError when tokens repeat or bytes are missing."""
        from vocab.encoding.encoder import Encoder

        settings = (self.pattern, self.inference, self.byte_fallback, self.merge_order, self._unigram_scores)
        try:
            added = [*self._numbered] if self.added_texts else ()
            options = (added, self.pair_order, self.n_stand_ins == 1, self.leaves_out)
            return Encoder(self.blob, self.starts, *settings, *options)
        except ValueError as error:
            raise SourceError(f"{self.name} cannot encode every text: {error}") from None

    @property
    def _unigram_scores(self) -> Scores | None:
        from vocab.encoding.unigram import Scores

        if self.inference != "unigram" or self.scores is None:
            return None
        if self._finds_user_defined:
            return Scores.of_sentencepiece(self.scores, sorted(self.user_defined), self.n_stand_ins)
        if self.byte_fallback:
            return Scores.of_tokenizers(self.scores, [byte_piece(k) for k in range(256)])
        return Scores.of_runs(self.scores, self.provenance.extras["tokenizer_json"]["scores_of_added"], self._numbered)

    @property
    def n_stand_ins(self) -> int:
        """How many ranks, the first, stand for what no token spells: bytes, the unknown token, or none."""
        return n_fallback_bytes(self.blob, self.starts) if self.byte_fallback else self.inference in CHARACTER_METHODS

    @property
    def _finds_user_defined(self) -> bool:
        """Whether user-defined pieces are looked for among the tokens, as under sentencepiece's Unigram."""
        return self.inference == "unigram" and self.provenance.format == "sentencepiece"

    @property
    def added_ids(self) -> dict[str, int]:
        """Id of each added token by its text: special tokens, and ordinary ones that are added tokens as well."""
        others = [one.text for one in self.added_texts if self._has_mark and one.text not in self.special_tokens]
        spelt = ((text, self.token_ids.get(text.replace(MARK, " ").encode())) for text in others)
        return {**self.special_tokens, **{text: id_ for text, id_ in spelt if id_ is not None}}

    @property
    def _has_mark(self) -> bool:
        """Whether ▁ stands for spaces as Hugging Face tokenizers writes it, with a decoder that is carried."""
        return self.pattern.steps is not None and bool(self.pattern.steps.mark)

    @property
    def _numbered(self) -> dict[str, int]:
        """Ids of the added tokens to which the encoder gives numbers above the ranks, in the order of these."""
        if self.added_texts:
            return dict(sorted(self.added_ids.items()))
        return {text: self.special_tokens[text] for text in sorted(self.user_defined) if self._finds_user_defined}

    @cached_property
    def _id_encoder(self) -> IdEncoder:
        from vocab.encoding.id_encoder import IdEncoder

        return IdEncoder(
            encoder=self.encoder,
            pattern=self.pattern,
            rank_ids=self.rank_ids,
            special_tokens=self.special_tokens,
            user_defined=self.user_defined,
            added_texts=self.added_texts,
            numbered=self._numbered,
        )

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """Token ids of `text`; with `allow_special` the texts of special tokens become their ids.

        Lone surrogates become U+FFFD. With SentencePiece each part between special tokens has a prefix of its own.
        """
        return self._id_encoder.encode(text, allow_special=allow_special)

    def encode_to_numpy(self, text: str) -> Tokens:
        """The same as an array, int32, special tokens not recognised."""
        return self._id_encoder.encode_to_numpy(text)

    def encode_documents(self, text: Utf8, doc_starts: Ints, n_threads: int = 1) -> tuple[Tokens, Ints]:
        """Ids of documents in one buffer, as `Encoder.encode_documents`; no special or user-defined piece is found."""
        return self._id_encoder.encode_documents(text, doc_starts, n_threads)

    def encode_batch(self, texts: Sequence[str], n_threads: int | None = None) -> list[list[int]]:
        """Token ids of each text, special tokens not recognised: as `encode`, on every core or so many threads."""
        return self._id_encoder.encode_batch(texts, n_threads)

    def has_special(self, text: str) -> bool:
        """Whether `text` holds a special token; one that is text itself counts only without `added_texts`."""
        return self._id_encoder.has_special(text)

    def restored(self, text: str) -> str:
        """What the ids of `text` decode to: the text itself, or as a normalizer and added tokens leave it."""
        return self.decode(self.encode(text)) if self._has_mark else self._id_encoder.restored(text)

    def count_tokens(self, text: str) -> int:
        """Number of tokens of `text`, special tokens not recognised."""
        return self.encode_to_numpy(text).size

    def count_pretokens(self, blob: Utf8, starts: Ints, n_threads: int = 1) -> tuple[Tokens, Tokens]:
        """(tokens, unknown) of each pre-token, both int32[n_pretokens]; see `MeasuredTokenizer`."""
        ids, sizes = self.encoder.encode_pretokens(blob, starts, n_threads)
        return sizes, self.encoder.count_unknown(ids, sizes, starts)

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The exact bytes of `ids`, without SentencePiece's space before a text; raises IndexError for an unused id."""
        named = self._special_bytes
        raw = b"".join(named[k] if k in named else self[k] for k in ids)
        return raw[1:] if self.pattern.has_dummy_prefix and raw.startswith(b" ") else raw

    @cached_property
    def _special_bytes(self) -> dict[int, bytes]:
        return {id_: text.encode() for text, id_ in self.special_tokens.items()}

    def decode(self, ids: Iterable[int]) -> str:
        """Text of `ids`; bytes that are not UTF-8 become U+FFFD."""
        if self._has_mark:
            from vocab.formats.tokenizer_json import decoded

            return decoded(self, ids)
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def save(self, directory: str | Path, *, force: bool = False) -> list[Path]:
        """Write the files that runtimes load to a folder, all or nothing.

        Args:
            directory: folder to write.
            force: whether to replace an earlier result in the folder.

        Returns:
            The paths of the files.

        Raises:
            OutputError: the folder may not or cannot be written.
        """
        from vocab.formats.folder import save_vocabulary

        return save_vocabulary(self, Path(directory), force=force)

    def to_tiktoken(self) -> tiktoken.Encoding:
        """A `tiktoken.Encoding` of the same ids; raises SourceError unless the inference method is merges."""
        from vocab.formats.tiktoken_file import to_tiktoken

        return to_tiktoken(self)

    def to_tokenizers(self) -> tokenizers.Tokenizer:
        """A Hugging Face `tokenizers.Tokenizer` of the same ids."""
        from vocab.formats.tokenizer_json import to_tokenizers

        return to_tokenizers(self)

    def to_sentencepiece(self) -> sentencepiece.SentencePieceProcessor:
        """A `sentencepiece.SentencePieceProcessor` of the same ids; raises SourceError unless the source was one."""
        from vocab.formats.sentencepiece_model import to_sentencepiece

        return to_sentencepiece(self)
