"""Candidates beside the source's tokens: the pool, what is chosen from it, its ids, and what is refused."""

import base64
import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from helpers.cli import fails, run
from helpers.oracles import documents_with, occurrences

import vocab
from vocab.corpus.counting import CorpusCounts, count_documents, is_held_out
from vocab.errors import CorpusError, SourceError, TargetError
from vocab.formats import load_tokens
from vocab.prune import Candidates, Limits, PruneResult, best_possible, check_certificate, prune
from vocab.prune.candidates.mining import mine
from vocab.prune.candidates.pool import Pool, default_min_count
from vocab.prune.candidates.prior import default_prior
from vocab.vocabulary import Provenance, Vocabulary

TARGET = 1200
SPECIAL = ["<|endoftext|>"]
KEEP = [b" return", b"self"]
QUICK = Limits(max_steps=60)
MIXED = Candidates(["corpus", "other"], min_count=20)
KINDS = [
    ("optimal", "least-tokens"),
    ("distill", "merges"),
    ("distill", "longest-prefix"),
    ("distill", "ungreedy"),
    ("tokenmonster", "least-tokens"),
]


def rank_file(path: Path, tokens: list[bytes]) -> Path:
    path.write_bytes(b"".join(b"%s %d\n" % (base64.b64encode(token), k) for k, token in enumerate(tokens)))
    return path


@pytest.fixture(scope="module")
def source(cl100k) -> Vocabulary:
    tokens = list(cl100k.tokens())[:2000]
    return Vocabulary.from_tokens(tokens, cl100k.pattern, {SPECIAL[0]: 2000}, provenance=Provenance("small"))


@pytest.fixture(scope="module")
def other(cl100k) -> Vocabulary:
    """Another tokenizer, half of which is the source's."""
    tokens = [bytes([b]) for b in range(256)] + list(cl100k.tokens())[1500:2500]
    return Vocabulary.from_tokens(dict.fromkeys(tokens), cl100k.pattern, provenance=Provenance("other"))


@pytest.fixture(scope="module")
def work(tmp_path_factory, source, other, real_text) -> Path:
    folder = tmp_path_factory.mktemp("candidates")
    source.save(folder / "small")
    rank_file(folder / "tokenizer.model", list(other.tokens()))
    parts = [real_text[k : k + 4000] for k in range(0, 300_000, 4000)]
    (folder / "corpus.jsonl").write_text("".join(json.dumps({"text": part}) + "\n" for part in parts))
    return folder


@pytest.fixture(scope="module")
def corpus(work, source) -> CorpusCounts:
    return vocab.count(work / "corpus.jsonl", source.pattern)


@pytest.fixture(scope="module")
def results(source, other, corpus) -> dict[tuple[str, str], PruneResult]:
    wanted = Candidates(["corpus", other], min_count=20, min_documents=2)
    return {
        (method, inference): prune(
            source,
            TARGET,
            corpus=corpus,
            method=method,
            inference=inference,
            candidates=wanted,
            prior=0,
            keep=KEEP,
            certify=inference != "ungreedy",
            limits=QUICK,
            n_threads=2,
        )
        for method, inference in KINDS
    }


@pytest.fixture(params=KINDS, ids="-".join)
def result(request, results) -> PruneResult:
    return results[request.param]


def pool_of(source, corpus, wanted, protected=None, special=()) -> Pool:
    protected = source.lengths == 1 if protected is None else protected
    return Pool.build(source, protected, corpus, wanted, TARGET, special, 2)


# The pool


def test_the_source_alone_is_its_own_pool(source, corpus):
    pool = pool_of(source, corpus, Candidates())
    assert pool.vocabulary is source
    assert pool.old_ranks.tolist() == list(range(source.n_tokens))


