"""Draft vocabularies: d2t and t2d as EAGLE-3 has them, hot token ids as SGLang loads them, none of another target."""

import io
import json
import pickle
import zipfile
from collections import Counter

import numpy as np
import pytest
from helpers.cli import check_refusal, run
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import vocab
from vocab.corpus.counting import CorpusCounts, count_documents
from vocab.errors import OutputError, SourceError, TargetError
from vocab.interop.serving.draft import draft_of_most_used, draft_of_result
from vocab.interop.serving.draft_file import load_draft, write_draft
from vocab.interop.serving.token_uses import uses_of_corpus
from vocab.prune import Candidates, prune
from vocab.vocabulary import Provenance, Vocabulary

SPECIAL = {"<|endoftext|>": 3000, "<|end|>": 3005}  # ids may have holes
FORMATS = ["eagle3", "sglang", "gguf"]


@pytest.fixture(scope="module")
def target(cl100k):
    tokens = list(cl100k.tokens())[:3000]
    return Vocabulary.from_tokens(tokens, cl100k.pattern, SPECIAL, provenance=Provenance("target", "ab" * 32))


@pytest.fixture(scope="module")
def texts(real_text):
    return [real_text[k : k + 2000] for k in range(0, 200_000, 2000)]


@pytest.fixture(scope="module")
def result(target, texts):
    """With tokens that the target lacks and ranks in another order, neither of which a draft vocabulary knows."""
    corpus = CorpusCounts((count_documents(texts, "texts", target.pattern, 1),))
    wanted = Candidates(others=("corpus",), min_documents=5)
    found = prune(target, 1000, corpus=corpus, candidates=wanted, special=["<|new|>"], ranks="reorder")
    assert found.new_ids.size > 10
    return found


@pytest.fixture(scope="module")
def folder(result, tmp_path_factory):
    place = tmp_path_factory.mktemp("draft") / "target-1000"
    result.save(place)
    return place


def test_a_result_becomes_a_draft_vocabulary(folder, result, target, tmp_path):
    write_draft(draft_of_result(folder), tmp_path / "x.safetensors", "eagle3")
    tensors = load_file(tmp_path / "x.safetensors")
    assert (tensors["d2t"].dtype, tensors["t2d"].dtype) == (np.int64, np.bool_)
    ids = np.arange(tensors["d2t"].size) + tensors["d2t"]
    assert ids.tolist() == sorted(result.id_map)
    assert tensors["t2d"].shape == (3006,)
    assert np.flatnonzero(tensors["t2d"]).tolist() == ids.tolist()
    with safe_open(tmp_path / "x.safetensors", "np") as file:
        assert file.metadata()["source_sha256"] == "ab" * 32
    assert np.array_equal(load_draft(tmp_path / "x.safetensors", target).target_ids, ids)


def test_the_most_used_ids_are_those_of_the_targets_own_encoder(target, texts):
    corpus = CorpusCounts((count_documents(texts, "texts", target.pattern, 1),))
    counts = corpus.train
    uses = Counter()
    for pretoken, n in zip(counts.pretokens(), counts.counts.tolist(), strict=True):
        uses.update({k: n * m for k, m in Counter(target.encode(pretoken.decode())).items()})
    expected = sorted(range(3000), key=lambda k: (-uses[k], k))[:298]
    draft = draft_of_most_used(target, 300, uses_of_corpus(target, corpus))
    assert draft.target_ids.tolist() == sorted([*expected, 3000, 3005])


@pytest.mark.parametrize("file_format", FORMATS)
def test_what_is_written_is_read_and_another_target_refused(file_format, folder, target, tmp_path):
    draft, path = draft_of_result(folder), tmp_path / "a/draft"
    write_draft(draft, path, file_format)
    found = load_draft(path, target)
    assert np.array_equal(found.target_ids, draft.target_ids)
    assert (found.n_target, found.source, found.source_sha256) == (3006, "target", "ab" * 32)
    tokens = list(target.tokens())
    first, second = [k for k in draft.target_ids.tolist() if 260 < k < 3000][:2]
    tokens[first], tokens[second] = tokens[second], tokens[first]
    other = Vocabulary.from_tokens(tokens, target.pattern, SPECIAL, provenance=Provenance("other"))
    with pytest.raises(SourceError, match=r"of another target \(target, 3,006 ids\) than other \(3,006 ids\)"):
        load_draft(path, other)
    smaller = Vocabulary.from_tokens(list(target.tokens())[:2000], target.pattern, provenance=Provenance("smaller"))
    with pytest.raises(SourceError, match="of another target"):
        load_draft(path, smaller)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="is there already"):
        write_draft(draft, path, file_format)
    write_draft(draft, path, file_format, force=True)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["draft"]


