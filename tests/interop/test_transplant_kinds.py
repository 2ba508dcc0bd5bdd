"""`vocab transplant` of checkpoints that people bring: packed, with more heads, longer embeddings, other layouts."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.cli import check_refusal, entries, run
from safetensors.numpy import load_file, save_file

from vocab.errors import SourceError
from vocab.interop.transplants.transplant import transplant
from vocab.prune import prune
from vocab.vocabulary import Provenance, Vocabulary

N_ORDINARY, TARGET = 700, 500
SPECIAL = {"<|begin|>": 700, "<|end|>": 701, "<think>": 702, "<|image|>": 703}
N_OLD = N_ORDINARY + len(SPECIAL)
CONFIG = {"model_type": "llama", "vocab_size": N_OLD, "hidden_size": 8, "eos_token_id": 701}
RNG = np.random.default_rng(5)


@pytest.fixture(scope="module")
def small(tmp_path_factory, cl100k) -> Path:
    """The result of a pruning, `vocab`, beside the tokenizer files of its source, `model`; <think> is a plain token."""
    folder = tmp_path_factory.mktemp("kinds")
    tokens = list(cl100k.tokens())[:N_ORDINARY]
    source = Vocabulary.from_tokens(tokens, cl100k.pattern, SPECIAL, provenance=Provenance("tiny"))
    source.save(folder / "model")
    prune(source, TARGET, method="frequency").save(folder / "vocab")
    path = folder / "model/tokenizer.json"
    content = json.loads(path.read_text())
    for token in content["added_tokens"]:
        token["special"] = token["content"] != "<think>"
    path.write_text(json.dumps(content))
    return folder


@pytest.fixture
def made(small, tmp_path):
    """A function that writes a model and transplants it; returns the result's tensors, settings and record."""

    def make(tensors, config=CONFIG, **options):
        model = tmp_path / "model"
        shutil.copytree(small / "model", model)
        (model / "config.json").write_text(json.dumps(config))
        save_file(tensors, model / "model.safetensors")
        record = transplant(model, small / "vocab", tmp_path / "out", **options).record
        out = load_file(tmp_path / "out/model.safetensors")
        return out, json.loads((tmp_path / "out/config.json").read_text()), record

    return make


@pytest.fixture
def kept(small) -> tuple[list[int], list[int]]:
    ids = {int(k): v for k, v in json.loads((small / "vocab/id_map.json").read_text())["kept"].items()}
    return list(ids), list(ids.values())


def numbers(n_rows=N_OLD, width=8):
    return RNG.standard_normal((n_rows, width)).astype(np.float16)


def test_heads_of_medusa_are_cut_with_the_first(made, kept):
    tensors = {"model.embed_tokens.weight": numbers(), "lm_head.weight": numbers()}
    heads = {f"medusa_head.{k}.1.weight": numbers() for k in range(2)}
    linear = {f"medusa_head.{k}.0.linear.weight": numbers(8) for k in range(2)}
    out, _, _ = made(tensors | heads | linear)
    for name in heads:
        assert np.array_equal(out[name][kept[1]], heads[name][kept[0]])
        assert out[name].shape == (TARGET, 8)
    assert all(np.array_equal(out[name], linear[name]) for name in linear)


def test_rows_of_whole_numbers_take_their_scales_with_them(made, kept):
    weight, scales = RNG.integers(-127, 127, (N_OLD, 8), dtype=np.int8), RNG.random(N_OLD, dtype=np.float32)
    packed = {"lm_head.weight": weight, "lm_head.SCB": scales, "lm_head.weight_format": np.zeros((), np.uint8)}
    out, _, _ = made({"model.embed_tokens.weight": numbers()} | packed)
    assert np.array_equal(out["lm_head.weight"][kept[1]], weight[kept[0]])
    assert np.array_equal(out["lm_head.SCB"][kept[1]], scales[kept[0]])
    assert out["lm_head.SCB"].shape == (TARGET,)


