"""Each attention back end against float64 scores, forward and in gradients; what cannot be used says why."""

import pytest
import torch

from vocab.errors import TrainingError
from vocab.model.network.attention import AttentionBackend, Reference, backends, choose
from vocab.model.network.config import ModelConfig
from vocab.model.network.decoder import Decoder
from vocab.model.network.positions import alibi_slopes

CPU = torch.device("cpu")
GPU = torch.device("cuda") if torch.cuda.is_available() else None
N_SEQ = 300  # past 256, so that ALiBi's positions need both of their parts


def request_for(position, *, dtype=torch.float32, documents=False, backward=True, device=CPU, head_dim=16):
    return {
        "device": device,
        "dtype": dtype,
        "head_dim": head_dim,
        "position": position,
        "documents": documents,
        "backward": backward,
    }


def inputs(dtype, n_kv_heads, head_dim, device=CPU, *, backward=True):
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, 4, N_SEQ, head_dim), *[(2, n_kv_heads, N_SEQ, head_dim)] * 2]
    found = [torch.randn(*shape, generator=generator).to(device, dtype) for shape in shapes]
    return [x.requires_grad_(backward) for x in found]


def document_numbers(device=CPU):
    numbers = torch.zeros(2, N_SEQ, dtype=torch.int32, device=device)
    numbers[0, 100:] = 1
    numbers[0, 101:] = 2
    numbers[1, 250:] = 1
    return numbers


def results(backend: AttentionBackend, position, dtype, n_kv_heads, head_dim, documents, backward, device=CPU):
    q, k, v = inputs(dtype, n_kv_heads, head_dim, device, backward=backward)
    slopes = torch.tensor(alibi_slopes(4), device=device) if position == "alibi" else None
    state = backend.prepare(heads=4, max_seq_len=N_SEQ + 20, slopes=slopes, device=device)
    numbers = document_numbers(device) if documents else None
    mixed = backend(q, k, v, state, backend.mask(state, N_SEQ, numbers, device))
    if not backward:
        return [mixed]
    generator = torch.Generator().manual_seed(1)
    (mixed.float() * torch.randn(mixed.shape, generator=generator).to(device)).sum().backward()
    return [mixed.detach(), q.grad, k.grad, v.grad]


