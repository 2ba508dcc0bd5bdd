"""A Hugging Face checkpoint of Llama's architecture as the weights that training begins with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vocab.errors import TrainingError, VocabError
from vocab.formats import load_lossless
from vocab.model.export.llama_layout import llama_names
from vocab.model.network.config import ModelConfig
from vocab.model.network.decoder import Decoder
from vocab.model.pretrained.causal_model import CausalModel, load_causal_model
from vocab.vocabulary import Vocabulary

_MODEL_TYPES = ("llama", "mistral")
# Fields of config.json in which Llama's architecture must be as our decoder has it, and their only values.
_FIXED = {"hidden_act": "silu", "attention_bias": False, "mlp_bias": False, "sliding_window": None}
_TIED_HEAD = "lm_head.weight"


@dataclass(frozen=True)
class InitialModel:
    """Weights to begin with.

    Attributes:
        name: the path or repository that they were loaded from.
        config: their shape.
        weights: float32 tensors by the names of `Decoder`.
        sha256: digest of all of them.
    """

    name: str
    config: ModelConfig
    weights: dict[str, Tensor]
    sha256: str

    @torch.no_grad()
    def fill(self, decoder: Decoder) -> None:
        """Copy the weights into a decoder of this shape."""
        for name, weight in decoder.named_parameters():
            weight.copy_(self.weights[name])


def load_initial_model(name_or_path: str | Path, vocabulary: Vocabulary) -> InitialModel:
    """Load a checkpoint that our decoder computes as transformers does.

    Args:
        name_or_path: a folder with config.json and safetensors, a `.gguf` file, or a repository.
        vocabulary: what the model will be trained on. A model may have more rows than that has ids.

    Raises:
        TrainingError: it cannot be loaded, is of another architecture, or belongs to another vocabulary.
    """
    model = load_causal_model(name_or_path)
    config = _config_of(model)
    _check_vocabulary(model, vocabulary)
    weights = _weights_of(model, config)
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode() + weights[name].numpy().tobytes())
    return InitialModel(model.name, config, weights, digest.hexdigest())


def _config_of(model: CausalModel) -> ModelConfig:
    """The shape of a model; raises TrainingError for what our decoder does not compute."""
    settings = model.settings
    if getattr(settings, "model_type", None) not in _MODEL_TYPES:
        raise TrainingError(
            f"{model.name} is a model of the type {getattr(settings, 'model_type', None)!r}: training begins with "
            f"{' or '.join(_MODEL_TYPES)}, or with weights from a seed"
        )
    for name, value in _FIXED.items():
        if (found := getattr(settings, name, value)) != value:
            raise TrainingError(f"{model.name} has {name} = {found!r}, and our decoder is made for {value!r}")
    if getattr(settings, "head_dim", None) not in (None, settings.hidden_size // settings.num_attention_heads):
        raise TrainingError(f"{model.name} has heads of {settings.head_dim}, and ours are width / n_heads")
    return ModelConfig(
        n_ids=model.n_rows,
        n_layers=settings.num_hidden_layers,
        n_heads=settings.num_attention_heads,
        n_kv_heads=settings.num_key_value_heads or settings.num_attention_heads,
        width=settings.hidden_size,
        ffn_width=settings.intermediate_size,
        max_seq_len=model.max_positions or 2048,
        tied=bool(model.network.config.tie_word_embeddings),
        norm_eps=settings.rms_norm_eps,
        rope_base=_rope_base(model),
    )


def _rope_base(model: CausalModel) -> float:
    """The base of RoPE; raises TrainingError where positions are scaled."""
    settings: Any = model.settings
    rules = getattr(settings, "rope_parameters", None) or getattr(settings, "rope_scaling", None) or {}
    kind = rules.get("rope_type", rules.get("type", "default"))
    if kind != "default" or rules.get("partial_rotary_factor", 1.0) != 1.0:
        raise TrainingError(f"{model.name} scales its positions ({kind}), which our decoder does not")
    return float(rules.get("rope_theta") or getattr(settings, "rope_theta", None) or 10_000.0)


def _check_vocabulary(model: CausalModel, vocabulary: Vocabulary) -> None:
    """Raise TrainingError for a vocabulary that is not the model's."""
    advice = "move the model to the vocabulary with `vocab transplant` first"
    if vocabulary.max_id >= model.n_rows:
        raise TrainingError(
            f"{model.name} has {model.n_rows:,} rows and {vocabulary.name} ids up to {vocabulary.max_id:,}: {advice}"
        )
    if not Path(model.name).is_dir():
        return
    try:
        own = load_lossless(model.name)
    except VocabError:  # a folder of weights alone, or a tokenizer that can only be measured
        return
    if _texts(own) != _texts(vocabulary):
        raise TrainingError(f"{model.name} has another tokenizer than {vocabulary.name}: {advice}")


def _texts(vocabulary: Vocabulary) -> dict[int, bytes]:
    """The bytes of each id."""
    special = {id_: text.encode() for text, id_ in vocabulary.special_tokens.items()}
    return special | dict(zip(vocabulary.rank_ids.tolist(), vocabulary.tokens(), strict=True))


def _weights_of(model: CausalModel, config: ModelConfig) -> dict[str, Tensor]:
    """Our weights from Llama's; raises TrainingError where some are missing, left over or of another shape."""
    theirs = {name: tensor.detach() for name, tensor in model.network.state_dict().items()}
    if config.tied:
        theirs.pop(_TIED_HEAD, None)
    shapes = {name: tuple(weight.shape) for name, weight in _meta(config).named_parameters()}
    ours = {}
    for name, parts, _ in llama_names(config):
        if missing := next((part for part in parts if part not in theirs), None):
            raise TrainingError(f"{model.name} lacks the weight {missing}")
        ours[name] = torch.cat([theirs.pop(part) for part in parts]).float()
        if tuple(ours[name].shape) != shapes[name]:
            raise TrainingError(f"{model.name} has a weight of another shape than its config.json says: {parts[0]}")
    if theirs:
        raise TrainingError(f"{model.name} has a weight that our decoder lacks: {min(theirs)}")
    return ours


def _meta(config: ModelConfig) -> Decoder:
    with torch.device("meta"):
        return Decoder(config)