def test_rows_in_tiles_and_padding_of_whole_numbers_are_refused(made, tmp_path):
    packed = {"lm_head.weight": np.zeros((N_OLD, 8), np.int8), "lm_head.SCB": np.zeros(N_OLD, np.float32)}
    tensors = {"model.embed_tokens.weight": numbers()} | packed
    with pytest.raises(SourceError, match=r"rows in tiles as lm_head\.weight_format says"):
        made(tensors | {"lm_head.weight_format": np.ones((), np.uint8)})
    shutil.rmtree(tmp_path / "model")
    with pytest.raises(SourceError, match=r"lm_head\.weight has the dtype I8, whose rows cannot be averaged"):
        made(tensors, pad_to_multiple_of=64)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("multiple", [1, 64])
def test_an_id_beyond_the_head_follows_where_the_embedding_is_longer(made, kept, multiple):
    """Llama 3.2 Vision: the id of the image is vocab_size."""
    size = N_OLD - 1
    embedding, head = numbers(size + 8), numbers(size)
    config = CONFIG | {"model_type": "mllama", "vocab_size": size, "image_token_index": size}
    tensors = {"language_model.model.embed_tokens.weight": embedding, "language_model.lm_head.weight": head}
    out, settings, record = made(tensors, config, pad_to_multiple_of=multiple)
    new_size = TARGET - 1 if multiple == 1 else 512
    assert settings["vocab_size"] == new_size == record["vocab_size"]["new"]
    assert settings["image_token_index"] == TARGET - 1
    found = out["language_model.model.embed_tokens.weight"]
    assert found.shape == (new_size + 8, 8)
    assert np.array_equal(found[kept[1]], embedding[kept[0]])
    head_of = {old: new for old, new in zip(*kept, strict=True) if old < size}
    cut = out["language_model.lm_head.weight"]
    assert cut.shape == (new_size, 8)
    assert np.array_equal(cut[list(head_of.values())], head[list(head_of)])
    mean = head[list(head_of)].astype(np.float64).mean(0).astype(np.float16)
    assert all(np.array_equal(row, mean) for row in cut[TARGET - 1 :])


def test_embeddings_of_layers_that_end_early_follow_with_what_is_read_beyond_them(made, kept):
    """Gemma 3n's text: for ids from vocab_size_per_layer_input on, the network reads row 0."""
    per_layer = numbers(N_OLD - 2, 16)
    config = CONFIG | {"vocab_size_per_layer_input": N_OLD - 2}
    tensors = {"model.embed_tokens.weight": numbers(), "model.embed_tokens_per_layer.weight": per_layer}
    out, settings, _ = made(tensors, config)
    assert settings["vocab_size_per_layer_input"] == settings["vocab_size"] == TARGET
    rows = [old if old < N_OLD - 2 else 0 for old in kept[0]]
    assert np.array_equal(out["model.embed_tokens_per_layer.weight"][kept[1]], per_layer[rows])


def test_lists_of_special_tokens_hold_special_ones_alone(made, small, tmp_path):
    path = small / "model/tokenizer_config.json"
    before = path.read_text()
    named = {"image_token": "<|image|>", "think_token": "<think>", "gone": "<gone>"}
    path.write_text(
        json.dumps(json.loads(before) | {"extra_special_tokens": named, "processor_class": "LlavaProcessor"})
    )
    try:
        made({"model.embed_tokens.weight": numbers(), "lm_head.weight": numbers()})
    finally:
        path.write_text(before)
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        settings = json.loads((tmp_path / "out" / name).read_text())
        assert "<think>" not in json.dumps({k: v for k, v in settings.items() if k != "added_tokens_decoder"})
    settings = json.loads((tmp_path / "out/tokenizer_config.json").read_text())
    assert settings["extra_special_tokens"] == {"image_token": "<|image|>"}
    assert settings["processor_class"] == "LlavaProcessor"
    flags = {token["content"]: token["special"] for token in settings["added_tokens_decoder"].values()}
    assert flags == {text: text != "<think>" for text in SPECIAL}


