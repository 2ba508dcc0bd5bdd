"""Added tokens from a folder's other files, added to its tokenizer.json or tokenizer.model as AutoTokenizer does.

First come those of `added_tokens_decoder`, or else of added_tokens.json, in the order of their ids. Tokens that have a
role come last. Each gets the id that it has already, or else the next one.

Source: transformers 5 `tokenization_utils_tokenizers.py` (`TokenizersBackend.__init__`) and
`tokenization_utils_base.py` (`_from_pretrained`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import AddedToken, Tokenizer

from vocab.errors import SourceError
from vocab.formats.companions import CONFIG, SPECIAL, read_object, special_tokens_named
from vocab.vocabulary import Vocabulary

ADDED = "added_tokens.json"
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
# In the order in which transformers adds them.
_ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


class FolderTokens(NamedTuple):
    """Added tokens that a folder's files name.

    Attributes:
        listed: with flags, which go before those in tokenizer.json.
        with_roles: only added where they are missing.
    """

    listed: Sequence[AddedToken] = ()
    with_roles: Sequence[AddedToken] = ()


NO_TOKENS = FolderTokens()


def added_by_folder(directory: Path, default_roles: Mapping[str, Any] | None = None) -> FolderTokens:
    """Added tokens that a folder's other files name, in the order in which they are added; raises SourceError.

    `default_roles` are those of the tokenizer class, for roles that the files do not name.
    """
    config, roles = read_object(directory / CONFIG), read_object(directory / SPECIAL)
    special = list(_with_roles({**(default_roles or {}), **special_tokens_named(config, roles)}))
    texts = {token.content for token in special}
    listed = config.get("added_tokens_decoder") or {}
    try:
        named = [_token(entry) for _, entry in sorted(listed.items(), key=lambda item: int(item[0]))]
        if not named:
            ids = read_object(directory / ADDED)
            named = [_plain(text, text in texts) for text in sorted(ids, key=lambda text: int(ids[text]))]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise SourceError(
            f"{directory} has an added token without text or id: {CONFIG} or {ADDED} is damaged"
        ) from None
    known = {token.content for token in named}
    return FolderTokens(named, [token for token in special if token.content not in known])


def add_to_runtime(runtime: Tokenizer, tokens: FolderTokens) -> bool:
    """Add to a tokenizer what it does not have just so; returns whether anything was added."""
    known = {token.content: token for token in runtime.get_added_tokens_decoder().values()}
    missing = [token for token in tokens.listed if token.content and _differs(token, known.get(token.content))]
    missing += [token for token in tokens.with_roles if token.content not in known]
    return bool(missing) and runtime.add_tokens(missing) >= 0


def _differs(token: AddedToken, known: AddedToken | None) -> bool:
    return known is None or any(getattr(token, flag) != getattr(known, flag) for flag in _FLAGS)


def with_added(vocabulary: Vocabulary, tokens: FolderTokens) -> Vocabulary:
    """A vocabulary of SentencePiece with added tokens after its pieces; raises SourceError for one that is a piece."""
    special, text_tokens = dict(vocabulary.special_tokens), set(vocabulary.user_defined)
    next_id = vocabulary.max_id + 1
    for token in (*tokens.listed, *tokens.with_roles):
        if token.content in special or token.content in ("", vocabulary.unknown):
            continue
        if token.content.encode() in vocabulary.token_ids:
            raise SourceError(f"{vocabulary.name} adds the token {token.content!r}, which is one of its pieces already")
        special[token.content] = next_id
        next_id += 1
        if not token.special:
            text_tokens.add(token.content)
    return replace(vocabulary, special_tokens=special, user_defined=frozenset(text_tokens))


def _with_roles(named: Mapping[str, Any]) -> Iterator[AddedToken]:
    """Tokens that have a role, in the order of roles, and then those that are special without one."""
    more = named.get("extra_special_tokens") or named.get("additional_special_tokens") or []
    others = [named[key] for key in named if key.endswith("_token") and key not in _ROLES]
    in_order = [named.get(role) for role in _ROLES] + (list(more.values()) if isinstance(more, dict) else []) + others
    for entry in in_order + (list(more) if isinstance(more, list) else []):
        text = entry.get("content") if isinstance(entry, dict) else entry
        if isinstance(text, str) and text:
            yield _token(entry) if isinstance(entry, dict) else _plain(text, True)


def _token(entry: Mapping[str, Any]) -> AddedToken:
    flags = {flag: bool(entry[flag]) for flag in _FLAGS if flag in entry}
    return AddedToken(str(entry["content"]), **flags)


def _plain(text: str, is_special: bool) -> AddedToken:
    return AddedToken(text, special=is_special, normalized=not is_special)
