"""`tokenizer.json` of SentencePiece's BPE with byte fallback, as Llama 2 and Mistral have it, and of its Unigram.

Source: transformers `convert_slow_tokenizer.py` (`LlamaConverter`, `SentencePieceExtractor`). A normalizer puts ▁
before the text and in the place of spaces; bytes are pieces <0xNN>. In BPE every split of every piece is a merge, in
the order of scores: Hugging Face merges listed pairs only, SentencePiece any pair that forms a piece. In Unigram bytes
have so low a score that no text becomes one by spelling its name, as it would in Hugging Face.

User-defined pieces are added tokens that are looked for after normalization, since what follows one begins without ▁.
Their own text is normalized too, and must come out as it is, so there the prefix is a replacement that spares it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, processors

from vocab.choices import InferenceMethod
from vocab.encoding.unigram import byte_score
from vocab.errors import SourceError
from vocab.formats.frame import add_in_order
from vocab.formats.word_pieces import written_pieces
from vocab.splitting import SplitPattern
from vocab.splitting.preparation import MARK, byte_piece
from vocab.vocabulary import Provenance, Vocabulary

_BEGIN = "<s>"
_BUT_FOR, _ONLY = r"\A(?!(?:", r"\z)"  # the beginning of a text, unless it is one of some texts


def pieces_of(vocabulary: Vocabulary) -> list[str]:
    """The ordinary tokens by rank as SentencePiece writes them, or WordPiece."""
    if vocabulary.inference == "wordpiece":
        return written_pieces(vocabulary)
    tokens = list(vocabulary.tokens())
    n_bytes = vocabulary.n_stand_ins if vocabulary.byte_fallback else 0
    texts = [token.decode().replace(" ", MARK) for token in tokens[n_bytes:]]
    return [byte_piece(token[0]) for token in tokens[:n_bytes]] + texts


def to_tokenizers(vocabulary: Vocabulary) -> Tokenizer:
    """A `tokenizers.Tokenizer` with the same ids; raises SourceError when ids have holes.

    Only a text that is one user-defined piece and nothing else gets no ▁ before it, which sentencepiece puts there.
    """
    if vocabulary.max_id != vocabulary.n_ids - 1:
        raise SourceError(f"{vocabulary.name} has holes in its ids, which tokenizer.json cannot hold")
    pieces = pieces_of(vocabulary)
    check_characters([piece.replace(MARK, " ") for piece in pieces[256:]], vocabulary.name)
    ids = dict(vocabulary.special_tokens) | dict(zip(pieces, vocabulary.rank_ids.tolist(), strict=True))
    tokenizer = Tokenizer(_model(vocabulary, pieces, dict(sorted(ids.items(), key=lambda item: item[1]))))
    has_prefix = vocabulary.pattern.has_dummy_prefix
    prefix = [_prefix(vocabulary.user_defined)] if has_prefix else []
    tokenizer.normalizer = normalizers.Sequence([*prefix, normalizers.Replace(" ", MARK)])
    strip = [decoders.Strip(" ", 1, 0)] if has_prefix else []
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    if _BEGIN in vocabulary.special_tokens:
        tokenizer.post_processor = _beginning(vocabulary.special_tokens[_BEGIN])
    texts = sorted(vocabulary.special_tokens, key=vocabulary.special_tokens.__getitem__)
    add_in_order(tokenizer, [_added_token(text, user_defined=text in vocabulary.user_defined) for text in texts])
    return tokenizer


def _added_token(text: str, *, user_defined: bool) -> AddedToken:
    return AddedToken(text, normalized=user_defined, special=not user_defined)


def _model(vocabulary: Vocabulary, pieces: list[str], ids: dict[str, int]) -> models.Model:
    if vocabulary.inference != "unigram":
        merges = all_merges(pieces, vocabulary.merge_order.tolist())
        return models.BPE(ids, merges, unk_token=vocabulary.unknown, fuse_unk=True, byte_fallback=True)
    listed = _scores(vocabulary)
    scores = dict(zip(pieces, listed.tolist(), strict=True))
    if vocabulary.provenance.format == "sentencepiece":
        scores |= dict.fromkeys(pieces[:256], byte_score(listed))
    in_order = [(piece, scores.get(piece, 0.0)) for piece in ids]
    return models.Unigram(in_order, unk_id=ids[vocabulary.unknown or ""], byte_fallback=True)


def _scores(vocabulary: Vocabulary) -> npt.NDArray[np.floating[Any]]:
    if vocabulary.scores is None:
        raise SourceError(f"{vocabulary.name} has no scores, which unigram goes by")
    return vocabulary.scores


def _prefix(user_defined: frozenset[str]) -> normalizers.Normalizer:
    """Puts ▁ before a text."""
    if not user_defined:
        return normalizers.Prepend(MARK)
    texts = "|".join(re.escape(text) for text in sorted(user_defined))
    return normalizers.Replace(Regex(f"{_BUT_FOR}{texts}){_ONLY}"), MARK)


def _beginning(begin_id: int) -> processors.TemplateProcessing:
    """<s> before each text where special tokens are asked for, as in Llama 2 and Mistral."""
    return processors.TemplateProcessing(
        single=f"{_BEGIN} $A", pair=f"{_BEGIN} $A {_BEGIN}:1 $B:1", special_tokens=[(_BEGIN, begin_id)]
    )


def all_merges(pieces: list[str], order: list[int]) -> list[tuple[str, str]]:
    """Every pair of pieces whose concatenation is a piece, by `order` of the result, then by the ranks of all three."""
    ranks = {piece: k for k, piece in enumerate(pieces) if k >= 256}
    rows = []
    for piece, rank in ranks.items():
        for k in range(1, len(piece)):
            left, right = ranks.get(piece[:k]), ranks.get(piece[k:])
            if left is not None and right is not None:
                rows.append((order[rank], rank, left, right))
    return [(pieces[left], pieces[right]) for _, _, left, right in sorted(rows)]


def is_of_sentencepiece(settings: Mapping[str, Any]) -> bool:
    """Whether a parsed tokenizer.json is BPE from characters, or Unigram, with byte fallback."""
    model = settings.get("model") or {}
    is_model = "merges" in model or model.get("type") == "Unigram"
    return bool(model.get("byte_fallback")) and is_model


def read(settings: Mapping[str, Any], provenance: Provenance, path: Path) -> Vocabulary:
    """A vocabulary from such a tokenizer.json; raises SourceError where SentencePiece would encode differently."""
    model = settings["model"]
    is_unigram = "merges" not in model
    has_prefix = _has_prefix(settings, path)
    ids = {piece: k for k, (piece, _) in enumerate(model["vocab"])} if is_unigram else model["vocab"]
    unknown = _unknown(model)
    added = {token["content"]: token for token in settings.get("added_tokens", [])}
    special = {text: int(token["id"]) for text, token in added.items()}
    ordinary = sorted((k, piece) for piece, k in ids.items() if special.get(piece) != k)
    pieces, first = [piece for _, piece in ordinary], ordinary[0][0] if ordinary else 0
    in_order = [k for k, _ in ordinary] == list(range(first, first + len(ordinary)))
    if not in_order or pieces[:256] != [byte_piece(k) for k in range(256)]:
        raise SourceError(f"{path} has pieces in another order than special ones, 256 bytes, the others: not read yet")
    if unknown not in special or model.get("ignore_merges") or model.get("dropout"):
        raise SourceError(
            f"{path} has no unknown token, or looks whole words up: it is not as SentencePiece would have it"
        )
    texts = [piece.replace(MARK, " ") for piece in pieces[256:]]
    check_characters(texts, path)
    tokens = [bytes([k]) for k in range(256)] + [text.encode() for text in texts]
    pattern = SplitPattern.of_sentencepiece(texts, dummy_prefix=has_prefix)
    method: InferenceMethod = "unigram" if is_unigram else "scored-merges"
    vocabulary = Vocabulary.from_tokens(tokens, pattern, special, method, provenance, first)
    return replace(
        vocabulary,
        scores=_listed_scores(model, ordinary, path) if is_unigram else _scores_of(model["merges"], pieces, path),
        byte_fallback=True,
        user_defined=frozenset(text for text, token in added.items() if not token.get("special")),
        unknown=unknown,
    )


def _unknown(model: Mapping[str, Any]) -> str | None:
    """The unknown token by its text, as BPE has it, or by its id, as Unigram has it."""
    id_ = model.get("unk_id")
    return model.get("unk_token") if id_ is None else model["vocab"][id_][0]


def _listed_scores(model: Mapping[str, Any], ordinary: list[tuple[int, str]], path: Path) -> npt.NDArray[np.float64]:
    """Scores of ordinary pieces (id and text) from Unigram's list; raises SourceError where a special one is worse."""
    scores = np.array([score for _, score in model["vocab"]], dtype=np.float64)
    ordinary_scores: npt.NDArray[np.float64] = scores[[k for k, _ in ordinary]]
    if scores.min() < ordinary_scores.min():
        raise SourceError(
            f"{path} has a special token of lower score than all pieces, by which unknown ones are scored"
        )
    return ordinary_scores


