"""SentencePiece's `.model`: pieces with scores in a protobuf, and how text is prepared for them.

Source: google/sentencepiece `sentencepiece_model.proto`, `model_interface.cc` (which pieces must be there),
`bpe_model.cc`, `unigram_model.cc`. Control, unknown and user-defined pieces are special tokens here; without byte
fallback the unknown piece is the first of the ordinary tokens.

Where nothing is done to characters, and bytes stand for those without a piece, as in Llama 2 and Mistral, Hugging Face
tokenizers gives the same ids. Every other model is run by sentencepiece alone: its normalizer takes the longest match
of a table, where tokenizers goes from one visible character to the next.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vocab.arrays import end_to_end
from vocab.choices import InferenceMethod
from vocab.errors import SourceError
from vocab.formats.sentencepiece_json import check_characters, pieces_of
from vocab.splitting import SplitPattern
from vocab.splitting.marks import uncrossed
from vocab.splitting.preparation import MARK, byte_piece
from vocab.splitting.sentencepiece_normalizer import KIND, normalizer_settings, spec_of
from vocab.splitting.steps import SplitSteps
from vocab.vocabulary import Provenance, Vocabulary
from vocab.writing import write_bytes

if TYPE_CHECKING:
    import sentencepiece

FILE_NAME = "tokenizer.model"
KEY = "sentencepiece_trainer"  # of a source's extras

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
    has_bytes = bool(model.trainer_spec.byte_fallback)
    stand_ins = _ids_of_bytes(model) if has_bytes else _ids_of(model, UNKNOWN)
    others = _ids_of(model, NORMAL)
    tokens = [_token(model.pieces[k].piece, path) for k in others]
    texts = [token.decode() for token in tokens]
    check_characters(texts, path)
    unknown = model.pieces[_ids_of(model, UNKNOWN)[0]].piece
    blob, starts = end_to_end([*(map(bytes, zip(range(256))) if has_bytes else [unknown.encode()]), *tokens])
    kinds = (CONTROL, USER_DEFINED, UNKNOWN) if has_bytes else (CONTROL, USER_DEFINED)
    ids = np.array([*stand_ins, *others], dtype=np.int64)
    return Vocabulary(
        blob=blob,
        starts=starts,
        special_tokens={model.pieces[k].piece: k for k in _ids_of(model, *kinds)},
        pattern=_pattern(model, texts),
        inference=_INFERENCES[model.trainer_spec.model_type],
        provenance=_provenance(model, raw, path),
        first_id=int(ids.min()),
        scores=np.array([0.0] * len(stand_ins) + [model.pieces[k].score for k in others], dtype=np.float32),
        byte_fallback=has_bytes,
        user_defined=frozenset(model.pieces[k].piece for k in _ids_of(model, USER_DEFINED)),
        unknown=unknown,
        ids=None if (np.diff(ids) == 1).all() else ids,
    )


def _ids_of(model: Any, *kinds: int) -> list[int]:
    return [k for k, piece in enumerate(model.pieces) if piece.type in kinds]


def _ids_of_bytes(model: Any) -> list[int]:
    """Ids of the byte pieces by their bytes; sentencepiece has made sure that there are all."""
    ids = {model.pieces[k].piece: k for k in _ids_of(model, BYTE)}
    return [ids[byte_piece(byte)] for byte in range(256)]


def _provenance(model: Any, raw: bytes, path: Path) -> Provenance:
    """With the trainer's settings where sentencepiece alone runs the model: it names special pieces by them."""
    name = path.parent.resolve().name if path.name == FILE_NAME else path.name.removesuffix(".model")
    settings = {KEY: base64.b64encode(model.trainer_spec.SerializeToString(deterministic=True)).decode()}
    extras = {} if _is_plain(model) else settings
    return Provenance(name, hashlib.sha256(raw).hexdigest(), "sentencepiece", extras)


def _is_plain(model: Any) -> bool:
    """Whether characters are left as they are and bytes stand for those without a piece."""
    spec = model.normalizer_spec
    return bool(
        model.trainer_spec.byte_fallback and not spec.precompiled_charsmap and not spec.remove_extra_whitespaces
    )


def _pattern(model: Any, texts: list[str]) -> SplitPattern:
    """How text is prepared and cut to be counted; in `texts` a space stands for ▁."""
    spec = model.normalizer_spec
    if _is_plain(model):
        return SplitPattern.of_sentencepiece(texts, dummy_prefix=spec.add_dummy_prefix)
    user_defined = [model.pieces[k].piece for k in _ids_of(model, USER_DEFINED)]
    normalizer = normalizer_settings(spec.name, spec.SerializeToString(deterministic=True), user_defined)
    words = uncrossed(texts, at_lines=bool(model.trainer_spec.byte_fallback))
    return SplitPattern.of_steps(
        SplitSteps(steps=(words,), normalizer=json.dumps(normalizer, sort_keys=True), mark="never")
    )


