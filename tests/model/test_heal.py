"""`vocab heal`: alignment and loss beside slow twins, what is trained, exact resume, and refusals."""

import json
import math
import os
import shutil
import signal

import numpy as np
import pytest
import torch
import transformers
from helpers.cli import fails, run

import vocab
from vocab.corpus import DocumentCorpus
from vocab.corpus.counting import CorpusCounts, count_documents
from vocab.errors import CorpusError, OutputError, TrainingError
from vocab.formats.id_map import read_id_map
from vocab.interop import transplant
from vocab.model import HealSettings, Stopped, heal, load_causal_model
from vocab.model.healing.aligned_pieces import Aligner
from vocab.model.healing.heal_loss import Pair
from vocab.model.healing.healer import batch_of
from vocab.model.training.distillation import MovedMass, first_pieces_of
from vocab.prune import prune
from vocab.vocabulary import Provenance, Vocabulary

pytestmark = pytest.mark.slow

SPECIAL = {"<|endoftext|>": 700, "<|begin|>": 701}
SETTINGS = HealSettings(n_steps=6, batch=4, micro_batch=2, seq_len=24, learning_rate=3e-3, seed=1)
NONE = np.zeros(0, dtype=np.int64)


@pytest.fixture(scope="module")
def source(cl100k):
    return Vocabulary.from_tokens(
        list(cl100k.tokens())[:700], cl100k.pattern, SPECIAL, provenance=Provenance("small source")
    )


@pytest.fixture(scope="module")
def texts(real_text):
    return [real_text[k : k + 700] for k in range(0, 70_000, 700)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory, source, texts):
    """The unpruned model, and the model with 400 of its 702 ids."""
    path = tmp_path_factory.mktemp("heal")
    save_teacher(path / "whole", source)
    corpus = CorpusCounts((count_documents(texts, "texts", source.pattern, 1),))
    prune(source, 400, corpus=corpus).save(path / "vocab")
    transplant(path / "whole", path / "vocab", path / "pruned", pad_to_multiple_of=16)
    return path


def save_teacher(path, source, n_rows=702):
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=n_rows,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        bos_token_id=701,
        eos_token_id=700,
        pad_token_id=None,
        initializer_range=0.3,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(path)
    source.save(path / "tokenizer")
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copyfile(path / "tokenizer" / name, path / name)
    shutil.rmtree(path / "tokenizer")


def healed(folders, texts, out, settings=SETTINGS, **more):
    corpus = DocumentCorpus.of_texts(texts)
    paths = (folders / "pruned", folders / "whole")
    return heal(*paths, corpus, out, settings, device="cpu", held_out_bytes=3000, **more)


def weights(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder).state_dict()


def test_pieces_hold_every_token_and_places_begin_at_one_byte(folders, source, texts):
    student = vocab.load(str(folders / "pruned"))
    for text in [*texts[:5], "naïve façade 中文 🙂\n" * 5, ""]:
        pieces = list(Aligner(student, source, 10, NONE).pieces([text]))
        assert [k for piece in pieces for k in piece.student] == student.encode(text)
        assert [k for piece in pieces for k in piece.teacher] == source.encode(text)
        assert sum(piece.n_bytes for piece in pieces) == len(text.encode())
        for piece in pieces:
            assert max(piece.student.size, piece.teacher.size) <= 10 or piece.student_places.size == 1
            starts = [len(student.decode_bytes(piece.student[:k].tolist())) for k in range(piece.student.size)]
            others = [len(source.decode_bytes(piece.teacher[:k].tolist())) for k in range(piece.teacher.size)]
            common = [(starts.index(b), others.index(b)) for b in starts if b in others]
            assert common == list(zip(piece.student_places.tolist(), piece.teacher_places.tolist(), strict=True))


