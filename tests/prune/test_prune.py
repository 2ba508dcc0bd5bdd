"""`prune` from end to end: what is kept, and figures that tiktoken and Hugging Face arrive at themselves."""

import dataclasses
import itertools
import json
import sysconfig
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import tiktoken
import xxhash
from helpers.oracles import METHODS as INFERENCE_METHODS
from helpers.oracles import SINGLE_BYTES

import vocab
from vocab.analysis.comparison import compare
from vocab.choices import InferenceMethod, Method
from vocab.corpus.counting import CorpusCounts
from vocab.corpus.profile import builtin_profile
from vocab.errors import CorpusError, SourceError, TargetError
from vocab.prune import METHODS, PruneResult, prune
from vocab.prune.candidates.prior import with_prior
from vocab.prune.card import model_card
from vocab.splitting import CL100K_REGEX, GPT2_REGEX, SplitPattern
from vocab.vocabulary import Provenance, Vocabulary
from vocab.writing import MARK, with_digest

TARGET = 4000
N_SPECIAL = 5
N_RANKS = 20_000  # of the source that every method and inference method is tried on
KEEP = [b" university", "ę".encode(), b"\xe2\x98"]
NEW_SPECIAL = ["<|user|>", "<|assistant|>"]
PARTS = {"code": "[a-m]*.py", "more": "[n-z]*.py"}


@pytest.fixture(scope="module")
def documents() -> dict[str, list[str]]:
    """Two corpora of the standard library's own files, a document a file."""
    root = Path(sysconfig.get_paths()["stdlib"])
    found = {name: sorted(root.glob(glob))[:30] for name, glob in PARTS.items()}
    return {name: [path.read_text("utf-8", "replace")[:15_000] for path in paths] for name, paths in found.items()}


