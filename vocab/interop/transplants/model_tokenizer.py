"""The tokenizer files of a model that follows a new vocabulary: tokens of the new, everything else of the old.

From the model come what surrounds the tokens: which special token has which role, how an added token takes the spaces
beside it, the tokens put before and after a text, the chat template and the longest input.
"""

from __future__ import annotations

import shutil
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from vocab.errors import SourceError
from vocab.formats.companions import CONFIG, MORE_TEMPLATES, SPECIAL, TEMPLATE, roles_of
from vocab.formats.frame import with_ids
from vocab.formats.id_map import FILE_NAME as ID_MAP
from vocab.formats.id_map import IdMap
from vocab.interop.transplants.model_ids import OldTokens
from vocab.reading import read_json
from vocab.writing import write_json

TOKENIZER, ADDED = "tokenizer.json", "added_tokens.json"
_COPIED = ("tokenizer.model", "tekken.json", "vocab.txt", ID_MAP)  # of the new vocabulary, beside those made here
_TEMPLATES = (TEMPLATE, "chat_template.json")
_OF_MODEL = (
    "chat_template",
    "model_input_names",
    "model_max_length",
    "padding_side",
    "truncation_side",
    "processor_class",
    "response_schema",
)
_LISTS = ("additional_special_tokens", "extra_special_tokens")  # of special tokens, by transformers 4 and 5
_MOST_DIGITS = 19  # of an id
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


def tokens_by_id(folder: Path) -> dict[int, str] | None:
    """Tokens of a folder as tokenizer.json writes them, by id; None when it has no tokenizer that can be read."""
    path = folder / TOKENIZER
    if path.is_file():
        return _tokens_of(read_json(path), path)
    from vocab.formats import load_lossless
    from vocab.formats.sentencepiece_json import pieces_of
    from vocab.splitting.byte_alphabet import to_characters

    try:
        vocabulary = load_lossless(folder)
    except SourceError:
        return None
    is_of_pieces = vocabulary.byte_fallback
    pieces = pieces_of(vocabulary) if is_of_pieces else [to_characters(token) for token in vocabulary.tokens()]
    return dict(zip(vocabulary.rank_ids.tolist(), pieces, strict=True)) | {
        k: text for text, k in vocabulary.special_tokens.items()
    }


def _tokens_of(content: Mapping[str, Any], path: Path) -> dict[int, str]:
    try:
        pieces = content["model"]["vocab"]
        if isinstance(pieces, dict):
            tokens = {k: piece for piece, k in pieces.items()}
        else:
            tokens = {k: piece for k, (piece, _) in enumerate(pieces)}
        tokens |= {token["id"]: token["content"] for token in content.get("added_tokens") or []}
        if not all(type(k) is int for k in tokens):
            raise ValueError
        return tokens
    except (KeyError, TypeError, ValueError, AttributeError):
        raise SourceError(f"{path} is not a tokenizer.json, or a damaged one") from None


def old_tokens(model: Path, vocabulary: Path, ids: IdMap) -> tuple[OldTokens, int | None]:
    """The model's own tokens, and how many of them were compared with the new vocabulary's.

    Where the model's folder has no tokenizer that can be read, they are those that were kept, and none was compared.

    Raises SourceError when the id map is of another source than the model's tokenizer, of the same size or not.
    """
    new = tokens_by_id(vocabulary)
    if new is None or not (vocabulary / TOKENIZER).is_file():
        raise SourceError(f"{vocabulary} has no {TOKENIZER}, so no Hugging Face model can follow it")
    if sorted(new) != list(range(ids.n_new)):
        raise SourceError(f"{vocabulary} has a {TOKENIZER} of {len(new):,} ids and an id map of {ids.n_new:,}")
    added_after = _added_ids(vocabulary)
    added = _added_ids(model) | {before for before, after in ids.kept.items() if after in added_after}
    old = tokens_by_id(model)
    if old is None:
        return OldTokens({before: new[after] for before, after in ids.kept.items()}, frozenset(added)), None
    if max(old, default=-1) + 1 != ids.n_old:
        raise SourceError(
            f"{vocabulary} was pruned from a source of {ids.n_old:,} ids ({ids.source}), and the tokenizer in {model} "
            f"has {max(old, default=-1) + 1:,}: prune that one"
        )
    for before, after in ids.kept.items():
        if old.get(before) != new[after]:
            raise SourceError(
                f"{vocabulary} was pruned from another vocabulary ({ids.source}) than the one in {model}: id {before} "
                f"is {new[after]!r} there and {old.get(before)!r} here"
            )
    return OldTokens(old, frozenset(added)), len(ids.kept)


