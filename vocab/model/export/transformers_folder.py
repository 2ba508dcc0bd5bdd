"""Trained models as folders that Hugging Face transformers loads, and back.

RoPE models are `LlamaForCausalLM`. ALiBi models are a small class of ours, whose file is copied into the folder and
loaded with `trust_remote_code`. Rows of the embedding are those of the vocabulary, unpadded.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from vocab.errors import TrainingError
from vocab.formats.folder import safe_name, write_files
from vocab.model.data.shards import end_of_text
from vocab.model.export.llama_layout import ALIBI_MODULE, SHAPE_FIELD, llama_config, llama_names
from vocab.model.hardware.parallel import whole
from vocab.model.network.config import ModelConfig
from vocab.model.network.decoder import Decoder
from vocab.reading import parse_json
from vocab.vocabulary import Vocabulary
from vocab.writing import write_json

_WEIGHTS, _CONFIG = "model.safetensors", "config.json"


def export(decoder: Decoder, vocabulary: Vocabulary, directory: Path, *, write: bool = True) -> None:
    """Write weights, configuration and tokenizer to a folder.

    A vocabulary that tokenizer.json cannot hold (holes in its ids, ungreedy) is written in the formats that can.

    Args:
        decoder: the model; every process of a sharded one must call this.
        vocabulary: its tokenizer.
        directory: a folder that exists.
        write: whether this process writes the files.
    """
    weights = {name: whole(weight.detach()).cpu() for name, weight in decoder.named_parameters()}
    if not write:
        return
    tensors: dict[str, Tensor] = {}
    for name, parts, rows in llama_names(decoder.config):
        pieces = torch.split(weights[name], list(rows))
        tensors |= {part: piece.contiguous().clone() for part, piece in zip(parts, pieces, strict=True)}
    save_file(tensors, directory / _WEIGHTS, metadata={"format": "pt"})
    content = llama_config(decoder.config, end_of_text(vocabulary))
    write_json(directory / _CONFIG, content, ensure_ascii=True)
    if decoder.config.position == "alibi":
        shutil.copy(Path(__file__).with_name(f"{ALIBI_MODULE}.py"), directory)
    _write_tokenizer(vocabulary, directory)


def _write_tokenizer(vocabulary: Vocabulary, directory: Path) -> None:
    from vocab.formats.tiktoken_file import write_tiktoken

    name = safe_name(vocabulary.name)
    if vocabulary.max_id == vocabulary.n_ids - 1:
        write_files(vocabulary, directory, name)
    else:
        write_tiktoken(vocabulary, directory, name)


def load_export(directory: Path) -> Decoder:
    """Load the decoder of a folder that `export` wrote.

    Args:
        directory: `model` in the folder of a run.

    Raises:
        TrainingError: when the folder is missing or damaged, or another program wrote it.
    """
    try:
        content = parse_json((directory / _CONFIG).read_bytes())
        tensors = load_file(directory / _WEIGHTS)
    except OSError as error:
        name = getattr(error, "filename", None) or directory
        raise TrainingError(
            f"{name} cannot be read: name the folder of a run of `vocab train`, or model/ in it"
        ) from None
    except (ValueError, SafetensorError) as error:
        raise TrainingError(f"{directory} holds a damaged model: {error}") from None
    if SHAPE_FIELD not in content:
        raise TrainingError(f"{directory} holds a model that `vocab train` did not write")
    decoder = Decoder(_stored_config(content[SHAPE_FIELD], directory))
    weights = dict(decoder.named_parameters())
    with torch.no_grad():
        for name, parts, _ in llama_names(decoder.config):
            if absent := [part for part in parts if part not in tensors]:
                raise TrainingError(f"{directory / _WEIGHTS} lacks {absent[0]}")
            weights[name].copy_(torch.cat([tensors[part] for part in parts]))
    return decoder


def _stored_config(fields: dict[str, Any], directory: Path) -> ModelConfig:
    try:
        return ModelConfig(**fields)
    except TypeError:
        raise TrainingError(f"{directory} holds a model of another version of vocab: train it again") from None
