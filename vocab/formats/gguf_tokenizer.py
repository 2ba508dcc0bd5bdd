"""The tokenizer in the header of a GGUF file: tokens, kinds, roles and chat template, as llama.cpp takes them.

Source: ggml-org/llama.cpp `src/llama-vocab.cpp` (`load`). Kinds of tokens that it changes by their texts are changed
here too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vocab.errors import SourceError
from vocab.formats import companions
from vocab.formats.gguf_header import read_header
from vocab.vocabulary import Provenance

# Kinds of token.
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
_SPECIAL = (UNKNOWN, CONTROL, USER_DEFINED)
_PREFIX = "tokenizer.ggml."
_IDS = {
    "bos_token": "bos_token_id",
    "eos_token": "eos_token_id",
    "unk_token": "unknown_token_id",
    "pad_token": "padding_token_id",
    "sep_token": "seperator_token_id",
    "cls_token": "cls_token_id",
    "mask_token": "mask_token_id",
}
# Texts that are control tokens, and texts that are user-defined, whatever the file says.
ALWAYS_CONTROL = frozenset(
    (
        *("<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>"),
        *("_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>"),
        *("<｜end▁of▁sentence｜>", "[e~["),
    )
)
_ALWAYS_USER_DEFINED = frozenset(("<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"))


@dataclass(frozen=True)
class GgufTokenizer:
    """What a header says of its tokenizer.

    Attributes:
        path: the file.
        keys: values under `tokenizer.` and `general.`, by key.
        tokens: text of each id.
        kinds: kind of each id, as llama.cpp takes it.
    """

    path: Path
    keys: Mapping[str, Any]
    tokens: list[str]
    kinds: list[int]

    @classmethod
    def read(cls, path: Path) -> GgufTokenizer:
        """Read it; raises SourceError for a file that has none, or a damaged one."""
        keys = read_header(path, lambda key: key.startswith(("tokenizer.", "general.")))
        tokens = _expect(keys, _PREFIX + "tokens", list, path) or []
        if not tokens:
            raise SourceError(f"{path} holds no tokenizer: it has no {_PREFIX}tokens")
        tokens = [text or f"[EMPTY_{k}]" for k, text in enumerate(tokens)]
        ids = {text: k for k, text in enumerate(tokens)}
        if len(ids) < len(tokens):
            twice = next(text for k, text in enumerate(tokens) if ids[text] != k)
            raise SourceError(f"{path} has the token {twice!r} twice, which llama.cpp does not load")
        kinds = _expect(keys, _PREFIX + "token_type", np.ndarray, path)
        if kinds is not None and kinds.size < len(tokens):
            raise SourceError(f"{path} has {len(tokens):,} tokens, and kinds of {kinds.size:,}")
        listed = [NORMAL] * len(tokens) if kinds is None else kinds[: len(tokens)].tolist()
        return cls(path, keys, tokens, [_kind(text, kind) for text, kind in zip(tokens, listed, strict=True)])

    def get(self, name: str, kind: type, default: Any = None) -> Any:
        """The value of `tokenizer.ggml.NAME`; raises SourceError when it is of another kind."""
        value = _expect(self.keys, _PREFIX + name, kind, self.path)
        return default if value is None else value

    @property
    def model(self) -> str:
        """The kind of model: gpt2, llama, bert and others."""
        return str(self.get("model", str, ""))

    @property
    def pre(self) -> str:
        """The name of the pre-tokenizer."""
        return str(self.get("pre", str, "default")) or "default"

    @property
    def special(self) -> dict[str, int]:
        """Id of each token that is not made by encoding, by its text."""
        return {text: k for k, (text, kind) in enumerate(zip(self.tokens, self.kinds, strict=True)) if kind in _SPECIAL}

    @property
    def roles(self) -> dict[str, str]:
        """Texts of special tokens by their role."""
        ids = {role: self.get(key, int) for role, key in _IDS.items()}
        special = self.special
        named = {role: self.tokens[k] for role, k in ids.items() if k is not None and 0 <= k < len(self.tokens)}
        return {role: text for role, text in named.items() if text in special}

    def around(self, pre_adds_bos: bool) -> tuple[list[str], list[str]]:
        """Texts of the tokens before and after a text."""
        roles = self.roles
        begins, ends = self.get("add_bos_token", bool, pre_adds_bos), self.get("add_eos_token", bool, False)
        begin, end = roles.get("bos_token"), roles.get("eos_token")
        return [begin] if begins and begin else [], [end] if ends and end else []

    def merges(self) -> list[tuple[str, str]]:
        """Pairs in order, which are written with a space between their parts; the first has a character or more."""
        merges = self.get("merges", list)
        if merges is None:
            raise SourceError(f"{self.path} has no merges, by which llama.cpp makes the tokens of a gpt2 model")
        pairs = []
        for k, text in enumerate(merges):
            rest, _, right = text[1:].partition(" ")
            if not right:
                raise SourceError(f"{self.path} is damaged: its merge {k}, {text!r}, is no pair of pieces")
            pairs.append((text[:1] + rest, right))
        return pairs

    def provenance(self) -> Provenance:
        """Where it came from, with its chat template and roles; the digest is of the header's content."""
        content: dict[str, Any] = {}
        if template := self._template():
            content |= {"chat_template": template, "in_file": False}
        if roles := self.roles:
            content["roles"] = roles
        extras = {companions.KEY: content} if content else {}
        return Provenance(self.path.stem, self._sha256(), "gguf", extras)

    def _template(self) -> str | list[dict[str, str]] | None:
        named = {
            key.removeprefix("tokenizer.chat_template.").removeprefix("tokenizer.chat_template") or "default": value
            for key, value in self.keys.items()
            if key == "tokenizer.chat_template" or key.startswith("tokenizer.chat_template.")
        }
        texts = {name: text for name, text in named.items() if isinstance(text, str)}
        if set(texts) <= {"default"}:
            return texts.get("default")
        return [{"name": name, "template": text} for name, text in texts.items()]

    def _sha256(self) -> str:
        content = {
            key: value.tolist() if isinstance(value, np.ndarray) else value
            for key, value in self.keys.items()
            if key.startswith("tokenizer.")
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _expect(keys: Mapping[str, Any], key: str, kind: type, path: Path) -> Any:
    value = keys.get(key)
    if value is None or (isinstance(value, kind) and (kind is bool or not isinstance(value, bool))):
        return value
    raise SourceError(f"{path} is damaged: {key} is of another kind than it must be")


def _kind(text: str, kind: int) -> int:
    if text in _ALWAYS_USER_DEFINED:
        return USER_DEFINED
    return CONTROL if text in ALWAYS_CONTROL else kind
