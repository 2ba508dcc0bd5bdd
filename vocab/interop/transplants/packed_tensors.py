"""Embeddings and heads that are quantised: recognised by the tensors beside their weight, followed where that is exact.

Exact are rows of whole 8-bit numbers with a scale each, or with one scale for all. Every other packing has scales,
zero points or codes that rows of several ids share, so that rows cannot be cut out of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vocab.errors import SourceError
from vocab.interop.transplants.float_rows import DTYPES
from vocab.interop.transplants.safetensors_file import BITS, SafetensorsFile, Tensor
from vocab.interop.transplants.tensor_names import has_rows_alone, module_of

# Schemes by a tensor beside the weight, the surest first. Sources: quantizers of transformers 5, and of each library.
_SCHEMES = (
    (r"lora_|base_layer|original_module|modules_to_save", "an adapter"),
    (r"parametrizations|weight_[gv]$", "a parametrised layer"),
    (r"weight\.(absmax|quant_map|quant_state|nested_)", "bitsandbytes 4 bit"),
    (r"SCB$|weight_format$", "bitsandbytes 8 bit"),
    (r"weight_scale_inv$", "fp8 in blocks"),
    (r"weight_packed$", "compressed-tensors"),
    (r"W_q$", "HQQ"),
    (r"weight_blocks$", "MXFP4"),
    (r"weight_scales$", "EETQ"),
    (r"weight\._", "quanto"),
    (r"weight:|_weight_qdata$|weight_qdata$", "torchao"),
    (r"q_weight$|q_perm$|q_invperm$", "EXL2"),
    (r"trellis$", "EXL3"),
    (r"codebooks?$|codes$", "AQLM"),
    (r"weight_scale_2$", "NVFP4"),
    (r"biases$", "MLX"),
    (r"qweight$|qzeros$|g_idx$", "GPTQ or AWQ"),
)
_COMPANION = re.compile(
    r"weight[._:].+|[a-z]*qweight|qzeros|q?scales?|zeros|zero_points?|g_idx|perm|SCB|CB|W_q|meta|q_\w+|_\w+|qdata|codes"
    r"|codebooks?|centroids|indices|trellis|s[uv]h?|biases|(?:input|output|act|activation)_scales?\w*|input_zero_point"
    r"|deq_scale|absmax|quant_.+|(?:lora_|base_layer|original_module|modules_to_save|parametrizations).*"
)
# A number a row, or one for all; the last three are those of Ascend's W8A8.
_OF_ROWS = ("SCB", "weight_scale", "weight_zero_point", "weight_offset", "deq_scale", "quant_bias")
_OF_ALL = ("input_scale", "input_scale_ub", "input_zero_point", "input_offset", "output_scale", "weight_format")
_NUMBERS = ("I8", "F8_E4M3", "F8_E4M3FNUZ", "F8_E5M2", "F8_E5M2FNUZ")

Parts = dict[str, Tensor]  # of a module, by what they are there: `weight`, `qzeros` …


def packed_modules(tensors: Iterable[Tensor]) -> dict[str, Parts]:
    """Modules that are packed, by a part that packings have or for want of a weight of floats; and their parts."""
    modules: dict[str, Parts] = {}
    for tensor in tensors:
        module, part = module_of(tensor.name)
        modules.setdefault(module, {})[part] = tensor
    return {module: parts for module, parts in modules.items() if _companion(module, parts)}


def _companion(module: str, parts: Parts) -> str | None:
    """The part that shows that a module is packed."""
    if known := next(filter(_COMPANION.fullmatch, sorted(parts)), None):
        return known
    has_floats = "weight" in parts and parts["weight"].dtype in DTYPES
    if has_floats or not has_rows_alone(module):
        return None
    return next((part for part in sorted(parts) if "." not in part and part not in ("weight", "bias")), None)


def rows_of_packed(module: str, parts: Parts, sizes: Iterable[int], config: Mapping[str, Any]) -> list[Tensor]:
    """The tensors of a packed embedding or head that have a row for each id, along their first axis.

    Raises SourceError, with the scheme's name, where rows cannot be cut out exactly.
    """
    weight = parts.get("weight")
    others = {part: tensor for part, tensor in parts.items() if part not in ("weight", "bias")}
    if weight is None or weight.dtype not in _NUMBERS or len(weight.shape) != 2 or weight.shape[0] not in sizes:
        raise SourceError(_refusal(module, parts, config))
    n_rows, following = weight.shape[0], [weight, *(parts[part] for part in ("bias",) if part in parts)]
    for part, tensor in others.items():
        if part in _OF_ROWS and tensor.shape in ((n_rows,), (n_rows, 1)):
            following.append(tensor)
        elif not (part in (*_OF_ROWS, *_OF_ALL) and math.prod(tensor.shape) == 1):
            raise SourceError(_refusal(module, parts, config))
    return following


def check_formats(files: Sequence[SafetensorsFile], packed: Iterable[str]) -> None:
    """Raise SourceError for bitsandbytes weights whose rows are not in their order, as a number beside them says."""
    modules = set(packed)
    for file in files:
        for tensor in file.tensors:
            module, part = module_of(tensor.name)
            if part == "weight_format" and module in modules and any(_bytes(file, tensor)):
                raise SourceError(
                    f"{module}.weight is packed (bitsandbytes 8 bit, its rows in tiles as {tensor.name} says), so rows "
                    "of ids cannot be cut out of it: save the model again with a newer bitsandbytes"
                )


def _bytes(file: SafetensorsFile, tensor: Tensor) -> bytes:
    with Path(file.path).open("rb") as stream:
        stream.seek(file.data_start + tensor.begin)
        return stream.read(min(tensor.n_bytes, 8))


def _refusal(module: str, parts: Parts, config: Mapping[str, Any]) -> str:
    companion = _companion(module, parts) or next(iter(parts))
    scheme = _scheme(parts, config)
    if scheme in ("an adapter", "a parametrised layer"):
        return (
            f"{module} is {scheme} ({parts[companion].name}), whose rows are a sum or product: merge it into the "
            "model's weights first"
        )
    packed = next((parts[part] for part in ("weight", "qweight", "weight_packed") if part in parts), parts[companion])
    beside = f", with {parts[companion].name} beside it" if parts[companion] is not packed else ""
    return (
        f"{packed.name} is packed ({scheme}{beside}), so rows of ids cannot be cut out of it exactly: dequantise the "
        f"model, or quantise it again without {module}"
    )


def _scheme(parts: Parts, config: Mapping[str, Any]) -> str:
    named = _method(config)
    for pattern, scheme in _SCHEMES:
        if any(re.match(pattern, part) for part in parts):
            return {"gptq": "GPTQ", "awq": "AWQ"}.get(named, scheme) if scheme == "GPTQ or AWQ" else scheme
    return named or "an unknown scheme"


def _method(config: Mapping[str, Any]) -> str:
    for key in ("quantization_config", "quantization", "compression_config"):
        section = config.get(key)
        if isinstance(section, dict):
            method = str(section.get("quant_method") or section.get("quant_type") or "")
            return method if re.fullmatch(r"[\w.-]{1,40}", method) else ""
    return ""


def check_plain(tensor: Tensor, config: Mapping[str, Any]) -> None:
    """Raise SourceError for a weight of packed numbers without a tensor beside it that says how they are packed."""
    if BITS[tensor.dtype] < 8 or (tensor.dtype in ("U8", "I32", "U32") and _method(config)):
        raise SourceError(
            f"{tensor.name} is packed ({_method(config) or tensor.dtype}), so rows of ids cannot be cut out of it "
            "exactly: dequantise the model, or quantise it again without this tensor"
        )