@pytest.mark.slow
def test_the_pool_has_the_source_first_and_then_what_occurs(source, other, corpus):
    pool = pool_of(source, corpus, Candidates(["corpus", other], min_count=30))
    tokens = list(pool.vocabulary.tokens())
    assert tokens[: source.n_tokens] == list(source.tokens())
    assert pool.old_ranks.tolist() == [*range(source.n_tokens), *[-1] * (len(tokens) - source.n_tokens)]
    assert len(set(tokens)) == len(tokens)
    counts = dict(zip(corpus.train.pretokens(), corpus.train.counts.tolist(), strict=True))
    new = tokens[source.n_tokens :]
    n = [occurrences({p: c for p, c in counts.items() if token in p}, token) for token in new[:50] + new[-50:]]
    assert n[:50] == sorted(n[:50], reverse=True)
    assert min(n) > 0
    absent = [t for t in other.tokens() if t not in source.token_ids and not any(t in p for p in counts)]
    assert len(absent) > 100
    assert set(absent).isdisjoint(tokens)
    named = {origin.name: origin for origin in pool.origins}
    assert named["other"].n_found == other.n_tokens
    assert named["other"].n_new == len(set(other.tokens()) - set(source.tokens()) - set(absent))
    assert named["corpus"].n_new == len(set(new) - set(other.tokens())) + len(
        {t for t in set(new) & set(other.tokens()) if t in _mined(corpus, 30)}
    )


def _mined(corpus: CorpusCounts, min_count: int) -> set[bytes]:
    return set(mine(corpus.train, min_count).as_bytes())


@pytest.mark.slow
def test_tokens_in_too_few_documents_are_left_out_of_source_and_others(source, other, corpus):
    protected = source.lengths == 1
    rare = source.n_tokens - 1
    protected[rare] = True
    pool = pool_of(source, corpus, Candidates(["corpus", other], min_count=10, min_documents=6), protected)
    documents = dict(zip(corpus.train.pretokens(), corpus.train.document_counts.tolist(), strict=True))
    expected = [
        k for k in range(source.n_tokens) if protected[k] or documents_with(documents, documents, source[k]) > 5
    ]
    assert pool.old_ranks[: pool.n_own].tolist() == expected
    assert len(expected) < source.n_tokens - 100
    assert pool.summary()["n_of_source_left_out"] == source.n_tokens - len(expected)
    new = list(pool.vocabulary.tokens())[pool.n_own :]
    assert min(documents_with(documents, documents, token) for token in new) >= 6


def test_a_token_that_reads_like_a_special_one_is_no_candidate(source, corpus):
    tokens = [bytes([b]) for b in range(256)]
    others = [b" isinstance", b"isinstance(", "naïve".encode(), b" zzz"]
    other = Vocabulary.from_tokens([*tokens, *others], source.pattern)
    assert b" isinstance" not in source.token_ids
    assert b" isinstance" in list(pool_of(source, corpus, Candidates([other])).vocabulary.tokens())
    with pytest.raises(TargetError, match="adds nothing"):
        pool_of(source, corpus, Candidates([other]), special=["Ġisinstance", "日本"])


def test_the_least_count_follows_the_weights_of_parts(source, work):
    """Ten times the text, or a tenth of the weight, changes nothing."""
    part = vocab.count(work / "corpus.jsonl", source.pattern).parts[0]
    plain = pool_of(source, CorpusCounts((part,)), Candidates(["corpus"], min_count=20))
    heavy = pool_of(source, CorpusCounts((replace(part, weight=512),)), Candidates(["corpus"], min_count=20))
    assert plain.vocabulary == heavy.vocabulary


def test_default_least_count():
    assert default_min_count(0, 32_000) == default_min_count(1_000_000, 32_000) == 4
    assert default_min_count(180_000_000, 32_000) == 87
    assert default_min_count(180_000_000, 8_000) == 351
    assert default_min_count(180_000_000, 32_000, crosses_words=True) == 175


# The result


@pytest.mark.slow
def test_there_are_as_many_ids_as_asked_for_and_old_ones_stand_first(result, source):
    new = result.vocabulary
    assert (new.n_ids, new.max_id) == (TARGET, TARGET - 1)
    n_old = int(np.count_nonzero(result.kept_ids >= 0))
    assert 300 < n_old < new.n_tokens
    assert np.all(np.diff(result.kept_ids[:n_old]) > 0)
    assert np.all(result.kept_ids[n_old:] == -1)
    assert [source[k] for k in result.kept_ids[:n_old].tolist()] == list(new.tokens())[:n_old]
    assert set(list(new.tokens())[n_old:]).isdisjoint(source.tokens())
    assert set(KEEP) | {bytes([b]) for b in range(256)} <= set(new.tokens())
    assert result.report.candidates["n_new_in_result"] == new.n_tokens - n_old


