"""Which tensors of a checkpoint have a row for each id, and along which axis.

By shape first: a dimension equal to config.json's vocab_size, or to the rows of an embedding that was padded further.
By name only where the shape leaves it open: where vocab_size is also another size of the model, and inside numbered
layers, whose fused projections may have as many rows by chance.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vocab.errors import SourceError
from vocab.interop.transplants.safetensors_file import Tensor

# Ends of names by architecture. Sources: modelling files of transformers 5.
_INPUT = (
    "embed_tokens.weight",  # Llama, Mistral, Qwen, Gemma
    "wte.weight",  # GPT-2
    "embed_in.weight",  # GPT-NeoX
    "word_embeddings.weight",  # Falcon, BLOOM, BERT
    "tok_embeddings.weight",
    "shared.weight",  # T5
    "embeddings.weight",  # Mamba
)
_HEAD = (
    "lm_head.weight",
    "lm_head.bias",
    "embed_out.weight",
    "shared_head.head.weight",
    "predictions.decoder.weight",
    "predictions.decoder.bias",
    "predictions.bias",
    "final_logits_bias",
)
_BARE = ("output.weight",)  # whole names: an ending like this one is that of other layers too
_NUMBERED = re.compile(r"(?:^|\.)\d+\.")
# Settings that hold the model of the text, in a model of several parts.
TEXT_SECTIONS = ("text_config", "llm_config", "language_config", "decoder", "encoder")


@dataclass(frozen=True)
class VocabularyTensor:
    """A tensor, and the axis along which it has one row for each id."""

    tensor: Tensor
    axis: int

    @property
    def n_rows(self) -> int:
        """Its size along that axis."""
        return self.tensor.shape[self.axis]


def is_known(name: str) -> bool:
    """Whether a tensor is an embedding or an output head by its name."""
    endings = (*_INPUT, *_HEAD)
    return name in _BARE or any(name == end or name.endswith("." + end) for end in endings)


def old_vocab_size(config: Mapping[str, Any]) -> int:
    """The vocab_size of config.json, or of its settings of the text; raises SourceError when there is none."""
    sections = [config, *(config[key] for key in TEXT_SECTIONS if isinstance(config.get(key), dict))]
    for section in sections:
        if type(size := section.get("vocab_size")) is int and size > 0:
            return size
    raise SourceError("config.json has no vocab_size, so it cannot be told which tensors follow the vocabulary")


def vocabulary_tensors(tensors: Iterable[Tensor], config: Mapping[str, Any], n_old: int) -> list[VocabularyTensor]:
    """Tensors with one row for each id, where `n_old` ids are in use.

    Raises SourceError when there is none, when config.json has fewer rows than there are ids, or an embedding fewer
    than config.json.
    """
    tensors = list(tensors)
    size = old_vocab_size(config)
    if size < n_old:
        raise SourceError(f"config.json has the vocab_size {size:,}, but the id map is of a source of {n_old:,} ids")
    sizes = {size, *_rows_by_name(tensors, size)}
    is_ambiguous = bool(sizes & set(_other_sizes(config)))
    by_id = []
    for tensor in tensors:
        axes = [k for k, n in enumerate(tensor.shape) if n in sizes]
        by_name = is_ambiguous or len(axes) > 1 or _NUMBERED.search(tensor.name)
        if axes and (is_known(tensor.name) or not by_name):
            by_id.append(VocabularyTensor(tensor, axes[0]))
    if not any(len(one.tensor.shape) > 1 for one in by_id):
        raise SourceError(f"no embedding has the {size:,} rows that config.json gives as vocab_size")
    return by_id


def _rows_by_name(tensors: Iterable[Tensor], size: int) -> Iterator[int]:
    """Rows of the embeddings and heads that have known names."""
    for tensor in tensors:
        if is_known(tensor.name) and len(tensor.shape) > 1 and tensor.name != "final_logits_bias":
            if tensor.shape[0] < size:
                raise SourceError(
                    f"{tensor.name} has {tensor.shape[0]:,} rows, fewer than the vocab_size {size:,} of config.json"
                )
            yield tensor.shape[0]


def _other_sizes(config: Mapping[str, Any]) -> Iterator[int]:
    """Whole numbers of the settings that are not vocabulary sizes or ids."""
    for key, value in config.items():
        if type(value) is int and key != "vocab_size" and not key.endswith(("_id", "_ids", "_index")):
            yield value
        elif isinstance(value, dict) and key in TEXT_SECTIONS:
            yield from _other_sizes(value)
