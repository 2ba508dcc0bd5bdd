"""`vocab transplant`: what is refused, what an interruption leaves, ids in settings; no model library is needed."""

import json
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.cli import check_refusal, entries, run
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, processors

from vocab.errors import OutputError, SourceError
from vocab.formats.id_map import IdMap, read_id_map
from vocab.interop.transplants import tensor_rows as rows
from vocab.interop.transplants.model_ids import IdChanges, with_new_ids
from vocab.interop.transplants.safetensors_file import Tensor, header_bytes, read_header
from vocab.interop.transplants.tensor_rows import RowPlan, RowWriter
from vocab.interop.transplants.transplant import transplant
from vocab.interop.transplants.vocabulary_tensors import VocabularyTensor
from vocab.prune import prune
from vocab.splitting import CL100K_REGEX, SplitPattern
from vocab.vocabulary import Provenance, Vocabulary
from vocab.writing import DIGEST, MARK, staged_folders, with_digest, write_json

N_OLD, N_NEW = 702, 500
CONFIG = {"model_type": "llama", "vocab_size": N_OLD, "hidden_size": 8, "bos_token_id": None, "eos_token_id": 700}


@pytest.fixture(scope="module")
def work(tmp_path_factory, cl100k) -> Path:
    """A vocabulary, the result of its pruning, and a model of numbers that say where they are from."""
    folder = tmp_path_factory.mktemp("transplant")
    tokens = list(cl100k.tokens())[:700]
    special = {"<|endoftext|>": 700, "<|end|>": 701}
    source = Vocabulary.from_tokens(tokens, SplitPattern(CL100K_REGEX), special, provenance=Provenance("tiny"))
    prune(source, N_NEW, method="frequency").save(folder / "small")
    source.save(folder / "model")
    (folder / "model/config.json").write_text(json.dumps(CONFIG))
    save_file(weights(), folder / "model/model.safetensors", {"format": "pt"})
    return folder


def weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((N_OLD, 8)).astype(np.float32)
    return {
        "model.embed_tokens.weight": rows,
        "model.layers.0.mlp.down_proj.weight": rng.standard_normal((8, 16)).astype(np.float32),
        "model.norm.weight": np.arange(8, dtype=np.float16),
        "lm_head.weight": rows + 1,
        "lm_head.bias": rows[:, 0].copy(),
        "final_logits_bias": rows[None, :, 1].copy(),
    }


def copy_of(work: Path, folder: Path) -> Path:
    shutil.copytree(work / "model", folder)
    return folder


def sharded(model: Path) -> None:
    """The same weights in two files with an index."""
    tensors = load_file(model / "model.safetensors")
    (model / "model.safetensors").unlink()
    names = sorted(tensors)
    files = {"model-1.safetensors": names[:3], "model-2.safetensors": names[3:]}
    for name, part in files.items():
        save_file({key: tensors[key] for key in part}, model / name, {"format": "pt"})
    weight_map = {key: name for name, part in files.items() for key in part}
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))


# What is written


@pytest.mark.slow
@pytest.mark.parametrize("shards", [1, 2])
def test_rows_by_shape_along_any_axis(work, tmp_path, shards):
    model = copy_of(work, tmp_path / "model")
    if shards == 2:
        sharded(model)
    transplant(model, work / "small", tmp_path / "out")
    found = {k: v for path in (tmp_path / "out").glob("*.safetensors") for k, v in load_file(path).items()}
    kept = {int(old): new for old, new in json.loads((work / "small/id_map.json").read_text())["kept"].items()}
    old, new = list(kept), list(kept.values())
    for name, values in weights().items():
        if N_OLD not in values.shape:
            assert np.array_equal(found[name], values)
            continue
        axis = values.shape.index(N_OLD)
        assert found[name].shape[axis] == N_NEW
        assert np.array_equal(found[name].take(new, axis), values.take(old, axis))


