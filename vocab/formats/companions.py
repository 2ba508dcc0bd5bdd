"""Companions of the tokens in a Hugging Face folder: chat template, roles of special tokens, longest input.

A source carries them unchanged in its extras, from the folder that is read to the one that is written. A chat template
is a program: here it is text, and nothing of it is run.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from vocab.choices import CHARACTER_METHODS
from vocab.errors import SourceError
from vocab.formats.runtime_tokenizer import RuntimeTokenizer
from vocab.formats.tokenizer_class import PLAIN_CLASSES, class_of, defaults_of
from vocab.reading import parse_json
from vocab.vocabulary import Vocabulary
from vocab.writing import write_bytes

KEY = "hugging_face"  # of a source's extras
CONFIG, SPECIAL, TEMPLATE = "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"
MODEL_CONFIG = "config.json"
MORE_TEMPLATES = "additional_chat_templates"
# Entries of tokenizer_config.json that are made anew, or that only name files and programs of the source.
_MADE_ANEW = frozenset(
    (
        "added_tokens_decoder",
        "additional_special_tokens",
        "auto_map",
        "backend",
        "chat_template",
        "is_local",
        "model_max_length",
        "name_or_path",
        "special_tokens_map_file",
        "tokenizer_class",
        "tokenizer_file",
    )
)
ROLES = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")

# The largest there are (added tokens in full, by id) have some megabytes.
_MAX_BYTES = 1 << 26


def with_companions(vocabulary: Vocabulary | RuntimeTokenizer, directory: Path) -> Vocabulary | RuntimeTokenizer:
    """Add the content of a folder's companion files to its vocabulary; raises SourceError for a damaged file."""
    companions = read_companions(directory, is_of_pieces=vocabulary.inference in CHARACTER_METHODS)
    extras = {k: v for k, v in vocabulary.provenance.extras.items() if k != KEY}
    extras |= {KEY: companions} if companions else {}
    return replace(vocabulary, provenance=replace(vocabulary.provenance, extras=extras))


def read_companions(directory: Path, *, is_of_pieces: bool) -> dict[str, Any]:
    """`chat_template` (text, or a list of named ones), `in_file`, `roles` and `model_max_length`, where there are any.

    `in_file` says that the template stood in a chat_template.jinja, which goes before one in tokenizer_config.json.
    `settings` are the other entries of tokenizer_config.json, as they are, and what its class does without them.
    `not_carried` says in words what of it is lost. `is_of_pieces` is whether the tokenizer goes from characters.
    """
    config = read_object(directory / CONFIG)
    companions: dict[str, Any] = {}
    if template := _template_files(directory) or _checked_template(config.get("chat_template"), directory / CONFIG):
        companions["chat_template"] = template
        companions["in_file"] = isinstance(template, str) and (directory / TEMPLATE).is_file()
    if roles := roles_of(config, read_object(directory / SPECIAL)):
        companions["roles"] = roles
    model = read_object(directory / MODEL_CONFIG)
    settings = defaults_of(class_of(config, model), model, is_of_pieces=is_of_pieces)
    settings |= {k: v for k, v in config.items() if k not in _MADE_ANEW and k not in ROLES}
    if isinstance(settings.get("extra_special_tokens"), list):  # which the others without a role are anew
        del settings["extra_special_tokens"]
    if settings:
        companions["settings"] = settings
    if not_carried := _not_carried(config):
        companions["not_carried"] = not_carried
    longest = config.get("model_max_length")
    if isinstance(longest, float) and 0 < longest < 1e300:
        longest = int(longest)
    if isinstance(longest, int) and longest > 0:
        companions["model_max_length"] = longest
    return companions


def _not_carried(config: Mapping[str, Any]) -> list[str]:
    """What tokenizer_config.json asks for that a written folder does not do, for people to read."""
    kind = config.get("tokenizer_class")
    named = ["auto_map, which names code of the model's own"] if config.get("auto_map") else []
    if isinstance(kind, str) and kind not in PLAIN_CLASSES:
        named.append(f"the class {kind}: PreTrainedTokenizerFast runs tokenizer.json as it is")
    return named


