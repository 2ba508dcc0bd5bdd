"""SentencePiece's `.model`: pieces with scores in a protobuf, and how text is prepared for them.

Source: google/sentencepiece `sentencepiece_model.proto`, `model_interface.cc` (which pieces must be there),
`bpe_model.cc`, `unigram_model.cc`. Read are BPE with byte fallback, as in Llama 2 and Mistral, and Unigram with it: no
normalization of characters, and 256 byte pieces before the others. Control, unknown and user-defined pieces are special
tokens here.
"""

from __future__ import annotations

import hashlib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vocab.arrays import end_to_end
from vocab.choices import InferenceMethod
from vocab.errors import SourceError
from vocab.formats.sentencepiece_json import check_characters, pieces_of
from vocab.splitting import SplitPattern
from vocab.splitting.preparation import MARK, byte_piece
from vocab.vocabulary import Provenance, Vocabulary
from vocab.writing import write_bytes

if TYPE_CHECKING:
    import sentencepiece

FILE_NAME = "tokenizer.model"

# Kinds of piece and of model, in the protobuf.
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
UNIGRAM, BPE = 1, 2
_INFERENCES: dict[int, InferenceMethod] = {UNIGRAM: "unigram", BPE: "scored-merges"}


def _new_model() -> Any:
    return import_module(
        "sentencepiece.sentencepiece_model_pb2"
    ).ModelProto()  # generated on import, so it has no static type


def read_sentencepiece(path: Path) -> Vocabulary:
    """A vocabulary from a SentencePiece model; raises SourceError, saying what is in the way."""
    raw = path.read_bytes()
    model = _parsed(raw, path)
    _check_settings(model, path)
    special = {piece.piece: k for k, piece in enumerate(model.pieces) if piece.type in (UNKNOWN, CONTROL, USER_DEFINED)}
    first = _first_id(model, path)
    ordinary = [piece for piece in model.pieces if piece.type in (NORMAL, BYTE)]
    tokens = [bytes([k]) for k in range(256)] + [_token(piece.piece, path) for piece in ordinary[256:]]
    texts = [token.decode() for token in tokens[256:]]
    check_characters(texts, path)
    name = path.parent.resolve().name if path.name == FILE_NAME else path.name.removesuffix(".model")
    blob, starts = end_to_end(tokens)
    return Vocabulary(
        blob=blob,
        starts=starts,
        special_tokens=special,
        pattern=SplitPattern.of_sentencepiece(texts, dummy_prefix=model.normalizer_spec.add_dummy_prefix),
        inference=_INFERENCES[model.trainer_spec.model_type],
        provenance=Provenance(name, hashlib.sha256(raw).hexdigest(), "sentencepiece"),
        first_id=first,
        scores=np.array([0.0] * 256 + [piece.score for piece in ordinary[256:]], dtype=np.float32),
        byte_fallback=True,
        user_defined=frozenset(piece.piece for piece in model.pieces if piece.type == USER_DEFINED),
        unknown=next(piece.piece for piece in model.pieces if piece.type == UNKNOWN),
    )


def _parsed(raw: bytes, path: Path) -> Any:
    """The model as a protobuf, which sentencepiece itself accepts."""
    from google.protobuf.message import DecodeError

    model = _new_model()
    try:
        model.ParseFromString(raw)
    except DecodeError:
        raise SourceError(f"{path} is not a SentencePiece model, or a damaged one") from None
    if not model.pieces or not model.HasField("trainer_spec") or not model.HasField("normalizer_spec"):
        raise SourceError(f"{path} is not a SentencePiece model, or one cut short: it has no pieces or no settings")
    try:
        _processor(raw)
    except (RuntimeError, ValueError) as error:
        raise SourceError(f"{path} is a model that sentencepiece refuses: {str(error).splitlines()[0]}") from None
    return model


def _processor(raw: bytes) -> sentencepiece.SentencePieceProcessor:
    import sentencepiece

    return sentencepiece.SentencePieceProcessor(model_proto=raw)