@pytest.mark.slow
def test_new_tokens_are_spelt_as_the_source_spells_them(result, source):
    stored = result.id_map_json()
    new = result.vocabulary
    assert {int(k) for k in stored["added"]} == set(result.new_ids.tolist())
    assert stored["added"]
    for id_, old in stored["added"].items():
        assert b"".join(source[k] for k in old) == new[int(id_)]
        assert len(old) > 1
    texts = {k: new[int(k)].decode() for k in stored["added"]}
    peer = source.to_tiktoken()
    whole = {k: text for k, text in texts.items() if source.pattern.ends(text.encode()).size == 1}
    assert len(whole) > 50
    for k, text in whole.items():
        assert stored["added"][k] == peer.encode_ordinary(text)
    for old, ids in stored["dropped"].items():
        assert b"".join(new[k] for k in ids) == source[int(old)]
    assert {int(k) for k in stored["kept"]} | {int(k) for k in stored["dropped"]} == set(range(source.n_ids))
    assert sorted(stored["kept"].values()) == sorted(set(range(TARGET)) - set(result.new_ids.tolist()))


@pytest.mark.slow
def test_runtimes_give_the_same_ids(result, real_text):
    new, text = result.vocabulary, real_text[:60_000] + " naïve 世界 🙂"
    ids = new.encode(text)
    assert set(ids) & set(result.new_ids.tolist())
    assert new.decode(ids) == text
    if new.inference != "ungreedy":
        assert new.to_tokenizers().encode(text, add_special_tokens=False).ids == ids
    if new.inference == "merges":
        assert new.to_tiktoken().encode_ordinary(text) == ids


@pytest.mark.slow
def test_more_candidates_need_fewer_tokens(results, source, corpus):
    for (method, inference), result in results.items():
        if method != "tokenmonster":
            alone = prune(
                source, TARGET, corpus=corpus, method=method, inference=inference, keep=KEEP, limits=QUICK
            ).report
            assert result.report.result.train.n_tokens < alone.result.train.n_tokens
            assert [row.name for row in result.report.rows[2:]] == [row.name for row in alone.rows[2:]]


def test_baselines_are_the_same_as_without_candidates(source, other, corpus):
    for method in ("rank", "frequency", "leaf"):
        results = [
            prune(source, TARGET, corpus=corpus, method=method, candidates=wanted, prior=0)
            for wanted in (None, Candidates(["corpus", other]))
        ]
        assert results[0].vocabulary == results[1].vocabulary
        assert results[1].report.candidates["n_new_in_result"] == 0
        assert results[0].report.result == results[1].report.result


@pytest.mark.slow
@pytest.mark.parametrize("method", ["rank", "frequency", "leaf", "distill"])
def test_all_methods_keep_to_tokens_in_enough_documents(source, corpus, method):
    result = prune(source, 800, corpus=corpus, method=method, candidates=Candidates(min_documents=10), keep=KEEP)
    documents = dict(zip(corpus.train.pretokens(), corpus.train.document_counts.tolist(), strict=True))
    others = [token for token in result.vocabulary.tokens() if len(token) > 1 and token not in KEEP]
    assert min(documents_with(documents, documents, token) for token in others) >= 10


def test_a_result_may_be_larger_than_the_source(source, corpus):
    result = prune(source, 2500, corpus=corpus, candidates=Candidates(["corpus"]), inference="least-tokens")
    assert result.vocabulary.n_ids == 2500
    assert [row.name for row in result.report.rows] == ["small", "distill"]
    with pytest.raises(TargetError, match="method rank keeps to the source's tokens"):
        prune(source, 2500, corpus=corpus, candidates=Candidates(["corpus"]), method="rank")