# FlexAttention is compiled for each case.
BACKENDS = [
    pytest.param(name, marks=pytest.mark.slow if name.startswith("flex") else ())
    for name in backends()
    if name != "reference"
]
TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 2e-2}


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("position", ["rope", "alibi"])
@pytest.mark.parametrize("documents", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("device", [device for device in (CPU, GPU) if device])
def test_back_ends_equal_the_reference(name, position, documents, dtype, device):
    backend = backends()[name]
    asked = request_for(position, dtype=dtype, documents=documents, device=device)
    backward = backend.supports(**asked) is None
    if not backward:
        asked["backward"] = False
        if reason := backend.supports(**asked):
            assert len(reason) > 10
            return
    for n_kv_heads, head_dim in ((4, 16), (2, 24)):
        arguments = (position, dtype, n_kv_heads, head_dim, documents, backward, device)
        ours, exact = results(backend, *arguments), results(Reference(), *arguments)
        for a, b in zip(ours, exact, strict=True):
            assert a.dtype == dtype
            error = (a.double() - b.double()).norm() / b.double().norm()
            assert error < TOLERANCE[dtype], f"{name}: {error:.2e}"


def test_the_reference_is_softmax_by_hand():
    q = torch.tensor([[[[1.0, 0.0], [0.0, 2.0]]]])
    k = torch.tensor([[[[1.0, 1.0], [0.5, 3.0]]]])
    v = torch.tensor([[[[1.0, 0.0], [0.0, 1.0]]]])
    scores = torch.tensor([2.0 / 2**0.5 - 0.25, 6.0 / 2**0.5])
    backend = Reference()
    state = backend.prepare(heads=1, max_seq_len=2, slopes=torch.tensor([0.25]), device=CPU)
    mixed = backend(q, k, v, state, backend.mask(state, 2, None, CPU))[0, 0]
    torch.testing.assert_close(mixed[0], torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(mixed[1], scores.softmax(0))


def test_documents_do_not_see_each_other():
    backend = backends()["sdpa"]
    q, k, v = inputs(torch.float32, 4, 16, backward=False)
    whole = backend(q, k, v, None, backend.mask(None, N_SEQ, document_numbers(), CPU))
    alone = backend(q[:1, :, 101:], k[:1, :, 101:], v[:1, :, 101:], None, None)
    torch.testing.assert_close(whole[:1, :, 101:], alone, atol=1e-5, rtol=1e-5)


def test_positions_of_alibi_are_exact_in_bfloat16():
    """Each digit at its place, and any weight of few bits by it; 32,768 positions would fit into two digits."""
    _, digits = backends()["sdpa-alibi"].prepare(heads=1, max_seq_len=200_000, slopes=torch.ones(1), device=CPU)
    rounded = digits.bfloat16()
    assert torch.equal(rounded.float(), digits)
    assert torch.equal(digits.sum(dim=-1).long(), torch.arange(200_000))


@pytest.mark.slow
def test_alibi_is_exact_in_bfloat16_beyond_32768_tokens():
    """The last query's scores by hand: with rounded positions its error is above 1."""
    n, slope = 33_000, 0.25
    q, k, v = (torch.randn(1, 1, n, 8, generator=torch.Generator().manual_seed(s)).bfloat16() for s in range(3))
    backend = backends()["sdpa-alibi"]
    state = backend.prepare(heads=1, max_seq_len=n, slopes=torch.tensor([slope]), device=CPU)
    mixed = backend(q, k, v, state, None)[0, 0, -1].double()
    scores = k[0, 0].double() @ q[0, 0, -1].double() / 8**0.5 + slope * (torch.arange(n) - (n - 1))
    exact = scores.softmax(0) @ v[0, 0].double()
    assert (mixed - exact).norm() < 0.02 * exact.norm()


def test_too_many_positions_for_alibi_are_refused():
    with pytest.raises(TrainingError, match="lower `max_seq_len`"):
        backends()["sdpa-alibi"].prepare(heads=1, max_seq_len=128**3 + 1, slopes=torch.ones(1), device=CPU)


@pytest.mark.parametrize("name", ["sdpa", "sdpa-alibi", "reference"])
def test_the_mask_of_documents_is_built_once_for_all_blocks(name, monkeypatch):
    built = []
    backend = backends()[name]
    position = "alibi" if name == "sdpa-alibi" else "rope"
    make = type(backend).mask
    monkeypatch.setattr(type(backend), "mask", lambda *given: built.append(1) or make(*given))
    config = ModelConfig(
        n_ids=64, n_layers=3, n_heads=2, n_kv_heads=1, width=16, ffn_width=8, max_seq_len=16, position=position
    )
    decoder = Decoder(config, backend)
    decoder.initialise(0)
    decoder.prepare(torch.float32, documents=True)
    numbers = torch.zeros(1, 16, dtype=torch.int32)
    numbers[0, 5:] = 1
    ids = torch.arange(16)[None]
    apart = decoder(ids, numbers)
    assert len(built) == 1
    torch.testing.assert_close(apart[:, :5], decoder(ids[:, :5]))
    assert not torch.allclose(apart[:, 5:], decoder(ids)[:, 5:])


@pytest.mark.parametrize(
    ("position", "documents", "name"),
    [("rope", False, "sdpa"), ("rope", True, "sdpa"), ("alibi", False, "sdpa-alibi"), ("alibi", True, "sdpa-alibi")],
)
def test_auto_on_a_cpu(position, documents, name):
    assert choose("auto", **request_for(position, documents=documents)).name == name


@pytest.mark.parametrize(
    ("name", "position", "settings", "says"),
    [
        ("sdpa", "alibi", {}, "use sdpa-alibi"),
        ("sdpa-alibi", "rope", {}, "use sdpa"),
        ("sdpa-cudnn", "rope", {}, "NVIDIA"),
        ("sdpa-flash", "rope", {"documents": True}, "use sdpa or flex"),
        ("flex", "rope", {}, "no backward pass"),
        ("flashy", "rope", {}, "there are: auto, sdpa"),
    ],
)
def test_what_cannot_be_used_says_why(name, position, settings, says):
    with pytest.raises(TrainingError, match=says):
        choose(name, **request_for(position, **settings))


@pytest.mark.parametrize("name", ["flash-attn-2", "flash-attn-4"])
def test_a_missing_package_says_how_to_install_it(name):
    module = {"flash-attn-2": "flash_attn", "flash-attn-4": "flash_attn.cute"}[name]
    try:
        __import__(module)
    except ImportError:
        with pytest.raises(TrainingError, match="pip install"):
            choose(name, **request_for("rope", dtype=torch.bfloat16))
