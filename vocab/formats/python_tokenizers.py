"""`measured`: any Python object that encodes text, as a tokenizer that can be measured.

Known are the classes of tiktoken, tokenizers, transformers and sentencepiece; of any other object, `encode` is asked.
Modules are not imported here: an object's class says what it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from operator import index
from typing import Any, Protocol, SupportsIndex

from vocab.errors import SourceError
from vocab.formats.hugging_face_runtime import TRIALS, run_by_tokenizers
from vocab.formats.runtime_tokenizer import RuntimeTokenizer, counted
from vocab.splitting.preparation import MARK
from vocab.vocabulary import Provenance

_BATCH = 1 << 10  # texts that a runtime gets at once
# Attributes and methods by which objects tell the number of their ids.
_SIZES = ("n_ids", "n_vocab", "vocab_size", "get_vocab_size", "piece_size", "get_piece_size", "__len__")


class Encodes(Protocol):
    """An object that encodes text."""

    def encode(self, text: str, /) -> Any:
        """Ids of a text: a list or an array of whole numbers."""


def measured(
    tokenizer: Encodes,
    name: str | None = None,
    *,
    n_ids: int | None = None,
    tokens: Mapping[int, bytes] | None = None,
    special_tokens: Mapping[str, int] | None = None,
    unknown: str | None = None,
) -> RuntimeTokenizer:
    """Wrap a Python object that encodes text, so that it can be measured beside others.

    Objects of tiktoken, tokenizers, transformers and sentencepiece are asked for their tokens. They do not recognise
    special tokens in a text, and add none around it. Any other object is called as it is: `encode(text)`.

    Args:
        tokenizer: the object.
        name: how tables call it; by default its own name or that of its class.
        n_ids: size of the vocabulary, where the object does not tell it.
        tokens: bytes of ordinary tokens by id, where the object does not give them; `inspect` and `diff` need them.
        special_tokens: id of each special token by its text, where the object does not give them.
        unknown: the token of `special_tokens` that stands for text which no token spells.

    Returns:
        What `vocab.analysis.compare`, `inspect` and `diff` take.

    Raises:
        SourceError: the object has no `encode`, or `unknown` is not one of `special_tokens`.
    """
    if isinstance(tokenizer, RuntimeTokenizer):
        return tokenizer
    if not callable(getattr(tokenizer, "encode", None)):
        raise SourceError(f"{type(tokenizer).__name__} has no method `encode`: only what encodes text can be measured")
    name = name or _name_of(tokenizer)
    kind = _library_of(tokenizer)
    backend: Any = tokenizer if kind == "tokenizers" else getattr(tokenizer, "backend_tokenizer", None)
    if kind in ("tokenizers", "transformers") and hasattr(backend, "to_str"):
        return run_by_tokenizers(json.loads(backend.to_str()), Provenance(name), name, _obstacle(name))
    known = {"tiktoken": _of_tiktoken, "sentencepiece": _of_sentencepiece, "transformers": _of_transformers}
    if kind in known:
        return known[kind](tokenizer, name)
    if unknown is not None and unknown not in (special_tokens or {}):
        raise SourceError(f"the unknown token {unknown!r} of {name} is not in its `special_tokens`")
    given = None if tokens is None else dict(sorted(tokens.items()))
    return _tokenizer(
        name, _OwnCode(tokenizer, name), special_tokens or {}, unknown, given, size=_size(tokenizer, n_ids)
    )


def _library_of(tokenizer: object) -> str:
    """The library of an object's class, or of the class that it is made after."""
    libraries = [cls.__module__.split(".")[0] for cls in type(tokenizer).__mro__]
    return next((name for name in libraries if name in ("tiktoken", "tokenizers", "transformers", "sentencepiece")), "")


def _name_of(tokenizer: object) -> str:
    named = [getattr(tokenizer, key, None) for key in ("name", "name_or_path")]
    return next((str(name) for name in named if isinstance(name, str) and name), type(tokenizer).__name__)


def _obstacle(name: str) -> str:
    return f"{name} is a Python object, which only it can run"


def _size(tokenizer: object, n_ids: int | None) -> int | None:
    """The number of ids as told by the user or by the object."""
    for told in (n_ids, *(getattr(tokenizer, key, None) for key in _SIZES)):
        size = told() if callable(told) else told
        if isinstance(size, SupportsIndex):
            return index(size)
    return None


def _tokenizer(
    name: str,
    runtime: _Calls,
    special: Mapping[str, int],
    unknown: str | None,
    pieces: Mapping[int, bytes] | None,
    *,
    size: int | None = None,
    obstacle: str | None = None,
    provenance: Provenance | None = None,
) -> RuntimeTokenizer:
    return RuntimeTokenizer(
        inference=runtime.name,
        split_description=f"text is prepared and split by {runtime.name} itself",
        split_sha256=None,
        special_tokens=dict(special),
        unknown=unknown,
        pieces=pieces,
        size=size,
        runtime=runtime,
        obstacle=obstacle or _obstacle(name),
        provenance=provenance or Provenance(name),
    )


