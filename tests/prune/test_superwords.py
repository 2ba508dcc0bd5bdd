"""Superwords: what is found, how units are cut, what is chosen and written, and what is refused."""

import hashlib
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from helpers.cli import fails
from helpers.unigram_models import trained
from tokenizers import Tokenizer

import vocab
from vocab.corpus import hold_documents
from vocab.corpus.counting import is_held_out
from vocab.corpus.document_corpus import DocumentCorpus
from vocab.corpus.held_documents import HeldDocuments, _next_share
from vocab.corpus.profile import builtin_profile
from vocab.encoding.unit_cuts import UnitCuts
from vocab.errors import CorpusError, TargetError
from vocab.interop import verify
from vocab.prune import Candidates, Limits, PruneRequest, PruneResult, Superwords, check, prune
from vocab.prune.candidates.superword_mining import mine_superwords
from vocab.prune.candidates.superwords import UNITS
from vocab.prune.check_certificate import RejectedError
from vocab.vocabulary import Provenance, Vocabulary

TARGET = 1200
WANTED = Superwords(max_words=3, max_bytes=20, min_documents=3)


@pytest.fixture(scope="module")
def source(cl100k) -> Vocabulary:
    tokens = list(cl100k.tokens())[:2000]
    return Vocabulary.from_tokens(tokens, cl100k.pattern, {"<|endoftext|>": 2000}, provenance=Provenance("small"))


@pytest.fixture(scope="module")
def texts(real_text) -> list[str]:
    return [real_text[k : k + 2000] for k in range(0, 240_000, 2000)]


@pytest.fixture(scope="module")
def documents(texts) -> HeldDocuments:
    return hold_documents(DocumentCorpus.of_texts(texts))


@pytest.fixture(scope="module")
def result(source, documents) -> PruneResult:
    wanted = Candidates(["corpus"], min_count=8, superwords=WANTED)
    return prune(
        source,
        TARGET,
        documents=documents,
        inference="least-tokens",
        candidates=wanted,
        certify=True,
        limits=Limits(max_steps=20),
        n_threads=2,
    )


def runs(texts: list[str], source: Vocabulary, wanted: Superwords) -> dict[tuple[bytes, ...], int]:
    """Occurrences of every frequent run of training documents, one by one."""
    counts: Counter[tuple[bytes, ...]] = Counter()
    holding: Counter[tuple[bytes, ...]] = Counter()
    for text in texts:
        raw = text.encode()
        if is_held_out(raw):
            continue
        found: Counter[tuple[bytes, ...]] = Counter()
        words = set(source.pattern.ends(raw).tolist())
        for a, b in pairwise([0, *UNITS.ends(raw).tolist()]):
            pieces = [raw[x:y] for x, y in pairwise(sorted({a, b} | {end for end in words if a < end < b}))]
            spans = [(k, k + n) for n in range(2, wanted.max_words + 1) for k in range(len(pieces) - n + 1)]
            found.update(tuple(pieces[k:stop]) for k, stop in spans)
        counts += found
        holding += Counter(found.keys())
    is_long = {run: sum(map(len, run)) > wanted.max_bytes for run in counts}
    return {run: n for run, n in counts.items() if n >= 8 and holding[run] >= wanted.min_documents and not is_long[run]}


def test_superwords_are_the_frequent_runs_of_pretokens_within_a_line(source, texts, documents):
    frequent = runs(texts[:60], source, WANTED)
    always_longer = {part for run, n in frequent.items() for part in (run[1:], run[:-1]) if frequent.get(part, 0) == n}
    wanted: Counter[bytes] = Counter()
    for run, n in frequent.items():
        if run not in always_longer:
            wanted[b"".join(run)] += n
    held = hold_documents(DocumentCorpus.of_texts(texts[:60]))
    mined = mine_superwords(held, [1], source.pattern, WANTED, 8, n_threads=2)
    assert len(wanted) > 100
    assert dict(zip(mined.as_bytes(), mined.counts.tolist(), strict=True)) == wanted
    again = mine_superwords(held, [1], source.pattern, WANTED, 8, n_threads=1)
    assert again.as_bytes() == mined.as_bytes()


def test_barriers_are_not_crossed(source, documents):
    def mined(*barriers):
        found = mine_superwords(documents, [1], source.pattern, Superwords(barriers=barriers), 8)
        return {token.decode() for token in found.as_bytes()}

    kinds = {
        "digits": str.isnumeric,
        "line-ends": lambda c: c in "\r\n",
        "punctuation": lambda c: c in "()[]{}.,:;!?#=+-*/<>_'\"",
    }
    for barrier, is_barrier in kinds.items():
        assert any(is_barrier(c) for token in mined() for c in token)
        assert not any(is_barrier(c) for token in mined(barrier) for c in token)


