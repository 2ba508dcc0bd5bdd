"""Weights of Llama's architecture for GGUF: keys, names and order of rows as llama.cpp reads them.

llama.cpp turns pairs of neighbours where transformers turns halves, so rows of the queries and keys change places.
Tensors are written one by one, in the type that they have; those of one dimension as float32.

Source: ggml-org/llama.cpp `conversion/llama.py` and `gguf-py/gguf/tensor_mapping.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vocab.errors import SourceError
from vocab.interop.transplants.float_rows import decode
from vocab.interop.transplants.hf_checkpoint import open_checkpoint
from vocab.interop.transplants.safetensors_file import SafetensorsFile, Tensor

ARCHITECTURES = ("LlamaForCausalLM", "MistralForCausalLM")
_WHOLE = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
_OF_LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_LAYER = re.compile(r"model\.layers\.(\d+)\.(.+)\.weight")
_TYPES = {"F32": 0, "F16": 1, "BF16": 30}  # of tensors in GGUF, by dtype
_FILE_TYPES = {"F32": 0, "F16": 1, "BF16": 32}
_BYTES = {"F32": 4, "F16": 2, "BF16": 2}


@dataclass(frozen=True)
class _Written:
    """A tensor on its way: its name in GGUF, how many heads its rows belong to where they change places, its file."""

    name: str
    n_heads: int
    file: SafetensorsFile
    tensor: Tensor

    @property
    def dtype(self) -> str:
        return "F32" if len(self.tensor.shape) == 1 else self.tensor.dtype

    def data(self) -> npt.NDArray[Any]:
        with self.file.path.open("rb") as stream:
            stream.seek(self.file.data_start + self.tensor.begin)
            raw = np.frombuffer(stream.read(self.tensor.n_bytes), dtype=np.uint8)
        if len(self.tensor.shape) == 1:
            values: npt.NDArray[np.float32] = decode(raw[None], self.tensor.dtype)[0].astype(np.float32)
            return values
        rows = raw.reshape(self.tensor.shape[0], -1)
        if self.n_heads:
            rows = rows.reshape(self.n_heads, 2, -1, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)
        return np.ascontiguousarray(rows)


class LlamaWeights:
    """A model of Llama's architecture in a folder; raises SourceError, with the reason, for others."""

    def __init__(self, directory: Path) -> None:
        checkpoint = open_checkpoint(directory)
        self.directory, self.config = directory, checkpoint.config
        self._check_settings()
        heads = {"attn_q": self._number("num_attention_heads"), "attn_k": self._n_kv_heads}
        self.tensors = [self._named(file, tensor, heads) for file in checkpoint.files for tensor in file.tensors]
        self._check_whole()

    def _check_settings(self) -> None:
        kinds = self.config.get("architectures") or []
        rope = self.config.get("rope_scaling") or self.config.get("rope_parameters") or {}
        reason = None
        if not (isinstance(kinds, list) and len(kinds) == 1 and kinds[0] in ARCHITECTURES):
            reason = f"it is of the architecture {str(kinds)[:80]}"
        elif isinstance(rope, dict) and rope.get("rope_type", rope.get("type", "default")) != "default":
            reason = "it scales its positions"
        elif self.config.get("quantization_config"):
            reason = "it is quantised"
        if reason:
            raise SourceError(
                f"{self.directory} is no plain Llama ({reason}): convert it by llama.cpp's convert_hf_to_gguf.py, with "
                "the line that is printed without `weights`"
            )

    def _named(self, file: SafetensorsFile, tensor: Tensor, heads: dict[str, int]) -> _Written:
        name, match = _WHOLE.get(tensor.name), _LAYER.fullmatch(tensor.name)
        if match and match[2] in _OF_LAYER:
            name = f"blk.{match[1]}.{_OF_LAYER[match[2]]}.weight"
        if name is None or tensor.dtype not in _TYPES:
            raise SourceError(f"{self.directory}: {tensor.name} of {tensor.dtype} has no place in llama.cpp's Llama")
        part = name.split(".")[-2]
        n_heads = heads.get(part, 0)
        if n_heads and (len(tensor.shape) != 2 or tensor.shape[0] % (2 * n_heads)):
            raise SourceError(f"{self.directory}: {tensor.name} of {list(tensor.shape)} is not of {n_heads} heads")
        return _Written(name, n_heads, file, tensor)

    def _check_whole(self) -> None:
        layers = range(self._number("num_hidden_layers"))
        expected = {f"blk.{k}.{part}.weight" for k in layers for part in _OF_LAYER.values()}
        expected |= {"token_embd.weight", "output_norm.weight"}
        there = {one.name for one in self.tensors} - {"output.weight"}
        if different := sorted(expected ^ there):
            raise SourceError(f"{self.directory} has not the tensors that its settings say, such as {different[0]}")

    def _number(self, key: str, default: int | None = None) -> int:
        value = self.config.get(key, default)
        if type(value) is not int or not 0 < value < 1 << 31:
            raise SourceError(f"{self.directory}: config.json has no {key}")
        return value

    @property
    def _n_kv_heads(self) -> int:
        return self._number("num_key_value_heads", self._number("num_attention_heads"))

    def add_settings(self, writer: Any) -> None:
        """Keys of the model, but for its tokenizer and vocab_size."""
        n_heads, width = self._number("num_attention_heads"), self._number("hidden_size")
        rope = self.config.get("rope_parameters") or {}
        head = self._number("head_dim", width // n_heads)
        writer.add_context_length(self._number("max_position_embeddings", 2048))
        writer.add_embedding_length(width)
        writer.add_block_count(self._number("num_hidden_layers"))
        writer.add_feed_forward_length(self._number("intermediate_size"))
        writer.add_head_count(n_heads)
        writer.add_head_count_kv(self._n_kv_heads)
        writer.add_key_length(head)
        writer.add_value_length(head)
        writer.add_rope_dimension_count(head)
        writer.add_rope_freq_base(float(rope.get("rope_theta", self.config.get("rope_theta", 10000.0))))
        writer.add_layer_norm_rms_eps(float(self.config.get("rms_norm_eps", 1e-6)))
        wide = next(one.dtype for one in self.tensors if one.name == "token_embd.weight")
        writer.add_file_type(_FILE_TYPES[wide])

    def add_tensors(self, writer: Any, kind: Any) -> None:
        """Names, shapes and types, before any data."""
        for one in self.tensors:
            n_bytes = int(np.prod(one.tensor.shape)) * _BYTES[one.dtype]
            # The dtype given matters only where no type is: it must not be uint8, which means bytes of packed rows.
            writer.add_tensor_info(one.name, one.tensor.shape, np.dtype(np.float32), n_bytes, kind(_TYPES[one.dtype]))

    def data(self) -> Iterator[npt.NDArray[Any]]:
        """The data of each tensor in that order."""
        return (one.data() for one in self.tensors)