def check_characters(texts: list[str], name: Path | str) -> None:
    """Each character of a piece must be a piece, or sentencepiece and other runtimes would encode differently.

    In `texts` a space replaces ▁, which must be a piece by itself too. Raises SourceError.
    """
    known = set(texts)
    for text in texts:
        if missing := [c for c in text if c not in known]:
            raise SourceError(f"{name} has the piece {text!r} but none for its character {missing[0]!r}")
    if " " not in known:
        raise SourceError(f"{name} has no piece ▁, so that a space by itself could not be encoded")


def _has_prefix(settings: Mapping[str, Any], path: Path) -> bool:
    """Whether a ▁ is put before each text; raises SourceError for anything else that is done to it."""
    normalizer = settings.get("normalizer") or {}
    steps = list(normalizer.get("normalizers", [normalizer]))
    cuts = any(not token.get("special") for token in settings.get("added_tokens", []))
    if settings.get("pre_tokenizer") is not None:
        raise SourceError(
            f"{path} uses {settings['pre_tokenizer'].get('type')}, which puts ▁ before a text only where it begins "
            "without a space, as SentencePiece does not: prune the tokenizer.model instead"
        )
    if not steps or steps.pop() != {"type": "Replace", "pattern": {"String": " "}, "content": MARK}:
        raise SourceError(f"{path} does not write spaces as ▁ by a normalizer, as SentencePiece's BPE is written")
    if not steps:
        return False
    pattern = steps[0].get("pattern", {}).get("Regex", "")
    spares = steps[0].get("content") == MARK and pattern.startswith(_BUT_FOR) and pattern.endswith(_ONLY)
    if len(steps) > 1 or not (spares or (steps[0] == {"type": "Prepend", "prepend": MARK} and not cuts)):
        raise SourceError(f"{path} changes text before it merges in a way that SentencePiece does not")
    return True


def _scores_of(merges: list[Any], pieces: list[str], path: Path) -> Any:
    """Scores by which SentencePiece merges in the listed order; raises SourceError where none do."""
    pairs = [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in merges]
    results = dict.fromkeys(left + right for left, right in pairs)
    place = {piece: k for k, piece in enumerate(results)}
    order = [place.get(piece, len(place) + k) for k, piece in enumerate(pieces)]
    expected = all_merges(pieces, order)
    if sorted(pairs) != sorted(expected):
        odd = sorted(set(pairs) ^ set(expected))
        named = odd[0] if odd else pairs[0]
        raise SourceError(
            f"{path} lists {'' if named in set(pairs) else 'not '}the merge {named!r}, unlike SentencePiece"
        )
    last = -1
    for left, right in pairs:
        if place[left + right] < last:
            raise SourceError(f"{path} merges {left!r} and {right!r} after later pieces, which scores cannot say")
        last = place[left + right]
    scores = -np.array(order, dtype=np.float32)
    scores[:256] = 0
    return scores
