"""Rows with NaN or an infinity stop `vocab head` and `vocab transplant`, in every floating type of checkpoints."""

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from vocab.corpus.profile import builtin_profile
from vocab.errors import SourceError
from vocab.interop import cut_head, uses_of_corpus
from vocab.interop.transplants.finite_rows import finite
from vocab.interop.transplants.safetensors_file import BITS, Tensor
from vocab.interop.transplants.transplant import transplant
from vocab.prune import prune
from vocab.splitting import CL100K_REGEX, SplitPattern
from vocab.vocabulary import Provenance, Vocabulary

TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
}
N_ROWS = 330


def not_finite(dtype: str) -> list[int]:
    """The patterns of 8 or 16 bits that are refused."""
    n_bytes = BITS[dtype] // 8
    rows = np.arange(1 << BITS[dtype], dtype=f"<u{n_bytes}")[:, None].view(np.uint8)
    read = finite(Tensor("lm_head.weight", dtype, (rows.shape[0], 1), 0, rows.size), lambda ids: rows[ids])
    found = []
    for k in range(rows.shape[0]):
        try:
            read(np.array([k], dtype=np.int64))
        except SourceError:
            found.append(k)
    return found


@pytest.mark.parametrize("dtype", ["F16", "F8_E5M2", "F8_E4M3", "F8_E5M2FNUZ", "F8_E4M3FNUZ"])
def test_every_pattern_of_bits_is_judged_as_torch_judges_it(dtype):
    n = 1 << BITS[dtype]
    bits = torch.from_numpy(np.arange(n, dtype=np.uint16 if n > 256 else np.uint8).copy())
    values = bits.view(TYPES[dtype]).float()
    assert not_finite(dtype) == torch.nonzero(~torch.isfinite(values)).flatten().tolist()


@pytest.mark.parametrize("dtype", ["F64", "F32", "BF16"])
def test_wide_types(dtype):
    values = torch.tensor([0.0, 3.0e38, -1.0, torch.nan, torch.inf, -torch.inf, -torch.nan]).to(TYPES[dtype])
    raw = values.view(torch.uint8).numpy().reshape(7, -1)
    for name, bad in (("lm_head.weight", [3, 4, 5, 6]), ("final_logits_bias", [3, 4, 6])):
        read = finite(Tensor(name, dtype, (7, 1), 0, raw.size), lambda ids: raw[ids])
        assert np.array_equal(read(np.arange(3)), raw[:3])
        for k in range(3, 7):
            if k in bad:
                with pytest.raises(SourceError, match=rf"{name} has a number .* in row {k} "):
                    read(np.array([0, k]))
            else:
                read(np.array([0, k]))


@pytest.fixture(scope="module")
def work(tmp_path_factory, cl100k):
    """A vocabulary, the result of its pruning, and uses of its ids."""
    folder = tmp_path_factory.mktemp("rows")
    tokens = list(cl100k.tokens())[:N_ROWS]
    source = Vocabulary.from_tokens(tokens, SplitPattern(CL100K_REGEX), provenance=Provenance("tiny"))
    source.save(folder / "model")
    prune(source, 300, method="rank").save(folder / "small")
    (folder / "model/config.json").write_text(json.dumps({"vocab_size": N_ROWS, "model_type": "llama"}))
    return folder, uses_of_corpus(source, builtin_profile(source.pattern))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_head_and_transplant_name_tensor_and_row(work, bad):
    folder, uses = work
    rows = np.ones((N_ROWS, 4), dtype=np.float16)
    rows[7, 2] = bad
    tensors = {"model.embed_tokens.weight": np.ones_like(rows), "lm_head.weight": rows}
    save_file(tensors, folder / "model/model.safetensors")
    said = r"lm_head.weight has a number that is NaN or infinite in row 7 \(F16\)"
    with pytest.raises(SourceError, match=said):
        transplant(folder / "model", folder / "small", folder / "out")
    with pytest.raises(SourceError, match=said):
        cut_head(folder / "model", 300, uses, folder / "out")
    assert sorted(path.name for path in folder.iterdir()) == ["model", "small"]