@pytest.fixture(scope="module")
def places(documents, tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("corpus")
    for name, texts in documents.items():
        lines = [json.dumps({"text": text}) for text in texts]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [str(folder / f"{name}.jsonl") for name in documents]


@pytest.fixture(scope="module")
def whole() -> Vocabulary:
    return vocab.load("cl100k_base")


@pytest.fixture(scope="module")
def source(whole) -> Vocabulary:
    """The first ranks of cl100k_base, and its special tokens with the same gaps between their ids."""
    shift = N_RANKS - whole.n_tokens
    special = {text: id_ + shift for text, id_ in whole.special_tokens.items()}
    tokens = itertools.islice(whole.tokens(), N_RANKS)
    return Vocabulary.from_tokens(tokens, whole.pattern, special, provenance=Provenance("first ranks"))


@pytest.fixture(scope="module")
def tiktoken_source(source, whole, tiktoken_cl100k) -> dict[str, tiktoken.Encoding]:
    """Both sources in tiktoken itself, by name."""
    ranks = {token: rank for rank, token in enumerate(source.tokens())}
    first = tiktoken.Encoding("first", pat_str=CL100K_REGEX, mergeable_ranks=ranks, special_tokens={})
    return {source.name: first, whole.name: tiktoken_cl100k}


@pytest.fixture(scope="module")
def corpus(places, source):
    return vocab.count(places, source.pattern, n_threads=1)


# The searches are slow, and know of inference methods only what distilling knows.
SEARCHES = ("tokenmonster", "optimal")
COMBINATIONS = [
    *itertools.product([method for method in METHODS if method not in SEARCHES], INFERENCE_METHODS),
    *itertools.product(SEARCHES, ["least-tokens"]),
]


@pytest.fixture(scope="module")
def results(source, corpus) -> dict[tuple[str, str], PruneResult]:
    """Every method under every inference method, on one thread."""
    return {(method, inference): pruned(source, corpus, method, inference) for method, inference in COMBINATIONS}


def pruned(source: Vocabulary, corpus: CorpusCounts, method: Method, inference: InferenceMethod) -> PruneResult:
    settings = {"method": method, "inference": inference, "keep": KEEP, "special": NEW_SPECIAL}
    return prune(source, TARGET, corpus=corpus, n_threads=1, **settings)


@pytest.fixture(scope="module")
def result_of_whole(whole, corpus) -> PruneResult:
    """The usual method, on all of cl100k_base."""
    return pruned(whole, corpus, "distill", "merges")


@pytest.fixture(params=[*COMBINATIONS, ("cl100k_base",)], ids="-".join)
def result(request) -> PruneResult:
    if request.param == ("cl100k_base",):
        return request.getfixturevalue("result_of_whole")
    return request.getfixturevalue("results")[request.param]


def is_held_out(text: str) -> bool:
    return xxhash.xxh64_intdigest(text.encode()) % 10 == 0


def sides(texts: Iterable[str]) -> tuple[list[str], list[str]]:
    texts = list(texts)
    return [t for t in texts if not is_held_out(t)], [t for t in texts if is_held_out(t)]


def n_bytes(texts: Iterable[str]) -> int:
    return sum(len(text.encode()) for text in texts)


def peer_tokens(vocabulary: Vocabulary, texts: list[str]) -> int:
    """Tokens by somebody else's encoder."""
    if vocabulary.inference == "merges":
        return sum(map(len, vocabulary.to_tiktoken().encode_ordinary_batch(texts, num_threads=2)))
    if vocabulary.inference == "ungreedy":
        return sum(map(vocabulary.count_tokens, texts))
    found = vocabulary.to_tokenizers().encode_batch_fast(texts, add_special_tokens=False)
    return sum(len(encoding) for encoding in found)


# What is kept


@pytest.mark.slow
def test_there_are_exactly_as_many_ids_as_asked_for(result):
    new = result.vocabulary
    assert (new.n_ids, new.max_id) == (TARGET, TARGET - 1)
    n_special = N_SPECIAL + len(NEW_SPECIAL)
    assert sorted(new.special_tokens.values()) == list(range(TARGET - n_special, TARGET))
    assert new.n_tokens == TARGET - n_special == len(set(new.tokens()))
    assert result.report.n_ordinary == new.n_tokens
    assert result.report.n_special == n_special
    assert result.report.result.n_ids == TARGET


@pytest.mark.slow
def test_special_tokens_stand_last_old_ones_first(result):
    old = result.source.special_tokens
    expected = [*sorted(old, key=old.get), *NEW_SPECIAL]
    assert sorted(result.vocabulary.special_tokens, key=result.vocabulary.special_tokens.get) == expected
    ids = result.vocabulary.encode("a<|user|>b<|endoftext|>", allow_special=True)
    assert ids[1] == result.vocabulary.special_tokens["<|user|>"] == TARGET - 2
    assert ids[3] == TARGET - 7


@pytest.mark.slow
def test_single_bytes_and_tokens_to_keep_are_there(result):
    assert set(SINGLE_BYTES) | set(KEEP) <= set(result.vocabulary.tokens())


@pytest.mark.slow
def test_ranks_keep_their_order(result):
    assert np.all(np.diff(result.kept_ids) > 0)
    assert [result.source[k] for k in result.kept_ids.tolist()] == list(result.vocabulary.tokens())


@pytest.mark.slow
def test_inference_and_pattern_are_those_asked_for(results, source):
    for (method, inference), result in results.items():
        assert result.vocabulary.inference == result.report.inference == inference
        assert result.report.method == result.report.result.name == method
        assert result.vocabulary.pattern == source.pattern
        assert result.vocabulary.name == "first ranks-4000"


@pytest.mark.slow
def test_rank_keeps_the_first_ranks(results, source):
    fixed = {source.token_ids[token] for token in [*SINGLE_BYTES, *KEEP]}
    others = [k for k in range(source.n_tokens) if k not in fixed]
    expected = sorted([*fixed, *others[: TARGET - N_SPECIAL - len(NEW_SPECIAL) - len(fixed)]])
    for inference in INFERENCE_METHODS:
        kept = results["rank", inference].kept_ids.tolist()
        # Ranks that no text can produce make way for the next.
        assert len(set(kept) ^ set(expected)) <= 20


# Figures


@pytest.mark.slow
def test_the_whole_source_is_measured_as_tiktoken_does(result, documents, tiktoken_source):
    peer = tiktoken_source[result.source.name]
    texts = [text for part in documents.values() for text in part]
    row = result.report.rows[0]
    for figures, side in zip((row.train, row.held_out), sides(texts), strict=True):
        assert figures.n_bytes == n_bytes(side)
        assert figures.n_tokens == sum(map(len, peer.encode_ordinary_batch(side)))
    assert row.held_out.n_bytes > 10_000  # or the test says little
    n_ids = {"first ranks": N_RANKS + N_SPECIAL, "cl100k_base": 100_261}
    assert (row.inference, row.n_ids) == ("merges", n_ids[result.source.name])
    assert row.name.startswith(result.source.name)
    assert (row.train_change, row.held_out_change) == (0, 0)


@pytest.mark.slow
def test_the_result_is_measured_as_its_runtime_does(result, documents, places):
    row, whole = result.report.result, result.report.rows[0]
    totals = [0, 0]
    for place, texts in zip(places, documents.values(), strict=True):
        part = row.parts[place]
        for k, (name, side) in enumerate(zip(("train", "held_out"), sides(texts), strict=True)):
            n_tokens = peer_tokens(result.vocabulary, side)
            assert part[f"{name}_bytes"] == n_bytes(side)
            assert part[f"{name}_tokens"] == n_tokens
            assert part[f"{name}_change"] == pytest.approx(n_tokens / whole.parts[place][f"{name}_tokens"] - 1)
            totals[k] += n_tokens
    assert [row.train.n_tokens, row.held_out.n_tokens] == totals
    assert row.train.bytes_per_token == row.train.n_bytes / totals[0]
    assert row.held_out_change == pytest.approx(totals[1] / whole.held_out.n_tokens - 1)


@pytest.mark.slow
def test_baselines_are_those_that_their_own_runs_give(results):
    for (method, inference), result in results.items():
        names = [row.name for row in result.report.rows[1:]]
        baselines = [name for name in ("rank", "frequency", "leaf") if name != method]
        assert names == [method, *baselines]
        for row in result.report.rows[2:]:
            own = results[row.name, inference].report.result
            # The run itself exchanges tokens that no text produces, which can only touch few.
            assert row.train.n_tokens == pytest.approx(own.train.n_tokens, rel=1e-3)


def test_a_prior_adds_every_token_to_the_counts(source, corpus):
    evidence = with_prior(corpus.train, source, 0.1)
    pretokens = evidence.counts.pretokens()
    assert pretokens == sorted(set(pretokens))
    expected = Counter(dict(zip(source.tokens(), evidence.pseudo.tolist(), strict=True)))
    for pretoken, n in zip(corpus.train.pretokens(), corpus.train.counts.tolist(), strict=True):
        expected[pretoken] += evidence.scale * n
    assert dict(zip(pretokens, evidence.counts.counts.tolist(), strict=True)) == expected
    assert evidence.pseudo.sum() == pytest.approx(0.1 * evidence.scale * corpus.train.n_occurrences, rel=0.01)


@pytest.mark.slow
def test_the_frequency_baseline_keeps_the_most_used(results, source, documents, tiktoken_source):
    train = sides(text for part in documents.values() for text in part)[0]
    ids = np.concatenate([np.array(x) for x in tiktoken_source[source.name].encode_ordinary_batch(train)])
    uses = np.bincount(ids, minlength=source.n_tokens)[: source.n_tokens]
    fixed = {source.token_ids[token] for token in [*SINGLE_BYTES, *KEEP]}
    order = sorted((k for k in range(source.n_tokens) if k not in fixed), key=lambda k: (-uses[k], k))
    kept = sorted([*fixed, *order[: TARGET - N_SPECIAL - len(NEW_SPECIAL) - len(fixed)]])
    peer = Vocabulary.from_tokens([source[k] for k in kept], source.pattern).to_tiktoken()
    expected = sum(map(len, peer.encode_ordinary_batch(train)))
    row = next(row for row in results["distill", "merges"].report.rows if row.name == "frequency")
    assert row.train.n_tokens == expected


@pytest.mark.slow
@pytest.mark.parametrize("inference", INFERENCE_METHODS)
def test_distilling_needs_the_fewest_training_tokens(results, inference):
    rows = {row.name: row.train.n_tokens for row in results["distill", inference].report.rows}
    assert rows["distill"] <= rows["frequency"]
    assert rows["distill"] <= rows["leaf"]
    assert rows["distill"] < rows["rank"]
    for method in ("rank", "frequency", "leaf"):
        assert rows["distill"] <= results[method, inference].report.result.train.n_tokens


@pytest.mark.slow
def test_least_tokens_needs_no_more_than_merges(results):
    for method in ("rank", "frequency", "leaf"):
        least = results["distill", "least-tokens"].report.rows
        merged = results["distill", "merges"].report.rows
        tokens = [next(row.train.n_tokens for row in rows if row.name == method) for rows in (least, merged)]
        assert tokens[0] <= tokens[1]


@pytest.mark.slow
def test_unused_tokens_are_counted(result, documents):
    texts = [text for part in documents.values() for text in part]
    ids = np.concatenate([np.array(result.vocabulary.encode(text), dtype=np.int64) for text in texts])
    assert result.report.result.n_unused == result.vocabulary.n_tokens - np.unique(ids).size


@pytest.mark.slow
def test_every_token_can_be_produced(result, documents):
    assert result.report.n_unreachable == 0
    new = result.vocabulary
    produced = {k for part in documents.values() for text in part for k in new.encode(text)}
    left = [k for k in range(new.n_tokens) if k not in produced and len(new[k]) > 1 and new[k] not in KEEP]
    witnesses = {k: new[k].decode(errors="replace") for k in left}
    # What is left must come out of the token's own text, or be a part of a character.
    stuck = [new[k] for k, text in witnesses.items() if k not in new.encode(text) and "\ufffd" not in text]
    assert stuck == []


@pytest.mark.slow
def test_report_says_what_was_done(result_of_whole, places):
    report = result_of_whole.report.as_json()
    assert report["source"]["name"] == "cl100k_base"
    assert report["source"]["sha256"].startswith("223921b7")
    assert report["seed"] is None
    assert [part["name"] for part in report["corpus"]["parts"]] == places
    assert not report["corpus"]["is_builtin_profile"]
    assert report["corpus"]["notes"] == []
    assert {"python", "vocabkit", "numba", "tiktoken"} <= set(report["versions"])
    assert all(seconds >= 0 for seconds in report["seconds"].values())
    assert report["size"]["padded_rows"] == TARGET
    json.dumps(report)


def test_padding_is_reported_and_invents_no_ids(source, corpus):
    result = prune(source, 3001, corpus=corpus, method="rank", pad_to_multiple_of=128)
    assert result.vocabulary.n_ids == 3001
    assert result.report.as_json()["size"]["padded_rows"] == 3072


@pytest.mark.slow
def test_progress_is_heard(source, corpus):
    heard = []
    prune(source, TARGET, corpus=corpus, inference="least-tokens", on_progress=lambda *x: heard.append(x))
    stages = [stage for stage, _, _ in heard]
    assert "drop tokens" in stages
    assert all(0 <= done <= total for _, done, total in heard)


# Ids


@pytest.mark.slow
def test_old_ids_lead_to_new_ones(result):
    source, new = result.source, result.vocabulary
    stored = result.id_map_json()
    kept = {int(k): v for k, v in stored["kept"].items()}
    dropped = {int(k): v for k, v in stored["dropped"].items()}
    assert kept == result.id_map
    assert sorted([*kept, *dropped]) == sorted([*range(source.n_tokens), *source.special_tokens.values()])
    assert sorted(dropped) == result.dropped_ids.tolist()
    assert (stored["n_old"], stored["n_new"]) == (source.max_id + 1, TARGET)
    special = set(source.special_tokens.values())
    old_tokens, new_tokens = list(source.tokens()), list(new.tokens())
    assert all(old_tokens[old] == new_tokens[new_id] for old, new_id in kept.items() if old not in special)
    assert all(new.special_tokens[text] == kept[id_] for text, id_ in source.special_tokens.items())
    assert all(b"".join(map(new_tokens.__getitem__, ids)) == old_tokens[old] for old, ids in dropped.items())
    assert all(len(ids) > 1 for ids in dropped.values())


# Files


def test_a_card_shows_a_hostile_name_and_obeys_nothing(cl100k, tmp_path):
    """Names of a source and of a corpus may hold Markdown, HTML and control characters."""
    name = "![x](http://evil/x.png)<script>|*b*\x1b[2J\n# h"
    tokens = list(cl100k.tokens())[:400]
    source = Vocabulary.from_tokens(tokens, cl100k.pattern, provenance=Provenance(name))
    result = prune(source, 300, method="rank")
    card = model_card(result.report, result.vocabulary, "small")
    shown = r"!\[x\](http://evil/x.png)\<script\>\|\*b\*\\x1b\[2J\\n# h"
    assert card.count(shown) == 2  # the source, and its row
    assert card.count("evil") == card.count(shown)
    assert "\x1b" not in card
    assert "tiktoken.Encoding(" in card  # the way to load what merges run


@pytest.mark.slow
@pytest.mark.parametrize("inference", INFERENCE_METHODS)
def test_saved_files_give_the_vocabulary_back(results, inference, tmp_path):
    result = results["distill", inference]
    paths = result.save(tmp_path / "out")
    assert sorted(paths) == sorted(path for path in (tmp_path / "out").iterdir() if path.name != MARK)
    assert vocab.load(tmp_path / "out") == result.vocabulary
    assert json.loads((tmp_path / "out/id_map.json").read_text()) == with_digest(result.id_map_json())
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report == json.loads(json.dumps(result.report.as_json()))
    card = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    assert all(f"| {row.name} | {row.inference} | {row.n_ids:,} |" in card for row in result.report.rows)
    assert ("tiktoken.Encoding(" in card) == (inference == "merges")
    assert f"{result.report.result.held_out.bytes_per_token:.3f}" in card


@pytest.mark.slow
@pytest.mark.parametrize("inference", INFERENCE_METHODS)
def test_results_do_not_depend_on_threads(results, source, places, inference, tmp_path):
    corpus = vocab.count(places, source.pattern, n_threads=3)
    again = prune(source, TARGET, corpus=corpus, inference=inference, keep=KEEP, special=NEW_SPECIAL, n_threads=3)
    again.save(tmp_path / "of three threads")
    results["distill", inference].save(tmp_path / "of one")
    assert stored(tmp_path / "of three threads") == stored(tmp_path / "of one")


def stored(folder: Path) -> dict[str, object]:
    """All files, less the times that the run took."""
    files: dict[str, object] = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != MARK}
    files["report.json"] = {k: v for k, v in json.loads(files["report.json"]).items() if k != "seconds"}
    return files