def test_tokens_that_the_teacher_lacks_are_no_place_to_compare_at(folders, source, texts):
    student = vocab.load(str(folders / "pruned"))
    untaught = np.array([student.encode(texts[0])[3]])
    for piece in Aligner(student, source, 24, untaught).pieces(texts[:3]):
        assert untaught[0] not in piece.student[piece.student_places]


def test_nats_are_those_of_a_slow_twin(folders, source, texts):
    """Probabilities of the teacher are moved token by token, and each piece is run alone."""
    student, ids = vocab.load(str(folders / "pruned")), read_id_map(folders / "pruned")
    pruned, whole = (load_causal_model(folders / name) for name in ("pruned", "whole"))
    answers = MovedMass(first_pieces_of(ids), pruned.n_rows)
    start = ids.kept[701]
    pieces = list(Aligner(student, source, 12, NONE).pieces(texts[:2]))[:5]
    with torch.no_grad():
        nats = Pair(pruned, whole, answers, (start, 701), "float32").nats(pieces)
        text = teacher_text = divergence = 0.0
        for piece in pieces:
            ours = pruned.network(torch.tensor([[start, *piece.student]])).logits[0].double().log_softmax(-1)
            theirs = whole.network(torch.tensor([[701, *piece.teacher]])).logits[0].double().log_softmax(-1)
            text -= sum(float(ours[k, id_]) for k, id_ in enumerate(piece.student))
            teacher_text -= sum(float(theirs[k, id_]) for k, id_ in enumerate(piece.teacher))
            for a, b in zip(piece.student_places, piece.teacher_places, strict=True):
                moved = {}
                for old in range(702):
                    spelling = (ids.kept[old],) if old in ids.kept else ids.dropped.get(old, ())
                    if spelling:
                        moved[spelling[0]] = moved.get(spelling[0], 0.0) + math.exp(theirs[b, old])
                total = sum(moved.values())
                divergence += sum(p / total * (math.log(p / total) - float(ours[a, k])) for k, p in moved.items())
    assert float(nats.text) == pytest.approx(text, rel=1e-5)
    assert nats.teacher_text == pytest.approx(teacher_text, rel=1e-5)
    assert float(nats.divergence) == pytest.approx(divergence, rel=1e-4)
    assert nats.n_aligned == sum(piece.student_places.size for piece in pieces)


def test_a_start_is_not_needed(folders, source, texts):
    pruned, whole = (load_causal_model(folders / name) for name in ("pruned", "whole"))
    answers = MovedMass(first_pieces_of(read_id_map(folders / "pruned")), pruned.n_rows)
    student = vocab.load(str(folders / "pruned"))
    [piece] = Aligner(student, source, 12, NONE).pieces(["the"])
    nats = Pair(pruned, whole, answers, (None, None), "float32").nats([piece])
    assert float(nats.text.detach()) >= math.log(pruned.n_rows) - 1e-5


