"""Special tokens that a pruning leaves out: named by patterns, listed, in the id map, kept where needed."""

import json

import pytest
from helpers.byte_level import byte_level_bpe, stored
from helpers.files import llama_file, mistral_file
from tokenizers import Tokenizer, processors

import vocab
from vocab.corpus.counting import CorpusCounts, count_documents
from vocab.errors import TargetError
from vocab.formats.id_map import read_id_map
from vocab.prune import prune
from vocab.prune.request import PruneRequest


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> vocab.Vocabulary:
    folder = tmp_path_factory.mktemp("source")
    tokenizer = byte_level_bpe(1500)
    tokenizer.add_special_tokens(["<s>", "[x]", "<role>", "<told>", *(f"<|reserved_{k}|>" for k in range(40))])
    tokenizer.add_tokens(["<think>"])
    begin = tokenizer.token_to_id("<s>")
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", begin)])
    stored(tokenizer, folder)
    config = {"eos_token": "<role>", "chat_template": "{{ '<told>' }}", "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return vocab.load(folder)


def test_reserved_tokens_go_and_are_listed(source, tmp_path):
    counts = CorpusCounts((count_documents(["for k in range(3):\n    print(k)\n"] * 20, "text", source.pattern),))
    result = prune(source, 600, corpus=counts, drop_special=["<|reserved_*|>", "[x]"])
    result.save(tmp_path / "out")
    gone = ["[x]", *(f"<|reserved_{k}|>" for k in range(40))]
    assert result.report.dropped_special == gone
    assert json.loads((tmp_path / "out/report.json").read_text())["dropped_special"] == gone
    assert result.vocabulary.n_tokens == 600 - len(source.special_tokens) + len(gone)
    peer = Tokenizer.from_file(str(tmp_path / "out/tokenizer.json"))
    assert peer.get_vocab_size() == 600
    assert {token.content for token in peer.get_added_tokens_decoder().values()} == set(source.special_tokens) - set(
        gone
    )
    ids = read_id_map(tmp_path / "out")
    for text in gone:
        assert ids.dropped[source.special_tokens[text]] == tuple(result.vocabulary.encode(text))
    assert vocab.load(tmp_path / "out") == result.vocabulary


REFUSED = {
    "nothing*": "which no special token of .* is like",
    "<s>": "the post-processor or the padding of the source uses it",
    "<role>": "it is the eos_token of the source",
    "<told>": "the chat template of the source uses it",
    "<th*": "it is no special token but text",
}


@pytest.mark.parametrize("pattern", REFUSED)
def test_tokens_that_are_needed_stay(source, pattern):
    with pytest.raises(TargetError, match=REFUSED[pattern]):
        PruneRequest(source=source, target=900, drop_special=[pattern]).special_tokens  # noqa: B018


def test_reserved_tokens_of_real_vocabularies():
    llama, tekken = vocab.load(llama_file("llama3")), vocab.load(mistral_file("tekken_240911.json"))
    kept = PruneRequest(source=llama, target=32_000, drop_special=["<|reserved_special_token_*|>"]).special_tokens
    assert len(kept) < 20
    kept = PruneRequest(source=tekken, target=32_000, drop_special=["<SPECIAL_*>"]).special_tokens
    assert 3 <= len(kept) < 100