def _added_ids(folder: Path) -> set[int]:
    """Ids of added tokens, special or not, as the tokenizer files of a folder list them."""
    contents = {name: read_json(folder / name) for name in (TOKENIZER, CONFIG, ADDED) if (folder / name).is_file()}
    listed = contents.get(TOKENIZER, {}).get("added_tokens") or []
    decoder = contents.get(CONFIG, {}).get("added_tokens_decoder") or {}
    ids = [token.get("id") for token in listed if isinstance(token, dict)] if isinstance(listed, list) else []
    ids += [int(k) for k in decoder if k.isdecimal() and len(k) < _MOST_DIGITS] if isinstance(decoder, dict) else []
    return {k for k in [*ids, *contents.get(ADDED, {}).values()] if type(k) is int}


def write_tokenizer_files(model: Path, vocabulary: Path, out: Path) -> None:
    """Write the tokenizer files of a model beside its weights; raises SourceError where the model's are damaged."""
    old = {name: read_json(model / name) if (model / name).is_file() else {} for name in (TOKENIZER, CONFIG, SPECIAL)}
    tokenizer = _tokenizer(old[TOKENIZER], old[CONFIG], read_json(vocabulary / TOKENIZER))
    texts = set(_tokens_of(tokenizer, vocabulary / TOKENIZER).values())
    roles = roles_of(old[CONFIG], old[SPECIAL], texts)
    config = read_json(vocabulary / CONFIG)
    config.pop("chat_template", None)  # the model's own, if it has one
    config |= roles | {k: old[CONFIG][k] for k in _OF_MODEL if k in old[CONFIG]}
    config["added_tokens_decoder"] = {
        str(token["id"]): {flag: token[flag] for flag in ("content", *_FLAGS)} for token in tokenizer["added_tokens"]
    }
    special = {token["content"] for token in tokenizer["added_tokens"] if token["special"]}
    contents = {
        TOKENIZER: tokenizer,
        CONFIG: _with_lists(config, old[CONFIG], special),
        SPECIAL: _with_lists(read_json(vocabulary / SPECIAL) | roles, {}, special),
    }
    for name, content in contents.items():
        write_json(out / name, content)
    for folder, names in ((vocabulary, _COPIED), (model, _TEMPLATES)):
        for name in names:
            if (folder / name).is_file():
                shutil.copyfile(folder / name, out / name)
    if (more := model / MORE_TEMPLATES).is_dir():
        shutil.copytree(more, out / more.name)
    _check_loads(out / TOKENIZER)


def _with_lists(new: dict[str, Any], old: Mapping[str, Any], special: Container[str]) -> dict[str, Any]:
    """Settings whose lists of special tokens hold special ones alone: transformers leaves out of texts what they hold.

    The model's own names for further special tokens (`image_token`) are carried.
    """
    listed = {key: new[key] for key in _LISTS if isinstance(new.get(key), list | dict)}
    if isinstance(named := old.get("extra_special_tokens"), dict):
        listed["extra_special_tokens"] = named
    for key, tokens in listed.items():
        if isinstance(tokens, dict):
            new[key] = {name: token for name, token in tokens.items() if _text(token) in special}
        else:
            new[key] = [token for token in tokens if _text(token) in special]
    return {key: value for key, value in new.items() if key not in listed or value}


def _text(token: Any) -> Any:
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else None


def _tokenizer(old: Mapping[str, Any], config: Mapping[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The new tokenizer.json, with the model's flags of added tokens and its post-processor."""
    decoder = config.get("added_tokens_decoder")
    known = [*(decoder.values() if isinstance(decoder, dict) else ()), *(old.get("added_tokens") or [])]
    flags = {token.get("content"): token for token in known if isinstance(token, dict)}
    for token in new["added_tokens"]:
        token |= {flag: flags[token["content"]][flag] for flag in _FLAGS if flag in flags.get(token["content"], {})}
    processor = old.get("post_processor")
    if processor:
        ids = {token["content"]: token["id"] for token in new["added_tokens"]}
        new["post_processor"] = _processor(processor, ids)
    return new


def _processor(processor: dict[str, Any], ids: Mapping[str, int]) -> dict[str, Any]:
    """A post-processor with the new ids of the tokens that it puts around a text."""
    try:
        return with_ids(processor, ids.__getitem__)
    except (KeyError, TypeError, IndexError, AttributeError):
        raise SourceError(f"the model's {TOKENIZER} puts a token around texts that the new vocabulary lacks") from None


def _check_loads(path: Path) -> None:
    import tokenizers

    try:
        tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001 - tokenizers raises plain Exception
        raise SourceError(f"the model's {TOKENIZER} cannot follow: {str(error).splitlines()[0]}") from None
