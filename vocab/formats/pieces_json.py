"""`tokenizer.json` of pieces with ▁ for a space, as Hugging Face tokenizers itself runs it.

Source: huggingface/tokenizers `models/bpe/model.rs`, `added_vocabulary.rs`. Merges are listed pair by pair, each with a
place of its own, which need not follow from the piece that is made; of a pair that is listed twice the last place
counts. Ids may have any order, as in Gemma, whose special tokens come first and whose bytes are in the middle.

An added token is cut out of the text before merging. So no merge makes its text, unless that holds a ▁, which a space
becomes only later; then it is an ordinary token as well, of the same id.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, models

from vocab.arrays import end_to_end
from vocab.choices import InferenceMethod
from vocab.errors import SourceError
from vocab.formats.frame import KEY, added_texts, apply_frame, as_run, frame_of, ordinary_texts
from vocab.formats.marks_json import split_pattern
from vocab.formats.sentencepiece_json import check_characters, pieces_of
from vocab.splitting.normalization import flat_steps
from vocab.splitting.preparation import MARK, byte_piece
from vocab.utf8 import NEVER_IN_UTF8
from vocab.vocabulary import Provenance, Vocabulary

_NOT_LISTED = 2**31 - 1
_BYTE_PIECES = [byte_piece(k) for k in range(256)]


def is_unigram_of_runs(model: Mapping[str, Any]) -> bool:
    """Whether a model is Unigram without bytes, to which a run of unknown characters is one token."""
    scores = {score for _, score in model["vocab"]} if model.get("type") == "Unigram" else set()
    return len(scores) > 1 and not model.get("byte_fallback")


def read(settings: Mapping[str, Any], runtime: Tokenizer, provenance: Provenance, path: Path) -> Vocabulary:
    """A vocabulary from a parsed tokenizer.json and the tokenizer that tokenizers makes of it; raises SourceError."""
    model = settings["model"]
    added = runtime.get_added_tokens_decoder()
    frame = frame_of(settings, [added[id_] for id_ in sorted(added)]) | as_run(runtime)
    frame["model"] = {key: value for key, value in model.items() if key not in ("vocab", "merges")}
    parts = _unigram(model, frame, path) if model.get("type") == "Unigram" else _bpe(model, frame, path)
    special = {token.content: id_ for id_, token in added.items() if token.content not in parts.shared}
    known = {*parts.stand_ins, *special}
    ranked = parts.stand_ins + sorted((piece for piece in parts.ids if piece not in known), key=parts.ids.__getitem__)
    texts = [piece.replace(MARK, " ") for piece in ranked[len(parts.stand_ins) :]]
    check_characters(texts, path)
    try:
        pattern = split_pattern(frame, texts)
    except SourceError as error:
        raise SourceError(f"{path} {error}, so its vocabulary cannot be pruned yet") from None
    blob, starts = end_to_end([*parts.stand_in_tokens, *(text.encode() for text in texts)])
    by_rank = np.array([parts.ids[piece] for piece in ranked], dtype=np.int64)
    is_in_order = bool((np.diff(by_rank) == 1).all())
    return Vocabulary(
        blob,
        starts,
        special,
        pattern,
        parts.method,
        replace(provenance, extras={**provenance.extras, KEY: frame}),
        int(by_rank.min()),
        scores=None if parts.scores is None else np.array([parts.scores[piece] for piece in ranked]),
        byte_fallback=parts.method == "scored-merges",
        user_defined=ordinary_texts(frame) - parts.shared,
        unknown=parts.unknown,
        added_texts=added_texts(frame),
        ids=None if is_in_order else by_rank,
        pair_order=None if parts.merges is None else _pair_order(ranked, starts, parts.merges),
    )


class _Parts(NamedTuple):
    """A model taken apart.

    Attributes:
        method: the inference method.
        ids: id of each piece.
        shared: added tokens that are ordinary tokens as well.
        stand_ins: pieces of the first ranks, for what no other piece spells.
        stand_in_tokens: the same as tokens.
        unknown: the unknown token.
        merges: places of merges, of BPE.
        scores: of Unigram.
    """

    method: InferenceMethod
    ids: Mapping[str, int]
    shared: frozenset[str]
    stand_ins: list[str]
    stand_in_tokens: list[bytes]
    unknown: str | None
    merges: Mapping[tuple[str, str], int] | None = None
    scores: Mapping[str, float] | None = None


def _bpe(model: Mapping[str, Any], frame: dict[str, Any], path: Path) -> _Parts:
    _check_model(model, path)
    merges = _merges(model)
    shared = _shared(frame, model["vocab"], merges, path)
    present = [k for k in range(256) if byte_piece(k) in model["vocab"]]
    pieces, tokens = [byte_piece(k) for k in present], [bytes([k]) for k in present]
    unknown = model.get("unk_token")
    return _Parts("scored-merges", model["vocab"], shared, pieces, tokens, unknown, merges)


def _unigram(model: Mapping[str, Any], frame: dict[str, Any], path: Path) -> _Parts:
    """Unigram without bytes. Added tokens among its pieces are found in normalized text too; their scores are kept."""
    ids = {piece: k for k, (piece, _) in enumerate(model["vocab"])}
    scores = {piece: float(score) for piece, score in model["vocab"]}
    added = {token["content"] for token in frame["added_tokens"]}
    faults = {
        "has no unknown token": model.get("unk_id") is None,
        "has a piece twice": len(ids) < len(model["vocab"]),
        "has a piece with a plain space": any(" " in piece for piece in ids),
    }
    if present := [text for text, is_so in faults.items() if is_so]:
        raise SourceError(f"{path} {present[0]}: it cannot be pruned exactly")
    unknown = str(model["vocab"][model["unk_id"]][0])
    frame["scores_of_added"] = {text: scores[text] for text in added if text in ids and text != unknown}
    return _Parts("unigram", ids, frozenset({unknown}), [unknown], [unknown.encode()], unknown, scores=scores)


def _check_model(model: Mapping[str, Any], path: Path) -> None:
    """A byte may lack its piece if no text holds it, or only as a character with a piece, as a tab in Gemini."""
    known = model["vocab"].keys()
    needed = [k for k in range(256) if k not in NEVER_IN_UTF8 and not (k < 0x80 and chr(k) in known)]
    lacking = [piece for piece in map(byte_piece, needed) if piece not in known]
    faults = {
        "leaves out merges at random (dropout)": bool(model.get("dropout")),
        "looks whole words up (ignore_merges)": bool(model.get("ignore_merges")),
        "has no byte fallback, so that it cannot encode every text": not model.get("byte_fallback"),
        f"lacks the byte piece {''.join(lacking[:1])}, which other characters need": bool(lacking),
        "has a piece with a plain space": any(" " in piece for piece in model["vocab"]),
    }
    if present := [text for text, is_so in faults.items() if is_so]:
        raise SourceError(f"{path} {present[0]}: it cannot be pruned exactly")


def _merges(model: Mapping[str, Any]) -> dict[tuple[str, str], int]:
    """The place of each pair, of one that is listed twice the last; older files write a pair as one text."""
    pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"])
    return {(left, right): place for place, (left, right) in enumerate(pairs)}


def _shared(
    frame: Mapping[str, Any], ids: Mapping[str, int], merges: Mapping[tuple[str, str], int], path: Path
) -> frozenset[str]:
    """Added tokens that merges make of other text as well; raises SourceError for special ones."""
    keeps_text = all(_keeps_text(step) for step in flat_steps(frame["normalizer"], "normalizers"))
    made = {left + right for left, right in merges} | {piece for piece in ids if len(piece) == 1}
    shared = set()
    for token in frame["added_tokens"]:
        text = token["content"]
        can_arise = MARK in text or token["single_word"] or not keeps_text
        if text not in ids or text not in made or not can_arise:
            continue
        if token["special"] or text in _BYTE_PIECES:
            raise SourceError(f"{path} has the added token {text!r}, which merges make as well: it is not read yet")
        shared.add(text)
    return frozenset(shared)


def _keeps_text(step: Mapping[str, Any]) -> bool:
    """Whether a normalizer changes nothing into the text of an added token, unless that holds a ▁."""
    written = step.get("prepend", step.get("content"))
    return step["type"] == "Strip" or (step["type"] in ("Prepend", "Replace") and written in (MARK, " "))


def _pair_order(
    ranked: list[str], starts: npt.NDArray[np.int64], merges: Mapping[tuple[str, str], int]
) -> npt.NDArray[np.int32]:
    """`Vocabulary.pair_order` of pieces by rank; merges with added tokens never happen, and are left out."""
    first = dict(zip(ranked, starts.tolist(), strict=False))
    order = np.full(int(starts[-1]), _NOT_LISTED, dtype=np.int32)
    known = first.keys() - set(_BYTE_PIECES)
    for (left, right), place in merges.items():
        if left in known and right in known and left + right in known:
            order[first[left + right] + len(left.replace(MARK, " ").encode())] = place
    return order


def to_tokenizers(vocabulary: Vocabulary, frame: Mapping[str, Any]) -> Tokenizer:
    """A `tokenizers.Tokenizer` of a vocabulary that `read` made, or of a part of one; raises SourceError for holes."""
    if vocabulary.max_id != vocabulary.n_ids - 1:
        raise SourceError(f"{vocabulary.name} has holes in its ids, which tokenizer.json cannot hold")
    pieces = pieces_of(vocabulary)
    check_characters([piece.replace(MARK, " ") for piece in pieces[vocabulary.n_stand_ins :]], vocabulary.name)
    ids = dict(zip(pieces, vocabulary.rank_ids.tolist(), strict=True))
    tokenizer = Tokenizer(
        _unigram_model(vocabulary, ids, frame)
        if vocabulary.inference == "unigram"
        else _bpe_model(vocabulary, ids, frame)
    )
    apply_frame(tokenizer, vocabulary, frame)
    return tokenizer


def _bpe_model(vocabulary: Vocabulary, ids: Mapping[str, int], frame: Mapping[str, Any]) -> models.Model:
    options = {key: value for key, value in frame["model"].items() if key != "type" and value is not None}
    in_order = dict(sorted([*ids.items(), *vocabulary.special_tokens.items()], key=lambda item: item[1]))
    return models.BPE(in_order, listed_merges(vocabulary), **options)


def _unigram_model(vocabulary: Vocabulary, ids: Mapping[str, int], frame: Mapping[str, Any]) -> models.Model:
    """Added tokens that were no pieces are none here either, so they must come last."""
    if vocabulary.scores is None:
        raise SourceError(f"{vocabulary.name} has no scores, which unigram goes by")
    scores = dict(zip(ids, vocabulary.scores.tolist(), strict=True)) | dict(frame["scores_of_added"])
    listed = dict(ids) | {text: id_ for text, id_ in vocabulary.special_tokens.items() if text in scores}
    in_order = sorted(listed, key=listed.__getitem__)
    if [listed[piece] for piece in in_order] != list(range(len(in_order))):
        raise SourceError(f"{vocabulary.name} has an added token among the ids of pieces, and it is none itself")
    unknown = ids[vocabulary.unknown or ""]
    return models.Unigram([(piece, scores[piece]) for piece in in_order], unk_id=unknown, byte_fallback=False)


def decoded(vocabulary: Vocabulary, ids: Iterable[int], frame: Mapping[str, Any]) -> str:
    """Text of ids, by the decoder of the frame."""
    texts = _texts_by_id(vocabulary)
    tokens = [texts[id_] for id_ in ids]
    decoder = _decoder(json.dumps(frame.get("decoder")))
    return str(decoder.decode(tokens)) if decoder else " ".join(tokens)


@cache
def _decoder(settings_json: str) -> Any:
    model = {"type": "BPE", "vocab": {}, "merges": []}
    return Tokenizer.from_str(json.dumps({"decoder": json.loads(settings_json), "model": model})).decoder


def _texts_by_id(vocabulary: Vocabulary) -> dict[int, str]:
    """Pieces and added tokens as tokenizers writes them, made once for each vocabulary."""
    known: dict[int, str] | None = vocabulary.__dict__.get("_texts_by_id")
    if known is None:
        known = dict(zip(vocabulary.rank_ids.tolist(), pieces_of(vocabulary), strict=True))
        known |= {id_: text for text, id_ in vocabulary.added_ids.items()}
        vocabulary.__dict__["_texts_by_id"] = known
    return known


def listed_merges(vocabulary: Vocabulary) -> list[tuple[str, str]]:
    """Merges pair by pair, in order."""
    order = vocabulary.pair_order
    if order is None:
        raise SourceError(f"{vocabulary.name} does not list merges pair by pair")
    places = np.flatnonzero(order != _NOT_LISTED)
    places = places[np.argsort(order[places])]
    ranks = np.searchsorted(vocabulary.starts, places, side="right") - 1
    tokens, starts = list(vocabulary.tokens()), vocabulary.starts
    known = set(tokens[vocabulary.n_stand_ins :])
    merges = []
    for rank, n_left in zip(ranks.tolist(), (places - starts[ranks]).tolist(), strict=True):
        left, right = tokens[rank][:n_left], tokens[rank][n_left:]
        if left in known and right in known:
            merges.append((left.decode().replace(" ", MARK), right.decode().replace(" ", MARK)))
    return merges