@given(st.data())
def test_rows_of_any_shape_equal_the_oracle(tmp_path_factory, data):
    """Small blocks, so that all ways of reading are gone through."""
    shape = data.draw(st.lists(st.integers(1, 5), max_size=2))
    n_old = data.draw(st.integers(1, 12))
    shape.insert(axis := data.draw(st.integers(0, len(shape))), n_old)
    spelling = st.lists(st.integers(0, n_old - 1), max_size=4).map(tuple)
    sources = [(0,), *data.draw(st.lists(spelling, max_size=12))]
    values = np.random.default_rng(len(sources)).standard_normal(shape)
    folder = tmp_path_factory.mktemp("rows")
    (folder / "old").write_bytes(b"xxx" + values.tobytes())
    place = VocabularyTensor(Tensor("t", "F64", tuple(shape), 1, 1 + values.nbytes), axis)
    with pytest.MonkeyPatch.context() as patch, (folder / "old").open("rb") as old, (folder / "new").open("wb") as new:
        patch.setattr(rows, "_BLOCK_BYTES", data.draw(st.sampled_from([1, 40, 200])))
        heard = []
        writer = RowWriter(place, RowPlan(sources), old.fileno(), 2, heard.append)
        writer.write_to(new.fileno())
    found = np.frombuffer((folder / "new").read_bytes()).reshape(writer.new_shape)
    copied = [one[0] for one in sources if len(one) == 1]
    kept = sorted(set(copied))  # a row that several begin with counts once in the mean of all
    columns = [values.take(list(one) or kept, axis).mean(axis) for one in sources]
    assert np.allclose(found, np.stack(columns, axis), rtol=1e-12, atol=1e-12)
    exact = [k for k, one in enumerate(sources) if len(one) == 1]
    assert np.array_equal(found.take(exact, axis), values.take(copied, axis))
    assert sum(heard) == found.nbytes == writer.n_bytes


def test_settings_and_tokenizer_files_follow(work, tmp_path):
    model = copy_of(work, tmp_path / "model")
    ids = json.loads((work / "small/id_map.json").read_text())
    dropped = [int(k) for k in ids["dropped"]]
    text = {"vocab_size": N_OLD, "pad_token_id": 701, "hidden_size": 8}
    vision = {"vocab_size": 32000, "eos_token_id": 49407}
    config = CONFIG | {"text_config": text, "vision_config": vision, "image_token_index": 701, "pad_token_id": -1}
    (model / "config.json").write_text(json.dumps(config))
    generation = {"eos_token_id": [700, 701], "suppress_tokens": [65, dropped[0], 66], "temperature": 0.5}
    generation |= {"bad_words_ids": [[65], [dropped[0], 66]], "forced_decoder_ids": [[1, 700]], "top_k": 50}
    generation |= {"sequence_bias": [[[65, dropped[1]], -2.5]]}
    (model / "generation_config.json").write_text(json.dumps(generation))
    (model / "chat_template.jinja").write_text("{{ messages }}")
    (model / "special_tokens_map.json").unlink()  # it would go before the settings, as in AutoTokenizer
    settings = {"chat_template": "{{ x }}", "eos_token": {"content": "<|end|>"}, "bos_token": "<gone>"}
    (model / "tokenizer_config.json").write_text(json.dumps(settings | {"model_max_length": 77}))
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    template = processors.TemplateProcessing("<|end|> $A", special_tokens=[("<|end|>", 701)])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(), template])
    tokenizer.save(str(model / "tokenizer.json"))
    for name in ("LICENSE.txt", "modeling_x.py", "pytorch_model.bin", "vocab.json"):
        (model / name).write_text(name)
    record = transplant(model, work / "small", tmp_path / "out", pad_to_multiple_of=64).record
    end, text_end, new = 499, 498, {int(k): v for k, v in ids["kept"].items()}
    out = json.loads((tmp_path / "out/config.json").read_text())
    assert out == config | {
        "vocab_size": 512,
        "eos_token_id": text_end,
        "image_token_index": end,
        "text_config": {"vocab_size": 512, "pad_token_id": end, "hidden_size": 8},
    }
    spelt = [ids["dropped"][str(k)] for k in dropped[:2]]
    assert json.loads((tmp_path / "out/generation_config.json").read_text()) == {
        "eos_token_id": [text_end, end],
        "suppress_tokens": [new[65], new[66]],
        "bad_words_ids": [[new[65]], [*spelt[0], new[66]]],
        "forced_decoder_ids": [[1, text_end]],
        "sequence_bias": [[[new[65], *spelt[1]], -2.5]],
        "temperature": 0.5,
        "top_k": 50,
    }
    assert len(record["notes"]) == 3
    assert "suppress_tokens loses 1 token that the vocabulary lost" in record["notes"][0]
    made = Tokenizer.from_file(str(tmp_path / "out/tokenizer.json"))
    assert made.encode("a").ids == [end, made.token_to_id("a")]
    settings = json.loads((tmp_path / "out/tokenizer_config.json").read_text())
    assert settings["eos_token"] == "<|end|>"
    assert settings["bos_token"] == "<|endoftext|>"
    assert (settings["chat_template"], settings["model_max_length"]) == ("{{ x }}", 77)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"LICENSE.txt", "modeling_x.py", "chat_template.jinja", "id_map.json", "transplant.json"} <= names
    assert record["left_out"] == ["pytorch_model.bin", "tiny.json", "tiny.tiktoken", "vocab.json"]
    assert not names & set(record["left_out"])


