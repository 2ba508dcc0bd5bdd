"""`vocab transplant` of adapters of peft: the sum of base and adapter is the same for every kept id."""

import json
import shutil

import numpy as np
import pytest
from helpers.cli import fails, run
from safetensors.numpy import load_file, save_file

from vocab.errors import SourceError
from vocab.interop.transplants.transplant import transplant
from vocab.prune import prune
from vocab.vocabulary import Provenance, Vocabulary

N_ORDINARY, TARGET, RANK, WIDTH = 900, 400, 4, 32
SPECIAL = {"<|end|>": 900, "<|start|>": 901}
SIZE = N_ORDINARY + len(SPECIAL)
RNG = np.random.default_rng(5)
MODEL, HEAD = "base_model.model.model.embed_tokens", "base_model.model.lm_head"
LAYER = {
    "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": RNG.normal(size=(RANK, WIDTH)),
    "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight": RNG.normal(size=(SIZE, RANK)),  # by chance
}


@pytest.fixture(scope="module")
def made(cl100k, tmp_path_factory):
    """Folders of a source and of its pruning, and the id map."""
    place = tmp_path_factory.mktemp("adapter")
    tokens = list(cl100k.tokens())[:N_ORDINARY]
    source = Vocabulary.from_tokens(tokens, cl100k.pattern, SPECIAL, provenance=Provenance("small"))
    result = prune(source, TARGET, method="frequency")
    source.save(place / "source")
    result.save(place / "vocab")
    return place, result.id_map


def written(folder, tensors, config=None):
    folder.mkdir()
    settings = {"peft_type": "LORA", "base_model_name_or_path": "small", **(config or {})}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    save_file(
        {name: values.astype(np.float32) for name, values in tensors.items()}, folder / "adapter_model.safetensors"
    )
    return folder


def rows(*shape):
    return RNG.normal(size=shape)


def test_rows_and_columns_of_ids_follow_and_other_factors_stay(made, tmp_path):
    place, ids = made
    tensors = LAYER | {
        f"{MODEL}.lora_embedding_A": rows(RANK, SIZE),
        f"{MODEL}.lora_embedding_B": rows(WIDTH, RANK),
        f"{HEAD}.lora_A.weight": rows(RANK, WIDTH),
        f"{HEAD}.lora_B.weight": rows(SIZE, RANK),
        f"{HEAD}.lora_magnitude_vector": rows(SIZE),
    }
    record = transplant(written(tmp_path / "a", tensors), place / "vocab", tmp_path / "out").record
    old, new = (load_file(tmp_path / one / "adapter_model.safetensors") for one in ("a", "out"))
    kept, places = list(ids), list(ids.values())
    axes = {f"{MODEL}.lora_embedding_A": 1, f"{HEAD}.lora_B.weight": 0, f"{HEAD}.lora_magnitude_vector": 0}
    for name, was in old.items():
        if name in axes:
            assert new[name].shape[axes[name]] == TARGET
            assert np.array_equal(new[name].take(places, axes[name]), was.take(kept, axes[name]))
        else:
            assert np.array_equal(new[name], was)
    assert {tensor["name"] for tensor in record["tensors"]} == set(axes)
    assert "still names the base model 'small'" in record["notes"][0]


def test_whole_embeddings_and_trained_tokens_follow(made, tmp_path):
    place, ids = made
    whole = {
        f"{MODEL}.weight": rows(SIZE + 10, WIDTH),
        f"{HEAD}.modules_to_save.default.weight": rows(SIZE + 10, WIDTH),
    }
    config = {"trainable_token_indices": {"embed_tokens": [900, 5]}}
    whole[f"{MODEL}.token_adapter.trainable_tokens_delta"] = rows(2, WIDTH)
    shutil.copytree(place / "source", tmp_path / "tokenizer")
    adapter = written(tmp_path / "a", whole, config)
    for path in (tmp_path / "tokenizer").iterdir():
        shutil.copy(path, adapter / path.name)
    record = transplant(adapter, place / "vocab", tmp_path / "out", pad_to_multiple_of=64).record
    new = load_file(tmp_path / "out/adapter_model.safetensors")
    for name in list(whole)[:2]:
        assert new[name].shape == (448, WIDTH)
        assert np.array_equal(new[name][list(ids.values())], whole[name].astype(np.float32)[list(ids)])
    settings = json.loads((tmp_path / "out/adapter_config.json").read_text())
    assert settings["trainable_token_indices"] == {"embed_tokens": [ids[900], ids[5]]}
    assert record["tokens_compared_with_the_model"] == TARGET
    assert (tmp_path / "out/tokenizer.json").is_file()


