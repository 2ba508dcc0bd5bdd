"""The output head of a checkpoint: its tensors with a row for each id, or the embedding's where both are one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vocab.errors import SourceError
from vocab.interop.transplants.hf_checkpoint import Checkpoint
from vocab.interop.transplants.packed_tensors import check_formats
from vocab.interop.transplants.safetensors_file import SafetensorsFile
from vocab.interop.transplants.tensor_names import is_head, is_whole_name, module_of
from vocab.interop.transplants.vocab_sizes import TEXT_SECTIONS
from vocab.interop.transplants.vocabulary_tensors import VocabularyTensor, vocabulary_tensors


@dataclass(frozen=True)
class OutputHead:
    """The head of a model.

    Attributes:
        module: the module whose rows it is.
        is_tied: whether that is the embedding.
        tensors: weight, bias and scales, each with the file that it is in.
        n_rows: rows of the weight.
    """

    module: str
    is_tied: bool
    tensors: tuple[tuple[SafetensorsFile, VocabularyTensor], ...]
    n_rows: int


def output_head(checkpoint: Checkpoint, n_ids: int) -> OutputHead:
    """Find the head of a model of `n_ids` ids; raises SourceError where there is none, or several that may be it."""
    tensors = [tensor for file in checkpoint.files for tensor in file.tensors]
    found = vocabulary_tensors(tensors, checkpoint.config, n_ids)
    check_formats(checkpoint.files, found.packed)
    wide = {name: module_of(name)[0] for name, one in found.by_id.items() if len(one.tensor.shape) > 1}
    heads = sorted({module for name, module in wide.items() if is_head(module) and not is_whole_name(name)})
    is_tied = not heads
    module = heads[0] if heads else _embedding(checkpoint, sorted(set(wide.values())))
    if len(heads) > 1:
        raise SourceError(f"{checkpoint.folder} has several output heads ({', '.join(heads[:4])}): cut one by hand")
    files = {tensor.name: file for file in checkpoint.files for tensor in file.tensors}
    of_head = [name for name in found.by_id if module_of(name)[0] == module or is_whole_name(name)]
    parts = tuple((files[name], found.by_id[name]) for name in of_head)
    n_rows = max(one.n_rows for _, one in parts if len(one.tensor.shape) > 1)
    if any(one.n_rows < n_ids for _, one in parts):
        raise SourceError(f"{module} has {n_rows:,} rows, fewer than the {n_ids:,} ids of the model's tokenizer")
    return OutputHead(module, is_tied, parts, n_rows)


def _embedding(checkpoint: Checkpoint, modules: list[str]) -> str:
    """The embedding that is the head too."""
    if not _is_tied(checkpoint.config):
        raise SourceError(
            f"{checkpoint.folder} has no output head, and config.json says that no embedding is tied to one"
        )
    if len(modules) != 1:
        raise SourceError(
            f"{checkpoint.folder} has no output head, and {len(modules)} embeddings that it may be tied to "
            f"({', '.join(modules[:4])})"
        )
    return modules[0]


def _is_tied(config: Mapping[str, Any]) -> bool:
    """Whether embedding and head are one: transformers says so unless the settings say otherwise."""
    sections = [config, *(config[key] for key in TEXT_SECTIONS if isinstance(config.get(key), dict))]
    return all(section.get("tie_word_embeddings", True) for section in sections)
