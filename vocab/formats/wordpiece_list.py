"""`vocab.txt`, BERT's list of pieces by id: read as BertTokenizer reads it, and written beside tokenizer.json.

Source: transformers 5, `models/bert/tokenization_bert.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from vocab.errors import SourceError
from vocab.formats import wordpiece
from vocab.formats.companions import CONFIG, MODEL_CONFIG, SPECIAL, read_object, roles_of
from vocab.formats.folder_tokens import add_to_runtime, added_by_folder
from vocab.formats.frame import carried_frame
from vocab.formats.runtime_tokenizer import RuntimeTokenizer
from vocab.formats.tokenizer_class import class_of
from vocab.formats.word_pieces import written_pieces
from vocab.vocabulary import Provenance, Vocabulary
from vocab.writing import write_text

FILE_NAME = "vocab.txt"
_PREFIX, _LONGEST_WORD = "##", 100
_ROLES = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
# Classes that are BertTokenizer by another name. A list alone can be run by BertTokenizer only.
_CLASSES = ("", "BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MobileBertTokenizer", "RetriBertTokenizer")
# The largest there are have some megabytes.
_MAX_BYTES = 1 << 26


def read_list(directory: Path) -> Vocabulary | RuntimeTokenizer:
    """A vocabulary from a folder's vocab.txt, with roles, added tokens and settings of its other files.

    Raises SourceError for a class of another way to cut words, and for a list without the tokens around texts.
    """
    path, config = directory / FILE_NAME, read_object(directory / CONFIG)
    if (kind := class_of(config, read_object(directory / MODEL_CONFIG))) not in _CLASSES:
        raise SourceError(
            f"{directory} has {FILE_NAME} alone, and its class {kind} is not BERT's: load it with AutoTokenizer and "
            "save it again, which writes a tokenizer.json"
        )
    if path.stat().st_size > _MAX_BYTES:
        raise SourceError(f"{path} has more bytes than any list of pieces: it is not read")
    roles = _ROLES | roles_of(config, read_object(directory / SPECIAL))
    raw = path.read_bytes()
    runtime = _runtime(_pieces(path), config, roles)
    add_to_runtime(runtime, added_by_folder(directory, _ROLES))
    _put_around(runtime, roles)
    provenance = Provenance(directory.resolve().name, hashlib.sha256(raw).hexdigest(), "tokenizer.json")
    return wordpiece.read(json.loads(runtime.to_str()), runtime, provenance, path)


def _pieces(path: Path) -> dict[str, int]:
    """Each piece and its id, the last one where a piece stands twice; white space at the ends of lines is dropped."""
    try:
        pieces: dict[str, int] = models.WordPiece.read_file(str(path))
    except Exception as error:  # noqa: BLE001 - tokenizers raises plain Exception
        raise SourceError(f"{path} cannot be read as a list of pieces: {str(error).splitlines()[0]}") from None
    if not any(piece.startswith(_PREFIX) for piece in pieces):
        raise SourceError(f"{path} is not BERT's list of pieces: none of its lines begins with {_PREFIX}")
    return pieces


def _runtime(pieces: Mapping[str, int], config: Mapping[str, Any], roles: Mapping[str, str]) -> Tokenizer:
    """BertTokenizer's, with the settings that tokenizer_config.json names."""
    runtime = Tokenizer(models.WordPiece(dict(pieces), unk_token=roles["unk_token"]))
    runtime.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=bool(config.get("tokenize_chinese_chars", True)),
        strip_accents=config.get("strip_accents"),
        lowercase=bool(config.get("do_lower_case", True)),
    )
    runtime.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    runtime.decoder = decoders.WordPiece(prefix=_PREFIX)
    return runtime


def _put_around(runtime: Tokenizer, roles: Mapping[str, str]) -> None:
    first, last = roles["cls_token"], roles["sep_token"]
    runtime.post_processor = processors.TemplateProcessing(
        single=f"{first}:0 $A:0 {last}:0",
        pair=f"{first}:0 $A:0 {last}:0 $B:1 {last}:1",
        special_tokens=[(text, runtime.token_to_id(text)) for text in (first, last)],
    )


def write_list(vocabulary: Vocabulary, directory: Path) -> list[Path]:
    """Write vocab.txt where it holds the vocabulary as BertTokenizer runs it; returns the paths written."""
    frame = carried_frame(vocabulary)
    if vocabulary.inference != "wordpiece" or frame is None or not _is_of_bert(frame):
        return []
    texts = dict(zip(vocabulary.rank_ids.tolist(), written_pieces(vocabulary), strict=True))
    texts |= {id_: text for text, id_ in vocabulary.special_tokens.items()}
    lines = [texts[id_] for id_ in sorted(texts)]
    if len(set(lines)) < len(lines) or any(line.split() != [line] for line in lines):
        return []  # a list cannot hold a piece twice, or one with white space
    write_text(directory / FILE_NAME, "".join(f"{line}\n" for line in lines))
    return [directory / FILE_NAME]


def _is_of_bert(frame: Mapping[str, Any]) -> bool:
    parts = [(frame.get(name) or {}).get("type") for name in ("normalizer", "pre_tokenizer")]
    model = frame["model"]
    return parts == ["BertNormalizer", "BertPreTokenizer"] and (
        (model["continuing_subword_prefix"], model["max_input_chars_per_word"]) == (_PREFIX, _LONGEST_WORD)
    )
