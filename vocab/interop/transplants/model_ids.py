"""Token ids in the settings of a model, old to new: in any section, under the names that ids have.

A number under another name is never changed. One that equals the id of an added token, which became another, is listed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vocab.errors import SourceError
from vocab.formats.id_map import IdMap
from vocab.interop.transplants.tensor_names import is_in_tower
from vocab.interop.transplants.vocab_sizes import PER_LAYER, SIZE_KEYS, TEXT_SECTIONS
from vocab.number_words import number_of

# Settings by what their numbers are. Source: transformers 5, `PretrainedConfig` and `GenerationConfig`.
_IDS = re.compile(r"(?:^|_)tokens?_(?:ids?|index|indexes|indices|idx|ids?_list)$")
# Names that ids may have and other numbers too: ids where every number is that of an added token.
_MAYBE_IDS = re.compile(
    r"^(?!(?:.*_)?(?:num|n|max|min|len)_)(?:.*_)?(?:"
    r"(?:bos|eos|pad|unk|cls|sep|mask|sot|eot|eom|eod|gmask|stop|newline)_(?:ids?|index)"
    r"|(?:im|image|img|video|audio|speech|vision|frame|slice|think|tool)_(?:start_|end_|patch_|newline_)?ids?|ids?_list"
    r"|(?:bos|eos|pad|unk|cls|sep|mask|image|video|audio|start|end|stop)_token)$"
)
_MAYBE_LISTS = re.compile(r"(?:^|_)(?:special|stop|eos|end)_tokens$")  # under such a name a single number is a count
_UNWANTED = {"suppress_tokens", "begin_suppress_tokens"}  # ids that are not to be generated
_SEQUENCES = {"bad_words_ids", "force_words_ids", "sequence_bias"}  # texts as ids, which may be spelt anew
# Ids by name. Sources: Whisper, M2M100 and SeamlessM4T in transformers.
_BY_NAME = {"lang_to_id", "task_to_id", "lang_code_to_id", "text_decoder_lang_to_code_id"}
_WHOLE = "vocabulary_map"  # Chameleon, Emu 3: every token's id by its text
_IMAGE_TOKENS = re.compile(r"IMGIMG|visual token|<\|?image", re.IGNORECASE)
# Ids of other vocabularies: of sound and of units.
_OF_OTHERS = re.compile(r"^(?:t2u|vocoder|codec|codebook|unit|char)_")
# In settings of images and sound these are that model's own, and often only left over.
_ROLES = re.compile(r"^(?:decoder_start|forced_bos|forced_eos|bos|eos|pad|unk|cls|sep|mask)_")
_NOT_SETTINGS = {"quantization_config", "id2label", "label2id", "auto_map"}


@dataclass(frozen=True)
class OldTokens:
    """Tokens of the model's own tokenizer: texts by id as tokenizer.json writes them, and the ids of added ones."""

    texts: Mapping[int, str] = field(default_factory=dict)
    added: frozenset[int] = frozenset()


@dataclass
class IdChanges:
    """Changes of ids.

    Attributes:
        changed: one entry for each setting with ids.
        notes: on ids that were left out or encoded anew.
        not_followed: settings that hold a number which was the id of an added token, and may be one.
        tokens: tokens of the model's own tokenizer.
    """

    changed: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    not_followed: list[dict[str, Any]] = field(default_factory=list)
    tokens: OldTokens = field(default_factory=OldTokens)


def with_new_ids(
    content: Mapping[str, Any], file: str, ids: IdMap, changes: IdChanges, sizes: tuple[int, ...] = ()
) -> dict[str, Any]:
    """Settings with new ids in the place of old ones, in every section.

    A token that is gone cannot be generated, so lists of unwanted tokens lose it; texts given as ids are spelt anew.
    Sections of images and sound, and those with another vocab_size than `sizes`, follow only where a number under the
    name of an id is that of an added token. Raises SourceError when a setting names an id that is gone or was never in
    use.
    """
    return _Settings(file, ids, changes, sizes).section(content, "", is_own=True)


