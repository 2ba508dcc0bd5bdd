"""Shapes of decoders: presets, parameter counts and FLOPs, in plain Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, get_args

from vocab.choices import Position
from vocab.errors import TrainingError


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The shape of a decoder: pre-norm blocks of attention and SwiGLU, RMSNorm, no biases.

    Attributes:
        n_ids: rows of the embedding and of the head: the vocabulary's highest id plus one, unpadded.
        n_layers: number of blocks.
        n_heads: heads of queries.
        n_kv_heads: heads of keys and values, each shared by n_heads / n_kv_heads heads of queries.
        width: size of the residual stream.
        ffn_width: inner size of SwiGLU.
        max_seq_len: most tokens of a sequence.
        position: "rope" (Su et al. 2021, rotated halves as in Llama) or "alibi" (Press et al. 2021).
        tied: whether the head and the embedding are one matrix.
        norm_eps: added to the mean square in RMSNorm.
        rope_base: base of RoPE's wavelengths.

    Raises:
        TrainingError: for a shape that cannot be built.
    """

    n_ids: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    width: int
    ffn_width: int
    max_seq_len: int = 2048
    position: Position = "rope"
    tied: bool = False
    norm_eps: float = 1e-5
    rope_base: float = 10_000.0

    def __post_init__(self) -> None:
        sizes = ("n_ids", "n_layers", "n_heads", "n_kv_heads", "width", "ffn_width", "max_seq_len")
        for name in sizes:
            if getattr(self, name) < 1:
                raise TrainingError(f"`{name}` must be at least 1, not {getattr(self, name)}")
        if self.width % self.n_heads or self.head_dim % 2:
            raise TrainingError(f"`width` {self.width} over {self.n_heads} heads does not give heads of an even size")
        if self.n_heads % self.n_kv_heads:
            raise TrainingError(f"{self.n_heads} heads cannot share {self.n_kv_heads} KV heads evenly")
        if self.position not in get_args(Position):
            raise TrainingError(f"`position` must be rope or alibi, not {self.position!r}")

    @property
    def head_dim(self) -> int:
        """Size of one head."""
        return self.width // self.n_heads

    @property
    def n_matmul_parameters(self) -> int:
        """Parameters in the products of every token: blocks and head. The embedding is only looked up."""
        kv_width = self.n_kv_heads * self.head_dim
        block = 2 * self.width * self.width + 2 * self.width * kv_width + 3 * self.width * self.ffn_width
        return self.n_layers * block + self.n_ids * self.width

    @property
    def n_parameters(self) -> int:
        """All parameters."""
        norms = (2 * self.n_layers + 1) * self.width
        embedding = 0 if self.tied else self.n_ids * self.width
        return self.n_matmul_parameters + norms + embedding

    @property
    def n_parameters_without_embeddings(self) -> int:
        """Parameters of blocks and norms, neither embedding nor head."""
        return self.n_parameters - self.n_ids * self.width * (1 if self.tied else 2)

    def flops_per_token(self, seq_len: int, *, causal: bool = False) -> float:
        """FLOPs of training on one token, forward and backward.

        6 × matmul parameters + 12 · layers · width · seq_len (PaLM, appendix B).

        Args:
            seq_len: tokens of a sequence.
            causal: whether to halve the second part, which leaves out the scores that a causal mask hides.
        """
        attention = 12 * self.n_layers * self.width * seq_len
        return 6 * self.n_matmul_parameters + attention / (2 if causal else 1)

    def with_fields(self, settings: Mapping[str, Any]) -> ModelConfig:
        """The same shape with some fields set; raises TrainingError for an unknown field."""
        known = {field.name for field in fields(self)}
        if unknown := set(settings) - known:
            raise TrainingError(f"{min(unknown)} is not a field of a model; the fields are: {', '.join(sorted(known))}")
        return replace(self, **settings)


# n_ids is that of the papers (or of the size class); training sets it from its vocabulary.
PRESETS: Mapping[str, ModelConfig] = MappingProxyType(
    {
        # LokiLM (arXiv 2407.08370) states 1.4B parameters but no inner size of SwiGLU; 5632 gives them.
        "lokilm-1.4b": ModelConfig(
            n_ids=32_000, n_layers=24, n_heads=32, n_kv_heads=32, width=2048, ffn_width=5632, position="alibi"
        ),
        # TinyLlama (arXiv 2401.02385).
        "tinyllama-1.1b": ModelConfig(n_ids=32_000, n_layers=22, n_heads=32, n_kv_heads=4, width=2048, ffn_width=5632),
        # GPT-2 small's depth, width and vocabulary with SwiGLU of 8/3 width, which has as many parameters as its MLP.
        "gpt2-124m-class": ModelConfig(
            n_ids=50_257, n_layers=12, n_heads=12, n_kv_heads=12, width=768, ffn_width=2048, max_seq_len=1024, tied=True
        ),
        "nano": ModelConfig(
            n_ids=16_384, n_layers=8, n_heads=8, n_kv_heads=4, width=256, ffn_width=704, max_seq_len=512, tied=True
        ),
        "micro": ModelConfig(
            n_ids=4_096, n_layers=3, n_heads=2, n_kv_heads=2, width=128, ffn_width=352, max_seq_len=256, tied=True
        ),
    }
)


def preset(name: str, **settings: Any) -> ModelConfig:
    """A preset by name with some fields set; raises TrainingError for an unknown name or field."""
    if name not in PRESETS:
        raise TrainingError(f"unknown preset {name!r}; there are: {', '.join(PRESETS)}")
    return PRESETS[name].with_fields(settings)