def roles_of(
    config: Mapping[str, Any], special_map: Mapping[str, Any], texts: Container[str] | None = None
) -> dict[str, str]:
    """Texts of special tokens by role, from a folder's two files; with `texts`, only those among them."""
    roles, given = {}, special_tokens_named(config, special_map)
    for role in ROLES:
        named = given.get(role)
        text = named.get("content") if isinstance(named, dict) else named
        if isinstance(text, str) and (texts is None or text in texts):
            roles[role] = text
    return roles


def special_tokens_named(config: Mapping[str, Any], special_map: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of tokenizer_config.json with those of special_tokens_map.json, as AutoTokenizer takes them.

    The map goes before, but it is not read where tokenizer_config.json has `added_tokens_decoder`.

    Source: transformers 5 `tokenization_utils_base.py` (`_from_pretrained`).
    """
    if "added_tokens_decoder" in config:
        return dict(config)
    key = "extra_special_tokens"
    both = [entries[key] for entries in (config, special_map) if isinstance(entries.get(key), list)]
    return {**config, **special_map} | ({key: [*both[0], *both[1]]} if both[1:] else {})


def chat_template(vocabulary: Vocabulary) -> str | list[dict[str, str]] | None:
    """The chat template that a vocabulary carries, or a list of named ones (`name`, `template`), or None."""
    template: str | list[dict[str, str]] | None = vocabulary.provenance.extras.get(KEY, {}).get("chat_template")
    return template


def write_template(vocabulary: Vocabulary, directory: Path) -> list[Path]:
    """Write chat_template.jinja for a template that came from such a file; returns the paths written."""
    template = chat_template(vocabulary)
    if not (isinstance(template, str) and vocabulary.provenance.extras[KEY]["in_file"]):
        return []
    write_bytes(directory / TEMPLATE, template.encode())
    return [directory / TEMPLATE]


def settings_of(vocabulary: Vocabulary) -> dict[str, Any]:
    """Carried entries of tokenizer_config.json, and chat templates without a file of their own."""
    carried = vocabulary.provenance.extras.get(KEY, {})
    keys = ["model_max_length"] + ([] if carried.get("in_file") else ["chat_template"])
    return {**carried.get("settings", {}), **{key: carried[key] for key in keys if key in carried}}


def _template_files(directory: Path) -> str | list[dict[str, str]] | None:
    """The text of chat_template.jinja; with additional ones beside it a list, since no other text is the default."""
    path = directory / TEMPLATE
    templates = {"default": _read_text(path)} if path.is_file() else {}
    templates |= {more.stem: _read_text(more) for more in sorted((directory / MORE_TEMPLATES).glob("*.jinja"))}
    if set(templates) <= {"default"}:
        return templates.get("default")
    return [{"name": name, "template": text} for name, text in templates.items()]


def _checked_template(template: Any, path: Path) -> str | list[dict[str, str]] | None:
    if template is None:
        return None
    parts = template if isinstance(template, list) else [{"name": "default", "template": template}]
    try:
        checked = [{key: str(part[key]) for key in ("name", "template") if part[key].encode()} for part in parts]
    except (KeyError, TypeError, AttributeError, UnicodeEncodeError):
        raise SourceError(f"{path} has a chat_template that is neither a text nor a list of named texts") from None
    return checked if isinstance(template, list) else str(template)


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object; an empty one where there is no file."""
    if not path.is_file():
        return {}
    try:
        content = parse_json(_read_text(path))
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise SourceError(f"{path} is damaged: it holds no JSON object")
    return content


def _read_text(path: Path) -> str:
    if (n_bytes := path.stat().st_size) > _MAX_BYTES:
        raise SourceError(f"{path} has {n_bytes:,} bytes, more than any such file: it is not read")
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError:
        raise SourceError(f"{path} is damaged: it is not UTF-8") from None
