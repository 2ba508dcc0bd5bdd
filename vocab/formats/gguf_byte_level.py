"""Byte-level BPE of a GGUF file, put into the words of tokenizer.json and read as such.

Source: ggml-org/llama.cpp `src/llama-vocab.cpp` (`load`, `tokenizer_st_partition`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any

from tokenizers import Tokenizer

from vocab.errors import SourceError
from vocab.formats import byte_level_json
from vocab.formats.gguf_pre_tokenizers import PRE_TOKENIZERS, PreTokenizer
from vocab.formats.gguf_tokenizer import ALWAYS_CONTROL, UNUSED, USER_DEFINED, GgufTokenizer
from vocab.formats.hugging_face_runtime import run_by_tokenizers
from vocab.formats.runtime_tokenizer import RuntimeTokenizer
from vocab.splitting.byte_alphabet import BYTE_TO_CHARACTER, to_characters
from vocab.vocabulary import Vocabulary

_ALPHABET = re.compile(f"[{re.escape(''.join(BYTE_TO_CHARACTER.values()))}]+")


def read_byte_level(tokenizer: GgufTokenizer) -> Vocabulary | RuntimeTokenizer:
    """A vocabulary of byte-level BPE; one that cannot be pruned is run by tokenizers, to be measured.

    Raises SourceError, saying what is in the way, where it cannot be run either.
    """
    path, provenance = tokenizer.path, tokenizer.provenance()
    if tokenizer.pre not in PRE_TOKENIZERS:
        raise SourceError(f"{path} names the pre-tokenizer {tokenizer.pre!r}, whose split is not known")
    settings = _as_tokenizer_json(tokenizer, PRE_TOKENIZERS[tokenizer.pre])
    try:
        runtime = Tokenizer.from_str(json.dumps(settings))
    except Exception as error:  # noqa: BLE001 - tokenizers raises plain Exception
        raise SourceError(f"{path} is damaged: {str(error).splitlines()[0]}") from None
    try:
        return byte_level_json.read(settings, runtime, provenance, path)
    except SourceError as error:
        return run_by_tokenizers(settings, provenance, str(path), str(error))


def _as_tokenizer_json(tokenizer: GgufTokenizer, pre: PreTokenizer) -> dict[str, Any]:
    merges = tokenizer.merges()
    made = {piece for pair in merges for piece in (*pair, "".join(pair))}
    special = {text: k for text, k in tokenizer.special.items() if not (text in ALWAYS_CONTROL and text in made)}
    ordinary = {
        text: k for k, text in enumerate(tokenizer.tokens) if text not in special and _is_produced(tokenizer, k, made)
    }
    added = [
        {
            "id": k,
            "content": text,
            "single_word": False,
            "lstrip": _strips_left(tokenizer, text),
            "rstrip": False,
            "normalized": False,
            "special": tokenizer.kinds[k] != USER_DEFINED,
        }
        for text, k in special.items()
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": pre.to_json(),
        "post_processor": _post_processor(tokenizer, pre),
        "decoder": _decoder(special, ordinary),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": pre.looks_up_words,
            "vocab": ordinary | special,
            "merges": [list(pair) for pair in merges],
        },
    }


def _decoder(added: Collection[str], ordinary: Collection[str]) -> dict[str, Any]:
    """The decoder: that of bytes, which would take an added token like "õ" for a byte, and here gets its UTF-8."""
    spelt = {text: to_characters(text.encode()) for text in added if _ALPHABET.fullmatch(text)}
    odd = {text: spelling for text, spelling in spelt.items() if spelling != text}
    within = {text for text in odd if any(text in piece for piece in (*ordinary, *odd.values()))}
    steps = [
        {"type": "Replace", "pattern": {"String": text}, "content": odd[text]} for text in sorted(odd.keys() - within)
    ]
    as_bytes = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {"type": "Sequence", "decoders": [*steps, as_bytes]} if steps else as_bytes


def _is_produced(tokenizer: GgufTokenizer, id_: int, made: set[str]) -> bool:
    """Whether a token may ever come out: fillers do not, nor does what is not in GPT-2's alphabet and in no merge."""
    text = tokenizer.tokens[id_]
    return text in made or (tokenizer.kinds[id_] != UNUSED and bool(_ALPHABET.fullmatch(text)))


def _strips_left(tokenizer: GgufTokenizer, text: str) -> bool:
    if text == "<mask>":
        return tokenizer.pre in ("jina-v2-de", "jina-v2-es", "jina-v2-code")
    return text == "[MASK]" and "modern-bert" in str(tokenizer.keys.get("general.name", "")).lower()


def _post_processor(tokenizer: GgufTokenizer, pre: PreTokenizer) -> dict[str, Any] | None:
    before, after = tokenizer.around(pre.adds_bos)
    if not before and not after:
        return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    special = tokenizer.special

    def template(name: str, type_id: int) -> list[dict[str, Any]]:
        around = [[{"SpecialToken": {"id": text, "type_id": type_id}} for text in side] for side in (before, after)]
        return [*around[0], {"Sequence": {"id": name, "type_id": type_id}}, *around[1]]

    return {
        "type": "TemplateProcessing",
        "single": template("A", 0),
        "pair": [*template("A", 0), *template("B", 1)],
        "special_tokens": {text: {"id": text, "ids": [special[text]], "tokens": [text]} for text in {*before, *after}},
    }