def test_a_sample_is_of_documents_by_hash_whatever_their_order(texts):
    whole = hold_documents(DocumentCorpus.of_texts(texts))
    sample = hold_documents(DocumentCorpus.of_texts(texts), most_bytes=whole.n_bytes // 3)
    other = hold_documents(DocumentCorpus.of_texts(texts[::-1]), most_bytes=whole.n_bytes // 3)
    assert whole.sampled == 1
    assert sample.sampled in (7 / 16, 6 / 16, 5 / 16, 4 / 16)
    kept = [sorted(d for part in held.parts for b in part.batches for d in b.documents()) for held in (sample, other)]
    assert kept[0] == kept[1]
    assert set(kept[0]) < set(texts)
    assert f"{sample.sampled:.3g} of the documents" in sample.notes[0]
    assert sample.n_bytes <= whole.n_bytes // 3 < whole.n_bytes == sample.n_bytes_read
    smaller = hold_documents(DocumentCorpus.of_texts(texts), most_bytes=whole.n_bytes // 12)
    assert {d for part in smaller.parts for b in part.batches for d in b.documents()} < set(kept[0])


def test_shares_of_samples_fall_by_an_eighth_of_an_octave():
    shares = [1.0]
    while shares[-1] > 1 / 8:
        shares.append(_next_share(shares[-1]))
    assert [share * 32 for share in shares] == [32, 28, 24, 20, 16, 14, 12, 10, 8, 7, 6, 5, 4]


@pytest.fixture(scope="module", params=["source", "reorder"])
def merged(source, documents, request) -> PruneResult:
    """Chosen for merges, with superwords behind words and with ranks in a better order."""
    wanted = Candidates(min_count=8, superwords=WANTED)
    return prune(source, TARGET, documents=documents, ranks=request.param, candidates=wanted, n_threads=2)


def test_under_merges_whole_lines_are_encoded_as_every_runtime_does(merged, texts, nasty, tmp_path):
    small, superwords = merged.vocabulary, merged.report.candidates["superwords"]
    assert (small.inference, small.n_ids) == ("merges", TARGET)
    assert superwords["n_in_result"] > 50
    assert merged.report.result.train.n_tokens == sum(
        len(small.encode(text)) for text in texts if not is_held_out(text.encode())
    )
    merged.save(tmp_path / "small")
    assert vocab.load(tmp_path / "small") == small
    checked = verify(tmp_path / "small", [*texts[:20], *nasty, "".join(nasty)])
    assert checked.agrees
    assert {check.runtime for check in checked.checks} >= {"tiktoken", "tokenizers"}


def test_under_merges_superwords_have_the_last_ranks_and_fewer_tokens_result(source, documents, merged):
    options = {"documents": documents, "ranks": merged.report.ranks, "n_threads": 2}
    words = prune(source, TARGET, **options)
    assert merged.report.result.train.n_tokens < 0.97 * words.report.result.train.n_tokens
    if merged.report.ranks == "source":
        n = merged.report.candidates["superwords"]["n_in_result"]
        is_new = merged.kept_ids < 0
        assert np.flatnonzero(is_new).tolist() == list(range(is_new.size - n, is_new.size))


def test_tokens_of_segments_add_up_to_those_of_whole_lines(result, texts, documents):
    small = result.vocabulary
    segments = documents.count(UnitCuts(small.pattern, small.encoder.trie), 2)
    for counts, is_held in ((segments.train, False), (segments.held_out, True)):
        _, sizes = small.encoder.encode_pretokens(counts.blob, counts.starts)
        chosen = [text for text in texts if is_held_out(text.encode()) == is_held]
        assert int((counts.counts.astype(np.int64) * sizes).sum()) == sum(len(small.encode(text)) for text in chosen)
    assert result.report.result.train.n_tokens == sum(
        len(small.encode(text)) for text in texts if not is_held_out(text.encode())
    )


def test_the_result_has_superwords_and_runs_alike_in_tokenizers(result, texts, nasty, tmp_path):
    superwords = result.report.candidates["superwords"]
    assert superwords["n_in_result"] > 50
    assert 0 < superwords["share_of_tokens"] < 1
    assert result.vocabulary.n_ids == TARGET
    result.save(tmp_path / "small")
    runtime = Tokenizer.from_file(str(tmp_path / "small" / "tokenizer.json"))
    loaded = vocab.load(tmp_path / "small")
    assert loaded == result.vocabulary
    assert loaded.pattern.has_kernel
    for text in [*texts, *nasty, "".join(nasty)]:
        assert runtime.encode(text, add_special_tokens=False).ids == result.vocabulary.encode(text, allow_special=True)
    assert "superwords" in (tmp_path / "small" / "README.md").read_text()


def test_the_id_map_spells_superwords_in_tokens_of_the_source(result, source):
    added = result.id_map_json()["added"]
    assert len(added) == result.new_ids.size
    for new, old in added.items():
        assert b"".join(source[k] for k in old) == result.vocabulary[int(new)]


def test_the_certificate_is_accepted_and_an_altered_superword_is_not(result, tmp_path):
    path = tmp_path / "certificate.zip"
    path.write_bytes(result.certificate.as_zip())
    assert check(str(path))["tokens"] == result.certificate.tokens
    superword = result.report.candidates["superwords"]["most_frequent"][0].encode().hex()
    candidates = result.certificate.texts["candidates"]
    assert f"\n{superword} kept".encode() in candidates
    altered = {**result.certificate.texts, "candidates": candidates.replace(superword.encode(), b"7a7a7a7a7a")}
    path.write_bytes(type(result.certificate)(result.certificate.claims, altered).as_zip())
    with pytest.raises(RejectedError, match=r"candidates.txt was altered"):
        check(str(path))


def test_an_altered_superword_is_rejected_though_its_digest_was_made_right(result, tmp_path):
    superword = result.report.candidates["superwords"]["most_frequent"][0].encode().hex().encode()
    texts, path = result.certificate.texts, tmp_path / "certificate.zip"
    for other in (b"7a7a7a7a7a", superword + b"7a"):
        altered = texts["candidates"].replace(b"\n" + superword + b" ", b"\n" + other + b" ")
        assert altered != texts["candidates"]
        claims = {**result.certificate.claims, "candidates_sha256": hashlib.sha256(altered).hexdigest()}
        path.write_bytes(type(result.certificate)(claims, {**texts, "candidates": altered}).as_zip())
        with pytest.raises(RejectedError, match=r"price|bound|tokens"):
            check(str(path))


def test_a_unit_longer_than_the_memory_for_text_is_left_out_or_refused(texts):
    line = "one of the things " * 5_000
    with pytest.raises(CorpusError, match="no sample of 0 MB can be held: the documents are too large"):
        hold_documents(DocumentCorpus.of_texts([line]), most_bytes=10_000)
    held = hold_documents(DocumentCorpus.of_texts([line, *texts]), most_bytes=80_000)
    kept = [text for part in held.parts for batch in part.batches for text in batch.documents()]
    assert len(kept) > 0
    assert set(kept) < set(texts)


@pytest.mark.slow
def test_a_source_of_sentencepiece_is_refused_in_one_sentence(real_text, tmp_path):
    path = tmp_path / "code.model"
    path.write_bytes(trained([real_text[:100_000]], 800))
    with pytest.raises(TargetError, match=r"superwords need a byte-level source .* which code is not"):
        PruneRequest(source=vocab.load(path), target=600, candidates=Candidates(superwords=Superwords()))


def test_a_text_without_line_ends_is_one_unit(source):
    line = "one of the things that is one of the other things, as it were; " * 400
    held = hold_documents(DocumentCorpus.of_texts([line + str(k) for k in range(12)]))
    wanted = Candidates(superwords=Superwords())
    small = prune(source, 600, documents=held, inference="least-tokens", candidates=wanted).vocabulary
    assert b" one of the" in small.token_ids or b"one of the" in b"".join(small.tokens())
    assert small.decode(small.encode(line)) == line


def test_what_cannot_have_superwords_is_refused_in_one_sentence(source, documents):
    wanted = Candidates(superwords=Superwords())
    with pytest.raises(TargetError, match="chosen for least-tokens and merges, not for ungreedy"):
        PruneRequest(source=source, target=TARGET, candidates=wanted, inference="ungreedy")
    with pytest.raises(TargetError, match="chooses no superwords"):
        PruneRequest(source=source, target=TARGET, candidates=wanted, inference="least-tokens", method="rank")
    with pytest.raises(TargetError, match="give either `corpus` or `documents`"):
        prune(source, TARGET, corpus=builtin_profile(source.pattern), documents=documents)
    with pytest.raises(TargetError, match="name a corpus"):
        prune(source, TARGET, candidates=wanted, inference="least-tokens")
    rare = Candidates(superwords=Superwords(), min_count=1_000_000)
    with pytest.raises(TargetError, match="no superword occurs 1,000,000 times"):
        prune(source, TARGET, documents=documents, candidates=rare, inference="least-tokens")
    for settings in ({"max_words": 1}, {"min_documents": 0}, {"barriers": ("vowels",)}):
        with pytest.raises(TargetError):
            Superwords(**settings)


def test_the_command_names_what_is_wrong(tmp_path, source):
    source.save(tmp_path / "small")
    (tmp_path / "text.txt").write_text("of the " * 50)
    line = ["prune", "--source", "small", "--target", "600", "--superwords", "--inference", "least-tokens"]
    assert "--corpus" in fails(tmp_path, *line, "--out", "out")
    assert "vowels" in fails(tmp_path, *line, "--corpus", "text.txt", "--superword-barrier", "vowels", "--out", "out")


def test_runtimes_agree(result, texts, nasty, tmp_path):
    result.save(tmp_path / "small")
    assert verify(tmp_path / "small", [*texts[:20], *nasty]).agrees