WRONG = {
    "nothing of ids": (LAYER, {}, "has nothing for embedding and head: it fits the new model as it is"),
    "too few rows": (
        {f"{MODEL}.weight": rows(800, WIDTH)},
        {},
        "has 800 rows of ids, and the id map is of a source of",
    ),
    "two sizes": ({f"{MODEL}.weight": rows(SIZE, 2), f"{HEAD}.weight": rows(SIZE + 1, 2)}, {}, "rows of ids, and"),
    "another part": ({f"{MODEL}.vera_lambda_b": rows(SIZE)}, {}, "in a way that is not known"),
    "a token that went": (
        LAYER,
        {"trainable_token_indices": [903]},
        "has the id 903, which the new vocabulary does not have",
    ),
}


@pytest.mark.parametrize("fault", WRONG)
def test_what_cannot_follow_is_refused(fault, made, tmp_path):
    place, _ = made
    tensors, config, message = WRONG[fault]
    with pytest.raises(SourceError) as error:
        transplant(written(tmp_path / "a", tensors, config), place / "vocab", tmp_path / "out")
    assert message in str(error.value)
    assert not (tmp_path / "out").exists()


def test_the_command(made, tmp_path):
    place, _ = made
    written(tmp_path / "a", {f"{HEAD}.weight": rows(SIZE, WIDTH)})
    done = run("transplant", "a", "--vocab", place / "vocab", "--out", "out", where=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "still names the base model 'small'" in " ".join(done.stdout.split())
    assert "other tensors have known names" in fails(
        tmp_path, "transplant", "a", "--vocab", place / "vocab", "--out", "b", "--leave", "x"
    )


KINDS = {
    "layers, embedding and head": {"target_modules": ["q_proj", "embed_tokens", "lm_head"]},
    "dora of the head": {"target_modules": ["q_proj", "lm_head"], "use_dora": True},
    "modules to save": {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens", "lm_head"]},
    "trained tokens": {"target_modules": ["q_proj"], "trainable_token_indices": [900, 901]},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_peft_loads_it_with_the_same_logits(kind, made, tmp_path, monkeypatch):
    """Base and adapter, both before and both after."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    peft = pytest.importorskip("peft", reason="peft is not installed")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    place, ids = made
    torch.manual_seed(1)
    config = transformers.LlamaConfig(
        vocab_size=SIZE, hidden_size=WIDTH, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, eos_token_id=900, bos_token_id=901,
    )  # fmt: skip
    shutil.copytree(place / "source", tmp_path / "base")
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path / "base")
    transplant(tmp_path / "base", place / "vocab", tmp_path / "base-new")
    base = transformers.LlamaForCausalLM.from_pretrained(tmp_path / "base")
    model = peft.get_peft_model(base, peft.LoraConfig(r=RANK, **KINDS[kind]))
    for name, parameter in model.named_parameters():
        if "lora" in name or "modules_to_save" in name or "delta" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    model.save_pretrained(tmp_path / "adapter")
    transplant(tmp_path / "adapter", place / "vocab", tmp_path / "adapter-new")
    old, new = (
        peft.PeftModel.from_pretrained(
            transformers.LlamaForCausalLM.from_pretrained(tmp_path / f"base{end}"), tmp_path / f"adapter{end}"
        ).eval()
        for end in ("", "-new")
    )
    kept = torch.tensor(sorted(ids))
    before = kept[torch.randint(len(kept), (2, 20), generator=torch.Generator().manual_seed(7))]
    after = before.clone().apply_(lambda k: ids[k])
    with torch.no_grad():
        was, now = old(before).logits[..., kept], new(after).logits[..., [ids[k] for k in kept.tolist()]]
    assert torch.allclose(was, now, atol=1e-5)
