"""Every head's loss against log-softmax, with gradients; bits per byte by hand."""

import math
from importlib.util import find_spec

import pytest
import torch

from vocab.errors import TrainingError
from vocab.model.network.config import ModelConfig
from vocab.model.network.decoder import Decoder
from vocab.model.network.head import CHUNK_TOKENS, HEADS, IGNORED, head_loss
from vocab.model.network.language_model import LanguageModel
from vocab.model.training.held_out_loss import bits_per_byte

N_TOKENS, N_IDS, WIDTH = 2 * CHUNK_TOKENS + 77, 50, 16


def inputs(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(N_TOKENS, WIDTH, generator=generator).to(dtype).requires_grad_()
    weight = torch.randn(N_IDS, WIDTH, generator=generator).requires_grad_()
    targets = torch.randint(0, N_IDS, (N_TOKENS,), generator=generator)
    targets[::7] = IGNORED
    return hidden, weight, targets


def exact():
    hidden, weight, targets = inputs()
    kept = targets != IGNORED
    logs = (hidden.double() @ weight.double().T).log_softmax(-1)
    each = -logs[torch.arange(N_TOKENS), targets.clamp(min=0)] * kept
    (each.sum() * 0.25).backward()
    return each.detach(), hidden.grad, weight.grad


PACKAGES = {"liger": "liger_kernel", "cce": "cut_cross_entropy"}
MISSING = [name for name, package in PACKAGES.items() if find_spec(package) is None]


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_package_says_how_to_install_it(name):
    with pytest.raises(TrainingError, match="pip install"):
        head_loss(name)


def test_every_head_but_those_of_a_gpu_is_tested():
    assert set(HEADS) - set(PACKAGES) == {"chunked", "plain", "compiled", "torch"}


OF_TORCH = pytest.param(
    "torch",
    marks=pytest.mark.skipif(
        not hasattr(torch.nn.functional, "linear_cross_entropy"), reason="linear_cross_entropy came with torch 2.13"
    ),
)


COMPILED = pytest.param("compiled", marks=pytest.mark.slow)  # by a C++ compiler


@pytest.mark.parametrize("name", ["chunked", "plain", COMPILED, OF_TORCH])
def test_heads_equal_log_softmax(name):
    loss = head_loss(name)
    hidden, weight, targets = inputs()
    nats = loss(hidden, weight, targets)
    (nats.total * 0.25).backward()
    each, grad_hidden, grad_weight = exact()
    assert nats.total.item() == pytest.approx(each.sum().item(), rel=1e-5)
    if nats.each is not None:
        torch.testing.assert_close(nats.each.double(), each, atol=1e-5, rtol=1e-5)
        assert not nats.each.requires_grad
    torch.testing.assert_close(hidden.grad, grad_hidden, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(weight.grad, grad_weight, atol=1e-4, rtol=1e-4)


def test_the_chunked_head_keeps_float32_gradients_of_a_bfloat16_run():
    hidden, weight, targets = inputs(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        nats = head_loss("chunked")(hidden, weight, targets)
    (nats.total * 0.25).backward()
    _, grad_hidden, grad_weight = exact()
    assert (hidden.grad.dtype, weight.grad.dtype) == (torch.bfloat16, torch.float32)
    assert (hidden.grad.float() - grad_hidden).norm() < 0.02 * grad_hidden.norm()
    assert (weight.grad - grad_weight).norm() < 0.02 * grad_weight.norm()


def test_the_chunked_head_needs_no_gradients_to_evaluate():
    hidden, weight, targets = inputs()
    with torch.no_grad():
        nats = head_loss("chunked")(hidden, weight, targets)
    torch.testing.assert_close(nats.total.double(), exact()[0].sum(), rtol=1e-5, atol=1e-3)


def test_unknown_heads_are_refused():
    with pytest.raises(TrainingError, match="there are: chunked"):
        head_loss("chunky")


def test_bits_per_byte_by_hand(cl100k):
    """Nats of ordinary tokens alone over the bytes of the text, which has characters of one to four bytes."""
    text = "Žluť 漢字 naïve 👩‍👩‍👧 end"
    assert len(text.encode()) > len(text)
    end = 511
    ids = [end, *(k % 500 for k in cl100k.encode(text)), end, end]
    config = ModelConfig(
        n_ids=512, n_layers=1, n_heads=2, n_kv_heads=1, width=8, ffn_width=8, max_seq_len=64, tied=True
    )
    decoder = Decoder(config)
    decoder.initialise(0)
    decoder.prepare(torch.float32)
    with torch.no_grad():
        logits = decoder.logits(torch.tensor([ids[:-1]]))[0].double().tolist()
        model = LanguageModel(decoder)
        each = model(torch.tensor([ids[:-1]]), torch.tensor([ids[1:]])).each
    by_hand = 0.0
    for row, target in zip(logits, ids[1:], strict=True):
        if target != end:
            by_hand += math.log(sum(math.exp(x) for x in row)) - row[target]
    by_hand /= math.log(2) * len(text.encode())
    ordinary = torch.tensor(ids[1:]) != end
    assert bits_per_byte(each[ordinary].sum().item(), len(text.encode())) == pytest.approx(by_hand, rel=1e-6)
    assert math.isnan(bits_per_byte(0.0, 0))
