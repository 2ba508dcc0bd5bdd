"""Byte-level tokenizers in a tokenizer.json: BPE of merges, and the models that carry our other inference methods.

Ids need not follow the order of merges (RoBERTa's follow frequency), have holes, or leave special tokens at an end. A
token that no listed merge makes is never produced where words are not looked up whole: it is left out, as a hole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from vocab.arrays import Ints, end_to_end
from vocab.choices import InferenceMethod
from vocab.encoding.encoder import merge_parents
from vocab.errors import SourceError
from vocab.formats.frame import KEY, added_texts, frame_of, ordinary_texts
from vocab.formats.hugging_face_runtime import steps
from vocab.formats.split_json import differing_text, split_pattern
from vocab.splitting import SplitPattern
from vocab.splitting.byte_alphabet import to_bytes
from vocab.vocabulary import Provenance, Vocabulary

# Times that merges are put in order by what makes each token, before that is given up.
_MAX_ROUNDS = 6

Pair = tuple[str, str]


def read(settings: Mapping[str, Any], runtime: Tokenizer, provenance: Provenance, path: Path) -> Vocabulary:
    """A vocabulary from a parsed tokenizer.json and the tokenizer that tokenizers makes of it; raises SourceError."""
    model = settings["model"]
    method, pieces = _pieces(model, path)
    if method == "merges" and not _goes_from_bytes(settings):
        raise SourceError(
            f"{path} is BPE that goes from characters without byte fallback, so its vocabulary cannot be pruned yet"
        )
    added = runtime.get_added_tokens_decoder()
    special = {token.content: id_ for id_, token in added.items()}
    frame = frame_of(settings, [added[id_] for id_ in sorted(added)])
    ordinary = {piece: id_ for piece, id_ in pieces.items() if piece not in special}
    pattern = _pattern(frame, runtime, path)
    if method == "merges":
        ranked = _by_merges(model, ordinary, pattern, path)
    else:
        ranked = sorted(ordinary, key=ordinary.__getitem__)
    leaves_out = method == "merges" and model.get("unk_token") is None
    return _vocabulary(ranked, ordinary, special, pattern, method, frame, provenance, path, leaves_out)


def _goes_from_bytes(settings: Mapping[str, Any]) -> bool:
    """Whether a tokenizer writes text in the alphabet of bytes before merges."""
    parts = [*steps(settings.get("normalizer")), *steps(settings.get("pre_tokenizer"))]
    return any(step["type"] == "ByteLevel" for step in parts)


def _vocabulary(
    ranked: list[str],
    ids: Mapping[str, int],
    special: Mapping[str, int],
    pattern: SplitPattern,
    method: InferenceMethod,
    frame: dict[str, Any],
    provenance: Provenance,
    path: Path,
    leaves_out: bool,
) -> Vocabulary:
    """The vocabulary of pieces in the order of ranks."""
    by_rank = np.array([ids[piece] for piece in ranked], dtype=np.int64)
    first = int(by_rank.min()) if by_rank.size else 0
    is_in_order = bool((by_rank == np.arange(by_rank.size) + first).all())
    blob, starts = end_to_end([_bytes_of(piece, path) for piece in ranked])
    return Vocabulary(
        blob,
        starts,
        special,
        pattern,
        method,
        replace(provenance, extras={**provenance.extras, KEY: frame}),
        first,
        user_defined=ordinary_texts(frame),
        added_texts=added_texts(frame),
        ids=None if is_in_order else by_rank,
        leaves_out=leaves_out,
    )


def _pieces(model: Mapping[str, Any], path: Path) -> tuple[InferenceMethod, dict[str, int]]:
    kind = model.get("type") or ("BPE" if "merges" in model else "unknown")
    if kind == "BPE":
        if model.get("dropout"):
            raise SourceError(
                f"{path} leaves out merges at random (dropout {model['dropout']}): set its dropout to null first"
            )
        return "merges", model["vocab"]
    if kind == "Unigram" and len({score for _, score in model["vocab"]}) == 1:
        return "least-tokens", {piece: k for k, (piece, _) in enumerate(model["vocab"])}
    if kind == "WordPiece" and model.get("continuing_subword_prefix") == "":
        return "longest-prefix", model["vocab"]
    raise SourceError(f"{path} has a model of the type {kind}, whose vocabulary cannot be pruned yet")


def _pattern(frame: Mapping[str, Any], runtime: Tokenizer, path: Path) -> SplitPattern:
    """The split pattern of a frame, which must split hard texts as tokenizers does; raises SourceError."""
    try:
        pattern = split_pattern(frame)
    except SourceError as error:
        raise SourceError(f"{path} {error}, so its vocabulary cannot be pruned yet") from None
    if (text := differing_text(pattern, runtime)) is not None:
        raise SourceError(
            f"{path} splits {text[:40]!r} in a way that is not understood here, so its vocabulary cannot be pruned yet"
        )
    return pattern


def _bytes_of(piece: str, path: Path) -> bytes:
    try:
        return to_bytes(piece)
    except KeyError as error:
        raise SourceError(
            f"{path} is not byte-level: its token {piece!r} holds the character {error.args[0]!r}"
        ) from None


def _by_merges(model: Mapping[str, Any], ids: dict[str, int], pattern: SplitPattern, path: Path) -> list[str]:
    """Pieces that are ever produced, in the order of ids if merges follow it, else in the order of merges.

    A piece's place is that of the merge that makes it when it is encoded by itself; other merges of it never happen.
    """
    places = {pair: k for k, pair in enumerate(_merge_pairs(model))}  # of a pair listed twice the last place counts
    if unknown := next((piece for pair in places for piece in (*pair, "".join(pair)) if piece not in ids), None):
        raise SourceError(f"{path} has the added token {unknown!r}, which is also made by merges: it is not read yet")
    order = _first_places(places, ids)
    if not model.get("ignore_merges"):
        order = {piece: place for piece, place in order.items() if place < len(places)}
    order = {piece: place for piece, place in order.items() if order.keys() >= set(piece)}
    ranked = sorted(order, key=ids.__getitem__)
    listed = [order[piece] for piece in ranked if 0 <= order[piece] < len(places)]
    if listed != sorted(listed):
        ranked.sort(key=lambda piece: (order[piece], ids[piece]))
    for _ in range(_MAX_ROUNDS):
        made_by = _made_by(ranked, pattern, path)
        order = {piece: _place(piece, made_by.get(piece), places, order, path) for piece in ranked}
        made = [order[piece] for piece in ranked if piece in made_by]
        if made == sorted(made):
            break
        ranked = sorted(order, key=lambda piece: (order[piece], ids[piece]))
    else:
        raise SourceError(
            f"{path} lists merges in an order that no ranks of tokens follow: it cannot be pruned exactly"
        )
    if model.get("ignore_merges"):
        return ranked
    return [piece for piece in ranked if len(piece) == 1 or piece in made_by]


def _first_places(places: Mapping[Pair, int], ids: Mapping[str, int]) -> dict[str, int]:
    """The place of the first merge of each piece; single bytes are before all, pieces without one after all."""
    order = {piece: -1 if len(piece) == 1 else len(places) for piece in ids}
    for (left, right), place in places.items():
        piece = left + right
        if piece in order:
            order[piece] = min(order[piece], place)
    return order


def _made_by(ranked: list[str], pattern: SplitPattern, path: Path) -> dict[str, Pair]:
    """The last merge of each piece that is made by merges alone."""
    tokens = [_bytes_of(piece, path) for piece in ranked]
    vocabulary = Vocabulary.from_tokens(tokens, pattern, provenance=Provenance(str(path)))
    vocabulary = replace(vocabulary, leaves_out=True)
    parents: Ints = merge_parents(vocabulary.encoder.trie, vocabulary.blob, vocabulary.starts)
    pairs = zip(ranked, parents.tolist(), strict=True)
    return {piece: (ranked[left], ranked[right]) for piece, (left, right) in pairs if left >= 0}


def _place(piece: str, pair: Pair | None, places: Mapping[Pair, int], order: Mapping[str, int], path: Path) -> int:
    if pair is None:
        return order[piece]
    if pair not in places:
        raise SourceError(
            f"{path} has the token {to_bytes(piece)!r} but not the merge of {pair[0]!r} and {pair[1]!r} that would "
            "make it, so its encoder does not produce it where tiktoken's would: it cannot be pruned exactly"
        )
    return places[pair]


def _merge_pairs(model: Mapping[str, Any]) -> list[Pair]:
    """Merges in order; older files write a pair as one text with a space."""
    pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"])
    return [(left, right) for left, right in pairs]
