"""Muon and AdamW: who trains what, how large steps are, and batches that are read ahead."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.models import CONFIG, SETTINGS, stream

from vocab.errors import TrainingError
from vocab.model.data.prefetching import BatchRequest, Prefetcher
from vocab.model.data.sampling import Sampler
from vocab.model.network.decoder import Decoder
from vocab.model.network.language_model import LanguageModel
from vocab.model.training.optimiser import optimisers


def model_with_gradients(config=CONFIG):
    model = LanguageModel(Decoder(config))
    model.decoder.initialise(0)
    generator = torch.Generator().manual_seed(1)
    for weight in model.parameters():
        weight.grad = torch.randn(weight.shape, generator=generator)
    return model


def changes(model, settings, rate):
    """What one step changes, by name."""
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    chosen = optimisers(model, settings)
    chosen.set_learning_rate(rate)
    chosen.step()
    return {name: before[name] - weight.detach() for name, weight in model.named_parameters()}


def test_muon_turns_the_matrices_of_blocks_and_adamw_changes_the_rest():
    rate, settings = 1e-2, replace(SETTINGS, optimizer="muon", weight_decay=0.0)
    config = CONFIG.with_fields({"tied": False})
    muon = changes(model_with_gradients(config), settings, rate)
    adamw = changes(model_with_gradients(config), replace(settings, optimizer="adamw"), rate)
    turned = {name for name in muon if "blocks." in name and muon[name].ndim == 2}
    assert len(turned) == 4 * config.n_layers
    for name, change in muon.items():
        if name not in turned:
            assert torch.equal(change, adamw[name]), name
            continue
        # Newton and Schulz's five steps leave singular values between about 0.7 and 1.2; 0.2 · √(longer side) scales.
        sizes = torch.linalg.svdvals(change / (rate * 0.2 * max(change.shape) ** 0.5))
        assert 0.3 < float(sizes.min()) < float(sizes.max()) < 1.4, name


def test_the_embedding_has_a_rate_of_its_own():
    slow = changes(model_with_gradients(), replace(SETTINGS, embedding_rate=0.25), 1e-2)
    usual = changes(model_with_gradients(), SETTINGS, 1e-2)
    for name, change in usual.items():
        factor = 0.25 if name == "decoder.embedding.weight" else 1.0
        torch.testing.assert_close(slow[name], factor * change, rtol=1e-3, atol=1e-6)


def test_an_unknown_optimizer_is_refused():
    with pytest.raises(TrainingError, match="`optimizer` must be adamw or muon, not 'sgd'"):
        replace(SETTINGS, optimizer="sgd")


def test_batches_read_ahead_are_those_asked_for():
    sampler = Sampler(stream(), 16)
    ahead = Prefetcher(sampler)
    asked = [BatchRequest(0, 4, 0), BatchRequest(4, 4, 0), BatchRequest(8, 2, 0), BatchRequest(4, 4, 7)]
    told = [asked[1], asked[2], BatchRequest(10, 4, 0), None]  # a rollback asks for another than was said
    for request, following in zip(asked, told, strict=True):
        np.testing.assert_array_equal(ahead.batch(request, following).ids, sampler.batch(*request).ids)


def test_every_setting_has_an_option():
    import inspect
    from dataclasses import fields

    from vocab.cli.train import train

    assert {field.name for field in fields(SETTINGS)} <= set(inspect.signature(train).parameters)
