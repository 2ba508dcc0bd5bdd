"""`vocab score` against a slow twin: one prediction at a time, on a tiny random Llama and on GPT-2's kin."""

import json
import math

import numpy as np
import pytest
import torch
import transformers
from helpers.cli import fails, run

import vocab
from vocab.corpus import DocumentCorpus
from vocab.errors import CorpusError, SourceError, TrainingError
from vocab.model import score_model
from vocab.model.pretrained.token_nats import windows
from vocab.vocabulary import Provenance, Vocabulary

pytestmark = pytest.mark.slow

CONTEXT, STRIDE = 12, 7
SHAPE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
TEXTS = [
    "",
    "a",
    "The cat sat on the mat, and naïve façades — 中文 — <|begin|> wait.",
    "x = 1\n" * 40,
    "one two three four five",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, cl100k):
    """A model with its tokenizer and padding rows, and config.json that names a beginning."""
    path = tmp_path_factory.mktemp("llama")
    save_model(path, cl100k, bos_token_id=601)
    return path


def save_model(path, cl100k, *, n_rows=610, bos_token_id=None, **shape):
    special = {"<|endoftext|>": 600, "<|begin|>": 601}
    small = Vocabulary.from_tokens(list(cl100k.tokens())[:600], cl100k.pattern, special, provenance=Provenance("small"))
    small.save(path)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=n_rows, bos_token_id=bos_token_id, num_key_value_heads=2, **SHAPE | shape
    )
    model = transformers.LlamaForCausalLM(config)
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(20)  # else every prediction is near to uniform
    model.save_pretrained(path)