def test_ids_of_tasks_and_ids_that_are_none():
    ids = IdMap("x", 10, 5, {1: 0, 2: 3}, {4: (0, 3)}, {})
    content = {"task_specific_params": {"sum": {"eos_token_id": 2, "n": 2}, "k": 3}, "bos_token_id": None, "x": 1}
    changes = IdChanges()
    found = with_new_ids(content, "config.json", ids, changes)
    assert found == content | {"task_specific_params": {"sum": {"eos_token_id": 3, "n": 2}, "k": 3}}
    assert [one["setting"] for one in changes.changed] == ["config.json: task_specific_params.sum.eos_token_id"]


def test_the_command_shows_what_was_done_and_force_replaces_it(work, tmp_path):
    model = copy_of(work, tmp_path / "model")
    arguments = ["transplant", "model", "--vocab", work / "small", "--out", "a/out", "--pad-to-multiple-of", 128]
    done = run(*arguments, where=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert "500 rows kept, 0 from the rows that spell them, 12 from the mean of all" in done.stdout
    assert "config.json: eos_token_id: 700 → 498" in done.stdout
    again = run(*arguments, where=tmp_path)
    check_refusal(again.returncode, again.stdout, again.stderr)
    assert "holds an earlier result" in again.stderr
    assert run(*arguments[:-1], 1, "--force", where=tmp_path).returncode == 0
    assert load_file(tmp_path / "a/out/model.safetensors")["lm_head.bias"].shape == (500,)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["out"]
    (tmp_path / "a/out/mine.txt").write_text("mine")
    refused = run(*arguments, "--force", where=tmp_path)
    assert "holds other files (mine.txt)" in refused.stderr
    assert model.is_dir()


def test_an_id_map_without_a_digest_is_read(work, tmp_path):
    """Earlier versions wrote none, and neither does who writes one by hand."""
    shutil.copytree(work / "small", tmp_path / "small")
    path = tmp_path / "small/id_map.json"
    content = json.loads(path.read_text())
    del content[DIGEST]
    path.write_text(json.dumps(content))
    assert read_id_map(tmp_path / "small") == read_id_map(work / "small")
    transplant(copy_of(work, tmp_path / "model"), tmp_path / "small", tmp_path / "out")
    assert load_file(tmp_path / "out/model.safetensors")["lm_head.bias"].shape == (N_NEW,)


# What is refused


def rewrite_header(path: Path, change) -> None:
    raw = path.read_bytes()
    n = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + n])
    change(header)
    made = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(made)) + made + raw[8 + n :])


