"""A Hugging Face causal model: of safetensors files or a GGUF file, never of pickles, and without code of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vocab.choices import ProductPrecision
from vocab.errors import TrainingError
from vocab.measured import MeasuredTokenizer
from vocab.model.hardware.precision import autocast, product_dtype
from vocab.special_texts import END_OF_TEXT

_ENDING = ".gguf"


@dataclass(frozen=True)
class CausalModel:
    """A loaded model, in evaluation mode.

    Attributes:
        name: the path or repository that it was loaded from.
        network: the model of transformers.
        n_rows: rows of its embedding and its head, the lesser of both.
        dtype: of its weights as they are stored.
    """

    name: str
    network: Any
    n_rows: int
    dtype: torch.dtype

    @property
    def n_parameters(self) -> int:
        """Numbers in all weights; tied ones count once."""
        return sum(weight.numel() for weight in self.network.parameters())

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        device: torch.device = self.network.device
        return device

    @property
    def settings(self) -> Any:
        """The configuration of its text part."""
        return self.network.config.get_text_config()

    @property
    def max_positions(self) -> int | None:
        """The longest input that it was made for; None where its configuration does not say."""
        found = getattr(self.settings, "max_position_embeddings", None) or getattr(self.settings, "n_positions", None)
        return found if isinstance(found, int) and found > 1 else None

    def logits(self, ids: Tensor, precision: ProductPrecision = "float32") -> Tensor:
        """Logits (B, T, n_rows) after ids (B, T). Padding belongs at the end, where no earlier position sees it."""
        with autocast(self.device, product_dtype(precision)):
            logits: Tensor = self.network(input_ids=ids, use_cache=False).logits
        return logits[:, :, : self.n_rows]

    def check_ids(self, tokenizer: MeasuredTokenizer) -> None:
        """Raise TrainingError where a tokenizer has ids beyond the rows."""
        if tokenizer.max_id >= self.n_rows:
            raise TrainingError(
                f"{self.name} has {self.n_rows:,} rows and {tokenizer.name} ids up to {tokenizer.max_id:,}: "
                "name the tokenizer of this model"
            )


def load_causal_model(name_or_path: str | Path, device: torch.device | str = "cpu") -> CausalModel:
    """Load a model in float32 on a processor, and as it is stored on a GPU.

    Args:
        name_or_path: a folder with config.json and safetensors, a `.gguf` file, or a repository.
        device: where it will compute.

    Raises:
        TrainingError: it cannot be loaded, or has rows that are not finite.
        MissingExtraError: a package that it needs is not installed.
    """
    device = torch.device(device)
    network: Any
    network, dtype = _loaded(str(name_or_path), torch.float32 if device.type == "cpu" else "auto")
    tables = [network.get_input_embeddings(), network.get_output_embeddings()]
    weights = [table.weight for table in tables if table is not None]
    for weight in weights:
        _check_finite(weight, str(name_or_path))
    n_rows = min(weight.shape[0] for weight in weights)
    return CausalModel(str(name_or_path), network.to(device).eval(), n_rows, dtype)


def _loaded(name: str, dtype: Any) -> tuple[Any, torch.dtype]:
    """The model of a name, and the dtype in which it is stored."""
    try:
        from transformers import AutoConfig, AutoModelForCausalLM
        from transformers.utils.logging import disable_progress_bar
    except ImportError:
        raise TrainingError(
            f"{name} needs the package transformers, which is not installed: pip install transformers"
        ) from None
    disable_progress_bar()  # type: ignore[no-untyped-call]  # ours is shown
    where, more = (name, {}) if not name.endswith(_ENDING) else _gguf(Path(name))
    try:
        config = AutoConfig.from_pretrained(where, trust_remote_code=False, **more)
        with _no_bar_of_gguf():
            network = AutoModelForCausalLM.from_pretrained(
                where, trust_remote_code=False, dtype=dtype, use_safetensors=True, **more
            )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise TrainingError(f"{name} cannot be loaded as a causal model: {_first_sentence(error)}") from None
    stored = getattr(config, "dtype", None)
    return network, stored if isinstance(stored, torch.dtype) else torch.float32


@contextmanager
def _no_bar_of_gguf() -> Iterator[None]:
    """Leave out transformers' progress bar over tensors of GGUF, which no setting of its own switches off."""
    reader: Any = import_module("transformers.modeling_gguf_pytorch_utils")
    before = reader.tqdm
    reader.tqdm = partial(before, disable=True)
    try:
        yield
    finally:
        reader.tqdm = before


def _gguf(path: Path) -> tuple[str, dict[str, str]]:
    if not path.is_file():
        raise TrainingError(f"{path}: no such file")
    return str(path.parent), {"gguf_file": path.name}


def _first_sentence(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _check_finite(weight: Tensor, name: str) -> None:
    wrong = (~torch.isfinite(weight.detach()).all(dim=1)).nonzero().flatten().tolist()
    if wrong:
        more = f" and {len(wrong) - 1:,} more" if wrong[1:] else ""
        raise TrainingError(
            f"{name} has numbers that are not finite in row {wrong[0]}{more} of its embedding or head: the file is "
            "damaged, or its training failed"
        )


@dataclass(frozen=True)
class Start:
    """What a model reads before the first token of a document.

    Attributes:
        id: the token's id; None for nothing, and then the first token counts as uniform over all rows.
        said: the same for people.
    """

    id: int | None
    said: str


def start_of(model: CausalModel, tokenizer: MeasuredTokenizer, start: str = "auto") -> Start:
    """The token before a document.

    Args:
        model: the model.
        tokenizer: its tokenizer.
        start: "auto", "none" or the text of a special token. "auto" is the `bos_token_id` of config.json, where that is
            a row of the model, or else the end-of-text token, or else nothing.

    Raises:
        TrainingError: the tokenizer has no such special token.
    """
    special = tokenizer.special_tokens
    if start == "none":
        return Start(None, "nothing: the first token counts as uniform over all rows")
    if start != "auto":
        if start not in special:
            raise TrainingError(f"{tokenizer.name} has no special token {start!r}: name another as `start`")
        return Start(special[start], start)
    begin = getattr(model.settings, "bos_token_id", None)
    if isinstance(begin, int) and 0 <= begin < model.n_rows:
        texts = {id_: text for text, id_ in special.items()}
        return Start(begin, f"{texts.get(begin, f'id {begin}')}, the bos_token_id of config.json")
    if end := next((text for text in END_OF_TEXT if text in special), None):
        return Start(special[end], f"{end}, because config.json names no beginning")
    return start_of(model, tokenizer, "none")
