"""The decoder: ids to hidden states, as a plain nn.Module."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it
from torch.utils.checkpoint import checkpoint

from vocab.errors import TrainingError
from vocab.model.network.attention import choose
from vocab.model.network.attention_interface import AttentionBackend
from vocab.model.network.config import ModelConfig
from vocab.model.network.positions import alibi_slopes, rope_tables, rotate

# Shapes of micro-batches that the blocks are compiled for, each once.
_MOST_SHAPES = 32


class Attention(nn.Module):
    """Causal attention with grouped KV heads; queries, keys and values come from one product."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.n_heads, self.n_kv_heads, self.head_dim = config.n_heads, config.n_kv_heads, config.head_dim
        n_rows = (config.n_heads + 2 * config.n_kv_heads) * config.head_dim
        self.qkv = nn.Linear(config.width, n_rows, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)

    def project(self, x: Tensor, cos: Tensor | None, sin: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, H, T, D), keys and values (B, Hkv, T, D) of x (B, T, width), rotated by the tables if any."""
        n_batch, seq_len, _ = x.shape
        heads = self.qkv(x).view(n_batch, seq_len, -1, self.head_dim).transpose(1, 2)  # (B, H + 2 Hkv, T, D)
        q, k, v = torch.split(heads, [self.n_heads, self.n_kv_heads, self.n_kv_heads], dim=1)
        if cos is not None and sin is not None:
            # One rotation for queries and keys together.
            rotated = rotate(heads[:, : self.n_heads + self.n_kv_heads], cos, sin)
            q, k = torch.split(rotated, [self.n_heads, self.n_kv_heads], dim=1)
        return q, k, v

    def merge(self, mixed: Tensor) -> Tensor:
        """Heads (B, H, T, D) to (B, T, width)."""
        projected: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return projected

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map x (B, T, width) to the same shape."""
        q, k, v = self.project(x, context.cos, context.sin)
        return self.merge(context.backend(q, k, v, context.state, context.mask))


class SwiGLU(nn.Module):
    """down(silu(gate(x)) · up(x)), gate and up from one product. Shazeer 2020, arXiv 2002.05202."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_up = nn.Linear(config.width, 2 * config.ffn_width, bias=False)
        self.down = nn.Linear(config.ffn_width, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, T, width) to the same shape."""
        gate, up = self.gate_up(x).chunk(2, dim=-1)  # (B, T, ffn_width) each
        projected: Tensor = self.down(F.silu(gate) * up)
        return projected


class RMSNorm(nn.RMSNorm):
    """RMSNorm in the dtype of its input, with sums in float32. Zhang & Sennrich 2019, arXiv 1910.07467."""

    def forward(self, x: Tensor) -> Tensor:
        """Map x (…, width) to the same shape."""
        return F.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


class Block(nn.Module):
    """A pre-norm block."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.width, eps=config.norm_eps)
        self.attention = Attention(config)
        self.ffn_norm = RMSNorm(config.width, eps=config.norm_eps)
        self.ffn = SwiGLU(config)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map x (B, T, width) to the same shape."""
        x = x + self.attention(self.attention_norm(x), context)
        added: Tensor = x + self.ffn(self.ffn_norm(x))
        return added


class Context:
    """What every block of one forward pass uses: positions, the attention back end, its mask.

    Args:
        backend: computes attention.
        state: what its `prepare` returned.
        cos: RoPE's table (T, D), None for ALiBi.
        sin: RoPE's table (T, D), None for ALiBi.
        mask: what the back end's `mask` returned.
    """

    def __init__(
        self, backend: AttentionBackend, state: object, cos: Tensor | None, sin: Tensor | None, mask: object
    ) -> None:
        self.backend = backend
        self.state = state
        self.cos, self.sin = cos, sin
        self.mask = mask