class _Settings:
    """The settings of one file on their way to new ids."""

    def __init__(self, file: str, ids: IdMap, changes: IdChanges, sizes: tuple[int, ...]) -> None:
        self.file, self.ids, self.changes, self.sizes = file, ids, changes, sizes

    def section(self, content: Mapping[str, Any], path: str, *, is_own: bool) -> dict[str, Any]:
        """A section; `is_own` says that its ids are those of the text."""
        if _WHOLE not in path and (renamed := self._by_id(content, path)) is not None:
            return renamed
        new = {}
        for key, value in content.items():
            self._list({key: None}, path)  # a number may be the name of a setting
            new[key] = self._value(key, value, f"{path}.{key}" if path else key, is_own)
        return new

    def _value(self, key: str, value: Any, path: str, is_own: bool) -> Any:
        follow = self._how(key, value, is_own)
        if follow is not None:
            new = follow(value, f"{self.file}: {path}")
            self._list(_without_whole_numbers(value), path)
            self.changes.changed.append({"setting": f"{self.file}: {path}", "old": value, "new": new})
            return new
        if isinstance(value, dict):
            if key in _NOT_SETTINGS:
                self._list(value, path)
                return value
            return self.section(value, path, is_own=is_own and self._is_of_text(key, value))
        if isinstance(value, list):
            return [self._value("", inner, f"{path}[{k}]", is_own) for k, inner in enumerate(value)]
        if not (is_own and key in SIZE_KEYS and type(value) is int and self._is_size(key, value, path)):
            self._list(value, path)
        return value

    def _is_size(self, key: str, value: int, path: str) -> bool:
        """Whether a size follows; one that is neither that of the embedding nor of another section is noted."""
        if not self.sizes or value in self.sizes or key == PER_LAYER:
            return True
        self.changes.notes.append(
            f"{self.file}: {path} is {value:,}, not the rows of the embedding, and was left as it is"
        )
        return False

    def _is_of_text(self, key: str, section: Mapping[str, Any]) -> bool:
        """Whether the ids in a section are those of the text, not of a vocabulary with another size."""
        size = section.get("vocab_size")
        is_other = bool(self.sizes) and type(size) is int and size not in self.sizes and key not in TEXT_SECTIONS
        return not (is_other or is_in_tower(key))

    def _how(self, key: str, value: Any, is_own: bool) -> Callable[[Any, str], Any] | None:
        """What follows the ids in a setting, where it holds any."""
        if value is None or not any(True for _ in _whole_numbers(value)):
            return None
        if isinstance(value, dict):
            return self._how_names(key, value)
        if is_own and key in _UNWANTED:
            return self._without_dropped
        if is_own and key in _SEQUENCES:
            return self._spelt
        if is_own and key == "forced_decoder_ids":
            return self._forced
        if _OF_OTHERS.search(key):
            return None
        is_sure = is_own and _IDS.search(key)
        may_be = bool(_MAYBE_IDS.search(key) or (_IDS.search(key) and not _ROLES.search(key)))
        may_be |= isinstance(value, list) and bool(_MAYBE_LISTS.search(key))
        return self._each if is_sure or (may_be and self._all_added(value)) else None

    def _how_names(self, key: str, value: dict[str, Any]) -> Callable[[Any, str], Any] | None:
        """For numbers by name: ids where the setting is known for them, or where every name is that of its token."""
        if key in _BY_NAME:
            return self._each
        if key in _NOT_SETTINGS or not all(type(number) is int for number in value.values()):
            return None
        if key == _WHOLE:
            return self._whole
        texts = self.changes.tokens.texts
        named = all(k in texts and _bare(texts[k]) == _bare(text) for text, k in value.items())
        return self._each if _IDS.search(key) or named else None

    def _by_id(self, content: Mapping[str, Any], path: str) -> dict[str, Any] | None:
        """A section whose names are ids, each with the text of its token, under new ids; None for any other section."""
        texts = self.changes.tokens.texts
        if not content or not all(_is_id(k) and texts.get(int(k), 0) == _text_in(v) for k, v in content.items()):
            return None
        new = {str(self._new(int(k), f"{self.file}: {path}")): value for k, value in content.items()}
        self.changes.changed.append({"setting": f"{self.file}: {path}", "old": [*content], "new": [*new]})
        return new

    def _all_added(self, value: Any) -> bool:
        return all(k in self.changes.tokens.added for k in _whole_numbers(value))

    def _list(self, value: Any, path: str) -> None:
        """List numbers, names of settings included, that were the id of an added token and are so no more."""
        added, kept = self.changes.tokens.added, self.ids.kept
        for where, number in _places(value, path):
            if number in added and kept.get(number) != number:
                self.changes.not_followed.append({"setting": f"{self.file}: {where}", "value": number})

    # How each kind of setting follows

    def _new(self, old: Any, where: str) -> Any:
        return _new(old, where, self.ids, self.changes.tokens.added)

    def _each(self, value: Any, where: str) -> Any:
        if isinstance(value, dict):
            return {key: self._each(inner, f"{where}.{key}") for key, inner in value.items()}
        if isinstance(value, list):
            return [self._each(inner, where) for inner in value]
        return self._new(value, where)

    def _forced(self, value: Any, where: str) -> Any:
        if not isinstance(value, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in value):
            raise SourceError(f"{where} is not a list of pairs, a position and an id: change the setting")
        return [[position, self._new(k, where)] for position, k in value]

    def _whole(self, value: dict[str, int], where: str) -> dict[str, int]:
        """Every token by its text: those that are gone leave it, but for tokens of images, which the model needs."""
        gone = [text for text, k in value.items() if k not in self.ids.kept]
        if needed := [text for text in gone if _IMAGE_TOKENS.search(text)]:
            raise SourceError(
                f"{where} has {len(needed):,} tokens of images that {self.ids.source} lost, {needed[0]!r} first: prune "
                "again with them in `keep`"
            )
        if gone:
            self.changes.notes.append(f"{where} loses {number_of(len(gone), 'token')} that the vocabulary lost")
        return {text: self.ids.kept[k] for text, k in value.items() if k in self.ids.kept}

    def _without_dropped(self, value: Any, where: str) -> Any:
        if not isinstance(value, list):
            return value
        gone = [k for k in value if type(k) is int and k >= 0 and k not in self.ids.kept]
        if gone:
            self.changes.notes.append(f"{where} loses {number_of(len(gone), 'token')} that the vocabulary lost")
        return [self._new(k, where) for k in value if k not in gone]

    def _spelt(self, value: Any, where: str) -> Any:
        """Lists of ids at any depth, each dropped token as the new ones that spell it; other values as they are."""
        gone: list[int] = []

        def respelt(inner: Any) -> Any:
            if not isinstance(inner, list):
                return inner
            if not inner or not all(type(k) is int for k in inner):
                return [respelt(one) for one in inner]
            gone.extend(k for k in inner if k in self.ids.dropped)
            return [new for old in inner for new in (self.ids.dropped.get(old) or (self._new(old, where),))]

        spelt = respelt(value)
        if gone:
            self.changes.notes.append(
                f"{where} spells {number_of(len(gone), 'token')} that the vocabulary lost with others"
            )
        return spelt