# Small corpora


def document(held_out: bool) -> str:
    """A short document on the side asked for."""
    return next(t for k in itertools.count() if is_held_out(t := f"Document {k} is short.\n") == held_out)


@pytest.mark.slow
@pytest.mark.parametrize(("inference", "target"), [("merges", 32_000), ("least-tokens", 8_000)])
def test_one_short_document_still_gives_a_whole_vocabulary(whole, tmp_path, inference, target):
    (tmp_path / "one.txt").write_text(document(held_out=False))
    corpus = vocab.count(tmp_path / "one.txt", whole.pattern)
    result = prune(whole, target, corpus=corpus, inference=inference)
    assert (result.vocabulary.n_ids, result.vocabulary.max_id) == (target, target - 1)
    assert result.report.n_unreachable == 0
    assert len(set(result.vocabulary.tokens())) == target - N_SPECIAL
    row = result.report.result
    assert row.train.n_tokens == result.report.rows[0].train.n_tokens
    assert (row.held_out.n_bytes, row.held_out.n_tokens, row.held_out_change) == (0, 0, 0)
    texts = [token.decode() for token in result.vocabulary.tokens() if is_text(token)]
    odd = [t for t in texts if result.vocabulary.token_ids[t.encode()] not in result.vocabulary.encode(t)]
    assert odd == []  # nothing had to be repaired that a user would miss
    result.save(tmp_path / "out")