def normalizer_of(vocabulary: Vocabulary) -> Mapping[str, Any] | None:
    """The normalizer of a vocabulary that sentencepiece alone runs; None for any other."""
    steps = vocabulary.pattern.steps
    settings = json.loads(steps.normalizer) if steps and steps.normalizer else {}
    return settings if settings.get("type") == KIND else None


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
    if not all(isinstance(piece.piece, str) for piece in model.pieces):  # the parser leaves other text as bytes
        raise SourceError(f"{path} has a piece that is not UTF-8: it is damaged")
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
        "it does not write spaces as ▁": not normalizer.escape_whitespaces,
        "it puts ▁ behind words": trainer.treat_whitespace_as_suffix,
        "a piece has a score that is not a number": not np.isfinite(scores).all(),
        "it has unused pieces": any(piece.type == UNUSED for piece in model.pieces),
    }
    if present := [text for text, is_so in faults.items() if is_so]:
        raise SourceError(f"{path} cannot be pruned exactly: {present[0]}")


def _token(piece: str, path: Path) -> bytes:
    if " " in piece:
        raise SourceError(f"{path} has a piece with a plain space, {piece!r}, which no text produces")
    return piece.replace(MARK, " ").encode()


def write_sentencepiece(vocabulary: Vocabulary, path: Path) -> None:
    """Write a `.model`; raises SourceError for a vocabulary that does not come from SentencePiece."""
    write_bytes(path, to_proto(vocabulary))


def to_proto(vocabulary: Vocabulary) -> bytes:
    """The bytes of a `.model`; the same for the same vocabulary."""
    is_own = vocabulary.pattern.is_sentencepiece or normalizer_of(vocabulary)
    if vocabulary.scores is None or vocabulary.unknown is None or not is_own:
        raise SourceError(
            f"{vocabulary.name} does not come from SentencePiece, which has neither a split pattern nor tokens "
            "that are parts of characters"
        )
    if vocabulary.max_id != vocabulary.n_ids - 1:
        raise SourceError(f"{vocabulary.name} has holes in its ids, which a SentencePiece model cannot hold")
    model = _new_model()
    rows = [(id_, text, 0.0, _special_kind(vocabulary, text)) for text, id_ in vocabulary.special_tokens.items()]
    pieces, n = pieces_of(vocabulary), vocabulary.n_stand_ins
    check_characters([piece.replace(MARK, " ") for piece in pieces[n:]], vocabulary.name)
    kinds = [BYTE if vocabulary.byte_fallback else UNKNOWN] * n + [NORMAL] * (len(pieces) - n)
    scores = [0.0] * n + vocabulary.scores[n:].tolist()
    rows += zip(vocabulary.rank_ids.tolist(), pieces, scores, kinds, strict=True)
    for _, text, score, kind in sorted(rows):
        model.pieces.add(piece=text, score=score, type=kind)
    if normalizer := normalizer_of(vocabulary):
        _describe_as_source(model, vocabulary, normalizer)
    else:
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


def _describe_as_source(model: Any, vocabulary: Vocabulary, normalizer: Mapping[str, Any]) -> None:
    """The settings of the source, with the new ids of its special pieces."""
    trainer, ids = model.trainer_spec, {piece.piece: k for k, piece in enumerate(model.pieces)}
    trainer.ParseFromString(base64.b64decode(vocabulary.provenance.extras[KEY]))
    trainer.vocab_size = vocabulary.n_ids
    for role in ("unk", "bos", "eos", "pad"):
        setattr(trainer, f"{role}_id", ids.get(getattr(trainer, f"{role}_piece"), -1))
    trainer.unk_piece, trainer.unk_id = vocabulary.unknown, ids[vocabulary.unknown or ""]
    model.normalizer_spec.ParseFromString(spec_of(normalizer))


def decoded(vocabulary: Vocabulary, ids: Iterable[int]) -> str:
    """Text of ids as sentencepiece decodes them."""
    processor = vocabulary.__dict__.get("_processor")
    if processor is None:
        processor = vocabulary.__dict__["_processor"] = to_sentencepiece(vocabulary)
    return str(processor.decode(list(ids)))


def to_sentencepiece(vocabulary: Vocabulary) -> sentencepiece.SentencePieceProcessor:
    """A `sentencepiece.SentencePieceProcessor` of the same ids; raises SourceError as `write_sentencepiece` does."""
    return _processor(to_proto(vocabulary))
