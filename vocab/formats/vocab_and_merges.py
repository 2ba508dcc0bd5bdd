"""A folder of vocab.json and merges.txt: byte-level BPE whose split only the name of its tokenizer class tells.

Source: transformers 5, `models/gpt2/tokenization_gpt2.py`, `models/roberta/tokenization_roberta.py`,
`models/qwen2/tokenization_qwen2.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from vocab.errors import SourceError
from vocab.formats import byte_level_json
from vocab.formats.companions import CONFIG, MODEL_CONFIG, SPECIAL, read_object, roles_of
from vocab.formats.folder_tokens import add_to_runtime, added_by_folder
from vocab.formats.tokenizer_class import class_of
from vocab.splitting.known_patterns import QWEN2_REGEX
from vocab.vocabulary import Provenance, Vocabulary

VOCAB, MERGES = "vocab.json", "merges.txt"

Frame = Callable[[Tokenizer, Mapping[str, Any], Mapping[str, str]], None]


def read_vocab_and_merges(directory: Path) -> Vocabulary:
    """A vocabulary from a folder's vocab.json and merges.txt, with added tokens of its other files and of its class.

    Raises SourceError when the folder does not say how text is split, by a class that is known, or is damaged.
    """
    config = read_object(directory / CONFIG)
    kind = class_of(config, read_object(directory / MODEL_CONFIG))
    if kind not in _FRAMES:
        stated = (
            f"how its class {kind} splits text is not known here"
            if kind
            else (f"neither {CONFIG} nor {MODEL_CONFIG} names a class or model, by which text would be split")
        )
        raise SourceError(
            f"{directory} has {VOCAB} and {MERGES}, but {stated}: load it with AutoTokenizer and save it again, which "
            "writes a tokenizer.json"
        )
    raw = [(directory / name).read_bytes() for name in (VOCAB, MERGES)]
    pieces = read_object(directory / VOCAB)
    runtime = Tokenizer(_model(pieces, raw[1], directory))
    roles = dict(_ROLES[kind]) | roles_of(config, read_object(directory / SPECIAL))
    _FRAMES[kind](runtime, config, roles)
    add_to_runtime(runtime, added_by_folder(directory, _ROLES[kind]))
    digest = hashlib.sha256(b"".join(raw)).hexdigest()
    provenance = Provenance(directory.resolve().name, digest, "tokenizer.json")
    return byte_level_json.read(json.loads(runtime.to_str()), runtime, provenance, directory)


def _model(pieces: Mapping[str, Any], raw: bytes, directory: Path) -> models.BPE:
    try:
        lines = [line for line in raw.decode().split("\n") if line and not line.startswith("#version")]
        merges = [(left, right) for left, right in (line.split(" ") for line in lines)]
        return models.BPE(dict(pieces), merges)
    except Exception as error:  # noqa: BLE001 - tokenizers raises plain Exception
        raise SourceError(f"{directory} has a damaged {VOCAB} or {MERGES}: {str(error).splitlines()[0]}") from None


def _of_gpt2(runtime: Tokenizer, config: Mapping[str, Any], roles: Mapping[str, str]) -> None:
    prefixed = bool(config.get("add_prefix_space", False))
    runtime.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefixed)
    runtime.decoder = decoders.ByteLevel()
    runtime.post_processor = processors.ByteLevel(trim_offsets=False)


def _of_roberta(runtime: Tokenizer, config: Mapping[str, Any], roles: Mapping[str, str]) -> None:
    """As GPT-2's, with a token before each text and one after it."""
    _of_gpt2(runtime, config, roles)
    prefixed = bool(config.get("add_prefix_space", False))
    texts = roles["sep_token"], roles["cls_token"]
    last, first = [(text, runtime.token_to_id(text)) for text in texts]
    if last[1] is None or first[1] is None:
        raise SourceError(f"{VOCAB} lacks {last[0]!r} or {first[0]!r}, between which texts are put")
    runtime.post_processor = processors.RobertaProcessing(
        (last[0], last[1]), (first[0], first[1]), trim_offsets=True, add_prefix_space=prefixed
    )


def _of_qwen2(runtime: Tokenizer, config: Mapping[str, Any], roles: Mapping[str, str]) -> None:
    runtime.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(QWEN2_REGEX), behavior="isolated")
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=bool(config.get("add_prefix_space", False)), use_regex=False)
    runtime.pre_tokenizer = pre_tokenizers.Sequence([split, as_bytes])
    runtime.decoder = decoders.ByteLevel()
    runtime.post_processor = processors.ByteLevel(trim_offsets=False)


_FRAMES: dict[str, Frame] = {
    "GPT2Tokenizer": _of_gpt2,
    "CodeGenTokenizer": _of_gpt2,
    "RobertaTokenizer": _of_roberta,
    "BartTokenizer": _of_roberta,
    "Qwen2Tokenizer": _of_qwen2,
}

_END = "<|endoftext|>"
_ROBERTA_ROLES = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "cls_token": "<s>",
    "unk_token": "<unk>",
    "pad_token": "<pad>",
    "mask_token": "<mask>",
}
# Texts that transformers gives a role where the folder's files name none.
_ROLES: dict[str, Mapping[str, str]] = {
    "GPT2Tokenizer": {"bos_token": _END, "eos_token": _END, "unk_token": _END},
    "CodeGenTokenizer": {"bos_token": _END, "eos_token": _END, "unk_token": _END},
    "RobertaTokenizer": _ROBERTA_ROLES,
    "BartTokenizer": _ROBERTA_ROLES,
    "Qwen2Tokenizer": {"eos_token": _END, "unk_token": _END, "pad_token": _END},
}
