"""Any `tokenizer.json` that Hugging Face tokenizers can run, as a `RuntimeTokenizer`.

Its sections of truncation, padding and post-processing are left out, so that a text has all its tokens and no others.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from tokenizers import Encoding, Tokenizer

from vocab.errors import SourceError
from vocab.formats.runtime_tokenizer import RuntimeTokenizer, batches
from vocab.splitting import SplitPattern
from vocab.splitting.byte_alphabet import to_bytes
from vocab.splitting.preparation import MARK, byte_piece
from vocab.vocabulary import Provenance

_BATCH_TEXTS, _BATCH_CHARACTERS = 1 << 16, 1 << 20  # what tokenizers gets at once
# A text of each kind that a tokenizer may be unable to encode.
TRIALS = ["", "a", " The 2 words.\n", "é中\u0301\U0001f600\0"]
_BYTES = {byte_piece(k): bytes([k]) for k in range(256)}
# Values of settings that are longer are shown by their digest.
_SHOWN_CHARACTERS = 400


class HuggingFaceRuntime:
    """Hugging Face tokenizers on the settings of a file."""

    name = "tokenizers"

    def __init__(self, settings: Mapping[str, Any], source: str) -> None:
        """Raises SourceError where tokenizers cannot run the settings; `source` names their file in messages."""
        self._source = source
        self._text = json.dumps({**settings, "truncation": None, "padding": None, "post_processor": None})
        self._plain = self._started()
        self._plain.encode_special_tokens = True  # their text is encoded like any other

    def _started(self) -> Tokenizer:
        try:
            tokenizer = Tokenizer.from_str(self._text)
        except BaseException as error:  # noqa: BLE001 - a panic of tokenizers is no Exception; others are raised again
            raise _refusal(error, f"{self._source} is not a tokenizer.json that tokenizers can run") from None
        if getattr(tokenizer.model, "dropout", None):
            tokenizer.model.dropout = None  # it goes by chance, so that no figure would come out twice
        return tokenizer

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the file, which recognises special tokens."""
        return self._started()

    def _encodings(self, texts: Iterable[str]) -> Iterator[Encoding]:
        for batch in batches(texts, _BATCH_TEXTS, _BATCH_CHARACTERS):
            try:
                encoded = self._plain.encode_batch_fast(batch, add_special_tokens=False)
            except BaseException as error:  # noqa: BLE001 - a panic of tokenizers is no Exception; others are raised again
                raise _refusal(error, f"{self._source} cannot encode every text") from None
            yield from encoded

    def count_all(self, texts: Iterable[str], unknown: int | None) -> Iterator[tuple[int, int]]:
        for encoding in self._encodings(texts):
            yield len(encoding), 0 if unknown is None else encoding.ids.count(unknown)

    def encode_all(self, texts: Iterable[str]) -> Iterator[list[int]]:
        return (encoding.ids for encoding in self._encodings(texts))

    def encode_with_special(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: list[int]) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=False)

    def ids(self) -> dict[str, int]:
        """Id of each token by its text in the file."""
        return self._plain.get_vocab(with_added_tokens=True)

    def added(self) -> dict[int, tuple[str, bool]]:
        """Text of each added token by its id, and whether it is special."""
        decoder = self._plain.get_added_tokens_decoder()
        return {k: (token.content, token.special) for k, token in decoder.items()}


def _refusal(error: BaseException, what: str) -> BaseException:
    """A SourceError for what tokenizers raises, a panic of its own included; anything else as it is."""
    if isinstance(error, Exception) or type(error).__name__ == "PanicException":
        return SourceError(f"{what}: {(str(error).splitlines() or [''])[0][:200]}")
    return error


def run_by_tokenizers(
    settings: Mapping[str, Any],
    provenance: Provenance,
    source: str,
    obstacle: str,
    pattern: SplitPattern | None = None,
) -> RuntimeTokenizer:
    """A tokenizer from a parsed tokenizer.json.

    Args:
        settings: the file's content.
        provenance: where it came from.
        source: names the file in messages.
        obstacle: why it cannot be pruned.
        pattern: cuts text only where tokenizers does in any case; None where no such pattern is known.

    Raises:
        SourceError: tokenizers cannot run it.
    """
    check_affixes(settings, source)
    runtime = HuggingFaceRuntime(settings, source)
    list(runtime.encode_all(TRIALS))
    unknown = _unknown(settings["model"])
    special, pieces = _tokens(runtime, unknown, _spelling(settings))
    preparation = {name: settings.get(name) for name in ("normalizer", "pre_tokenizer")}
    return RuntimeTokenizer(
        inference=_kind(settings["model"]),
        pattern=pattern,
        split_description=_described(preparation),
        split_sha256=hashlib.sha256(json.dumps(preparation, sort_keys=True).encode()).hexdigest(),
        special_tokens=special,
        unknown=unknown if unknown in special else None,
        pieces=pieces,
        runtime=runtime,
        obstacle=obstacle,
        notes=("Its dropout, which cuts words by chance, is switched off.",)
        if settings["model"].get("dropout")
        else (),
        provenance=provenance,
    )


