"""`tokenizer.json` of pieces with ▁ for a space, as Hugging Face tokenizers itself runs it.

Source: huggingface/tokenizers `models/bpe/model.rs`, `added_vocabulary.rs`. Merges are listed pair by pair, each with a
place of its own, which need not follow from the piece that is made; of a pair that is listed twice the last place
counts. Ids may have any order, as in Gemma, whose special tokens come first and whose bytes are in the middle.

An added token is cut out of the text before merging. So no merge makes its text, unless that holds a ▁, which a space
becomes only later; then it is an ordinary token as well, of the same id.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, models

from vocab.arrays import end_to_end
from vocab.errors import SourceError
from vocab.formats.frame import KEY, added_texts, apply_frame, frame_of, ordinary_texts
from vocab.formats.marks_json import split_pattern
from vocab.formats.sentencepiece_json import check_characters, pieces_of
from vocab.splitting.normalization import flat_steps
from vocab.splitting.preparation import MARK, byte_piece
from vocab.vocabulary import Provenance, Vocabulary

_NOT_LISTED = 2**31 - 1
_BYTE_PIECES = [byte_piece(k) for k in range(256)]


def read(settings: Mapping[str, Any], runtime: Tokenizer, provenance: Provenance, path: Path) -> Vocabulary:
    """A vocabulary from a parsed tokenizer.json and the tokenizer that tokenizers makes of it; raises SourceError."""
    model = settings["model"]
    _check_model(model, path)
    added = runtime.get_added_tokens_decoder()
    frame = frame_of(settings, [added[id_] for id_ in sorted(added)]) | _as_run(runtime)
    frame["model"] = {key: value for key, value in model.items() if key not in ("vocab", "merges")}
    ids, merges = model["vocab"], _merges(model)
    shared = _shared(frame, ids, merges, path)
    special = {token.content: id_ for id_, token in added.items() if token.content not in shared}
    pieces = sorted((piece for piece in ids if piece not in special), key=ids.__getitem__)
    ranked = _BYTE_PIECES + [piece for piece in pieces if piece not in set(_BYTE_PIECES)]
    texts = [piece.replace(MARK, " ") for piece in ranked[256:]]
    check_characters(texts, path)
    try:
        pattern = split_pattern(frame, texts)
    except SourceError as error:
        raise SourceError(f"{path} {error}, so its vocabulary cannot be pruned yet") from None
    blob, starts = end_to_end([bytes([k]) for k in range(256)] + [text.encode() for text in texts])
    by_rank = np.array([ids[piece] for piece in ranked], dtype=np.int64)
    is_in_order = bool((np.diff(by_rank) == 1).all())
    return Vocabulary(
        blob,
        starts,
        special,
        pattern,
        "scored-merges",
        replace(provenance, extras={**provenance.extras, KEY: frame}),
        int(by_rank.min()),
        byte_fallback=True,
        user_defined=ordinary_texts(frame) - shared,
        unknown=model["unk_token"] if model.get("unk_token") in special else None,
        added_texts=added_texts(frame),
        ids=None if is_in_order else by_rank,
        pair_order=_pair_order(ranked, starts, merges),
    )


def _as_run(runtime: Tokenizer) -> dict[str, Any]:
    """The normalizer and the pre-tokenizer with all settings named, which older files leave out."""
    parts = {"normalizer": runtime.normalizer, "pre_tokenizer": runtime.pre_tokenizer}
    return {name: json.loads(part.__getstate__()) if part else None for name, part in parts.items()}


def _check_model(model: Mapping[str, Any], path: Path) -> None:
    faults = {
        "leaves out merges at random (dropout)": bool(model.get("dropout")),
        "looks whole words up (ignore_merges)": bool(model.get("ignore_merges")),
        "has no byte fallback, so that it cannot encode every text": not model.get("byte_fallback"),
        "lacks some of the 256 byte pieces": not set(_BYTE_PIECES) <= model["vocab"].keys(),
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
    check_characters([piece.replace(MARK, " ") for piece in pieces[256:]], vocabulary.name)
    ids = dict(zip(pieces, vocabulary.rank_ids.tolist(), strict=True)) | dict(vocabulary.special_tokens)
    options = {key: value for key, value in frame["model"].items() if key != "type" and value is not None}
    in_order = dict(sorted(ids.items(), key=lambda item: item[1]))
    tokenizer = Tokenizer(models.BPE(in_order, listed_merges(vocabulary), **options))
    apply_frame(tokenizer, vocabulary, frame)
    return tokenizer


def listed_merges(vocabulary: Vocabulary) -> list[tuple[str, str]]:
    """Merges pair by pair, in order."""
    order = vocabulary.pair_order
    if order is None:
        raise SourceError(f"{vocabulary.name} does not list merges pair by pair")
    places = np.flatnonzero(order != _NOT_LISTED)
    places = places[np.argsort(order[places])]
    ranks = np.searchsorted(vocabulary.starts, places, side="right") - 1
    tokens, starts = list(vocabulary.tokens()), vocabulary.starts
    known = set(tokens[256:])
    merges = []
    for rank, n_left in zip(ranks.tolist(), (places - starts[ranks]).tolist(), strict=True):
        left, right = tokens[rank][:n_left], tokens[rank][n_left:]
        if left in known and right in known:
            merges.append((left.decode().replace(" ", MARK), right.decode().replace(" ", MARK)))
    return merges