def test_any_number_of_threads_gives_the_same(source, other, corpus):
    wanted = Candidates(["corpus", other], min_count=20, min_documents=2)
    saved = [prune(source, TARGET, corpus=corpus, candidates=wanted, n_threads=n).id_map_json() for n in (1, 3)]
    assert saved[0] == saved[1]


# The proof


@pytest.mark.slow
def test_certificates_cover_the_pool(results, tmp_path):
    for kind, result in results.items():
        if result.certificate:
            path = tmp_path / "-".join(kind)
            result.save(path)
            claims = check_certificate.check(str(path / "certificate.zip"), str(path / "report.json"))
            assert claims["n_candidates"] == result.report.candidates["n_candidates"] > 2000
            assert claims["bound_tokens"] <= claims["tokens"] == result.report.result.train.n_tokens
    claims = results[KINDS[0]].certificate.claims
    assert claims["gap"] < 0.01


@pytest.mark.slow
def test_the_bound_is_that_of_the_pool(source, corpus):
    bounds = [
        best_possible(source, TARGET, corpus=corpus, candidates=wanted, prior=0, limits=QUICK).claims["bound_tokens"]
        for wanted in (None, Candidates(["corpus"]))
    ]
    assert bounds[1] < bounds[0]


# The command


@pytest.mark.slow
def test_command(work):
    options = ("--source", "small", "--corpus", "corpus.jsonl", "--target", TARGET, "--threads", 1)
    more = ("--candidates", "corpus", "--candidates", "tokenizer.model", "--min-documents", 2)
    done = run("prune", *options, *more, "--inference", "least-tokens", "--out", "result", where=work)
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads((work / "result/report.json").read_text())
    facts = report["candidates"]
    assert [other["name"] for other in facts["others"]] == ["corpus", "tokenizer.model"]
    assert facts["min_documents"] == 2
    assert f"{facts['n_new_in_result']:,} of them new" in " ".join(done.stdout.split())
    card = (work / "result/README.md").read_text(encoding="utf-8")
    assert f"{facts['n_new_in_result']:,} of them are not in small" in card
    loaded = vocab.load(work / "result")
    stored = json.loads((work / "result/id_map.json").read_text())
    assert len(stored["added"]) == facts["n_new_in_result"] > 0
    assert all(loaded[int(k)] not in vocab.load(work / "small").token_ids for k in stored["added"])
    done = run("diff", "small", "result", where=work)
    assert (done.returncode, done.stderr) == (0, "")
    assert run("inspect", "result", where=work).returncode == 0
    options = options[:-2]
    done = run("bound", *options, *more, "--time", 1, where=work)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"of the {facts['n_candidates']:,} candidates" in " ".join(done.stdout.split())


PRUNE = ("prune", "--source", "small", "--corpus", "corpus.jsonl", "--target", TARGET, "--threads", 1)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--candidates", "missing/file.model"], "no such file"),
        (["--candidates", "binary.model"], "binary.model is not a SentencePiece model, or a damaged one"),
        (["--candidates", "empty.model"], "is empty"),
        (["--candidates", "absent.model"], "--candidates absent.model adds nothing: none of its 257 tokens"),
        (["--candidates", "small"], "--candidates small adds nothing"),
        (["--candidates", "nothing-known"], "no vocabulary is named 'nothing-known'"),
        (["--min-documents", "1000"], "candidates in 1000 documents or more, and 1,199 ordinary tokens are wanted"),
        (["--target", "90000"], "target 90000 is above the 2001 ids of small"),
        (["--target", "90000", "--candidates", "corpus"], "target 90000 cannot be met: there are"),
    ],
)
def test_what_cannot_be_is_refused(work, options, sentence):
    (work / "binary.model").write_bytes(b"\x0a\x0e\x0a\x05<unk>\x15\x00\xff\xfe" * 20)
    (work / "empty.model").write_bytes(b"")
    rank_file(work / "absent.model", [*(bytes([b]) for b in range(256)), b" zyzzyvas"])
    assert sentence in fails(work, *PRUNE, *options)