def _check_settings(model: Any, path: Path) -> None:
    trainer, normalizer = model.trainer_spec, model.normalizer_spec
    kinds = {3: "words", 4: "characters"}
    scores = np.array([piece.score for piece in model.pieces])
    faults = {
        f"its model is {kinds.get(trainer.model_type)}, neither BPE nor Unigram": trainer.model_type not in _INFERENCES,
        "it has no byte fallback, so that it cannot encode every text": not trainer.byte_fallback,
        "it normalizes characters": bool(normalizer.precompiled_charsmap),
        "it removes spaces": normalizer.remove_extra_whitespaces,
        "it does not write spaces as ▁": not normalizer.escape_whitespaces,
        "it puts ▁ behind words": trainer.treat_whitespace_as_suffix,
        "a piece has a score that is not a number": not np.isfinite(scores).all(),
        "it has unused pieces": any(piece.type == UNUSED for piece in model.pieces),
    }
    if present := [text for text, is_so in faults.items() if is_so]:
        raise SourceError(f"{path} cannot be pruned exactly: {present[0]}")


def _first_id(model: Any, path: Path) -> int:
    """Id of the first byte piece; raises SourceError unless bytes and then all other ordinary pieces follow it."""
    kinds = [piece.type for piece in model.pieces]
    first = kinds.index(BYTE)
    n_ordinary = sum(kind in (NORMAL, BYTE) for kind in kinds)
    in_order = kinds[first : first + n_ordinary] == [BYTE] * 256 + [NORMAL] * (n_ordinary - 256)
    if not in_order or [p.piece for p in model.pieces[first : first + 256]] != [byte_piece(b) for b in range(256)]:
        raise SourceError(f"{path} has pieces in another order than special ones, 256 bytes, the others: not read yet")
    return first


def _token(piece: str, path: Path) -> bytes:
    if " " in piece:
        raise SourceError(f"{path} has a piece with a plain space, {piece!r}, which no text produces")
    return piece.replace(MARK, " ").encode()


def write_sentencepiece(vocabulary: Vocabulary, path: Path) -> None:
    """Write a `.model`; raises SourceError for a vocabulary that does not come from SentencePiece."""
    write_bytes(path, to_proto(vocabulary))


def to_proto(vocabulary: Vocabulary) -> bytes:
    """The bytes of a `.model`; the same for the same vocabulary."""
    if vocabulary.scores is None or vocabulary.unknown is None or not vocabulary.byte_fallback:
        raise SourceError(
            f"{vocabulary.name} does not come from SentencePiece, which has neither a split pattern nor tokens "
            "that are parts of characters"
        )
    model = _new_model()
    rows = [(id_, text, 0.0, _special_kind(vocabulary, text)) for text, id_ in vocabulary.special_tokens.items()]
    scores = vocabulary.scores.tolist()
    pieces = pieces_of(vocabulary)
    check_characters([piece.replace(MARK, " ") for piece in pieces[256:]], vocabulary.name)
    for rank, piece in enumerate(pieces):
        score, kind = (0.0, BYTE) if rank < 256 else (scores[rank], NORMAL)
        rows.append((rank + vocabulary.first_id, piece, score, kind))
    for _, text, score, kind in sorted(rows):
        model.pieces.add(piece=text, score=score, type=kind)
    _describe(model, vocabulary)
    serialized: bytes = model.SerializeToString(deterministic=True)
    return serialized


def _special_kind(vocabulary: Vocabulary, text: str) -> int:
    if text == vocabulary.unknown:
        return UNKNOWN
    return USER_DEFINED if text in vocabulary.user_defined else CONTROL


def _describe(model: Any, vocabulary: Vocabulary) -> None:
    """The settings that have a part in encoding and decoding."""
    trainer, normalizer, special = model.trainer_spec, model.normalizer_spec, vocabulary.special_tokens
    trainer.model_type = UNIGRAM if vocabulary.inference == "unigram" else BPE
    trainer.vocab_size = vocabulary.n_ids
    trainer.byte_fallback = True
    trainer.split_digits = True
    trainer.unk_piece = vocabulary.unknown
    trainer.unk_id = special[vocabulary.unknown or ""]
    trainer.bos_id, trainer.eos_id = special.get("<s>", -1), special.get("</s>", -1)
    trainer.pad_id = special.get("<pad>", -1)
    normalizer.name = "identity"
    normalizer.precompiled_charsmap = b""
    normalizer.add_dummy_prefix = vocabulary.pattern.has_dummy_prefix
    normalizer.remove_extra_whitespaces = False
    normalizer.escape_whitespaces = True


def to_sentencepiece(vocabulary: Vocabulary) -> sentencepiece.SentencePieceProcessor:
    """A `sentencepiece.SentencePieceProcessor` of the same ids; raises SourceError as `write_sentencepiece` does."""
    return _processor(to_proto(vocabulary))