def _new(old: Any, where: str, ids: IdMap, added: Container[int]) -> Any:
    """The new id of an old one; below 0 and not a whole number mean no token."""
    if type(old) is not int or old < 0:
        return old
    if old in ids.kept:
        return ids.kept[old]
    if old in ids.dropped:
        way = "without naming it in `drop_special`" if old in added else "with its text in `keep`"
        raise SourceError(f"{where} is {old}, a token that {ids.source} lost: prune again {way}, or change the setting")
    raise SourceError(f"{where} is {old}, which is not a token of {ids.source}: change the setting, or set it to null")


def _whole_numbers(value: Any) -> Iterator[int]:
    if type(value) is int:
        yield value
    elif isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _whole_numbers(inner)


def _without_whole_numbers(value: Any) -> Any:
    """What of a setting with ids has not followed, in its place: numbers with a point and texts."""
    if isinstance(value, dict):
        return {key: _without_whole_numbers(inner) for key, inner in value.items() if not _is_id(key)}
    if isinstance(value, list):
        return [_without_whole_numbers(inner) for inner in value]
    return None if type(value) is int else value


def _places(value: Any, path: str) -> Iterator[tuple[str, int]]:
    """Every whole number in a value with its place, names and texts of whole numbers included."""
    if type(value) is int or (type(value) is float and value.is_integer()) or (type(value) is str and _is_id(value)):
        yield path, int(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            where = f"{path}.{key}" if path else key
            if _is_id(key):
                yield where, int(key)
            yield from _places(inner, where)
    elif isinstance(value, list):
        for k, inner in enumerate(value):
            yield from _places(inner, f"{path}[{k}]")


def _is_id(key: str) -> bool:
    return key.isascii() and key.isdecimal() and len(key) < 19


def _text_in(value: Any) -> Any:
    return value.get("content") if isinstance(value, dict) else value


def _bare(text: str) -> str:
    """A token's text without what marks it as special or as the beginning of a word."""
    return text.strip("<|>[]_▁Ġ ").casefold()
