"""The frame of a tokenizer.json: all but the tokens. It is carried unchanged, but for ids, into what is written.

It has the normalizer, the pre-tokenizer, the decoder, the post-processor, truncation, padding, and the flags of added
tokens. Only the post-processor and the padding name ids.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any

from tokenizers import AddedToken, Tokenizer

from vocab.errors import SourceError
from vocab.origin import Provenance
from vocab.splitting import SplitPattern
from vocab.splitting.added_texts import AddedText
from vocab.vocabulary import Vocabulary

KEY = "tokenizer_json"  # of a source's extras
_PARTS = ("truncation", "padding", "normalizer", "pre_tokenizer", "post_processor", "decoder")
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
_NO_MODEL = {"type": "BPE", "vocab": {}, "merges": []}


def frame_of(settings: Mapping[str, Any], added: Iterable[AddedToken]) -> dict[str, Any]:
    """The frame of a parsed tokenizer.json, with the added tokens that tokenizers has of it."""
    flags = [{"content": token.content} | {flag: getattr(token, flag) for flag in _FLAGS} for token in added]
    return {part: settings.get(part) for part in _PARTS} | {"added_tokens": flags}


def as_run(runtime: Tokenizer) -> dict[str, Any]:
    """The normalizer and the pre-tokenizer with all settings named, which older files leave out."""
    parts = {"normalizer": runtime.normalizer, "pre_tokenizer": runtime.pre_tokenizer}
    return {name: json.loads(part.__getstate__()) if part else None for name, part in parts.items()}


def carried_frame(vocabulary: Vocabulary) -> dict[str, Any] | None:
    """The frame that a vocabulary carries; None where it came from another kind of file."""
    frame: dict[str, Any] | None = vocabulary.provenance.extras.get(KEY)
    return frame


def with_split(provenance: Provenance, pattern: SplitPattern) -> Provenance:
    """The same origin, where a carried frame splits text by this one regular expression and then writes bytes."""
    frame = provenance.extras.get(KEY)
    if not frame:
        return provenance
    split = {"type": "Split", "pattern": {"Regex": pattern.portable}, "behavior": "Isolated", "invert": False}
    as_bytes = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    parts = {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, as_bytes]}}
    return replace(provenance, extras={**provenance.extras, KEY: frame | parts})


def added_texts(frame: Mapping[str, Any]) -> tuple[AddedText, ...]:
    """How the added tokens of a frame are found in text."""
    return tuple(
        AddedText(one["content"], one["normalized"], one["lstrip"], one["rstrip"], one["single_word"])
        for one in frame["added_tokens"]
    )


def ordinary_texts(frame: Mapping[str, Any]) -> frozenset[str]:
    """The added tokens of a frame that are text, and not special."""
    return frozenset(one["content"] for one in frame["added_tokens"] if not one["special"])


def apply_frame(tokenizer: Tokenizer, vocabulary: Vocabulary, frame: Mapping[str, Any]) -> None:
    """Give a tokenizer of a vocabulary's tokens the frame with its ids; raises SourceError where a token is gone."""
    parts = {part: frame[part] for part in _PARTS}
    if processor := parts["post_processor"]:
        parts["post_processor"] = with_ids(processor, lambda text: _id_of(text, "post_processor", vocabulary))
    if padding := parts["padding"]:
        parts["padding"] = padding | {"pad_id": _id_of(padding["pad_token"], "padding", vocabulary)}
    shell = Tokenizer.from_str(json.dumps({"version": "1.0", "added_tokens": [], **parts, "model": _NO_MODEL}))
    for part in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        if parts[part]:
            setattr(tokenizer, part, getattr(shell, part))
    if shell.truncation:
        tokenizer.enable_truncation(**shell.truncation)
    if shell.padding:
        tokenizer.enable_padding(**shell.padding)
    add_tokens(tokenizer, vocabulary, {one["content"]: one for one in frame["added_tokens"]})


def add_tokens(tokenizer: Tokenizer, vocabulary: Vocabulary, flags: Mapping[str, Mapping[str, Any]]) -> None:
    """Add special tokens in the order of their ids; without flags they are special, and found as they stand."""
    added = vocabulary.added_ids
    tokens = [_added_token(text, flags.get(text)) for text in sorted(added, key=added.__getitem__)]
    add_in_order(tokenizer, tokens)


def add_in_order(tokenizer: Tokenizer, tokens: Iterable[AddedToken]) -> None:
    """Add tokens in this order, in as few calls as can be: each call of tokenizers looks at all added tokens again."""
    for special, run in groupby(tokens, key=lambda token: token.special):
        (tokenizer.add_special_tokens if special else tokenizer.add_tokens)(list(run))


def _added_token(text: str, flags: Mapping[str, Any] | None) -> AddedToken:
    known = {"special": True, "normalized": False} if flags is None else {flag: flags[flag] for flag in _FLAGS}
    return AddedToken(text, **known)


def with_ids(processor: Mapping[str, Any], id_of: Callable[[str], int]) -> dict[str, Any]:
    """A post-processor with other ids of the tokens that it puts around a text; `id_of` may raise."""
    kind, new = processor.get("type"), dict(processor)
    if kind == "Sequence":
        new["processors"] = [with_ids(inner, id_of) for inner in processor["processors"]]
    elif kind == "TemplateProcessing":
        new["special_tokens"] = {
            name: entry | {"ids": [id_of(text) for text in entry["tokens"]]}
            for name, entry in processor["special_tokens"].items()
        }
    elif kind in ("BertProcessing", "RobertaProcessing"):
        for side in ("sep", "cls"):
            new[side] = [processor[side][0], id_of(processor[side][0])]
    return new


def _id_of(text: str, part: str, vocabulary: Vocabulary) -> int:
    if text in vocabulary.special_tokens:
        return vocabulary.special_tokens[text]
    ordinary = ordinary_id(vocabulary, text)
    if ordinary is None:
        raise SourceError(
            f"the {part} of {vocabulary.name} uses the token {text!r}, which the vocabulary lacks: keep it, or make it "
            "a special token"
        )
    return ordinary


def ordinary_id(vocabulary: Vocabulary, text: str) -> int | None:
    """Id of the ordinary token that a byte-level tokenizer.json writes so; None without one."""
    from vocab.splitting.byte_alphabet import to_bytes

    try:
        return vocabulary.token_ids.get(to_bytes(text))
    except KeyError:
        return None


def around(processor: Mapping[str, Any] | None) -> tuple[list[int], list[int]]:
    """Ids that a post-processor puts before one text and after it."""
    kind = processor.get("type") if processor else None
    if not processor or kind == "ByteLevel":
        return [], []
    if kind in ("BertProcessing", "RobertaProcessing"):
        return [processor["cls"][1]], [processor["sep"][1]]
    if kind == "Sequence":
        before: list[int] = []
        after: list[int] = []
        for inner in processor["processors"]:
            first, last = around(inner)
            before, after = first + before, after + last
        return before, after
    if kind != "TemplateProcessing":
        raise SourceError(f"the post-processor {kind} is not known")
    sides: tuple[list[int], list[int]] = ([], [])
    is_after = False
    for piece in processor["single"]:
        if "SpecialToken" in piece:
            sides[is_after].extend(processor["special_tokens"][piece["SpecialToken"]["id"]]["ids"])
        is_after = is_after or "Sequence" in piece
    return sides