def is_text(token: bytes) -> bool:
    try:
        token.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_corpus_that_is_held_out_whole(source, tmp_path, method):
    (tmp_path / "one.txt").write_text(document(held_out=True))
    small = Vocabulary.from_tokens(list(source.tokens())[:3000], source.pattern, {"<|end|>": 3000})
    corpus = vocab.count(tmp_path / "one.txt", small.pattern)
    result = prune(small, 1000, corpus=corpus, method=method)
    assert result.vocabulary.n_ids == 1000
    row = result.report.result
    assert row.train.n_bytes + row.held_out.n_bytes == len(document(held_out=True))
    result.save(tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("inference", INFERENCE_METHODS)
def test_the_least_target_leaves_single_bytes(source, corpus, inference):
    result = prune(source, 256 + N_SPECIAL, corpus=corpus, inference=inference)
    assert sorted(result.vocabulary.tokens()) == SINGLE_BYTES
    assert result.report.result.train.n_tokens == result.report.result.train.n_bytes


def test_the_largest_target_drops_one(source, tmp_path):
    (tmp_path / "one.txt").write_text(document(held_out=False))
    small = Vocabulary.from_tokens(list(source.tokens())[:2000], source.pattern, {"<|end|>": 2000})
    corpus = vocab.count(tmp_path / "one.txt", small.pattern)
    result = prune(small, 2000, corpus=corpus)
    assert result.dropped_ids.size == 1
    result.save(tmp_path / "out")


def test_a_source_of_another_inference_method(source, corpus):
    least = Vocabulary.from_tokens(list(source.tokens())[:5000], source.pattern, inference="least-tokens")
    result = prune(least, 2000, corpus=corpus, inference="least-tokens")
    rows = result.report.rows
    assert rows[0].inference == "least-tokens"
    assert rows[0].train.n_tokens < rows[1].train.n_tokens
    assert result.id_map == {old: new for new, old in enumerate(result.kept_ids.tolist())}


# The built-in profile


def test_the_builtin_profile_has_parts_weights_and_held_out_text(source):
    profile = builtin_profile(source.pattern)
    assert profile.is_builtin
    assert 0 <= profile.prior < 10
    assert len(profile.parts) >= 5
    assert len({part.name for part in profile.parts}) == len(profile.parts)
    for part in profile.parts:
        assert part.weight >= 1
        assert part.train.n_pretokens > 0
        assert part.tally.n_documents > 0
        assert part.train.pattern_sha256 == part.held_out.pattern_sha256 == source.pattern.sha256
        pretokens = part.train.pretokens()
        assert pretokens == sorted(set(pretokens))
        assert int(part.train.counts.min()) > 0
    assert sum(part.held_out.n_pretokens > 0 for part in profile.parts) > len(profile.parts) / 2
    expected = sum(part.train.n_bytes * part.weight for part in profile.parts)
    assert profile.train.n_bytes == expected
    assert builtin_profile(source.pattern) is profile


@pytest.mark.slow
def test_the_builtin_profile_is_split_again_for_another_pattern(source, monkeypatch):
    whole = builtin_profile(source.pattern)
    profile = dataclasses.replace(whole, parts=whole.parts[:2])  # all parts take long
    monkeypatch.setattr("vocab.corpus.profile._stored_profile", lambda: profile)
    other = SplitPattern(GPT2_REGEX)
    again = builtin_profile(other)
    assert again.is_builtin
    assert "split again" in again.notes[1]
    assert again.prior == profile.prior
    for old, new in zip(profile.parts, again.parts, strict=True):
        assert (new.name, new.weight, new.tally) == (old.name, old.weight, old.tally)
        assert new.train.n_bytes == old.train.n_bytes
        assert new.held_out.n_bytes == old.held_out.n_bytes
        assert new.train.pattern_sha256 == other.sha256
    some = again.parts[0].held_out.pretokens()[:5000]
    assert all(other.split(text) == [text] for text in (p.decode() for p in some if is_text(p)))


def test_the_manifest_names_every_part_of_the_profile(source):
    from importlib.resources import files

    manifest = json.loads((files("vocab.corpus") / "profile_manifest.json").read_text(encoding="utf-8"))
    assert {part.name for part in builtin_profile(source.pattern).parts} == set(manifest["domains"])
    for domain in manifest["domains"].values():
        for entry in domain["sources"]:
            assert {"version", "licence", "sha256", "bytes"} <= set(entry)
            assert not any(word in entry["licence"].upper() for word in ("GPL", "GFDL", "CC-BY-SA"))


@pytest.mark.slow
def test_the_builtin_profile_is_used_without_a_corpus(whole):
    result = prune("cl100k_base", 8000, inference="least-tokens")
    report = result.report
    assert result.source == whole
    assert report.corpus["is_builtin_profile"]
    assert "--corpus" in report.corpus["notes"][0]
    assert report.n_unreachable == 0
    assert result.vocabulary.n_ids == 8000
    rows = {row.name: row for row in report.rows}
    assert rows["distill"].train.n_tokens < rows["rank"].train.n_tokens
    assert rows["distill"].held_out.n_tokens < rows["rank"].held_out.n_tokens


# Several tokenizers


@pytest.mark.slow
def test_comparing_gives_the_figures_of_the_report(results, source, places):
    result = results["distill", "merges"]
    calls = []

    def count(pattern):
        calls.append(pattern)
        return vocab.count(places, pattern)

    measured = compare([source, result.vocabulary], count, n_threads=2)
    assert len(calls) == 1
    for m, row in zip(measured, result.report.rows, strict=False):
        assert (m.train, m.held_out) == (row.train, row.held_out)


def test_a_corpus_that_changes_between_patterns_is_refused(source, places):
    other = Vocabulary.from_tokens(SINGLE_BYTES, SplitPattern(GPT2_REGEX))
    some = {source.pattern: places[0], other.pattern: places[1]}
    with pytest.raises(CorpusError, match="the corpus changed"):
        compare([source, other], lambda pattern: vocab.count(some[pattern], pattern))


# What cannot be


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (-5, "too small"),
        (0, "too small"),
        (10, "too small"),
        (260, "the least is 261"),
        (100_261, "nothing to prune"),
        (100_262, "above the 100261 ids"),
        (10_000_000, "above"),
    ],
)
def test_targets_that_cannot_be_met(whole, corpus, target, message):
    with pytest.raises(TargetError, match=message):
        prune(whole, target, corpus=corpus)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"method": "best"}, TargetError, "no method is called 'best'; there are rank, frequency, leaf, tokenmonster"),
        ({"inference": "greedy"}, TargetError, "no inference method is called 'greedy'; there are merges"),
        ({"keep": [b"no such token"]}, TargetError, "b'no such token' is not in first ranks"),
        ({"keep": [b""]}, TargetError, "is not in"),
        ({"special": [""]}, TargetError, "cannot be empty"),
        ({"special": ["<|x|>", "<|x|>"]}, TargetError, "'<|x|>' is there already"),
        ({"special": ["<|endoftext|>"]}, TargetError, "'<|endoftext|>' is there already"),
        ({"pad_to_multiple_of": 0}, TargetError, "at least 1"),
        ({"pad_to_multiple_of": -64}, TargetError, "at least 1"),
    ],
)
def test_options_that_cannot_be_met(source, corpus, settings, error, message):
    with pytest.raises(error) as raised:
        prune(source, TARGET, corpus=corpus, **settings)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_kept_and_special_tokens_count_towards_the_target(source, corpus):
    keep = list(source.tokens())[300:310]
    with pytest.raises(
        TargetError, match=r"266 tokens for single bytes.*, and 7 special tokens always stay, so the least is 273"
    ):
        prune(source, 272, corpus=corpus, keep=keep, special=NEW_SPECIAL)
    assert set(keep) < set(prune(source, 273, corpus=corpus, keep=keep, special=NEW_SPECIAL).vocabulary.tokens())