def change_json(path: Path, **values) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def offsets(name, begin, end):
    def change(header):
        header[name]["data_offsets"] = [begin, end]

    return lambda m, s: rewrite_header(m / "model.safetensors", change)


def in_entry(**values):
    return lambda m, s: rewrite_header(m / "model.safetensors", lambda h: h["lm_head.bias"].update(values))


def in_config(**values):
    return lambda m, s: change_json(m / "config.json", **values)


def in_index(name):
    def fault(model, small):
        sharded(model)
        path = model / "model.safetensors.index.json"
        weight_map = json.loads(path.read_text())["weight_map"]
        change_json(path, weight_map=weight_map | {"lm_head.weight": name})
        (model.parent / "evil.safetensors").write_bytes(b"")

    return fault


def write(name, content, *gone):
    def fault(model, small):
        for one in gone:
            (model / one).unlink()
        (model / name).write_bytes(content)

    return fault


def link_out(model, small):
    (model / "generation_config.json").symlink_to(small / "id_map.json")


def dropped_id(key):
    def fault(model, small):
        ids = json.loads((small / "id_map.json").read_text())
        change_json(model / "config.json", **{key: int(next(iter(ids["dropped"])))})

    return fault


def another_of_the_same_size(model, small):
    """Two tokens of the model's tokenizer change places."""
    text = (model / "tokenizer.json").read_text()
    settings = json.loads(text)
    pieces = settings["model"]["vocab"]
    pieces["a"], pieces["b"] = pieces["b"], pieces["a"]
    (model / "tokenizer.json").write_text(json.dumps(settings))


def embedding_of(n_rows):
    def fault(model, small):
        tensors = load_file(model / "model.safetensors")
        tensors["model.embed_tokens.weight"] = np.zeros((n_rows, 8), dtype=np.float32)
        save_file(tensors, model / "model.safetensors")

    return fault


def integers(model, small):
    tensors = load_file(model / "model.safetensors")
    tensors["lm_head.weight"] = tensors["lm_head.weight"].astype(np.int8)
    save_file(tensors, model / "model.safetensors")


def change_id_map(path: Path, **values) -> None:
    """Change entries of an id map, which states the digest of what it then holds."""
    write_json(path, with_digest(json.loads(path.read_text()) | values))


def id_map(**values):
    return lambda m, s: change_id_map(s / "id_map.json", **values)


def without_tokenizer(model, small):
    for path in [*model.glob("tok*"), *model.glob("tiny*")]:
        path.unlink()
    tensors = load_file(model / "model.safetensors")
    for name in tensors:
        if N_OLD in tensors[name].shape:
            tensors[name] = np.zeros((2000, 8), dtype=np.float32)
    save_file(tensors, model / "model.safetensors")
    change_json(model / "config.json", vocab_size=2000)