@pytest.mark.slow
def test_documents_that_were_not_counted_are_refused(source, work, tmp_path):
    with pytest.raises(CorpusError, match="built-in profile does not say how many documents"):
        prune(source, TARGET, candidates=Candidates(min_documents=2))
    done = run("count", "--source", "small", "--corpus", "corpus.jsonl", "--out", tmp_path / "counts", where=work)
    assert done.returncode == 0, done.stderr
    stored = pq.ParquetFile(tmp_path / "counts" / "counts.parquet")
    table = stored.read().drop_columns(["documents", "held_out_documents"])
    facts = {"vocab.counts": stored.metadata.metadata[b"vocab.counts"]}  # as before tables had digests
    pq.write_table(table.replace_schema_metadata(facts), tmp_path / "old.parquet")
    options = ("prune", "--source", "small", "--counts", tmp_path / "old.parquet", "--target", TARGET)
    assert "does not say how many documents" in fails(work, *options, "--min-documents", 2)
    done = run(*options, "--candidates", "corpus", "--out", tmp_path / "result", where=work)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["min_documents", "min_count", "max_bytes", "most"])
def test_limits_below_one_are_refused(name):
    with pytest.raises(TargetError, match=f"`{name}` must be at least 1, not 0"):
        Candidates(**{name: 0})


# Reading tokens


def test_tokens_of_any_vocabulary_are_read(work, other, source):
    assert load_tokens(work / "tokenizer.model").tokens == list(other.tokens())
    assert load_tokens(work / "small").tokens == list(source.tokens())
    assert load_tokens(str(work / "small" / "tokenizer.json")).tokens == list(source.tokens())
    for wrong in ("missing/file", work):
        with pytest.raises(SourceError):
            load_tokens(wrong)


def test_a_file_named_corpus_is_told_from_the_corpus(work, source, other, corpus):
    path = rank_file(work / "corpus", list(other.tokens()))
    names = [pool_of(source, corpus, Candidates([wanted])).origins[0].name for wanted in ("corpus", path)]
    assert names == ["corpus", str(path)]
    assert list(itertools.islice(load_tokens(path).tokens, 3)) == [b"\0", b"\1", b"\2"]


# Against over-fitting


def test_substrings_of_one_document_are_no_candidates_unless_asked_for(source):
    names = ["zq" + chr(97 + k // 6) + chr(97 + k % 6) + "xv" for k in range(36)]
    texts = [f"{name} {name} {name} {name} {name} the cat and the dog" for name in names]
    in_one = {f" {name}".encode() for name, text in zip(names, texts, strict=True) if not is_held_out(text.encode())}
    corpus = CorpusCounts((count_documents(texts, "texts", source.pattern),))
    default, all_of_them = (
        Pool.build(source, source.lengths == 1, corpus, Candidates(["corpus"], min_documents=n), 300, [], 1)
        for n in (None, 1)
    )
    assert in_one <= set(all_of_them.vocabulary.tokens())
    assert not in_one & set(default.vocabulary.tokens())
    assert default.origins[0].min_documents == 2
    assert all_of_them.origins[0].min_documents == 1


@pytest.mark.slow
def test_the_source_s_order_counts_beside_candidates_of_the_corpus(source, corpus):
    wanted = Candidates(["corpus"])
    figures = {prior: prune(source, TARGET, corpus=corpus, candidates=wanted, prior=prior) for prior in (None, 0, 1000)}
    n_bytes = sum(part.train.n_bytes for part in corpus.parts)
    assert figures[None].report.corpus["prior"] == default_prior(n_bytes) == min(0.1, 1_000_000 / n_bytes)
    assert figures[0].report.corpus["prior"] == 0
    new = {prior: result.report.candidates["n_new_in_result"] for prior, result in figures.items()}
    assert new[1000] < new[None] <= new[0]


@pytest.mark.parametrize("prior", [-1, float("nan"), 1e9])
def test_a_prior_that_cannot_be_is_refused(source, corpus, prior):
    with pytest.raises(TargetError, match="`prior` is a share of the corpus"):
        prune(source, TARGET, corpus=corpus, prior=prior)