class Decoder(nn.Module):
    """Ids (B, T) to normed hidden states (B, T, width). The head is a matrix: multiply by it for logits.

    Call `initialise` to fill the weights, and `prepare` once they are on their device.

    Args:
        config: the shape.
        attention: a back end, or its name, or "auto" (`vocab.model.network.attention.choose`).
        activation_checkpointing: whether to compute each block's activations again in the backward pass, which saves
            memory.
    """

    def __init__(
        self,
        config: ModelConfig,
        attention: AttentionBackend | str = "auto",
        *,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.config = config
        self.attention = attention
        self.activation_checkpointing = activation_checkpointing
        self.embedding = nn.Embedding(config.n_ids, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.norm = RMSNorm(config.width, eps=config.norm_eps)
        self.head = None if config.tied else nn.Linear(config.width, config.n_ids, bias=False)
        self._backend: AttentionBackend | None = None
        self._state: object = None
        self._dtype = torch.float32
        self._tables: tuple[Tensor, Tensor] | None = None

    @property
    def head_weight(self) -> Tensor:
        """The matrix (n_ids, width) that turns hidden states into logits."""
        return self.embedding.weight if self.head is None else self.head.weight

    @property
    def backend(self) -> AttentionBackend:
        """The attention back end in use; raises TrainingError before `prepare`."""
        if self._backend is None:
            raise TrainingError("no attention back end is chosen yet: call prepare")
        return self._backend

    @torch.no_grad()
    def initialise(self, seed: int) -> None:
        """Fill the weights from a seed, the same on every device.

        Matrices are normal with std sqrt(2 / (5 · width)) ("small init", Nguyen & Salazar 2019, arXiv 1910.05895),
        those that write to the residual stream with 2 / (n_layers · sqrt(width)) (Wang & Komatsuzaki 2021, GPT-J),
        both as in GPT-NeoX-20B (arXiv 2204.06745, section 2.3); norms are 1.
        """
        generator = torch.Generator().manual_seed(seed)
        width, n_layers = self.config.width, self.config.n_layers
        small, residual = math.sqrt(2 / (5 * width)), 2 / (n_layers * math.sqrt(width))
        for name, weight in self.named_parameters():
            if weight.ndim == 1:
                weight.fill_(1.0)
                continue
            std = residual if name.endswith(("out.weight", "down.weight")) else small
            weight.copy_(torch.empty(weight.shape).normal_(0.0, std, generator=generator))

    def prepare(self, dtype: torch.dtype, *, backward: bool = True, documents: bool = False) -> None:
        """Choose the attention back end and build its tables, on the weights' device.

        Args:
            dtype: of the residual stream and of all products; the weights may be float32 under autocast.
            backward: whether gradients are needed.
            documents: whether attention stays inside documents.

        Raises:
            TrainingError: when the back end asked for cannot do this.
        """
        config, device = self.config, self.embedding.weight.device
        self._dtype = dtype
        self._backend = choose(
            self.attention,
            device=device,
            dtype=dtype,
            head_dim=config.head_dim,
            position=config.position,
            documents=documents,
            backward=backward,
        )
        slopes = None
        if config.position == "alibi":
            slopes = torch.tensor(alibi_slopes(config.n_heads), device=device)
        self._state = self._backend.prepare(
            heads=config.n_heads, max_seq_len=config.max_seq_len, slopes=slopes, device=device
        )
        self._tables = None
        if config.position == "rope":
            cos, sin = rope_tables(config.max_seq_len, config.head_dim, config.rope_base)
            self._tables = cos.to(device, dtype), sin.to(device, dtype)

    def compile_blocks(self) -> None:
        """Run the blocks through torch.compile: one of them is compiled, and serves all, in any model of this shape.

        Shapes are static. A model that is compiled whole takes several times as long for the same code.
        """
        from torch._dynamo import config as dynamo

        # A batch that warms up has micro-batches of several sizes; past the usual 8 they would silently run uncompiled.
        dynamo.recompile_limit = max(dynamo.recompile_limit, _MOST_SHAPES)
        for block in self.blocks:
            block.compile(dynamic=False)

    def forward(self, ids: Tensor, documents: Tensor | None = None) -> Tensor:
        """Normed hidden states (B, T, width).

        Args:
            ids: (B, T) int64.
            documents: (B, T) int32, the document of each token; attention then stays inside documents.
        """
        return self.trunk(self.embed(ids), documents)

    def check_length(self, n_tokens: int) -> None:
        """Raise TrainingError for more tokens than the longest sequence."""
        if n_tokens > self.config.max_seq_len:
            raise TrainingError(
                f"{n_tokens} tokens are more than the model's longest sequence, {self.config.max_seq_len}"
            )

    def embed(self, ids: Tensor) -> Tensor:
        """The first hidden states (B, T, width) of `ids` (B, T)."""
        self.check_length(ids.shape[1])
        embedded: Tensor = self.embedding(ids).to(self._dtype)
        return embedded

    def trunk(self, x: Tensor, documents: Tensor | None = None) -> Tensor:
        """Apply blocks and last norm to x (B, T, width): the part that does not depend on the vocabulary."""
        seq_len = x.shape[1]
        cos, sin = self.rotations(0, seq_len)
        mask = self.backend.mask(self._state, seq_len, documents, x.device)
        context = Context(self.backend, self._state, cos, sin, mask)
        for block in self.blocks:
            if self.activation_checkpointing and self.training:
                x = checkpoint(block, x, context, use_reentrant=False)
            else:
                x = block(x, context)
        normed: Tensor = self.norm(x)
        return normed

    def rotations(self, first: int, seq_len: int) -> tuple[Tensor | None, Tensor | None]:
        """RoPE's two tables (seq_len, D) from position `first` on; None for ALiBi."""
        if self._tables is None:
            return None, None
        cos, sin = self._tables
        return cos[first : first + seq_len], sin[first : first + seq_len]

    def logits(self, ids: Tensor, documents: Tensor | None = None) -> Tensor:
        """Logits (B, T, n_ids)."""
        return F.linear(self(ids, documents), self.head_weight)
