"""Files that models were released with, from the packages that carry them: the same ids as in the packages' code."""

import importlib
import importlib.metadata
import json
import random
from pathlib import Path

import pytest
from helpers.files import llama_file, mistral_file
from helpers.texts import drawn_texts
from tokenizers import Tokenizer

import vocab
from vocab.errors import SourceError
from vocab.formats import hub
from vocab.prune import prune
from vocab.vocabulary import Vocabulary

pytestmark = pytest.mark.slow

LLAMAS = {"llama3": 128_256, "llama4": 202_048}
TEKKENS = ["tekken_240718.json", "tekken_240911.json"]


def texts_for(vocabulary: Vocabulary, real_text: str, nasty: list[str]) -> list[str]:
    plain = [text for text in nasty if not any(special in text for special in vocabulary.special_tokens)]
    return [*plain, *drawn_texts(vocabulary, 3000), real_text[-600_000:]]


# Llama 3 and 4: ranks in base64, in a file called tokenizer.model


@pytest.mark.parametrize("name", LLAMAS)
def test_llama_ranks_are_known_by_their_digest(name, real_text, nasty):
    """llama-models builds the same encoding, special tokens included."""
    tokenizer = importlib.import_module(f"llama_models.{name}.tokenizer").Tokenizer(llama_file(name))
    loaded = vocab.load(llama_file(name))
    assert (loaded.name, loaded.n_ids, loaded.max_id) == (name, LLAMAS[name], LLAMAS[name] - 1)
    assert dict(loaded.special_tokens) == tokenizer.special_tokens
    assert loaded.pattern.has_kernel
    for text in texts_for(loaded, real_text, nasty):
        assert loaded.encode(text) == tokenizer.model.encode_ordinary(text)
    prompt = "<|begin_of_text|>user\n\nHi<|end_of_text|>"
    assert loaded.encode(prompt, allow_special=True) == tokenizer.model.encode(prompt, allowed_special="all")


def test_a_copy_under_another_name_is_the_same(tmp_path):
    (tmp_path / "tokenizer.model").write_bytes(llama_file("llama3").read_bytes())
    (tmp_path / "ranks.txt").write_bytes(llama_file("llama3").read_bytes())
    assert vocab.load(tmp_path) == vocab.load(tmp_path / "ranks.txt") == vocab.load(llama_file("llama3"))


def test_ranks_of_an_unknown_digest_ask_for_their_pattern(tmp_path):
    lines = llama_file("llama3").read_text().splitlines()[:5000]
    (tmp_path / "tokenizer.model").write_text("\n".join(lines) + "\n")
    with pytest.raises(SourceError, match=r"put tokenizer\.model\.json beside it"):
        vocab.load(tmp_path)
    settings = {"pat_str": r"\s+|\S+", "special_tokens": {"<|end|>": 5000}}
    (tmp_path / "tokenizer.model.json").write_text(json.dumps(settings))
    assert vocab.load(tmp_path).n_ids == 5001


# tekken.json: special tokens have the first ids


@pytest.fixture(scope="module", params=TEKKENS)
def tekken(request) -> Vocabulary:
    return vocab.load(mistral_file(request.param))


def test_tekken_equals_mistral_common(tekken, real_text, nasty):
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    peer = Tekkenizer.from_file(mistral_file(f"{tekken.name}.json"))
    assert (tekken.n_ids, tekken.first_id, tekken.max_id) == (131_072, 1000, 131_071)
    assert tekken.pattern.has_kernel
    assert [text for text, _ in sorted(tekken.special_tokens.items(), key=lambda item: item[1])] == [
        str(getattr(token["token_str"], "value", token["token_str"])) for token in peer._all_special_tokens
    ]
    for text in texts_for(tekken, real_text, nasty):
        ids = tekken.encode(text)
        assert ids == peer.encode(text, bos=False, eos=False)
        assert tekken.decode(ids) == text


@pytest.fixture(scope="module")
def smaller_tekken(tmp_path_factory):
    """tekken pruned to 32,000 ids by the built-in profile, in a folder."""
    result = prune(vocab.load(mistral_file(TEKKENS[1])), 32_000, method="frequency")
    folder = tmp_path_factory.mktemp("tekken") / "out"
    result.save(folder)
    return result, folder


def test_pruned_tekken_has_the_same_ids_everywhere(smaller_tekken, real_text, nasty):
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    result, folder = smaller_tekken
    small = result.vocabulary
    assert (small.n_ids, small.max_id, small.first_id) == (32_000, 31_999, 1000)
    mistral = Tekkenizer.from_file(folder / "tekken.json")
    peer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    as_tiktoken = small.to_tiktoken()
    assert mistral.n_words == peer.get_vocab_size() == as_tiktoken.n_vocab == 32_000
    for text in texts_for(small, real_text, nasty):
        ids = small.encode(text)
        assert ids == mistral.encode(text, bos=False, eos=False)
        assert ids == peer.encode(text, add_special_tokens=False).ids
        assert ids == as_tiktoken.encode_ordinary(text)
        assert small.decode(ids) == text


