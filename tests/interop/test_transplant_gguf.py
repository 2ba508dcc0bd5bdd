"""`vocab transplant` of GGUF: rows bit by bit in every type, ids and tokens in the header, and what is refused."""

import struct

import numpy as np
import pytest
from helpers.cli import fails, run

import vocab
from vocab.errors import SourceError, TargetError
from vocab.formats.gguf_layout import BLOCKS, read_layout
from vocab.formats.gguf_tokenizer import CONTROL, NORMAL, USER_DEFINED, GgufTokenizer
from vocab.formats.tokenizer_json import merges_of
from vocab.interop import transplant
from vocab.interop.transplants import gguf_model
from vocab.prune import prune
from vocab.splitting.byte_alphabet import to_characters
from vocab.vocabulary import Provenance, Vocabulary

gguf = pytest.importorskip("gguf")

N, WIDTH = 900, 64
ADDED = {"<|begin|>": N, "<tool>": N + 1, "<|end|>": N + 2}
N_ROWS = N + len(ADDED) + 2  # padded
KINDS = gguf.GGMLQuantizationType


def made(path, cl100k, kind=KINDS.Q8_0, *, more=None, parts=None):
    """A small model; rows of its embedding are random bytes of the type."""
    tokens = list(cl100k.tokens())[:N]
    source = Vocabulary.from_tokens(tokens, cl100k.pattern, provenance=Provenance("small"))
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("small")
    writer.add_vocab_size(N_ROWS)
    writer.add_context_length(64)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list([*map(to_characters, tokens), *ADDED, "[PAD1]", "[PAD2]"])
    writer.add_token_types([NORMAL] * N + [CONTROL, USER_DEFINED, CONTROL, 5, 5])
    writer.add_token_merges([f"{left} {right}" for left, right in merges_of(source)[0]])
    writer.add_bos_token_id(N)
    writer.add_eos_token_id(N + 2)
    writer.add_chat_template("{{ messages }}")
    if parts:
        writer.add_uint16("split.count", parts)
    rng = np.random.default_rng(3)
    elements, n_bytes = gguf.GGML_QUANT_SIZES[kind]
    raw = rng.integers(0, 60, (N_ROWS, WIDTH // elements * n_bytes)).astype(np.uint8)
    writer.add_tensor("token_embd.weight", raw, raw_dtype=kind)
    writer.add_tensor("output_norm.weight", rng.normal(size=WIDTH).astype(np.float32))
    writer.add_tensor("blk.0.ffn_down.weight", rng.normal(size=(WIDTH, 32)).astype(np.float16))
    writer.add_tensor("output.weight", rng.normal(size=(N_ROWS, WIDTH)).astype(np.float32))
    for name, values in (more or {}).items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def tensors(path):
    return {one.name: one for one in gguf.GGUFReader(path).tensors}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [KINDS.Q8_0, KINDS.Q4_1, KINDS.F16, KINDS.BF16])
def test_rows_ids_and_tokens_follow(kind, cl100k, tmp_path):
    model = made(tmp_path / "small.gguf", cl100k, kind)
    result = prune(vocab.load(model), 500, method="leaf")
    result.save(tmp_path / "small-500")
    record = transplant(model, tmp_path / "small-500", tmp_path / "out/small-500.gguf").record
    old, new = tensors(model), tensors(tmp_path / "out/small-500.gguf")
    assert list(new) == list(old)
    kept = sorted((new_id, old_id) for old_id, new_id in result.id_map.items())
    rows = [old_id for _, old_id in kept]
    assert [new_id for new_id, _ in kept] == list(range(500))
    for name, was in old.items():
        now = new[name]
        assert now.tensor_type == was.tensor_type
        expected = was.data[rows] if name in ("token_embd.weight", "output.weight") else was.data
        assert now.data.tobytes() == expected.tobytes()
    assert record["vocab_size"] == {"old": N_ROWS, "new": 500}
    keys = gguf.GGUFReader(tmp_path / "out/small-500.gguf").fields
    assert keys["llama.vocab_size"].contents() == 500
    assert keys["tokenizer.ggml.bos_token_id"].contents() == result.id_map[N]
    assert keys["tokenizer.ggml.eos_token_id"].contents() == result.id_map[N + 2]
    assert keys["tokenizer.chat_template"].contents() == "{{ messages }}"
    before, after = GgufTokenizer.read(model), GgufTokenizer.read(tmp_path / "out/small-500.gguf")
    assert after.tokens == [before.tokens[k] for k in rows]
    assert after.kinds == [before.kinds[k] for k in rows]
    loaded, folder = vocab.load(tmp_path / "out/small-500.gguf"), vocab.load(tmp_path / "small-500")
    for text in ("def f(x): return x<tool>y", "the <|end|> of 12345", "naïve – ok"):
        assert loaded.encode(text, allow_special=True) == folder.encode(text, allow_special=True)


@pytest.mark.slow
def test_padding_is_the_mean_in_floats_and_refused_in_packed_types(cl100k, tmp_path):
    model = made(tmp_path / "a.gguf", cl100k, KINDS.F16)
    prune(vocab.load(model), 500, method="leaf").save(tmp_path / "v")
    transplant(model, tmp_path / "v", tmp_path / "b.gguf", pad_to_multiple_of=64)
    rows = tensors(tmp_path / "b.gguf")["output.weight"].data
    assert rows.shape == (512, WIDTH)
    assert np.allclose(rows[500:], rows[:500].mean(axis=0), atol=1e-6)
    assert GgufTokenizer.read(tmp_path / "b.gguf").tokens[500:] == [f"[PAD{k}]" for k in range(500, 512)]
    packed = made(tmp_path / "c.gguf", cl100k, KINDS.Q4_1)
    with pytest.raises(SourceError, match="is quantised, so rows of new tokens or padding cannot be made"):
        transplant(packed, tmp_path / "v", tmp_path / "d.gguf", pad_to_multiple_of=64)
    assert not (tmp_path / "d.gguf").exists()


@pytest.mark.slow
def test_what_does_not_belong_together_is_refused(cl100k, tmp_path):
    model = made(tmp_path / "a.gguf", cl100k)
    tokens = list(cl100k.tokens())[:N]
    tokens[300], tokens[301] = tokens[301], tokens[300]
    other = Vocabulary.from_tokens(tokens, cl100k.pattern, provenance=Provenance("other"))
    prune(other, 500, method="rank").save(tmp_path / "other")
    with pytest.raises(SourceError, match=r"other is of another source than .*a\.gguf: the id 300 is"):
        transplant(model, tmp_path / "other", tmp_path / "b.gguf")
    prune(vocab.load(model), 500, method="leaf").save(tmp_path / "v")
    with pytest.raises(TargetError, match="are for whole models in safetensors"):
        transplant(model, tmp_path / "v", tmp_path / "b.gguf", leave=["x"])
    odd = made(tmp_path / "odd.gguf", cl100k, more={"thing.weight": np.zeros((N_ROWS, 32), dtype=np.float32)})
    with pytest.raises(SourceError, match=r"thing\.weight may have a row for each id"):
        transplant(odd, tmp_path / "v", tmp_path / "b.gguf")
    split = made(tmp_path / "split.gguf", cl100k, parts=2)
    with pytest.raises(SourceError, match="is one of several parts: join them first"):
        transplant(split, tmp_path / "v", tmp_path / "b.gguf")
    said = fails(tmp_path, "transplant", "a.gguf", "--vocab", "v", "--out", "a.gguf", "--force")
    assert "is the model itself: name another file with --out" in said
    assert "is there already" in fails(tmp_path, "transplant", "a.gguf", "--vocab", "v", "--out", "odd.gguf")
    (tmp_path / "text.txt").write_text("no model")
    assert "is neither a folder" in fails(tmp_path, "transplant", "text.txt", "--vocab", "v", "--out", "b.gguf")


@pytest.mark.slow
def test_damaged_files_are_refused(cl100k, tmp_path):
    model = made(tmp_path / "a.gguf", cl100k)
    prune(vocab.load(model), 500, method="leaf").save(tmp_path / "v")
    raw = model.read_bytes()
    at = raw.index(b"token_embd.weight") + len(b"token_embd.weight")
    for change, message in (
        (lambda raw: raw[:-4000], "is cut short"),
        (lambda raw: raw[:at] + struct.pack("<I", 9) + raw[at + 4 :], "has 9 dimensions"),
        (lambda raw: raw[: at + 4] + struct.pack("<Q", 63) + raw[at + 12 :], "has the shape"),
        (lambda raw: raw[: at + 20] + struct.pack("<I", 99) + raw[at + 24 :], "of the type 99"),
        (lambda raw: raw[: at + 24] + struct.pack("<Q", 7) + raw[at + 32 :], "is not in a place of its own"),
        (lambda raw: raw[:200], "ends within its header"),
    ):
        (tmp_path / "b.gguf").write_bytes(change(raw))
        with pytest.raises(SourceError, match=message):
            transplant(tmp_path / "b.gguf", tmp_path / "v", tmp_path / "c.gguf")
    assert not (tmp_path / "c.gguf").exists()


@pytest.mark.slow
def test_tokens_that_llama_cpp_does_not_make_are_named(cl100k, tmp_path, monkeypatch):
    model = made(tmp_path / "a.gguf", cl100k)
    prune(vocab.load(model), 500, method="leaf").save(tmp_path / "v")
    monkeypatch.setattr(gguf_model, "n_without_merges", lambda *given: 3)
    done = run("transplant", "a.gguf", "--vocab", "v", "--out", "b.gguf", where=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 tokens are made by look-up of whole words only" in done.stdout.replace("\n", " ")


def test_blocks_are_those_of_the_package():
    known = {int(kind): sizes for kind, sizes in gguf.GGML_QUANT_SIZES.items()}
    assert {kind: sizes for kind, sizes in known.items() if kind in BLOCKS} == {
        kind: sizes for kind, sizes in BLOCKS.items() if kind in known
    }
    assert not set(known) - set(BLOCKS) or min(set(known) - set(BLOCKS)) > 39


def test_a_layout_is_what_the_package_reads(cl100k, tmp_path):
    path = made(tmp_path / "a.gguf", cl100k)
    layout, reader = read_layout(path), gguf.GGUFReader(path)
    assert list(layout.values) == [key for key in reader.fields if not key.startswith("GGUF.")]
    assert [(one.name, one.shape, one.n_bytes) for one in layout.tensors] == [
        (one.name, tuple(one.shape.tolist()), one.n_bytes) for one in reader.tensors
    ]
    assert [layout.data_start + one.begin for one in layout.tensors] == [one.data_offset for one in reader.tensors]
