"""WordPiece as BERT has it, in a `tokenizer.json`: read to be measured, inspected and compared, and for nothing else.

BERT normalizes text, drops white space and puts one unknown token in place of a word that it cannot spell, so that ids
do not give the text back. Encoding is Hugging Face tokenizers' own, on its objects made from the file.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from vocab.errors import SourceError
from vocab.splitting import SplitPattern
from vocab.splitting.patterns import SPACED_WORDS
from vocab.utf8 import utf8
from vocab.vocabulary import Provenance

# All of these work between spaces, tabs and line feeds, whatever is on the other side, so that a text has the
# tokens of its words. tokenizers lower-cases character by character, and no normal form joins anything to a space.
_NORMALIZERS = {"BertNormalizer", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents"}
_DROP_WHITE_SPACE = {"BertPreTokenizer", "Whitespace", "WhitespaceSplit"}
_SPLIT_WORDS = {"Digits", "Punctuation"} | _DROP_WHITE_SPACE
_BATCH = 1 << 16  # words that tokenizers gets at once


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class WordPieceTokenizer:
    """A tokenizer of WordPiece, with tokens as the file writes them: `##` begins one that continues a word.

    It can be measured, inspected and compared (`vocab.measured.MeasuredTokenizer`). It is not a `Vocabulary`, because
    its ids do not give the text back.

    Attributes:
        pieces: the ordinary tokens in the order of ids.
        ids: id of each of them, int64[n_tokens]; ids of special tokens lie between them.
        special_tokens: id of each special token by its text.
        unknown: the special token that replaces a word which no tokens spell.
        pattern: cuts text only where tokenizers does in any case, so that words can be counted.
        runtime: the tokenizer of the file, which recognises special tokens. It adds no tokens and cuts nothing off.
        plain: the same without special tokens.
        provenance: where it came from.
    """

    pieces: tuple[bytes, ...]
    ids: npt.NDArray[np.int64]
    special_tokens: Mapping[str, int]
    unknown: str
    pattern: SplitPattern
    runtime: Tokenizer
    plain: Tokenizer
    provenance: Provenance

    inference: ClassVar[str] = "wordpiece"

    def __post_init__(self) -> None:
        self.ids.setflags(write=False)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, WordPieceTokenizer):
            return NotImplemented
        return bool(self.runtime.to_str() == other.runtime.to_str())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<WordPieceTokenizer {self.name}: {self.n_ids:,} ids>"

    @property
    def name(self) -> str:
        """The name or path that it was loaded by."""
        return self.provenance.name

    @property
    def split_description(self) -> str:
        """Normalizer and pre-tokenizer, as the file has them."""
        settings = json.loads(self.plain.to_str())
        return f"normalizer {json.dumps(settings['normalizer'])}, pre-tokenizer {json.dumps(settings['pre_tokenizer'])}"

    @property
    def split_sha256(self) -> str:
        """Digest of normalizer and pre-tokenizer."""
        return hashlib.sha256(self.split_description.encode()).hexdigest()

    @property
    def n_tokens(self) -> int:
        """Number of ordinary tokens."""
        return len(self.pieces)

    @property
    def n_ids(self) -> int:
        """Number of ordinary and special tokens."""
        return self.n_tokens + len(self.special_tokens)

    @property
    def max_id(self) -> int:
        """The highest id in use, which is n_ids - 1."""
        return self.n_ids - 1

    @cached_property
    def token_ids(self) -> dict[bytes, int]:
        """Id of each ordinary token by its bytes in the file."""
        return dict(zip(self.pieces, self.ids.tolist(), strict=True))

    def __getitem__(self, token_id: int) -> bytes:
        """Bytes of an ordinary token as the file writes it."""
        rank = int(np.searchsorted(self.ids, token_id))
        if rank == self.n_tokens or self.ids[rank] != token_id:
            raise IndexError(f"no token has id {token_id}")
        return self.pieces[rank]

    def tokens(self) -> Iterator[bytes]:
        """Bytes of the ordinary tokens, as the file writes them, in the order of ids."""
        return iter(self.pieces)

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """Token ids of `text` as tokenizers gives them, without `[CLS]` and `[SEP]` around."""
        tokenizer = self.runtime if allow_special else self.plain
        return tokenizer.encode(utf8(text).decode(), add_special_tokens=False).ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, special tokens not recognised."""
        return list(self._encode_all(utf8(text).decode() for text in texts))

    def count_tokens(self, text: str) -> int:
        """Number of tokens of `text`, special tokens not recognised."""
        return len(self.encode(text))

    def count_pretokens(
        self, blob: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], n_threads: int = 1
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """As in `MeasuredTokenizer`; tokenizers chooses how many threads it uses."""
        raw = blob.tobytes()
        words = (raw[a:b].decode() for a, b in itertools.pairwise(starts.tolist()))
        unknown = self.special_tokens[self.unknown]
        counted = [(len(ids), ids.count(unknown)) for ids in self._encode_all(words)]
        sizes, n_unknown = np.array(counted, dtype=np.int32).reshape(-1, 2).T
        return sizes, n_unknown

    def _encode_all(self, texts: Iterable[str]) -> Iterator[list[int]]:
        left = iter(texts)
        while batch := list(itertools.islice(left, _BATCH)):
            for encoding in self.plain.encode_batch_fast(batch, add_special_tokens=False):
                yield encoding.ids

    def decode(self, ids: Iterable[int]) -> str:
        """A text of `ids` as the file's decoder writes it, which need not be the one that was encoded."""
        return self.runtime.decode(list(ids), skip_special_tokens=False)


