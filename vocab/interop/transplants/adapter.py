"""An adapter of peft (LoRA) follows the vocabulary of its base model: what it has for embedding and head.

Whole embeddings and heads (`modules_to_save`) have a row for each id, as in a model. LoRA of an embedding has a column
for each id in `lora_embedding_A`, and of a head a row in `lora_B`: the other factor has none. So the sum of base and
adapter is the same for every kept id.

Source: huggingface/peft `utils/save_and_load.py` (names in adapter_model.safetensors) and `tuners/lora/layer.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vocab.choices import RowInit
from vocab.errors import SourceError
from vocab.formats.id_map import IdMap, read_id_map
from vocab.interop.transplants.hf_checkpoint import ADAPTER
from vocab.interop.transplants.model_tokenizer import TOKENIZER, old_tokens, write_tokenizer_files
from vocab.interop.transplants.safetensors_file import SafetensorsFile, Tensor, read_header
from vocab.interop.transplants.shard_file import new_layout, write_shard
from vocab.interop.transplants.tensor_names import is_head, is_known, is_plain, module_of
from vocab.interop.transplants.tensor_rows import OnWritten, RowPlan
from vocab.interop.transplants.vocabulary_tensors import VocabularyTensor
from vocab.reading import read_json
from vocab.sizes import padded
from vocab.writing import write_json

WEIGHTS = "adapter_model.safetensors"
_PART = re.compile(
    r"(?P<module>.+?)\.(?:modules_to_save\.(?:\w+\.)?|base_layer\.)?"
    r"(?P<part>weight|bias|lora_embedding_[AB]|lora_[AB]|lora_magnitude_vector)(?:\.(?:default|weight|bias))*$"
)
_TRAINABLE = "trainable_token_indices"


class AdapterJob:
    """One transplant. Its constructor reads and checks everything, so that nothing is written in vain.

    Attributes:
        record: what was done, as JSON types.
        n_bytes: bytes of all new tensors.
    """

    def __init__(self, adapter: Path, vocabulary: Path, multiple_of: int, init: RowInit) -> None:
        self.adapter, self.vocabulary = adapter, vocabulary
        self.config, self.ids = read_json(adapter / ADAPTER), read_id_map(vocabulary).begun_as(init)
        self.file = _weights(adapter)
        self.by_id = _by_id(self.file, self.ids)
        if not self.by_id and _TRAINABLE not in self.config:
            raise SourceError(f"{adapter} has nothing for embedding and head: it fits the new model as it is")
        self.config = self._with_new_ids()
        _, n_checked = old_tokens(adapter, vocabulary, self.ids)
        self.n_rows = padded(self.ids.n_new, multiple_of)
        sources = [*self.ids.rows(), *[()] * (self.n_rows - self.ids.n_new)]
        self.plan = RowPlan(sources)
        self.layout = new_layout(self.file, self.by_id, lambda rows: self.plan)
        self.n_bytes = sum(tensor.n_bytes for tensor in self.layout)
        self.record = self._record(n_checked)

    def _with_new_ids(self) -> dict[str, Any]:
        """Settings with new ids for tokens that are trained one by one."""
        named = self.config.get(_TRAINABLE)
        if named is None:
            return self.config
        tables = named if isinstance(named, dict) else {"": named}
        new = {key: [self._new_id(old) for old in ids] for key, ids in tables.items()}
        return {**self.config, _TRAINABLE: new if isinstance(named, dict) else new[""]}

    def _new_id(self, old: Any) -> int:
        if type(old) is not int or old not in self.ids.kept:
            raise SourceError(f"{ADAPTER}: {_TRAINABLE} has the id {old!r}, which the new vocabulary does not have")
        return self.ids.kept[old]

    def write(self, staging: Path, on_written: OnWritten) -> None:
        """Write weights, settings and, where the adapter has some, tokenizer files."""
        write_json(staging / ADAPTER, self.config)
        if (self.adapter / TOKENIZER).is_file():
            write_tokenizer_files(self.adapter, self.vocabulary, staging)
        write_shard(self.file, self.layout, self.by_id, lambda rows: self.plan, staging / WEIGHTS, on_written)

    def _record(self, n_checked: int | None) -> dict[str, Any]:
        base = self.config.get("base_model_name_or_path")
        written = {WEIGHTS, ADAPTER, "tokenizer_config.json", TOKENIZER, "special_tokens_map.json"}
        followed = [tensor for tensor in self.layout if tensor.name in self.by_id]
        return {
            "model": self.adapter.resolve().name,
            "source": self.ids.source,
            "tokens_compared_with_the_model": n_checked,
            "vocab_size": {
                "old": max([one.n_rows for one in self.by_id.values()] or [self.ids.n_old]),
                "new": self.n_rows,
            },
            "tensors": [self._touched(tensor) for tensor in followed],
            "left_alone": [],
            "ids": [],
            "not_followed": [],
            "notes": [
                f"{ADAPTER} still names the base model {base!r}: load it onto the one that followed this vocabulary"
            ],
            "left_out": sorted(path.name for path in self.adapter.iterdir() if path.name not in written),
            "n_bytes": {"old": sum(tensor.n_bytes for tensor in self.file.tensors), "new": self.n_bytes},
        }

    def _touched(self, tensor: Tensor) -> dict[str, Any]:
        old = self.by_id[tensor.name]
        shapes = {"old_shape": list(old.tensor.shape), "new_shape": list(tensor.shape)}
        return {"name": tensor.name, "dtype": tensor.dtype, "axis": old.axis, **shapes}


def _weights(adapter: Path) -> SafetensorsFile:
    if not (adapter / WEIGHTS).is_file():
        raise SourceError(
            f"{adapter} is an adapter without {WEIGHTS}: save it again as safetensors, with save_pretrained"
        )
    return read_header(adapter / WEIGHTS)


def _by_id(file: SafetensorsFile, ids: IdMap) -> Mapping[str, VocabularyTensor]:
    """Tensors with a row or column for each id; raises SourceError for what is not known."""
    found: dict[str, VocabularyTensor] = {}
    for tensor in file.tensors:
        match = _PART.fullmatch(tensor.name)
        module = match["module"] if match else module_of(tensor.name)[0]
        if not (is_known(f"{module}.weight") or is_plain(f"{module}.weight")):
            continue
        if match is None:
            if "trainable_tokens_delta" in tensor.name:
                continue
            raise SourceError(f"{tensor.name} belongs to an embedding or head in a way that is not known")
        axis = _axis(match["part"], module)
        if axis is not None and len(tensor.shape) > axis:
            found[tensor.name] = VocabularyTensor(tensor, axis)
    for name, one in found.items():
        if one.n_rows < ids.n_old or one.n_rows != next(iter(found.values())).n_rows:
            raise SourceError(f"{name} has {one.n_rows:,} rows of ids, and the id map is of a source of {ids.n_old:,}")
    return found


def _axis(part: str, module: str) -> int | None:
    """Along which axis a part has ids; None for the factor that has none."""
    if part in ("weight", "bias"):
        return 0
    if part == "lora_embedding_A":
        return 1
    return 0 if part in ("lora_B", "lora_magnitude_vector") and is_head(module) else None
