"""Each attention back end against float64 scores, forward and in gradients; what cannot be used says why."""

import pytest
import torch

from vocab.errors import TrainingError
from vocab.model.network.attention import AttentionBackend, Reference, backends, choose
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
    mixed = backend(q, k, v, state, documents=numbers)
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
    mixed = backend(q, k, v, state)[0, 0]
    torch.testing.assert_close(mixed[0], torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(mixed[1], scores.softmax(0))


def test_documents_do_not_see_each_other():
    backend = backends()["sdpa"]
    q, k, v = inputs(torch.float32, 4, 16, backward=False)
    whole = backend(q, k, v, None, documents=document_numbers())
    alone = backend(q[:1, :, 101:], k[:1, :, 101:], v[:1, :, 101:], None)
    torch.testing.assert_close(whole[:1, :, 101:], alone, atol=1e-5, rtol=1e-5)


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