def test_pruned_tekken_is_read_back_from_each_of_its_files(smaller_tekken):
    result, folder = smaller_tekken
    ranks = next(folder.glob("*.tiktoken"))
    assert all(vocab.load(place) == result.vocabulary for place in (folder, folder / "tekken.json", ranks))


def test_pruned_tekken_maps_ids_to_tokens_of_the_same_bytes(smaller_tekken):
    result, _ = smaller_tekken
    source, small = result.source, result.vocabulary
    assert all(source.decode_bytes([old]) == small.decode_bytes([new]) for old, new in result.id_map.items())
    dropped = result.id_map_json()["dropped"]
    assert len(dropped) == source.n_ids - small.n_ids
    for old, new in random.Random(1).sample(sorted(dropped.items()), 200):
        assert source[int(old)] == small.decode_bytes(new)


def edited_tekken(tmp_path: Path, change) -> Path:
    settings = json.loads(mistral_file(TEKKENS[0]).read_bytes())
    settings["vocab"] = settings["vocab"][:400]
    settings["config"].update(default_vocab_size=1300)
    change(settings)
    path = tmp_path / "anything.json"
    path.write_text(json.dumps(settings))
    return path


TEKKEN_FAULTS = {
    "no size": (lambda s: s["config"].pop("default_vocab_size"), "is not a tekken.json: KeyError"),
    "fewer tokens than stated": (lambda s: s["config"].update(default_vocab_size=2000), "cut short or damaged"),
    "rank out of order": (lambda s: s["vocab"][7].update(rank=9), "has rank 9 where 7 must follow"),
    "no base64": (lambda s: s["vocab"][7].update(token_bytes="*"), "token 7 has no rank and bytes"),
    "new without special tokens": (lambda s: s["config"].update(version="v13"), "names no special tokens"),
    "special tokens twice": (
        lambda s: s.update(special_tokens=[{"rank": k, "token_str": "x", "is_control": True} for k in range(2)]),
        "some twice or more",
    ),
    "special tokens with holes": (
        lambda s: s.update(special_tokens=[{"rank": 5, "token_str": "x", "is_control": True}]),
        "do not run on from 0",
    ),
}


@pytest.mark.parametrize("fault", TEKKEN_FAULTS)
def test_damaged_tekken_files_are_named(fault, tmp_path):
    change, message = TEKKEN_FAULTS[fault]
    with pytest.raises(SourceError, match=message) as error:
        vocab.load(edited_tekken(tmp_path, change))
    assert "\n" not in str(error.value)


def test_special_tokens_of_a_tekken_file_are_read_and_written(tmp_path):
    texts = ["<unk>", "<s>", "<think>"]
    special = [{"rank": k, "token_str": text, "is_control": text != "<think>"} for k, text in enumerate(texts)]
    path = edited_tekken(tmp_path, lambda s: s.update(special_tokens=special))
    loaded = vocab.load(path)
    assert list(loaded.special_tokens)[:4] == [*texts, "<SPECIAL_3>"]
    loaded.save(tmp_path / "out")
    written = json.loads((tmp_path / "out/tekken.json").read_text())
    assert written["special_tokens"][:3] == special
    assert vocab.load(tmp_path / "out/tekken.json") == loaded


# Names of repositories


def test_a_repository_is_read_from_the_cache(tmp_path, monkeypatch, smaller_tekken):
    """The hub's cache as huggingface_hub lays it out, with nobody to ask."""
    import huggingface_hub.constants as settings

    commit = "0" * 40
    place = tmp_path / "models--org--small-tekken"
    (place / "refs").mkdir(parents=True)
    (place / "refs/main").write_text(commit)
    (place / "snapshots").mkdir()
    (place / "snapshots" / commit).symlink_to(smaller_tekken[1])
    monkeypatch.setattr(settings, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(settings, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "_CACHE", str(tmp_path))
    loaded = vocab.load("org/small-tekken")
    assert loaded == smaller_tekken[0].vocabulary
    assert loaded.name == "small-tekken"
    with pytest.raises(SourceError, match="nor a Hugging Face repository that is cached"):
        vocab.load("org/unknown")


def test_a_missing_file_is_not_looked_for_on_the_hub():
    for name in ("models/tokenizer.json", "models/tokenizer.model", "/no/such/place", "a/b/c"):
        with pytest.raises(SourceError, match="no such file or folder"):
            vocab.load(name)