def check_affixes(settings: Mapping[str, Any], source: str) -> None:
    """Raise SourceError for what makes tokenizers end the whole process: it cuts the prefix off each right piece."""
    model = settings.get("model")
    prefix = model.get("continuing_subword_prefix") if isinstance(model, dict) else None
    merges = model.get("merges") if isinstance(model, dict) else None
    if not isinstance(prefix, str) or not isinstance(merges, list):
        return
    for merge in merges:
        parts = merge.split(" ") if isinstance(merge, str) else merge
        right = parts[-1] if isinstance(parts, list) and parts else ""
        if not (isinstance(right, str) and right.startswith(prefix)):
            raise SourceError(f"{source} merges {right!r}, which lacks the prefix {prefix!r} of pieces within words")


def _kind(model: Mapping[str, Any]) -> str:
    """The kind of a model; older files do not name it."""
    return str(
        model.get("type") or ("BPE" if "merges" in model else "unigram" if "unk_id" in model else "model")
    ).lower()


def _unknown(model: Mapping[str, Any]) -> str | None:
    if "unk_id" in model:
        return None if model["unk_id"] is None else str(model["vocab"][model["unk_id"]][0])
    return model.get("unk_token")


def _tokens(
    runtime: HuggingFaceRuntime, unknown: str | None, spelling: Callable[[str], bytes]
) -> tuple[dict[str, int], dict[int, bytes]]:
    """Ids of special tokens by their text, and bytes of the others by id, rising."""
    ids, added = runtime.ids(), runtime.added()
    special = {text: k for k, (text, is_special) in added.items() if is_special}
    if unknown in ids:
        special[unknown] = ids[unknown]
    used = set(special.values())
    pieces = {k: spelling(piece) for piece, k in ids.items() if k not in used}
    pieces |= {k: text.encode() for k, (text, is_special) in added.items() if k not in used}
    return special, dict(sorted(pieces.items()))


def _spelling(settings: Mapping[str, Any]) -> Callable[[str], bytes]:
    """How a token's bytes are found from the way the file writes it. Affixes of words stay as they are written."""
    parts = [part for name in ("normalizer", "pre_tokenizer", "decoder") for part in steps(settings.get(name))]
    if any(part["type"] == "ByteLevel" for part in parts):
        return _byte_level
    has_mark = any(part["type"] == "Metaspace" or MARK in (part.get("content"), part.get("prepend")) for part in parts)
    has_bytes = bool(settings["model"].get("byte_fallback"))

    def spelled(piece: str) -> bytes:
        if has_bytes and piece in _BYTES:
            return _BYTES[piece]
        return (piece.replace(MARK, " ") if has_mark else piece).encode()

    return spelled


def _byte_level(piece: str) -> bytes:
    try:
        return to_bytes(piece)
    except KeyError:
        return piece.encode()


def steps(settings: Any) -> list[Mapping[str, Any]]:
    """The steps of a normalizer, pre-tokenizer or decoder in their order."""
    if not settings:
        return []
    if settings["type"] != "Sequence":
        return [settings]
    parts: list[Any] = next(
        (settings[key] for key in ("normalizers", "pretokenizers", "decoders") if key in settings), []
    )
    return list(itertools.chain.from_iterable(steps(part) for part in parts))


def _described(preparation: Mapping[str, Any]) -> str:
    texts = {name: json.dumps(_shortened(value), ensure_ascii=False) for name, value in preparation.items()}
    return f"normalizer {texts['normalizer']}, pre-tokenizer {texts['pre_tokenizer']}"


def _shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shortened(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_shortened(inner) for inner in value]
    if isinstance(value, str) and len(value) > _SHOWN_CHARACTERS:
        return f"sha256 {hashlib.sha256(value.encode()).hexdigest()[:12]}…"
    return value
