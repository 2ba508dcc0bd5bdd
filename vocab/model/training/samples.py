"""Text that a model writes while it is trained, so that a person can see what the loss means."""

from __future__ import annotations

import torch

from vocab.errors import TrainingError
from vocab.model.data.shards import end_of_text
from vocab.model.export.generate import generate
from vocab.model.hardware.parallel import Workers, whole
from vocab.model.network.decoder import Decoder
from vocab.model.network.language_model import LanguageModel
from vocab.vocabulary import Vocabulary

_TOKENS = 64


def check_prompt(vocabulary: Vocabulary, prompt: str) -> None:
    """Raise TrainingError where there would be nothing to begin with."""
    if not prompt and end_of_text(vocabulary) is None:
        raise TrainingError(f"{vocabulary.name} has no token that begins a document: give a `prompt` for samples")


def sample_text(model: LanguageModel, vocabulary: Vocabulary, prompt: str, workers: Workers, seed: int) -> str:
    """Sample what follows a prompt, from a copy of the weights: training goes on as if nothing had been asked.

    Args:
        model: in training; every process of a sharded one must call this.
        vocabulary: that of the model.
        prompt: what to continue, "" for the start of a document.
        workers: the processes of the run; others than the first return "".
        seed: of the draws.
    """
    weights = {name: whole(weight.detach()) for name, weight in model.decoder.named_parameters()}
    if not workers.is_first:
        return ""
    copied = Decoder(model.decoder.config).to(workers.device)
    with torch.no_grad():
        for name, weight in copied.named_parameters():
            weight.copy_(weights[name])
    return generate(copied, vocabulary, prompt, _TOKENS, seed=seed)