def is_wordpiece(settings: Mapping[str, Any]) -> bool:
    """Whether a tokenizer.json has WordPiece with a continuation prefix; without one it is our longest-prefix."""
    model = settings["model"]
    return bool(model.get("type") == "WordPiece" and model.get("continuing_subword_prefix") != "")


def read(settings: Mapping[str, Any], provenance: Provenance, path: Path) -> WordPieceTokenizer:
    """A tokenizer from a tokenizer.json that tokenizers itself can read.

    Raises SourceError for holes in its ids, ids that two tokens have, a missing unknown token, tokens added that are
    not special, and what is done to text where it is not known to leave words apart.
    """
    _check_preparation(settings, path)
    pieces, unknown = settings["model"]["vocab"], settings["model"]["unk_token"]
    if unknown not in pieces:
        raise SourceError(f"{path} has no token {unknown!r}, which its unk_token names: it cannot encode every text")
    special = _special_tokens(settings, pieces, path) | {unknown: pieces[unknown]}
    _check_ids(pieces | special, path)
    ordinary = sorted((k, piece) for piece, k in pieces.items() if piece not in special)
    runtime, plain = _runtime(settings), _runtime({**settings, "added_tokens": []})
    if moved := [text for text, k in special.items() if runtime.token_to_id(text) != k]:
        raise SourceError(f"{path} gives the special token {moved[0]!r} an id that tokenizers does not give it")
    return WordPieceTokenizer(
        pieces=tuple(piece.encode() for _, piece in ordinary),
        ids=np.array([k for k, _ in ordinary], dtype=np.int64),
        special_tokens=special,
        unknown=unknown,
        pattern=SplitPattern(SPACED_WORDS[0]),
        runtime=runtime,
        plain=plain,
        provenance=provenance,
    )


def _runtime(settings: Mapping[str, Any]) -> Tokenizer:
    """A tokenizer that gives all tokens of a text and no others."""
    return Tokenizer.from_str(json.dumps({**settings, "truncation": None, "padding": None, "post_processor": None}))


def _special_tokens(settings: Mapping[str, Any], pieces: Mapping[str, int], path: Path) -> dict[str, int]:
    added = settings.get("added_tokens") or []
    if ordinary := [token["content"] for token in added if not token["special"]]:
        raise SourceError(f"{path} adds the token {ordinary[0]!r} to its vocabulary, not a special one: it is not read")
    special = {token["content"]: token["id"] for token in added}
    if len(special) < len(added) or any(pieces.get(text, k) != k for text, k in special.items()):
        raise SourceError(f"{path} gives a special token two ids")
    return special


def _check_ids(ids: Mapping[str, int], path: Path) -> None:
    used = set(ids.values())
    if len(used) < len(ids):
        raise SourceError(f"{path} gives one id to two tokens ({len(ids):,} tokens, {len(used):,} ids)")
    if max(used) != len(used) - 1:
        raise SourceError(f"{path} has holes in its ids ({len(used):,} tokens, the highest id {max(used):,})")


def _check_preparation(settings: Mapping[str, Any], path: Path) -> None:
    normalizers = _steps(settings.get("normalizer"), "normalizers")
    splits = _steps(settings.get("pre_tokenizer"), "pretokenizers")
    strange = [step for step in normalizers if step not in _NORMALIZERS]
    strange += [step for step in splits if step not in _SPLIT_WORDS]
    if strange:
        raise SourceError(f"{path} prepares text with {strange[0]}, which is not known to leave words apart")
    if not splits or splits[0] not in _DROP_WHITE_SPACE:
        raise SourceError(f"{path} does not split text at white space first, as BERT does: it is not read")


def _steps(settings: Mapping[str, Any] | None, parts: str) -> list[str]:
    """Types of the steps of a normalizer or pre-tokenizer in their order."""
    if not settings:
        return []
    if settings["type"] != "Sequence":
        return [settings["type"]]
    return [name for part in settings[parts] for name in _steps(part, parts)]
