"""Exported models give the same logits in transformers, come back unchanged, and generate."""

import subprocess
import sys

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from vocab.errors import TrainingError
from vocab.model.export.generate import sample
from vocab.model.export.transformers_folder import export, load_export
from vocab.model.network.cache import KeyValueCache
from vocab.model.network.config import ModelConfig
from vocab.model.network.decoder import Decoder
from vocab.vocabulary import Provenance, Vocabulary

pytestmark = pytest.mark.slow

CONFIG = ModelConfig(n_ids=1001, n_layers=2, n_heads=6, n_kv_heads=2, width=48, ffn_width=64, max_seq_len=32)
IDS = torch.randint(0, 1001, (2, 32), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def small_vocabulary(cl100k):
    special = {"<|endoftext|>": 1000}
    return Vocabulary.from_tokens(list(cl100k.tokens())[:1000], cl100k.pattern, special, provenance=Provenance("small"))


def exported(tmp_path, vocabulary, **fields) -> Decoder:
    decoder = Decoder(CONFIG.with_fields(fields))
    decoder.initialise(0)
    decoder.prepare(torch.float32)
    export(decoder, vocabulary, tmp_path)
    return decoder


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("position", ["rope", "alibi"])
def test_transformers_gives_the_same_logits(tmp_path, small_vocabulary, tied, position):
    decoder = exported(tmp_path, small_vocabulary, tied=tied, position=position)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, trust_remote_code=position == "alibi")
    assert isinstance(theirs, LlamaForCausalLM) == (position == "rope")
    assert theirs.dtype == torch.float32
    with torch.no_grad():
        torch.testing.assert_close(decoder.logits(IDS), theirs(IDS).logits, atol=2e-5, rtol=1e-4)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer.encode("Hello world") == small_vocabulary.encode("Hello world")
    greedy = theirs.generate(IDS[:1, :5], max_new_tokens=6, do_sample=False, eos_token_id=None, pad_token_id=0)
    assert greedy[0, 5:].tolist() == list(sample(decoder, IDS[0, :5].tolist(), 6, temperature=0))


def test_a_padded_batch_gives_the_logits_of_the_text_alone(tmp_path, small_vocabulary):
    exported(tmp_path, small_vocabulary, position="alibi")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, trust_remote_code=True)
    mask = torch.ones(1, 32, dtype=torch.long)
    mask[:, 20:] = 0
    with torch.no_grad():
        padded = theirs(IDS[:1], attention_mask=mask).logits[:, :20]
        torch.testing.assert_close(padded, theirs(IDS[:1, :20]).logits, atol=1e-5, rtol=1e-4)


def test_an_export_comes_back(tmp_path, small_vocabulary):
    decoder = exported(tmp_path, small_vocabulary)
    again = load_export(tmp_path)
    assert again.config == decoder.config
    for (name, a), b in zip(decoder.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b), name


def test_a_vocabulary_with_holes_goes_along_as_a_tiktoken_file(tmp_path, cl100k):
    decoder = Decoder(CONFIG.with_fields({"n_ids": cl100k.max_id + 1, "width": 12, "ffn_width": 8}))
    decoder.initialise(0)
    export(decoder, cl100k, tmp_path)
    assert not (tmp_path / "tokenizer.json").exists()
    assert list(tmp_path.glob("*.tiktoken"))


def test_damaged_or_missing_models_are_refused(tmp_path, small_vocabulary):
    with pytest.raises(TrainingError, match="cannot be read"):
        load_export(tmp_path / "nowhere")
    exported(tmp_path, small_vocabulary)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    with pytest.raises(TrainingError, match="damaged"):
        load_export(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    exported(tmp_path, small_vocabulary)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(TrainingError, match="did not write"):
        load_export(tmp_path)


def test_sampling_is_a_function_of_the_seed_and_stops(tmp_path, small_vocabulary):
    decoder = exported(tmp_path, small_vocabulary)
    draws = [list(sample(decoder, [1, 2], 40, seed=seed)) for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
    assert len(draws[0]) == 40
    likeliest = next(sample(decoder, [1, 2], 1, temperature=0))
    assert list(sample(decoder, [1, 2], 5, temperature=0, stop=likeliest)) == []
    assert list(sample(decoder, [1, 2], 5, top_p=1e-9)) == list(sample(decoder, [1, 2], 5, temperature=0))
    with pytest.raises(TrainingError, match="prompt"):
        next(sample(decoder, [], 1))
    with pytest.raises(TrainingError, match="temperature"):
        next(sample(decoder, [1], 1, temperature=-1))


@pytest.mark.parametrize("position", ["rope", "alibi"])
@pytest.mark.parametrize("n_kv_heads", [1, 2])
def test_kept_keys_and_values_give_the_logits_of_the_whole_text(position, n_kv_heads):
    shape = {
        "position": position,
        "n_kv_heads": n_kv_heads,
        "n_heads": 2,
        "width": 16,
        "max_seq_len": 24,
        "n_layers": 2,
    }
    decoder = Decoder(CONFIG.with_fields(shape))
    decoder.initialise(0)
    decoder.prepare(torch.float32, backward=False)
    ids = torch.randint(0, decoder.config.n_ids, (1, 24), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        whole = decoder.logits(ids)[0]
        cache = KeyValueCache(decoder)
        torch.testing.assert_close(cache.logits(ids[0, :10].tolist()), whole[9], atol=1e-5, rtol=1e-4)
        for k in range(10, 22):
            torch.testing.assert_close(cache.logits([int(ids[0, k])]), whole[k], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(cache.logits(ids[0, 22:].tolist()), whole[23], atol=1e-5, rtol=1e-4)
        with pytest.raises(TrainingError, match="longest sequence"):
            cache.logits([1])


def test_sampling_goes_on_past_the_longest_sequence():
    decoder = Decoder(CONFIG.with_fields({"max_seq_len": 8}))
    decoder.initialise(0)
    decoder.prepare(torch.float32, backward=False)
    ids = [1, 2, 3]
    for found in sample(decoder, [1, 2, 3], 20, temperature=0):
        # By hand: what is in view is all since the start, or since the last half that was gone on from.
        n_view = len(ids) if len(ids) <= 8 else 4 + (len(ids) - 9) % 5
        with torch.inference_mode():
            expected = decoder.logits(torch.tensor([ids[-n_view:]]))[0, -1].argmax()
        assert found == int(expected)
        ids.append(found)
    assert len(ids) == 23


def test_training_and_generating_need_no_transformers():
    """A folder for it is written without it."""
    program = (
        "import sys; sys.modules['transformers'] = None; "
        "import vocab.model.training.training_run, vocab.model.export.generate"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