def test_rows_of_a_padded_target(folder, tmp_path):
    draft = draft_of_result(folder)
    write_draft(draft, tmp_path / "x", "eagle3", n_rows=3072)
    assert load_file(tmp_path / "x")["t2d"].shape == (3072,)
    with pytest.raises(TargetError, match="which 3,000 rows cannot hold"):
        write_draft(draft, tmp_path / "y", "eagle3", n_rows=3000)
    assert not (tmp_path / "y").exists()


def test_torch_loads_the_list_as_sglang_does(folder, result, tmp_path):
    torch = pytest.importorskip("torch")
    write_draft(draft_of_result(folder), tmp_path / "hot.pt", "sglang")
    ids = torch.tensor(torch.load(tmp_path / "hot.pt", weights_only=True), dtype=torch.int64)
    assert ids.tolist() == sorted(result.id_map)


def rezipped(raw, **changed):
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            content = changed.get(name.split("/")[1].replace(".", "_"), old.read(name))
            if content is not None:
                new.writestr(name, content)
    return made.getvalue()


class Evil:
    def __reduce__(self):
        return (pytest.fail, ("something was unpickled",))


BROKEN = {
    "another pickle": lambda raw: rezipped(raw, data_pkl=pickle.dumps(list(range(5)))),
    "evil pickle": lambda raw: rezipped(raw, data_pkl=pickle.dumps(Evil())),
    "no facts": lambda raw: rezipped(raw, vocab_json=None),
    "facts no JSON": lambda raw: rezipped(raw, vocab_json=b"{"),
    "facts a list": lambda raw: rezipped(raw, vocab_json=b"[]"),
    "ids not rising": lambda raw: rezipped(raw, vocab_json=changed_facts(raw, ids=[3, 2])),
    "ids beyond": lambda raw: rezipped(raw, vocab_json=changed_facts(raw, ids=[3, 9999])),
    "ids nested": lambda raw: rezipped(raw, vocab_json=changed_facts(raw, ids=[[3]])),
    "ids huge": lambda raw: rezipped(raw, vocab_json=changed_facts(raw, ids=[2**70])),
    "cut short": lambda raw: raw[:-30],
    "empty": lambda raw: b"",
}


def changed_facts(raw, **values):
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return json.dumps(json.loads(archive.read("hot_token_ids/vocab.json")) | values)


@pytest.mark.parametrize("fault", BROKEN)
def test_a_damaged_list_is_refused_and_never_unpickled(fault, folder, target, tmp_path):
    write_draft(draft_of_result(folder), tmp_path / "x", "sglang")
    (tmp_path / "x").write_bytes(BROKEN[fault]((tmp_path / "x").read_bytes()))
    with pytest.raises(SourceError, match=r"x (is|has)"):
        load_draft(tmp_path / "x", target)


@pytest.mark.parametrize("fault", ["no metadata", "other tensors", "contradiction", "missing"])
def test_damaged_tensors_are_refused(fault, folder, target, tmp_path):
    path = tmp_path / "x"
    write_draft(draft_of_result(folder), path, "eagle3")
    tensors = load_file(path)
    with safe_open(path, "np") as file:
        metadata = file.metadata()
    if fault == "other tensors":
        tensors["more"] = tensors["d2t"]
    if fault == "contradiction":
        tensors["t2d"][0] ^= True
    if fault == "missing":
        path.unlink()
    else:
        save_file(tensors, path, None if fault == "no metadata" else metadata)
    with pytest.raises(SourceError, match=r"x (is|cannot)"):
        load_draft(path, target)


@pytest.mark.slow
def test_the_command(folder, tmp_path, texts):
    (tmp_path / "text.txt").write_text("".join(texts[:50]), encoding="utf-8")
    done = run("draft", folder, "--format", "eagle3", "--out", "d.safetensors", "--target-rows", 3008, where=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        done.stdout == f"Wrote d.safetensors: {draft_of_result(folder).target_ids.size} of the 3,006 ids of target.\n"
    )
    arguments = ["draft", folder, "--size", "0.4k", "--corpus", "text.txt", "--format", "sglang", "--out", "hot.pt"]
    assert run(*arguments, where=tmp_path).returncode == 0
    assert load_draft(tmp_path / "hot.pt", vocab.load(folder)).target_ids.size == 400
    small = [2 if one == "0.4k" else one for one in arguments]
    for tried, message in (([*small, "--force"], "has from 4 to 1,000 ids"), (arguments, "is there already")):
        refused = run(*tried, where=tmp_path)
        check_refusal(refused.returncode, refused.stdout, refused.stderr)
        assert message in refused.stderr
    refused = run("draft", folder, "--corpus", "text.txt", "--format", "sglang", "--out", "x", where=tmp_path)
    assert "a corpus is for --size" in refused.stderr
