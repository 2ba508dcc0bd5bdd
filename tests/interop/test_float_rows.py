"""Rounding to bfloat16 as torch rounds: to the nearest, ties to even."""

import numpy as np
import pytest

from vocab.interop.transplants.float_rows import decode, encode

torch = pytest.importorskip("torch")


def test_every_bfloat16_and_what_lies_between_two_of_them_is_rounded_as_torch_rounds():
    high = np.arange(1 << 16, dtype=np.uint32) << 16
    low = np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], dtype=np.uint32)
    values = (high[:, None] | low).ravel().view(np.float32)
    values = values[~np.isnan(values)]
    theirs = torch.from_numpy(values.copy()).to(torch.bfloat16).view(torch.uint16).numpy()
    assert np.array_equal(encode(values.astype(np.float64), "BF16").view("<u2"), theirs)


def test_what_is_not_a_number_stays_so():
    raw = encode(np.array([np.nan]), "BF16")
    assert raw.view("<u2").tolist() == [0x7FC0]
    assert np.isnan(decode(raw.view("<u2"), "BF16")).all()