def slow_nats(folder, texts, start, context, stride):
    """Each token by itself: the first window that reaches it is cut out and run alone, and its last row is read."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = vocab.load(str(folder))
    total = 0.0
    for text in texts:
        ids = ([] if start is None else [start]) + tokenizer.encode(text)
        for place, target in enumerate(ids):
            if place == 0:
                total += 0.0 if start is not None else math.log(610)
                continue
            k = 0
            while k * stride + context < place:
                k += 1
            with torch.no_grad():
                logits = model(torch.tensor([ids[k * stride : place]])).logits[0, -1].double()
            total += float(logits.logsumexp(0) - logits[target])
    return total


@pytest.mark.parametrize("start", ["auto", "none", "<|endoftext|>"])
def test_bits_per_byte_are_those_of_a_slow_twin_whatever_the_batch(folder, start):
    id_ = {"auto": 601, "none": None, "<|endoftext|>": 600}[start]
    expected = slow_nats(folder, TEXTS, id_, CONTEXT, STRIDE)
    n_bytes = sum(len(text.encode()) for text in TEXTS)
    for batch_tokens in (1, 40, 10_000):
        scored = score_model(
            *(folder, DocumentCorpus.of_texts(TEXTS)),
            context=CONTEXT,
            stride=STRIDE,
            start=start,
            batch_tokens=batch_tokens,
            device="cpu",
        )
        assert scored.total.nats == pytest.approx(expected, rel=1e-6)
        assert scored.total.n_bytes == n_bytes
        assert scored.total.bits_per_byte == pytest.approx(expected / math.log(2) / n_bytes, rel=1e-6)
        assert scored.n_parameters == sum(
            w.numel() for w in transformers.AutoModelForCausalLM.from_pretrained(folder).parameters()
        )


def test_parts_are_rows_and_a_sample_does_not_depend_on_their_order(folder, tmp_path):
    for name in ("books", "code"):
        (tmp_path / name).mkdir()
        for k in range(12):
            (tmp_path / name / f"{k}.txt").write_text(f"{name} {k} " * 20)
    corpora = [str(tmp_path / "books"), str(tmp_path / "code")]
    whole = score_model(folder, corpora, device="cpu")
    assert [part.name for part in whole.parts] == corpora
    assert [part.n_documents for part in whole.parts] == [12, 12]
    some = score_model(folder, corpora[::-1], most_bytes=900, device="cpu")
    assert all(part.n_bytes <= 900 for part in some.parts)
    alone = score_model(folder, corpora[0], most_bytes=900, device="cpu")
    assert some.parts[1].nats == pytest.approx(alone.parts[0].nats, rel=1e-6)
    sides = [score_model(folder, corpora, side=side, device="cpu").total for side in ("train", "held_out")]
    assert sides[0].n_bytes + sides[1].n_bytes == whole.total.n_bytes
    assert sides[0].nats + sides[1].nats == pytest.approx(whole.total.nats, rel=1e-6)


@pytest.mark.parametrize(("context", "stride"), [(2, 1), (5, 5), (7, 3), (100, 50)])
def test_windows_predict_every_position_once(context, stride):
    for n in range(30):
        cut = list(windows(n, context, stride))
        assert [p for w in cut for p in range(w.first, w.end + 1)] == list(range(1, n))
        assert all(w.begin < w.first and w.end - w.begin <= context and w.end < n for w in cut)
        assert all(w.first - w.begin > context - stride for w in cut[1:])


def test_a_lossy_tokenizer_is_measured_on_the_bytes_of_the_text(folder, tmp_path, cl100k):
    """WordPiece lowers and joins; the bytes stay those of the text, and unknown words are told."""
    import tokenizers

    words = {"[UNK]": 0, "the": 1, "cat": 2, "##s": 3}
    lossy = tokenizers.Tokenizer(tokenizers.models.WordPiece(words, unk_token="[UNK]"))
    lossy.normalizer = tokenizers.normalizers.Lowercase()
    lossy.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    lossy.add_special_tokens(["[UNK]"])
    lossy.save(str(tmp_path / "tokenizer.json"))
    text = "The   CATS zebra"
    scored = score_model(folder, DocumentCorpus.of_texts([text]), tokenizer=tmp_path, device="cpu")
    assert (scored.total.n_bytes, scored.total.n_tokens, scored.total.n_unknown) == (len(text), 4, 1)
    assert "too low" in scored.notes[-1]


def test_what_cannot_be_scored_is_one_sentence(folder, tmp_path, cl100k):
    text = DocumentCorpus.of_texts(["some text"])
    with pytest.raises(TrainingError, match=r"610 rows and cl100k_base ids up to"):
        score_model(folder, text, tokenizer="cl100k_base", device="cpu")
    with pytest.raises(TrainingError, match="`stride` must be from 1 to the context of 8"):
        score_model(folder, text, context=8, stride=9, device="cpu")
    with pytest.raises(TrainingError, match="no special token 'BOS'"):
        score_model(folder, text, start="BOS", device="cpu")
    with pytest.raises(TrainingError, match="cannot be loaded as a causal model"):
        score_model(tmp_path, text, tokenizer=folder, device="cpu")
    with pytest.raises(TrainingError, match="no such file"):
        score_model(tmp_path / "no.gguf", text, tokenizer=folder, device="cpu")
    with pytest.raises(CorpusError, match="has no text to score"):
        score_model(folder, DocumentCorpus.of_texts([""]), device="cpu")
    with pytest.raises(SourceError):
        score_model(folder, text, tokenizer=tmp_path, device="cpu")
    save_model(tmp_path / "nan", cl100k)
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "nan")
    model.get_input_embeddings().weight.data[[7, 9]] = math.nan
    model.save_pretrained(tmp_path / "nan")
    with pytest.raises(TrainingError, match="not finite in row 7 and 1 more"):
        score_model(tmp_path / "nan", text, device="cpu")


def test_pickled_weights_and_code_of_a_model_are_not_read(folder, tmp_path, cl100k):
    save_model(tmp_path / "pickled", cl100k)
    weights = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "pickled").state_dict()
    torch.save(weights, tmp_path / "pickled" / "pytorch_model.bin")
    (tmp_path / "pickled" / "model.safetensors").unlink()
    with pytest.raises(TrainingError, match="cannot be loaded"):
        score_model(tmp_path / "pickled", DocumentCorpus.of_texts(["text"]), device="cpu")
    save_model(tmp_path / "code", cl100k)
    config = json.loads((tmp_path / "code" / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Mine", "AutoModelForCausalLM": "mine.Mine"}}
    (tmp_path / "code" / "config.json").write_text(json.dumps(config))
    (tmp_path / "code" / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(TrainingError, match="cannot be loaded"):
        score_model(tmp_path / "code", DocumentCorpus.of_texts(["text"]), device="cpu")
    assert not (tmp_path / "ran").exists()


def test_the_command_prints_a_table_or_json(folder, tmp_path):
    (tmp_path / "text.txt").write_text("some words of a text\n" * 9)
    shown = run("score", folder, "--corpus", "text.txt", "--context", 16, "--device", "cpu", where=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "bits per byte" in shown.stdout
    assert "<|begin|>, the bos_token_id of config.json" in " ".join(shown.stdout.split())
    given = run("score", folder, "--corpus", "text.txt", "--json", "--device", "cpu", where=tmp_path)
    report = json.loads(given.stdout)
    assert report["total"]["n_bytes"] == 189
    assert np.isfinite(report["total"]["bits_per_byte"])
    assert "none.txt" in fails(tmp_path, "score", folder, "--corpus", "none.txt", "--device", "cpu")


def test_a_tokenizer_whose_ids_are_others_to_the_model_is_noted(folder, tmp_path, cl100k):
    text = DocumentCorpus.of_texts(["some text"])
    assert score_model(folder, text, tokenizer=folder, device="cpu").notes == ()
    tokens = list(cl100k.tokens())[:500]
    tokens[300], tokens[301] = tokens[301], tokens[300]
    Vocabulary.from_tokens(tokens, cl100k.pattern, provenance=Provenance("swapped")).save(tmp_path / "swapped")
    [note] = score_model(folder, text, tokenizer=tmp_path / "swapped", device="cpu").notes
    assert note.startswith("2 tokens of swapped have other ids in ")