@pytest.mark.parametrize("text", ["the", "Ġthe", "a"])
def test_a_special_token_that_reads_like_an_ordinary_one(source, corpus, text):
    """tokenizers keeps both kinds under one name, so such a token must be refused or get an id of its own."""
    try:
        result = prune(source, TARGET, corpus=corpus, method="rank", special=[text])
        peer = result.vocabulary.to_tokenizers()
    except (SourceError, TargetError):
        return
    assert peer.get_vocab_size() == TARGET
    assert peer.token_to_id(text) == result.vocabulary.special_tokens[text]


def test_a_corpus_of_another_pattern(source, places):
    other = vocab.count(places, SplitPattern(GPT2_REGEX))
    with pytest.raises(CorpusError, match="another split pattern than that of first ranks"):
        prune(source, TARGET, corpus=other)


def test_a_source_that_cannot_be_loaded():
    with pytest.raises(SourceError, match="no vocabulary is named 'nonsense'"):
        prune("nonsense", TARGET)


def test_a_source_without_all_single_bytes(corpus, source):
    partial = Vocabulary.from_tokens([*SINGLE_BYTES[1:], b"ab", b"abc"], source.pattern)
    with pytest.raises(SourceError, match="lacks 1 of the 243 bytes of UTF-8"):
        prune(partial, 256, corpus=corpus)


def test_a_source_path_is_loaded(corpus, source, tmp_path):
    small = Vocabulary.from_tokens(list(source.tokens())[:3000], source.pattern)
    small.save(tmp_path / "small")
    result = prune(str(tmp_path / "small"), 1000, corpus=corpus, method="leaf")
    assert result.vocabulary.name == "small-1000"
    assert isinstance(result.vocabulary.to_tiktoken(), tiktoken.Encoding)
