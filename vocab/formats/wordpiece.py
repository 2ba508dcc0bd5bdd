"""WordPiece as BERT has it, in a `tokenizer.json`: pruned where BertPreTokenizer cuts its words, else measured.

BERT normalizes text, drops white space and puts one unknown token in place of a word that it cannot spell. Where each
character of each piece is a piece too, such words are the same as long as the characters are kept. What cuts words in
another way is run by tokenizers, and counted word by word where that is safe.

Source: huggingface/tokenizers `models/wordpiece/mod.rs`: the longest piece at each place, from the left.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer, models

from vocab.arrays import end_to_end
from vocab.encoding.characters import characters_of
from vocab.errors import SourceError
from vocab.formats.frame import KEY, added_texts, apply_frame, as_run, frame_of
from vocab.formats.hugging_face_runtime import run_by_tokenizers, steps
from vocab.formats.runtime_tokenizer import RuntimeTokenizer
from vocab.formats.word_pieces import text_of, written_pieces
from vocab.splitting import SplitPattern
from vocab.splitting.marks import AT_MARKS
from vocab.splitting.patterns import SPACED_WORDS
from vocab.splitting.spaced_words import UNSPELT, spaced_words_settings
from vocab.splitting.steps import SplitSteps
from vocab.vocabulary import Provenance, Vocabulary

# All of these work between spaces, tabs and line feeds, whatever is on the other side, so that a text has the
# tokens of its words. tokenizers lower-cases character by character, and no normal form joins anything to a space.
_NORMALIZERS = {"BertNormalizer", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents"}
_DROP_WHITE_SPACE = {"BertPreTokenizer", "Whitespace", "WhitespaceSplit"}
_SPLIT_WORDS = {"Digits", "Punctuation"} | _DROP_WHITE_SPACE


def is_wordpiece(settings: Mapping[str, Any]) -> bool:
    """Whether a tokenizer.json has WordPiece with a continuation prefix; without one it is our longest-prefix."""
    model = settings["model"]
    return bool(model.get("type") == "WordPiece" and model.get("continuing_subword_prefix") != "")


def read(
    settings: Mapping[str, Any], runtime: Tokenizer, provenance: Provenance, path: Path
) -> Vocabulary | RuntimeTokenizer:
    """A vocabulary, or where one cannot be pruned exactly a tokenizer that tokenizers runs; raises SourceError."""
    settings = {**settings, "model": {**json.loads(runtime.to_str())["model"], **settings["model"]}}
    pattern = SplitPattern(SPACED_WORDS[0]) if _leaves_words_apart(settings) else None
    texts = _texts(settings, runtime)
    if reason := _obstacle(settings, runtime, [*texts.values()]):
        obstacle = f"{provenance.name} is WordPiece, {reason}"
        return run_by_tokenizers(settings, provenance, str(path), obstacle, pattern)
    return _vocabulary(settings, runtime, provenance, texts)


def _leaves_words_apart(settings: Mapping[str, Any]) -> bool:
    """Whether a text is known to have the tokens of its words; ordinary tokens that were added may hold a space."""
    normalizers = [step["type"] for step in steps(settings.get("normalizer"))]
    splits = [step["type"] for step in steps(settings.get("pre_tokenizer"))]
    added = settings.get("added_tokens") or []
    return (
        _NORMALIZERS.issuperset(normalizers)
        and _SPLIT_WORDS.issuperset(splits)
        and bool(splits)
        and splits[0] in _DROP_WHITE_SPACE
        and all(token["special"] for token in added)
    )


def _texts(settings: Mapping[str, Any], runtime: Tokenizer) -> dict[str, str]:
    """Each piece, in the order of ids, and its text; added tokens and the unknown one are none."""
    model = settings["model"]
    others = {token.content for token in runtime.get_added_tokens_decoder().values()} | {model["unk_token"]}
    pieces = sorted(model["vocab"].keys() - others, key=model["vocab"].__getitem__)
    return {piece: text_of(piece, model["continuing_subword_prefix"]) for piece in pieces}


def _obstacle(settings: Mapping[str, Any], runtime: Tokenizer, texts: Sequence[str]) -> str | None:
    """Why it cannot be pruned exactly, as the end of a sentence; None where it can."""
    model, added = settings["model"], [*runtime.get_added_tokens_decoder().values()]
    prefix = str(model["continuing_subword_prefix"])
    splits = {step["type"] for step in steps(settings.get("pre_tokenizer"))}
    if "BertPreTokenizer" not in splits or not splits <= _SPLIT_WORDS:
        return "whose words are not cut by BertPreTokenizer"
    if model["unk_token"] not in model["vocab"]:
        return "whose unknown token is no piece"
    if any(not token.special or token.normalized for token in added):
        return "which finds added tokens in any text"
    if whole := [text for text in (prefix, *(token.content for token in added)) if not _is_cut(runtime, text)]:
        return f"in which {whole[0]!r} may be a word"
    within = [text for text in texts if not _is_cut(runtime, text.removeprefix(" "))]  # the others are in no word
    return _obstacle_in_texts([model["unk_token"], *texts], within)


def _is_cut(runtime: Tokenizer, text: str) -> bool:
    """Whether no word is or begins with this text, as pre-tokenizers cut within it."""
    return len(runtime.pre_tokenizer.pre_tokenize_str(text)) > 1


def _obstacle_in_texts(texts: Sequence[str], within: Sequence[str]) -> str | None:
    """The same for texts of pieces, and of those that words may hold.

    A word is unknown for its characters alone if each of them is a piece.
    """
    known = set(texts)
    if len(known) < len(texts):
        return "which has a piece like its unknown token"
    if odd := [text for text in texts[1:] if " " in text[1:] or text in ("", " ") or UNSPELT in text]:
        return f"whose piece {odd[0]!r} is no part of a word"
    for text in within:
        characters = characters_of(text, "wordpiece")
        if missing := [c for c in characters if c not in known]:
            return f"which has the piece {text!r} but none for its character {missing[0]!r}"
    return None


def _vocabulary(
    settings: Mapping[str, Any], runtime: Tokenizer, provenance: Provenance, texts: Mapping[str, str]
) -> Vocabulary:
    model, added = settings["model"], runtime.get_added_tokens_decoder()
    unknown = str(model["unk_token"])
    frame = frame_of(settings, [added[id_] for id_ in sorted(added)]) | as_run(runtime)
    frame["model"] = {key: value for key, value in model.items() if key != "vocab"}
    ids = np.array([model["vocab"][piece] for piece in (unknown, *texts)], dtype=np.int64)
    blob, starts = end_to_end([unknown.encode(), *(text.encode() for text in texts.values())])
    return Vocabulary(
        blob,
        starts,
        {token.content: id_ for id_, token in added.items() if token.content != unknown},
        _pattern(frame),
        "wordpiece",
        replace(provenance, extras={**provenance.extras, KEY: frame}),
        int(ids.min()),
        unknown=unknown,
        added_texts=added_texts(frame),
        ids=None if (np.diff(ids) == 1).all() else ids,
    )


def _pattern(frame: Mapping[str, Any]) -> SplitPattern:
    words = spaced_words_settings(
        frame["normalizer"], frame["pre_tokenizer"], frame["model"]["max_input_chars_per_word"]
    )
    return SplitPattern.of_steps(
        SplitSteps(steps=(AT_MARKS,), normalizer=json.dumps(words, sort_keys=True), mark="spaced")
    )


def to_tokenizers(vocabulary: Vocabulary, frame: Mapping[str, Any]) -> Tokenizer:
    """A `tokenizers.Tokenizer` of a vocabulary that `read` made, or of a part of one; raises SourceError for holes."""
    if vocabulary.max_id != vocabulary.n_ids - 1:
        raise SourceError(f"{vocabulary.name} has holes in its ids, which tokenizer.json cannot hold")
    ids = dict(zip(written_pieces(vocabulary), vocabulary.rank_ids.tolist(), strict=True)) | dict(
        vocabulary.special_tokens
    )
    options = {key: value for key, value in frame["model"].items() if key != "type"}
    tokenizer = Tokenizer(models.WordPiece(dict(sorted(ids.items(), key=lambda item: item[1])), **options))
    apply_frame(tokenizer, vocabulary, frame)
    return tokenizer