def test_the_screen_names_what_did_not_follow_and_options_decide(small, tmp_path):
    shutil.copytree(small / "model", tmp_path / "model")
    config = CONFIG | {"image_size": 703, "vision_config": {"n": [701]}}
    (tmp_path / "model/config.json").write_text(json.dumps(config))
    (tmp_path / "model/preprocessor_config.json").write_text(json.dumps({"image_token_id": 703, "size": 702}))
    tensors = {"model.embed_tokens.weight": numbers(), "visual.pos_embed.weight": numbers(), "model.thing": numbers()}
    save_file(tensors, tmp_path / "model/model.safetensors")
    save_file(tensors, tmp_path / "model/consolidated.safetensors")
    command = ["transplant", "model", "--vocab", small / "vocab", "--out", "out"]
    refused = run(*command, where=tmp_path)
    check_refusal(refused.returncode, refused.stdout, refused.stderr)
    assert "model.thing of shape [704, 8] may have a row for each id" in refused.stderr
    assert "--also-follow" in refused.stderr
    assert "--leave" in refused.stderr
    done = run(*command, "--leave", "model.thing", where=tmp_path)
    assert done.returncode == 0
    said = " ".join(done.stdout.split())
    assert "As many rows by chance, left as they are: model.thing, visual.pos_embed.weight." in said
    assert (
        "config.json: image_size (703), config.json: vision_config.n[0] (701), preprocessor_config.json: size (702)"
        in said
    )
    assert "Left out: consolidated.safetensors" in said
    assert json.loads((tmp_path / "out/preprocessor_config.json").read_text()) == {"image_token_id": 499, "size": 702}
    again = run(*command, "--also-follow", "model.thing", "--force", where=tmp_path)
    assert again.returncode == 0
    assert load_file(tmp_path / "out/model.safetensors")["model.thing"].shape == (TARGET, 8)


# Layouts that are no whole model


def only(*names):
    def change(model):
        for path in model.iterdir():
            if path.suffix == ".safetensors":
                path.unlink()
        for name in names:
            (model / name).write_bytes(b"x")

    return change


def with_files(*names):
    def change(model):
        for name in names:
            (model / name).write_text("{}")

    return change


def mistral(model):
    (model / "config.json").unlink()
    (model / "model.safetensors").rename(model / "consolidated.safetensors")
    (model / "params.json").write_text("{}")


def adapter(model):
    (model / "config.json").unlink()
    (model / "adapter_config.json").write_text("{}")


def deep(model):
    (model / "config.json").write_text('{"a":' * 200 + "1" + "}" * 200)


LAYOUTS = {
    "adapter without weights": (
        adapter,
        "is an adapter without adapter_model.safetensors: save it again as safetensors",
    ),
    "adapter beside": (with_files("adapter_config.json"), "has an adapter beside the model (adapter_config.json)"),
    "mistral": (mistral, "has weights in Mistral's own layout (consolidated.safetensors)"),
    "gguf": (only("m.Q4_0.gguf"), "but weights that are llama.cpp's (m.Q4_0.gguf): name that file itself"),
    "onnx": (only("model.onnx"), "but weights that are ONNX (model.onnx)"),
    "medusa alone": (only("medusa_lm_head.safetensors"), "under another name (medusa_lm_head.safetensors)"),
    "pickled": (only("pytorch_model-00001-of-00002.bin"), "pickled weights"),
    "deep settings": (deep, "config.json nests lists and objects too deeply"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_another_layout_is_refused_by_what_it_is(layout, small, tmp_path):
    change, message = LAYOUTS[layout]
    model = tmp_path / "model"
    shutil.copytree(small / "model", model)
    (model / "config.json").write_text(json.dumps(CONFIG))
    save_file({"model.embed_tokens.weight": numbers()}, model / "model.safetensors")
    change(model)
    before = entries(tmp_path)
    with pytest.raises(SourceError) as caught:
        transplant(model, small / "vocab", tmp_path / "out")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert entries(tmp_path) == before