REFUSED = {
    "no model": (lambda m, s: shutil.rmtree(m), "is not a folder"),
    "no config": (lambda m, s: (m / "config.json").unlink(), "has no config.json"),
    "config no JSON": (write("config.json", b"{"), "config.json is not JSON"),
    "config a list": (write("config.json", b"[]"), "config.json is not a JSON object"),
    "no vocab_size": (write("config.json", b"{}"), "has no vocab_size"),
    "vocab_size too small": (in_config(vocab_size=700), "a source of 702 ids"),
    "vocab_size of no tensor": (in_config(vocab_size=5000), "has 702 rows, fewer than"),
    "no weights": (lambda m, s: (m / "model.safetensors").unlink(), "has neither model.safetensors nor"),
    "pickled": (write("pytorch_model.bin", b"x", "model.safetensors"), "pickled weights (pytorch_model.bin)"),
    "pickled pt": (write("consolidated.00.pth", b"x", "model.safetensors"), "pickled weights"),
    "no safetensors file": (write("model.safetensors", b"x" * 99), "is not a safetensors file"),
    "empty": (write("model.safetensors", b""), "is not a safetensors file, or one cut short"),
    "huge header": (write("model.safetensors", struct.pack("<Q", 1 << 62) + b"{}"), "its header would have"),
    "header no JSON": (write("model.safetensors", struct.pack("<Q", 4) + b"{{{{"), "its header cannot be read"),
    "deep header": (
        write("model.safetensors", struct.pack("<Q", 200_000) + b'{"a":' + b"[" * 199_995),
        "its header cannot be read",
    ),
    "name twice": (
        write("model.safetensors", struct.pack("<Q", 13) + b'{"a":1,"a":2}'),
        "appears twice",
    ),
    "entry is none": (write("model.safetensors", struct.pack("<Q", 7) + b'{"a":1}'), "is not that of a tensor"),
    "cut short": (
        lambda m, s: (m / "model.safetensors").write_bytes((m / "model.safetensors").read_bytes()[:-9]),
        "is cut short",
    ),
    "overlap": (offsets("lm_head.bias", 0, N_OLD * 4), "has a header that lies"),
    "beyond the end": (offsets("lm_head.bias", 1 << 40, (1 << 40) + N_OLD * 4), "has a header that lies"),
    "size of another shape": (in_entry(shape=[N_OLD + 1]), "cannot take"),
    "negative shape": (in_entry(shape=[-N_OLD]), "is not that of a tensor"),
    "unknown dtype": (in_entry(dtype="F128"), "of the dtype 'F128'"),
    "dtype a list": (in_entry(dtype=["F32"]), "is not that of a tensor"),
    "shape of another type": (in_entry(shape=[1.0]), "is not that of a tensor"),
    "many dimensions": (in_entry(shape=[1] * 65), "is not that of a tensor"),
    "huge dimension": (in_entry(shape=[1 << 63, 0]), "is not that of a tensor"),
    "deep config": (
        write("config.json", b'{"a":' + b"[" * 60 + b"]" * 60 + b"}"),
        "config.json nests lists and objects too",
    ),
    "link": (link_out, "is a symbolic link out of its folder"),
    "other embedding": (embedding_of(650), "has 650 rows"),
    "index: parent": (in_index("../evil.safetensors"), "only safetensors files of the same folder"),
    "index: absolute": (in_index("/etc/evil.safetensors"), "only safetensors files of the same folder"),
    "index: backslash": (in_index("..\\evil.safetensors"), "only safetensors files of the same folder"),
    "index: pickled": (in_index("pytorch_model.bin"), "only safetensors files of the same folder"),
    "index: missing": (in_index("model-3.safetensors"), "which is not there"),
    "index: other shard": (in_index("model-2.safetensors"), "which is not there"),
    "eos dropped": (dropped_id("eos_token_id"), "a token that tiny lost"),
    "bos unknown": (in_config(bos_token_id=5000), "which is not a token of tiny"),
    "other tokenizer of that size": (another_of_the_same_size, "from another vocabulary (tiny)"),
    "padding without a tokenizer": (without_tokenizer, "put the model's tokenizer.json beside it"),
    "id map: none": (lambda m, s: (s / "id_map.json").unlink(), "has no id_map.json"),
    "id map: no JSON": (lambda m, s: (s / "id_map.json").write_text("x"), "is not JSON"),
    "id map: incomplete": (lambda m, s: (s / "id_map.json").write_text("{}"), "is not the id map of a pruning"),
    "id map: changed": (lambda m, s: change_json(s / "id_map.json", n_new=499), "another digest than it states"),
    "id map: beyond": (id_map(kept={"900": 1}), "it has the id 900, and n_old is 702"),
    "id map: twice": (id_map(kept={"1": 1, "2": 1}), "it has an id twice"),
    "id map: other result": (id_map(n_new=600), "a tokenizer.json of 500 ids and an id map of 600"),
    "id map: other source": (id_map(n_old=701, kept={"0": 0}), "pruned from a source of 701 ids"),
    "no tokenizer.json": (lambda m, s: (s / "tokenizer.json").unlink(), "has no tokenizer.json"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_cannot_be_is_refused_and_nothing_written(fault, work, tmp_path):
    change, message = REFUSED[fault]
    model = copy_of(work, tmp_path / "model")
    shutil.copytree(work / "small", tmp_path / "small")
    change(model, tmp_path / "small")
    before = entries(tmp_path)
    with pytest.raises(SourceError, match=r".") as caught:
        transplant(model, tmp_path / "small", tmp_path / "out")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert entries(tmp_path) == before


def test_rows_that_need_a_mean_need_floats(work, tmp_path):
    model = copy_of(work, tmp_path / "model")
    integers(model, None)
    transplant(model, work / "small", tmp_path / "copied")
    assert load_file(tmp_path / "copied/model.safetensors")["lm_head.weight"].dtype == np.int8
    with pytest.raises(SourceError, match=r"lm_head\.weight has the dtype I8, whose rows cannot be averaged"):
        transplant(model, work / "small", tmp_path / "out", pad_to_multiple_of=64)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("out", ["model", "model/out", ".", "small/out", "small"])
def test_out_may_not_lie_in_an_input(out, work, tmp_path):
    copy_of(work, tmp_path / "model")
    shutil.copytree(work / "small", tmp_path / "small")
    before = entries(tmp_path)
    with pytest.raises(OutputError, match="are the same folder, or one is in the other"):
        transplant(tmp_path / "model", tmp_path / "small", tmp_path / out, force=True)
    assert entries(tmp_path) == before


@pytest.mark.parametrize("broken", ["room", "write"])
def test_a_full_disk_leaves_nothing(broken, work, tmp_path, monkeypatch):
    if broken == "room":
        monkeypatch.setattr(staged_folders.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    else:

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(rows.os, "write", full)
    with pytest.raises(OutputError, match=r"GB free, and the result takes|No space left on device"):
        transplant(work / "model", work / "small", tmp_path / "a/out")
    assert entries(tmp_path) == {}


def test_a_file_is_no_target(work, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match="is a file"):
        transplant(work / "model", work / "small", tmp_path / "out", force=True)
    with pytest.raises(OutputError, match="cannot be written"):
        transplant(work / "model", work / "small", tmp_path / "out/b")
    assert (tmp_path / "out").read_text() == "mine"


def test_ctrl_c_leaves_nothing_and_the_earlier_result(work, tmp_path):
    transplant(work / "model", work / "small", tmp_path / "out")
    before = entries(tmp_path)

    def stop(stage, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transplant(work / "model", work / "small", tmp_path / "out", force=True, on_progress=stop)
    assert entries(tmp_path) == before


KILLED = """
import os, signal, sys
from vocab.interop.transplants.transplant import transplant
transplant(*sys.argv[1:], on_progress=lambda *progress: os.kill(os.getpid(), signal.SIGKILL))
"""


def test_what_a_killed_run_left_is_removed_by_the_next(work, tmp_path):
    arguments = [str(work / "model"), str(work / "small"), str(tmp_path / "out")]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == [".out-unfinished"]
    transplant(*arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in (tmp_path / "out").glob(".*")] == [MARK]


def test_two_runs_at_once_do_not_meet(work, tmp_path):
    def again(stage, done, total):
        with pytest.raises(OutputError, match="is being written by another run"):
            transplant(work / "model", work / "small", tmp_path / "out")

    transplant(work / "model", work / "small", tmp_path / "out", on_progress=again)
    assert (tmp_path / "out/model.safetensors").is_file()


def test_a_header_is_read_as_it_was_written(tmp_path):
    tensors = (Tensor("é", "F32", (2, 3), 0, 24), Tensor("b", "BF16", (), 24, 26), Tensor("none", "U8", (0, 4), 26, 26))
    raw = header_bytes(tensors, {"format": "pt"})
    (tmp_path / "x.safetensors").write_bytes(raw + bytes(26))
    found = read_header(tmp_path / "x.safetensors")
    assert (found.tensors, found.metadata, found.data_start) == (tensors, {"format": "pt"}, len(raw))
    assert len(raw) % 8 == 0