class _Calls:
    """A runtime that is called with a list of texts; `_encoded` is what kinds of objects differ in."""

    def __init__(self, tokenizer: Any, name: str) -> None:
        self._object = tokenizer
        self.name = name

    def _encoded(self, texts: list[str]) -> list[list[int]]:
        raise NotImplementedError

    def encode_all(self, texts: Iterable[str]) -> Iterator[list[int]]:
        batch: list[str] = []
        for text in texts:
            batch.append(text)
            if len(batch) == _BATCH:
                yield from self._encoded(batch)
                batch = []
        yield from self._encoded(batch) if batch else ()

    def count_all(self, texts: Iterable[str], unknown: int | None) -> Iterator[tuple[int, int]]:
        return counted(self.encode_all(texts), unknown)

    def encode_with_special(self, text: str) -> list[int]:
        return self._encoded([text])[0]

    def decode(self, ids: list[int]) -> str:
        return str(self._object.decode(ids))


class _OwnCode(_Calls):
    """Any object with `encode`."""

    def __init__(self, tokenizer: Any, name: str) -> None:
        super().__init__(tokenizer, type(tokenizer).__name__)
        self._source = name

    def _encoded(self, texts: list[str]) -> list[list[int]]:
        return [self._ids(self._object.encode(text)) for text in texts]

    def _ids(self, encoded: Any) -> list[int]:
        try:
            return [index(k) for k in getattr(encoded, "ids", encoded)]
        except TypeError:
            raise SourceError(
                f"`encode` of {self._source} gives {type(encoded).__name__}, not a list of whole numbers"
            ) from None

    def decode(self, ids: list[int]) -> str:
        if not hasattr(self._object, "decode"):
            raise SourceError(f"{self._source} has no method `decode`")
        return super().decode(ids)


class _Tiktoken(_Calls):
    def _encoded(self, texts: list[str]) -> list[list[int]]:
        encoded: list[list[int]] = self._object.encode_ordinary_batch(texts)
        return encoded

    def encode_with_special(self, text: str) -> list[int]:
        ids: list[int] = self._object.encode(text, allowed_special="all")
        return ids


def _of_tiktoken(tokenizer: Any, name: str) -> RuntimeTokenizer:
    special = {text: int(tokenizer.encode_single_token(text)) for text in sorted(tokenizer.special_tokens_set)}
    used, pieces = set(special.values()), {}
    for k in range(tokenizer.n_vocab):
        try:
            token = tokenizer.decode_single_token_bytes(k)
        except KeyError:
            continue  # a hole in the ids
        if k not in used:
            pieces[k] = token
    return _tokenizer(name, _Tiktoken(tokenizer, "tiktoken"), special, None, pieces)


class _SentencePiece(_Calls):
    def _encoded(self, texts: list[str]) -> list[list[int]]:
        options = {"add_bos": False, "add_eos": False, "reverse": False, "enable_sampling": False}
        encoded: list[list[int]] = self._object.encode(texts, out_type=int, emit_unk_piece=False, **options)
        return encoded


def _spelt(piece: str) -> bytes:
    """Bytes of a token that is written with ▁ for a space; Canine's are all code points, surrogates too."""
    return piece.replace(MARK, " ").encode(errors="surrogatepass")


def _of_sentencepiece(
    tokenizer: Any, name: str, obstacle: str | None = None, provenance: Provenance | None = None
) -> RuntimeTokenizer:
    texts = [tokenizer.id_to_piece(k) for k in range(tokenizer.get_piece_size())]
    special = {text: k for k, text in enumerate(texts) if tokenizer.is_control(k) or tokenizer.is_unknown(k)}
    used, pieces = set(special.values()), {}
    for k, text in enumerate(texts):
        if k not in used:
            pieces[k] = bytes([int(text[1:-1], 16)]) if tokenizer.is_byte(k) else _spelt(text)
    return _tokenizer(
        name,
        _SentencePiece(tokenizer, "sentencepiece"),
        special,
        texts[tokenizer.unk_id()],
        pieces,
        obstacle=obstacle,
        provenance=provenance,
    )


def run_by_sentencepiece(raw: bytes, provenance: Provenance, source: str, obstacle: str) -> RuntimeTokenizer:
    """A tokenizer from a SentencePiece model of any kind; raises SourceError where sentencepiece cannot run it."""
    import sentencepiece

    try:
        processor = sentencepiece.SentencePieceProcessor(model_proto=raw)
        processor.encode(TRIALS)
    except (RuntimeError, ValueError) as error:
        raise SourceError(f"{source} is a model that sentencepiece refuses: {str(error).splitlines()[0]}") from None
    return _of_sentencepiece(processor, provenance.name, obstacle, provenance)


class _Transformers(_Calls):
    """Tokenizers of transformers that are written in Python."""

    def _encoded(self, texts: list[str]) -> list[list[int]]:
        return [self._ids(text, split_special_tokens=True) for text in texts]

    def _ids(self, text: str, **options: bool) -> list[int]:
        encoded = self._object.encode(text, add_special_tokens=False, truncation=False, verbose=False, **options)
        return [int(k) for k in encoded]

    def encode_with_special(self, text: str) -> list[int]:
        return self._ids(text)


def _of_transformers(tokenizer: Any, name: str) -> RuntimeTokenizer:
    ids = tokenizer.get_vocab()
    special = {text: ids[text] for text in tokenizer.all_special_tokens if text in ids}
    used = set(special.values())
    pieces = {k: _spelt(text) for text, k in ids.items() if k not in used}
    unknown = tokenizer.unk_token if tokenizer.unk_token in special else None
    return _tokenizer(name, _Transformers(tokenizer, "transformers"), special, unknown, dict(sorted(pieces.items())))