@pytest.fixture(scope="module")
def run_of_six(folders, texts, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "six"
    return out, healed(folders, texts, out)


def test_healing_brings_the_student_nearer_and_trains_embedding_and_head_alone(folders, run_of_six):
    out, done = run_of_six
    before, after = done.report["held_out"]["before"], done.report["held_out"]["after"]
    assert after["divergence"] < before["divergence"]
    assert before["teacher_bits_per_byte"] == pytest.approx(after["teacher_bits_per_byte"])
    old, new = weights(folders / "pruned"), weights(out / "model")
    changed = {name for name in old if not torch.equal(old[name], new[name])}
    assert changed == {"model.embed_tokens.weight", "lm_head.weight"}
    assert done.report["n_trained"] == old["model.embed_tokens.weight"].numel()
    assert json.loads((out / "report.json").read_text()) == done.report
    assert vocab.load(str(out / "model")) == vocab.load(str(folders / "pruned"))
    assert read_id_map(out / "model") == read_id_map(folders / "pruned")


def test_all_weights_are_trained_where_asked_for(folders, texts, tmp_path):
    healed(folders, texts, tmp_path / "all", HealSettings(n_steps=2, batch=2, seq_len=24, all_weights=True))
    old, new = weights(folders / "pruned"), weights(tmp_path / "all" / "model")
    assert not any(torch.equal(old[name], new[name]) for name in old)


def test_a_stopped_run_goes_on_exactly(folders, texts, run_of_six, tmp_path):
    def stop(kind, row):
        if row["step"] == 3:
            os.kill(os.getpid(), signal.SIGINT)

    out = tmp_path / "stopped"
    with pytest.raises(Stopped):
        healed(folders, texts, out, on_record=stop)
    assert not (out / "model").exists()
    other = HealSettings(n_steps=6, batch=4, micro_batch=2, seq_len=24, learning_rate=3e-3, seed=1, next_token=0.1)
    with pytest.raises(TrainingError, match=r"next_token is 0\.1, was 0\.5"):
        healed(folders, texts, out, other)
    seen = []
    healed(folders, texts, out, on_record=lambda kind, row: seen.append(row["step"]))
    assert seen == [4, 5, 6]
    one, two = weights(run_of_six[0] / "model"), weights(out / "model")
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_every_piece_is_used_once_in_each_round():
    seen = [k for step in range(7) for k in batch_of(step, 3, 7, seed=5)]
    assert sorted(seen[:7]) == sorted(seen[7:14]) == sorted(seen[14:]) == list(range(7))
    assert seen[:7] != seen[7:14]


def test_what_cannot_be_healed_is_one_sentence(folders, texts, run_of_six, tmp_path, cl100k):
    with pytest.raises(OutputError, match="holds a finished run"):
        healed(folders, texts, run_of_six[0])
    corpus, target = DocumentCorpus.of_texts(texts), tmp_path / "out"
    with pytest.raises(TrainingError, match=r"has no id_map\.json"):
        heal(folders / "whole", folders / "whole", corpus, target, SETTINGS, device="cpu")
    with pytest.raises(CorpusError, match="nothing can be measured"):
        heal(folders / "pruned", folders / "whole", DocumentCorpus.of_texts(texts[:1]), target, SETTINGS, device="cpu")
    with pytest.raises(TrainingError, match="pruned from another vocabulary"):
        heal(folders / "pruned", folders / "pruned", corpus, target, SETTINGS, device="cpu")
    first, second, *others = list(cl100k.tokens())[:700]
    save_teacher(tmp_path / "other", Vocabulary.from_tokens([second, first, *others], cl100k.pattern, SPECIAL))
    with pytest.raises(TrainingError, match="id 0 is another token"):
        heal(folders / "pruned", tmp_path / "other", corpus, target, SETTINGS, device="cpu")
    few = HealSettings(n_steps=1, batch=8192, micro_batch=2, seq_len=24)
    with pytest.raises(TrainingError, match="fewer than one batch"):
        heal(folders / "pruned", folders / "whole", corpus, target, few, device="cpu", held_out_bytes=500)
    assert not target.exists()
    for wrong in ({"n_steps": 0}, {"seq_len": 1}, {"divergence": 0.0, "next_token": 0.0}, {"learning_rate": 0.0}):
        with pytest.raises(TrainingError):
            HealSettings(**wrong)


def test_the_command(folders, texts, tmp_path):
    (tmp_path / "text").mkdir()
    for k, text in enumerate(texts[:60]):
        (tmp_path / "text" / f"{k}.txt").write_text(text)
    models = (folders / "pruned", "--teacher", folders / "whole", "--device", "cpu")
    sizes = ("--steps", 2, "--batch", 2, "--seq", 24, "--held-out-bytes", 800)
    done = run("heal", *models, "--corpus", "text", "--out", "run", *sizes, where=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "whole model" in done.stdout
    assert "run/model" in done.stdout
    message = fails(tmp_path, "heal", *models, "--corpus", "text", "--out", "run", *sizes)
    assert "holds a finished run" in message
    assert "--force" in message
